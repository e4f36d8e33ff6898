// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.List;
import org.iommu4j.amd.conformance.AmdMachines;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.tck.Machines;

/** AMD-Vi's guest tables, which {@code amd_iommu=pgtbl_v2} gives to every domain. */
final class AmdGuestConfigurations {
    /** PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup. */
    private static final long EFR = AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    private AmdGuestConfigurations() {}

    static List<Configuration> configurations() {
        Configuration fourLevels = of("guest tables", 4);
        return List.of(fourLevels, of("guest tables of 5 levels", 5), withPasids(true), fourLevels.flat());
    }

    /** Returns one whose devices have PASIDs, and IOTLBs if asked for. */
    static Configuration withPasids(boolean iotlbs) {
        MachineDescription machine = of("guest tables", 4).machine();
        return of(
                "guest tables, PASIDs" + (iotlbs ? ", IOTLBs" : ""),
                AmdMachines.takingPasids(Machines.withPasids(machine, iotlbs)));
    }

    static Configuration of(String name, int levels) {
        // GATS in 13:12.
        MachineDescription machine = AmdViUnitProvider.machine("amd-v2-" + levels, EFR | (levels - 4) << 12, 0);
        return of(name, machine.withBootOptions(machine.bootOptions().and("amd_iommu=pgtbl_v2")));
    }

    private static Configuration of(String name, MachineDescription machine) {
        return new Configuration(
                name,
                machine,
                true,
                true,
                Enforcement.PRETENDED,
                new AmdGuestLeaves(machine.units().get(0).registerBase()));
    }
}
