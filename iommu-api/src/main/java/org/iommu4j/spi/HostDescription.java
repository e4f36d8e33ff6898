// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.List;
import java.util.Objects;
import org.iommu4j.platform.HardwareVirtualization;
import org.jspecify.annotations.Nullable;

/**
 * What a vendor's tables and registers say about a host.
 *
 * @param vendor the vendor's name
 * @param rule whose ability decides about no-snoop under the release that was asked for
 * @param everyUnitBlocks under {@link CoherencyRule#PER_MACHINE}, whether all units that Linux uses can block no-snoop;
 *     UNKNOWN under other rules
 * @param units its units, in the firmware's order
 * @param devices every function of the topology; devices that are not on PCI are left out
 * @param parameters what on the kernel's command line would change the answers
 * @param warnings what was wrong or unknown in the input, one line each
 * @param virtualization the extension that processors beside such units have, null where the vendor does not say
 * @param directLock why the driver keeps a device whose memory must stay mapped one to one ({@link
 *     org.iommu4j.ReservedRegion.Type#DIRECT}) from user space, null where it does not; from 6.6 on Linux's core keeps
 *     such a device whatever the driver does
 * @param refusal why VFIO takes no device behind these units, null where it takes them
 */
public record HostDescription(
        String vendor,
        CoherencyRule rule,
        Answer everyUnitBlocks,
        List<UnitDescription> units,
        List<DeviceDescription> devices,
        List<KernelParameter> parameters,
        List<String> warnings,
        @Nullable HardwareVirtualization virtualization,
        @Nullable Reason directLock,
        @Nullable Reason refusal) {
    /** Copies the lists. */
    public HostDescription {
        Objects.requireNonNull(vendor, "vendor");
        Objects.requireNonNull(rule, "rule");
        Objects.requireNonNull(everyUnitBlocks, "everyUnitBlocks");
        units = List.copyOf(units);
        devices = List.copyOf(devices);
        parameters = List.copyOf(parameters);
        warnings = List.copyOf(warnings);
    }

    /**
     * Makes a description that says nothing of processors and of all units together, and of a driver that keeps no
     * device to itself.
     */
    public HostDescription(
            String vendor,
            CoherencyRule rule,
            List<UnitDescription> units,
            List<DeviceDescription> devices,
            List<KernelParameter> parameters,
            List<String> warnings) {
        this(vendor, rule, Answer.UNKNOWN, units, devices, parameters, warnings, null, null, null);
    }
}
