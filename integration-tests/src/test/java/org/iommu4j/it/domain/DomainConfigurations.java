// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.List;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;

/** Choices among the contract's configurations, for tests outside this package. */
public final class DomainConfigurations {
    private DomainConfigurations() {}

    /** Returns those whose tables differ in how two threads meet in them, over flat memory. */
    public static List<Configuration> interleaved() {
        return List.of(
                IntelDomainContractTest.of("VT-d, coherent walk", CAP, SC).flat(),
                IntelDomainContractTest.of("VT-d, non-coherent walk", CAP, SC & ~1L)
                        .flat(),
                ScalableMachines.of("first stage, non-coherent walk", ScalableMachines.CAP, FIRST_STAGE)
                        .flat(),
                AmdDomainContractTest.configurations().get(0).flat(),
                AmdGuestDomainContractTest.of("AMD guest tables", 4).flat());
    }

    /**
     * Returns one of each vendor whose unit and first device can do all that a driver can be asked for: every kind of
     * domain, PASIDs, dirty tracking, page requests, nesting on VT-d.
     */
    public static List<Configuration> withEveryAbility() {
        return List.of(
                PageRequestsOnSiliconTest.Vendor.INTEL.configuration(),
                PageRequestsOnSiliconTest.Vendor.AMD.configuration());
    }

    /** Returns that of a vendor which has no more than a vendor must have: the example's, which blocks nothing. */
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

    private static final long FIRST_STAGE =
            (ScalableMachines.ECAP | ScalableMachines.FIRST_STAGE) & ~ScalableMachines.COHERENT;
    private static final long CAP = VtdUnitProvider.CAP_4_LEVEL;
    private static final long SC = VtdUnitProvider.ECAP_SNOOP_CONTROL;
}
