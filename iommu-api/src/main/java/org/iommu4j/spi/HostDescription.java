// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.List;

/**
 * What a vendor's tables and registers say about a host.
 *
 * @param vendor the vendor's name
 * @param units its units, in the firmware's order
 * @param devices every function of the topology
 * @param warnings what was wrong or unknown in the input, one line each
 */
public record HostDescription(
        String vendor, List<UnitDescription> units, List<DeviceDescription> devices, List<String> warnings) {
    /** Copies the lists. */
    public HostDescription {
        units = List.copyOf(units);
        devices = List.copyOf(devices);
        warnings = List.copyOf(warnings);
    }
}
