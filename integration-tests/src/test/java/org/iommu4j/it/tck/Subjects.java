// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.DIRTY_TRACKING;
import static org.iommu4j.tck.Ability.EARLIER_MAPPINGS;
import static org.iommu4j.tck.Ability.FAULT_PASIDS;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.ID_PER_ATTACHMENT;
import static org.iommu4j.tck.Ability.ID_PER_DOMAIN;
import static org.iommu4j.tck.Ability.INCOMPATIBLE;
import static org.iommu4j.tck.Ability.KEEPS_DIRECT_DEVICES;
import static org.iommu4j.tck.Ability.NEGATIVE_CACHE;
import static org.iommu4j.tck.Ability.PAGE_REQUESTS;
import static org.iommu4j.tck.Ability.PASID;
import static org.iommu4j.tck.Ability.TABLE_READER;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;
import static org.iommu4j.tck.Ability.TRANSLATION_REQUESTS;
import static org.iommu4j.tck.Ability.WRITE_ONLY;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.amd.conformance.AmdMachines;
import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.intel.conformance.VtdGuest;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.amdvi.IvrsWriter;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.Machines;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Enforcement;

/** The whole drivers that saboteurs break: one of each vendor, the example's among them. */
final class Subjects {
    private static final List<Subject> ALL = List.of(intel(), amd(), minimal());
    private static final List<Subject> RARE = List.of(
            nonCoherentWalk(),
            cachingMode(),
            firstStage(),
            twoUnits(),
            translationCache(),
            locked(),
            unityMaps(),
            walked());
    private static final List<Subject> CAPABLE = List.of(capableIntel(), capableAmd());
    private static final List<Subject> SCARCE = List.of(fewIds());

    private Subjects() {}

    static Stream<Subject> all() {
        return ALL.stream();
    }

    /** Returns subjects with what no ordinary one has; a saboteur that applies to none of those gets one of these. */
    static Stream<Subject> rare() {
        return RARE.stream();
    }

    /** Returns subjects with all capabilities; a saboteur that applies to none of the others gets all of these. */
    static Stream<Subject> capable() {
        return CAPABLE.stream();
    }

    /** Returns a capable subject whose unit runs out of ids; a saboteur that applies to no other gets it. */
    static Stream<Subject> scarce() {
        return SCARCE.stream();
    }

    private static Subject capableIntel() {
        return Subject.of(
                        IntelMachines.withEverything(),
                        firstStage()
                                .traits()
                                .with()
                                .can(DIRTY_TRACKING, PASID, PAGE_REQUESTS, FAULT_PASIDS)
                                .nests(new VtdGuest())
                                .build())
                .named("intel-capable")
                .flat();
    }

    /** Guest tables, HASup, EPHSup, HDSup, and automatic answers to page requests that are lost. */
    private static Subject capableAmd() {
        long efr =
                AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 41 | 7L << 48 | 1L << 52;
        return Subject.of(
                        AmdMachines.takingPasids(Machines.withPageRequests(
                                Machines.withPasids(AmdViUnitProvider.machine("amd-capable", efr, 0), true))),
                        amd().traits()
                                .with()
                                .can(DIRTY_TRACKING, PASID, PAGE_REQUESTS, FAULT_PASIDS)
                                .build())
                .flat();
    }

    private static Subject nonCoherentWalk() {
        Subject intel = intel();
        return Subject.of(
                VtdUnitProvider.machine(
                        "intel-non-coherent", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL & ~1),
                intel.traits().with().snoopedWalks(false).build());
    }

    private static Subject cachingMode() {
        return Subject.of(
                VtdUnitProvider.machine(
                        "intel-caching-mode",
                        VtdUnitProvider.CAP_4_LEVEL | VtdUnitProvider.CAP_CM,
                        VtdUnitProvider.ECAP_SNOOP_CONTROL),
                intel().traits().with().can(NEGATIVE_CACHE).build());
    }

    /** A device with ATS. */
    private static Subject translationCache() {
        Subject amd = amd();
        return Subject.of(
                        Machines.withTranslationCache(amd.machine()),
                        amd.traits().with().can(TRANSLATION_REQUESTS).build())
                .named("amd-ats");
    }

    /** Scalable mode with a first stage, whose entries always grant reading: SMTS, FLTS, SMPWC. */
    private static Subject firstStage() {
        return Subject.of(
                VtdUnitProvider.machine(
                        "intel-first-stage",
                        VtdUnitProvider.CAP_4_LEVEL | 1L << 56,
                        VtdUnitProvider.ECAP_SNOOP_CONTROL | 1L << 43 | 1L << 47 | 1L << 48),
                Traits.builder()
                        .addressBits(47)
                        .enforcement(Enforcement.GRANTED)
                        .can(IDENTITY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, TABLE_READER)
                        .can(EARLIER_MAPPINGS)
                        .build());
    }

