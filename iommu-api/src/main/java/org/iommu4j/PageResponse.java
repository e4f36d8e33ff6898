// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * The answer to a group of page requests.
 *
 * <p>Source: PCI Express Base 5.0, section 10.4.2.1; {@code enum iommu_page_response_code}.
 */
public enum PageResponse {
    /** The pages are there, or the device may try again: it asks for their translation. */
    SUCCESS(0x0),
    /** Some page is not there or lacks the permission, and asking again does not help. */
    INVALID(0x1),
    /** Something is broken: the device stops asking for pages until its interface is enabled again. */
    FAILURE(0xf);

    private final int code;

    PageResponse(int code) {
        this.code = code;
    }

    /** Returns PCI Express's response code. */
    public int code() {
        return code;
    }
}
