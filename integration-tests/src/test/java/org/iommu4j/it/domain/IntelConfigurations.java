// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;

/** VT-d in legacy mode: every kind of unit that changes how the driver has to act. */
final class IntelConfigurations {
    private IntelConfigurations() {}

    static List<Configuration> configurations() {
        List<Configuration> all = new ArrayList<>();
        long cap = VtdUnitProvider.CAP_4_LEVEL;
        long sc = VtdUnitProvider.ECAP_SNOOP_CONTROL;
        long noSc = VtdUnitProvider.ECAP_NO_SNOOP_CONTROL;
        long cachingMode = cap | (1 << 7);
        // SAGAW bit 1, MGAW 39 bits
        long threeLevels = (cap & ~(0x1fL << 8) & ~(0x3fL << 16)) | (2 << 8) | (38 << 16);
        // SAGAW bit 3 besides, MGAW 57 bits
        long fiveLevels = (cap & ~(0x3fL << 16)) | (8 << 8) | (56 << 16);
        long pages4K = cap & ~(0xfL << 34);
        long pages2M = pages4K | (1L << 34);
        long noPageSelective = cap & ~(1L << 39);
        long smallMasks = cap & ~(0x3fL << 48);
        long writeBuffer = cap | (1 << 4);
        long fewDomains = cap & ~7L;
        all.add(of("SC, coherent walk", cap, sc));
        all.add(of("SC, non-coherent walk", cap, sc & ~1));
        all.add(of("no SC, coherent walk", cap, noSc));
        all.add(of("no SC, non-coherent walk", cap, noSc & ~1));
        all.add(of("caching mode", cachingMode, sc));
        all.add(of("caching mode, non-coherent walk, no SC", cachingMode, noSc & ~1));
        all.add(of("3 levels", threeLevels, sc));
        all.add(of("3 levels, non-coherent walk", threeLevels, sc & ~1));
        all.add(of("5 levels", fiveLevels, sc));
        all.add(of("5 levels, non-coherent walk", fiveLevels, sc & ~1));
        all.add(of("4 KiB only", pages4K, sc));
        all.add(of("4 KiB and 2 MiB", pages2M, sc));
        all.add(of("no page-selective invalidation", noPageSelective, sc));
        all.add(of("page-selective for single pages only", smallMasks, sc));
        all.add(of("write-buffer flushing", writeBuffer, sc & ~1));
        all.add(of("16 domain ids", fewDomains, sc));
        // without QI there is no interrupt remapping either
        all.add(of("register-based invalidation", cap, sc & ~(1L << 1) & ~(1L << 3)));
        all.add(of("QEMU 7.2's unit", 0xd2008c22260206L, 0xf00f4aL));
        all.add(of("QEMU 7.2's unit with snoop control", 0xd2008c22260206L, 0xf00fcaL));
        all.add(ScalableMachines.twoUnits(cap, sc, cap, sc));
        all.add(ScalableMachines.withDevices(of("SC, coherent walk", cap, sc), true));
        all.add(ScalableMachines.withDevices(of("SC, non-coherent walk", cap, sc & ~1), true));
        List<Configuration> flat = all.stream().map(Configuration::flat).toList();
        all.addAll(flat);
        return all;
    }

    static Configuration of(String name, long cap, long ecap) {
        MachineDescription machine = VtdUnitProvider.machine("intel-" + name.replace(' ', '-'), cap, ecap);
        return new Configuration(
                name,
                machine,
                true,
                (ecap & 1) != 0,
                (ecap >>> 7 & 1) != 0 ? Enforcement.GRANTED : Enforcement.REFUSED,
                new VtdLeaves(machine.units().get(0).registerBase()));
    }
}