    /** Firmware has memory of a network card mapped one to one; the driver of 6.5 keeps the card from users. */
    private static Subject locked() {
        Subject intel = intel();
        List<FunctionDescription> functions = new ArrayList<>(intel.machine().functions());
        PciAddress card = new PciAddress(0, 0x1f, 0, 0);
        functions.add(new FunctionDescription(
                card,
                Optional.empty(),
                ConfigSpaceBuilder.endpoint(0x8086, 0x10d3, ConfigSpaceBuilder.CLASS_ETHERNET)
                        .build(),
                Optional.of("dmar0"),
                false));
        byte[] dmar = new DmarWriter(46)
                .unit(intel.machine().units().get(0).registerBase(), true)
                .reservedMemory(0xe000000, 0xe00ffff)
                .endpoint(card.bus(), card.device(), card.function())
                .build();
        return Subject.of(
                        intel.machine().withFunctions(functions).withAcpiTables(Map.of("DMAR", dmar)),
                        Traits.builder()
                                .addressBits(48)
                                .enforcement(Enforcement.GRANTED)
                                .can(IDENTITY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, TABLE_READER)
                                .can(KEEPS_DIRECT_DEVICES)
                                .directRegions(
                                        card, new ReservedRegion(0xe000000, 0xe00ffff, ReservedRegion.Type.DIRECT))
                                .build())
                .named("intel-rmrr")
                .flat()
                .under(LinuxRelease.of("6.5"));
    }

    /** All capabilities, 16 domain ids (CAP.ND is 0), and more devices than that. */
    private static Subject fewIds() {
        Subject capable = capableIntel();
        MachineDescription machine = Machines.withRegister(capable.machine(), "dmar0", "CAP", cap -> cap & ~7L);
        return Subject.of(
                        IntelMachines.withNetworkCards(machine, 16),
                        capable.traits().with().can(ID_PER_ATTACHMENT).build())
                .named("intel-16-ids")
                .flat();
    }

    /** A walk of its tables is a witness beside driver and silicon. */
    private static Subject walked() {
        Subject intel = intel();
        return Subject.of(
                        intel.machine(),
                        intel.traits().with().walk(WalkSaboteurs::walk).build())
                .named("intel-walked")
                .flat();
    }

    /** Firmware has memory of the second GPU mapped one to one, to read only. */
    private static Subject unityMaps() {
        Subject amd = amd();
        byte[] ivrs = IvrsWriter.withMemory(
                amd.machine().acpiTables().get("IVRS"), BuiltInTopology.SECOND_GPU, 3, 0xe000000, 0x10000);
        return Subject.of(
                        amd.machine().withAcpiTables(Map.of("IVRS", ivrs)),
                        amd.traits()
                                .with()
                                .directRegions(
                                        BuiltInTopology.SECOND_GPU,
                                        new ReservedRegion(0xe000000, 0xe00ffff, ReservedRegion.Type.DIRECT, Prot.READ))
                                .build())
                .named("amd-unity-map")
                .flat();
    }

    /** The second device's unit has no snoop control. */
    private static Subject twoUnits() {
        return Subject.of(
                MachineFactory.load().named("intel-mixed"),
                intel().traits().with().can(INCOMPATIBLE).build());
    }

    private static Subject amd() {
        return Subject.of(
                AmdViUnitProvider.machine("amd", AmdViUnitProvider.EFR_6_LEVEL, 0),
                Traits.builder()
                        .addressBits(64)
                        .enforcement(Enforcement.UNCONDITIONAL)
                        .can(IDENTITY, WRITE_ONLY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, TABLE_READER)
                        .can(ID_PER_DOMAIN)
                        .build());
    }

    private static Subject intel() {
        return Subject.of(
                VtdUnitProvider.machine("intel-sc", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL),
                Traits.builder()
                        .addressBits(48)
                        .enforcement(Enforcement.GRANTED)
                        .can(IDENTITY, WRITE_ONLY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, TABLE_READER)
                        .build());
    }

    private static Subject minimal() {
        return Subject.of(
                MachineFactory.load().named("minimal"),
                Traits.builder()
                        .addressBits(32)
                        .physicalBits(40)
                        .enforcement(Enforcement.UNCONDITIONAL)
                        .can(IDENTITY, WRITE_ONLY, TRANSLATION_CACHE, COMPLETION)
                        .build());
    }

    /** Returns lines that a subject's driver prints. */
    static List<String> kernelLines(Subject subject) {
        return switch (subject.vendor()) {
            case "intel" ->
                List.of(
                        "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap c0000020660462 ecap f0101a",
                        "DMAR: DRHD base: 0x000000fed90000 flags: 0x1",
                        "DMAR-IR: Enabled IRQ remapping in x2apic mode");
            case "amd" ->
                List.of(
                        "pci 0000:00:00.2: AMD-Vi: Extended features (0x58f77ef22294a5a, 0x1b): PPR NX GT",
                        "AMD-Vi: Interrupt remapping enabled");
            case "minimal" -> List.of();
            default -> throw new IllegalArgumentException("no lines of the vendor " + subject.vendor());
        };
    }
}
