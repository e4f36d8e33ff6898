// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.List;
import org.iommu4j.amd.conformance.AmdMachines;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.tck.Machines;

/** Choices among the configurations, for tests outside this package. */
public final class DomainConfigurations {
    private DomainConfigurations() {}

    /**
     * Returns one of each vendor whose unit and first device can do all that a driver can be asked for: every kind of
     * domain, PASIDs, dirty tracking, page requests, nesting on VT-d.
     */
    public static List<Configuration> withEveryAbility() {
        // PRS besides.
        Configuration intel = ScalableMachines.withDevices(
                ScalableMachines.of("every ability", ScalableMachines.CAP, ScalableMachines.EVERYTHING | 1L << 29),
                true);
        // PPRSup, GTSup, GLXSup 2, PASmax 15, automatic responses, GIoSup, HASup, EPHSup, HDSup.
        long efr =
                AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 41 | 7L << 48 | 1L << 52;
        Configuration amd = AmdConfigurations.of("every ability", AmdViUnitProvider.machine("amd-pages", efr, 0));
        return List.of(
                withPageRequests(intel, intel.machine()),
                withPageRequests(amd, AmdMachines.takingPasids(amd.machine())));
    }

    private static Configuration withPageRequests(Configuration configuration, MachineDescription machine) {
        return new Configuration(
                configuration.name(),
                Machines.withPageRequests(machine),
                configuration.caches(),
                configuration.coherentWalk(),
                configuration.enforcement(),
                configuration.leaves());
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
                snoopControl ? Enforcement.UNCONDITIONAL : Enforcement.ABSENT,
                new MinimalLeaves(machine.units().get(0).registerBase(), snoopControl));
    }
}
