// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;

/** VT-d machines in scalable mode, whose devices can have PASIDs and translation caches. */
final class ScalableMachines {
    /** Snoop control, coherent walks, device TLBs, and scalable mode with neither stage: SMTS, SMPWC. */
    static final long ECAP = VtdUnitProvider.ECAP_SNOOP_CONTROL | 1L << 43 | 1L << 48;

    /** ECAP.SLTS. */
    static final long SECOND_STAGE = 1L << 46;

    /** ECAP.FLTS. */
    static final long FIRST_STAGE = 1L << 47;

    /** ECAP.NEST, PSS 20 bits, PASID, SLADS. */
    static final long NESTING_PASID_DIRTY = 1L << 26 | 0x13L << 35 | 1L << 40 | 1L << 45;

    /** Both stages and all that comes with them. */
    static final long EVERYTHING = ECAP | FIRST_STAGE | SECOND_STAGE | NESTING_PASID_DIRTY;

    /** CAP with 2 MiB and 1 GiB pages in both stages: FL1GP besides. */
    static final long CAP = VtdUnitProvider.CAP_4_LEVEL | 1L << 56;

    /** CAP of 57 bits, with tables of 5 levels in both stages: SAGAW bit 3, FL5LP. */
    static final long CAP_5_LEVELS = (CAP & ~(0x3fL << 16)) | 56L << 16 | 0x800 | 1L << 60;

    /** ECAP.C and SMPWC. */
    static final long COHERENT = 1L | 1L << 48;

    private ScalableMachines() {}

    /** Returns a configuration of one unit, whose domains have the stage that the driver prefers there. */
    static Configuration of(String name, long cap, long ecap) {
        MachineDescription machine = VtdUnitProvider.machine("scalable-" + name.replace(' ', '-'), cap, ecap);
        boolean firstStage = (ecap & FIRST_STAGE) != 0;
        return new Configuration(
                name,
                machine,
                true,
                (ecap & COHERENT) == COHERENT,
                (ecap >>> 7 & 1) != 0 ? Enforcement.GRANTED : Enforcement.REFUSED,
                new VtdLeaves(machine.units().get(0).registerBase(), firstStage));
    }

    /** Returns two units: the first device is behind {@code dmar1}, the second behind {@code dmar0}. */
    static Configuration twoUnits(long cap1, long ecap1, long cap0, long ecap0) {
        MachineDescription machine = IntelMachines.twoUnits(cap1, ecap1, cap0, ecap0);
        return new Configuration(
                "two units",
                machine,
                true,
                true,
                Enforcement.GRANTED,
                new VtdLeaves(machine.units().get(1).registerBase(), (ecap1 & FIRST_STAGE) != 0));
    }

    /** Returns the configuration with PASIDs of 16 bits in both devices, and with translation caches if asked for. */
    static Configuration withDevices(Configuration configuration, boolean ats) {
        return new Configuration(
                configuration.name() + (ats ? ", device TLBs" : ""),
                IntelMachines.withPasids(configuration.machine(), ats),
                configuration.caches(),
                configuration.coherentWalk(),
                configuration.enforcement(),
                configuration.leaves());
    }
}
