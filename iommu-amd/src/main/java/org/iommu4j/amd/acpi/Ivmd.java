// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

/**
 * An I/O virtualization memory definition block, 48882 section 5.2.3: memory that devices use before and outside the
 * operating system.
 *
 * @param offset bytes from the table's start
 * @param type 20h all devices, 21h one device, 22h a range of devices
 * @param flags unity 0, readable 1, writable 2, exclusion range 3
 * @param length bytes of the block
 * @param deviceId the device, or the first device of a range
 * @param auxiliary the last device of a range
 * @param reserved 8 bytes; Linux reads bits 15:0 as the PCI segment
 * @param start physical address
 * @param size bytes
 */
public record Ivmd(
        int offset,
        int type,
        int flags,
        int length,
        int deviceId,
        int auxiliary,
        long reserved,
        long start,
        long size) {
    /** All devices. */
    public static final int TYPE_ALL = 0x20;
    /** One device. */
    public static final int TYPE_SELECT = 0x21;
    /** A range of devices. */
    public static final int TYPE_RANGE = 0x22;

    /** Returns whether the memory must be mapped one to one. */
    public boolean unity() {
        return (flags & 1) != 0;
    }

    /** Returns whether the devices may read the memory. */
    public boolean readable() {
        return (flags & 2) != 0;
    }

    /** Returns whether the devices may write the memory. */
    public boolean writable() {
        return (flags & 4) != 0;
    }

    /** Returns whether accesses to the memory are not translated at all. */
    public boolean exclusion() {
        return (flags & 8) != 0;
    }

    /** Returns the PCI segment of the devices. */
    public int segment() {
        return (int) reserved & 0xffff;
    }

    /** Returns whether the block covers a device. */
    public boolean covers(int requesterId) {
        return switch (type) {
            case TYPE_ALL -> true;
            case TYPE_SELECT -> requesterId == deviceId;
            default -> deviceId <= requesterId && requesterId <= auxiliary;
        };
    }
}
