// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import java.util.List;

/**
 * A device that a structure names, VT-d 8.3.1.
 *
 * @param offset bytes from the table's start
 * @param length bytes of the entry
 * @param type 1 endpoint, 2 bridge with all functions below, 3 I/O APIC, 4 HPET, 5 ACPI namespace device
 * @param flags the properties in SIDP, otherwise reserved
 * @param enumerationId APIC id, HPET number or ACPI device number
 * @param startBus the first bus of the path
 * @param path the hops from the start bus, one per bridge, the device itself last; at least one
 */
public record DeviceScope(
        int offset, int length, int type, int flags, int enumerationId, int startBus, List<Hop> path) {
    /** Type of a PCI endpoint. */
    public static final int ENDPOINT = 1;
    /** Type of a bridge with everything below it. */
    public static final int BRIDGE = 2;
    /** Type of an I/O APIC. */
    public static final int IOAPIC = 3;
    /** Type of an HPET that sends messages. */
    public static final int HPET = 4;
    /** Type of an ACPI device that an ANDD structure names. */
    public static final int NAMESPACE = 5;

    /**
     * One step of a path.
     *
     * @param device as in the table; at most 0x1f in a valid table
     * @param function as in the table; at most 7 in a valid table
     */
    public record Hop(int device, int function) {}

    /** Copies the path. */
    public DeviceScope {
        path = List.copyOf(path);
    }

    /** Returns the scope of the bridge or device that many hops along the path. */
    DeviceScope upTo(int hops) {
        return new DeviceScope(offset, length, type, flags, enumerationId, startBus, path.subList(0, hops));
    }

    /** Returns whether the scope names a PCI function or bridge, which a unit translates for. */
    public boolean isPci() {
        return type == ENDPOINT || type == BRIDGE;
    }
}
