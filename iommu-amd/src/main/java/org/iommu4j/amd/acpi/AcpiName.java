// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

/**
 * Firmware's name of a device that is not on PCI, 48882 section 5.2.2.4 (entry F0h).
 *
 * @param hardwareId up to 8 characters
 * @param compatibleId 8 raw bytes, usually 0
 * @param uidFormat 0 none, 1 a number, 2 characters; any other is unknown
 * @param uidLength bytes of the unique id: the manual has 8 for a number
 * @param uid the unique id as text, a number in decimal; empty when there is none or its format is unknown. A number of
 *     another length than 8 bytes is read from its first 8 bytes at most; Linux reads only the lowest byte, whatever
 *     the length
 */
public record AcpiName(String hardwareId, long compatibleId, int uidFormat, int uidLength, String uid) {
    /** {@link #uidFormat} without a unique id. */
    public static final int UID_NONE = 0;
    /** {@link #uidFormat} of a number. */
    public static final int UID_INTEGER = 1;
    /** {@link #uidFormat} of characters. */
    public static final int UID_STRING = 2;
}
