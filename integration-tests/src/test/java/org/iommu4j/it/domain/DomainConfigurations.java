// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.List;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;

/** Choices among the configurations, for tests outside this package. */
public final class DomainConfigurations {
    private DomainConfigurations() {}

    /**
     * Returns one of each vendor whose unit and first device can do all that a driver can be asked for: every kind of
     * domain, PASIDs, dirty tracking, page requests, nesting on VT-d.
     */
    public static List<Configuration> withEveryAbility() {
        return List.of(
                PageRequestsOnSiliconTest.Vendor.INTEL.configuration(),
                PageRequestsOnSiliconTest.Vendor.AMD.configuration());
    }

    /** Returns that of the example, which has no more than a vendor must have, and can't block no-snoop. */
    public static Configuration smallest() {
        return example("minimal-nosc");
    }

    /** Returns that of one of the example's machines. */
    static Configuration example(String machineName) {
        MachineDescription machine = MachineFactory.load().named(machineName);
        boolean snoopControl = machineName.equals("minimal");
        return new Configuration(
                machineName,
                machine,
                true,
                true,
                false,
                snoopControl ? Enforcement.UNCONDITIONAL : Enforcement.ABSENT,
                new MinimalLeaves(machine.units().get(0).registerBase(), snoopControl));
    }
}
