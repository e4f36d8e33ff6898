// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.capability.PageRequests}. */
public abstract class PageRequestContract {
    /** Made by JUnit. */
    protected PageRequestContract() {}
}
