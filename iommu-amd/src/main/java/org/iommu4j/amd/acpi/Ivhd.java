// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

import java.util.ArrayList;
import java.util.List;

/**
 * An I/O virtualization hardware definition block, 48882 section 5.2.2: one unit and the devices that it serves.
 *
 * <p>Firmware may describe one unit in several blocks of different types for older and newer systems.
 *
 * @param offset bytes from the table's start
 * @param type 10h, 11h or 40h
 * @param flags HtTunEn 0, PassPW 1, ResPassPW 2, Isoc 3, IotlbSup 4, Coherent 5, PreFSup 6, PPRSup 7
 * @param length bytes, header and entries
 * @param deviceId the unit's own requester id
 * @param capabilityOffset offset of its capability in its PCI configuration space
 * @param base physical address of its registers
 * @param segment PCI segment
 * @param info MSI number 4:0, unit id 12:8
 * @param features 10h: feature reporting; 11h and 40h: attributes
 * @param efrImage the extended feature register, 0 in 10h
 * @param efr2Image the second extended feature register, 0 in 10h
 * @param entries its device entries in order
 */
public record Ivhd(
        int offset,
        int type,
        int flags,
        int length,
        int deviceId,
        int capabilityOffset,
        long base,
        int segment,
        int info,
        long features,
        long efrImage,
        long efr2Image,
        List<DeviceEntry> entries) {
    /** The first type, with 24 bytes of header and without an image of the features. */
    public static final int TYPE_10 = 0x10;
    /** With an image of the extended features. */
    public static final int TYPE_11 = 0x11;
    /** With devices named by ACPI. */
    public static final int TYPE_40 = 0x40;

    /** Copies the list. */
    public Ivhd {
        entries = List.copyOf(entries);
    }

    /** Returns whether the block has images of the extended feature registers. */
    public boolean hasFeatureImage() {
        return type != TYPE_10;
    }

    /** Returns whether the block's attributes say that the unit has no host tables (HATDis). */
    public boolean hostTablesOff() {
        return type != TYPE_10 && (features & 1) != 0;
    }

    /**
     * Returns the requester ids that the block covers, in its order.
     *
     * <p>The unit itself is not excluded here. Devices that ACPI names are included only in type 40h, and only with a
     * name, as in Linux.
     *
     * @param warnings receives a line for each invalid entry
     */
    public List<DeviceRange> ranges(List<String> warnings) {
        List<DeviceRange> ranges = new ArrayList<>();
        DeviceEntry start = null;
        for (DeviceEntry entry : entries) {
            int id = entry.deviceId();
            switch (entry.type()) {
                case DeviceEntry.ALL -> ranges.add(plain(0, 0xffff, entry));
                case DeviceEntry.SELECT, DeviceEntry.EXTENDED_SELECT -> ranges.add(plain(id, id, entry));
                case DeviceEntry.ALIAS_SELECT ->
                    ranges.add(new DeviceRange(id, id, entry.sourceDeviceId(), entry.dataSetting()));
                case DeviceEntry.RANGE_START, DeviceEntry.ALIAS_RANGE_START, DeviceEntry.EXTENDED_RANGE_START -> {
                    if (start != null) {
                        warnings.add(at(start) + "a range starts but does not end");
                    }
                    start = entry;
                }
                case DeviceEntry.RANGE_END -> {
                    if (start == null) {
                        warnings.add(at(entry) + "a range ends without a start");
                    } else if (id < start.deviceId()) {
                        warnings.add(at(entry)
                                + String.format(
                                        "a range ends at 0x%04x before its start 0x%04x", id, start.deviceId()));
                    } else {
                        int alias = start.type() == DeviceEntry.ALIAS_RANGE_START
                                ? start.sourceDeviceId()
                                : DeviceRange.NO_ALIAS;
                        ranges.add(new DeviceRange(start.deviceId(), id, alias, start.dataSetting()));
                    }
                    start = null;
                }
                case DeviceEntry.SPECIAL -> ranges.add(plain(entry.sourceDeviceId(), entry.sourceDeviceId(), entry));
                case DeviceEntry.ACPI_HID -> {
                    if (entry.isUnnamed()) {
                        warnings.add(at(entry) + "a device named by ACPI has no name and is ignored");
                    } else if (type == TYPE_40) {
                        ranges.add(plain(id, id, entry));
                    } else {
                        warnings.add(at(entry) + "a device named by ACPI is ignored outside a block of type 40h");
                    }
                }
                default -> {
                    // Padding, or a kind that the parser already warned about.
                }
            }
        }
        if (start != null) {
            warnings.add(at(start) + "a range starts but does not end");
        }
        return ranges;
    }

    private static DeviceRange plain(int first, int last, DeviceEntry entry) {
        return new DeviceRange(first, last, DeviceRange.NO_ALIAS, entry.dataSetting());
    }

    private static String at(DeviceEntry entry) {
        return String.format("IVRS at offset 0x%x: ", entry.offset());
    }
}
