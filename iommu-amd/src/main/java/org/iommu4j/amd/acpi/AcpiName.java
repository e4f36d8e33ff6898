// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

/**
 * How firmware names a device that is not on PCI, 48882 section 5.2.2.4 (entry F0h).
 *
 * @param hardwareId up to 8 characters
 * @param compatibleId 8 bytes as they are, usually 0
 * @param uidFormat 0 none, 1 a 64-bit number, 2 characters
 * @param uidLength bytes of the unique id
 * @param uid the unique id as text, empty when there is none
 */
public record AcpiName(String hardwareId, long compatibleId, int uidFormat, int uidLength, String uid) {
    /** {@link #uidFormat} without a unique id. */
    public static final int UID_NONE = 0;
    /** {@link #uidFormat} of a number. */
    public static final int UID_INTEGER = 1;
    /** {@link #uidFormat} of characters. */
    public static final int UID_STRING = 2;
}
