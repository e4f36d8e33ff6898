// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

import org.jspecify.annotations.Nullable;

/**
 * A device entry of an IVHD block, 48882 section 5.2.2.
 *
 * @param offset bytes from the table's start
 * @param type the kind of entry
 * @param length bytes
 * @param deviceId a requester id
 * @param dataSetting the interrupts and messages that pass untranslated: INIT 0, external 1, NMI 2, system management
 *     5:4, LINT0 6, LINT1 7
 * @param extended the last 4 bytes of an 8-byte entry, else 0
 * @param name the name of an entry F0h, else null
 */
public record DeviceEntry(
        int offset,
        int type,
        int length,
        int deviceId,
        int dataSetting,
        long extended,
        @Nullable AcpiName name) {
    /** Padding. */
    public static final int PAD = 0x00;
    /** All devices. */
    public static final int ALL = 0x01;
    /** One device. */
    public static final int SELECT = 0x02;
    /** Start of a range. */
    public static final int RANGE_START = 0x03;
    /** End of a range. */
    public static final int RANGE_END = 0x04;
    /** 8 bytes of padding. */
    public static final int PAD_8 = 0x40;
    /** One device whose requests carry another id. */
    public static final int ALIAS_SELECT = 0x42;
    /** Start of a range whose requests carry another id. */
    public static final int ALIAS_RANGE_START = 0x43;
    /** One device with extended settings. */
    public static final int EXTENDED_SELECT = 0x46;
    /** Start of a range with extended settings. */
    public static final int EXTENDED_RANGE_START = 0x47;
    /** An interrupt controller or timer. */
    public static final int SPECIAL = 0x48;
    /** A device that is not on PCI, by its ACPI name. */
    public static final int ACPI_HID = 0xf0;

    /** {@link #variety} of an I/O APIC. */
    public static final int VARIETY_IOAPIC = 1;
    /** {@link #variety} of an HPET. */
    public static final int VARIETY_HPET = 2;

    /** Returns the id that requests of an alias or a special device carry. */
    public int sourceDeviceId() {
        return (int) (extended >> 8) & 0xffff;
    }

    /** Returns the number of a special device, an APIC or HPET. */
    public int handle() {
        return (int) extended & 0xff;
    }

    /** Returns the variety of a special device. */
    public int variety() {
        return (int) (extended >> 24) & 0xff;
    }

    /** Returns whether an entry for a device named by ACPI has no name. */
    public boolean isUnnamed() {
        return type == ACPI_HID && (name == null || name.hardwareId().isEmpty());
    }
}
