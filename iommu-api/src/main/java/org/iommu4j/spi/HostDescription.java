// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.List;

/**
 * What a vendor's tables and registers say about a host.
 *
 * @param vendor the vendor's name
 * @param rule whose ability decides about no-snoop under the release that was asked for
 * @param units its units, in the firmware's order
 * @param devices every function of the topology
 * @param parameters what on the kernel's command line would change the answers
 * @param warnings what was wrong or unknown in the input, one line each
 */
public record HostDescription(
        String vendor,
        CoherencyRule rule,
        List<UnitDescription> units,
        List<DeviceDescription> devices,
        List<KernelParameter> parameters,
        List<String> warnings) {
    /** Copies the lists. */
    public HostDescription {
        units = List.copyOf(units);
        devices = List.copyOf(devices);
        parameters = List.copyOf(parameters);
        warnings = List.copyOf(warnings);
    }
}
