// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.amd.conformance.AmdMachines;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.tck.Machines;

/** AMD-Vi's host tables: every kind of unit that changes how the driver has to act. */
final class AmdConfigurations {
    private static final String NO_INVALIDATE_ALL = "no invalidate-all";

    private AmdConfigurations() {}

    static List<Configuration> configurations() {
        List<Configuration> all = new ArrayList<>();
        long efr = AmdViUnitProvider.EFR_6_LEVEL;
        long hats = 3L << 10;
        all.add(of("6 levels", AmdViUnitProvider.machine("amd-6", efr, 0)));
        all.add(of("5 levels", AmdViUnitProvider.machine("amd-5", (efr & ~hats) | (1 << 10), 0)));
        all.add(of("4 levels", AmdViUnitProvider.machine("amd-4", efr & ~hats, 0)));
        all.add(of(NO_INVALIDATE_ALL, AmdViUnitProvider.machine("amd-no-ia", efr & ~(1L << 6), 0)));
        // The driver has to announce mappings: this silicon remembers absent ones.
        all.add(of("NpCache", AmdMachines.cachingNotPresent(AmdViUnitProvider.machine("amd-np", efr, 0))));
        all.add(of("device IOTLBs", Machines.withPasids(AmdViUnitProvider.machine("amd-ats", efr, 0), true)));
        all.add(withDirtyTracking());
        // Without caches too; but for the unit that is told of 65,536 domains each time it is opened.
        List<Configuration> flat = all.stream()
                .filter(configuration -> !configuration.name().equals(NO_INVALIDATE_ALL))
                .map(Configuration::flat)
                .toList();
        all.addAll(flat);
        return all;
    }

    /** Returns one whose unit can record written pages, and whose devices have IOTLBs. */
    static Configuration withDirtyTracking() {
        // HASup, HDSup.
        long efr = AmdViUnitProvider.EFR_6_LEVEL | 1L << 49 | 1L << 52;
        return of("dirty tracking", Machines.withPasids(AmdViUnitProvider.machine("amd-dirty", efr, 0), true));
    }

    static Configuration of(String name, MachineDescription machine) {
        return new Configuration(
                name,
                machine,
                true,
                true,
                Enforcement.UNCONDITIONAL,
                new AmdLeaves(machine.units().get(0).registerBase()));
    }
}
