// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.DIRTY_TRACKING;
import static org.iommu4j.tck.Ability.FAULT_PASIDS;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.ID_PER_DOMAIN;
import static org.iommu4j.tck.Ability.NEGATIVE_CACHE;
import static org.iommu4j.tck.Ability.PAGE_REQUESTS;
import static org.iommu4j.tck.Ability.PASID;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;
import static org.iommu4j.tck.Ability.WRITE_ONLY;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.amd.TwoUnits;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.amdvi.IvrsWriter;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.tck.DriverConformance;
import org.iommu4j.tck.Machines;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Enforcement;

/** The driver on every kind of AMD-Vi unit that changes how it has to act, with host and with guest tables. */
class AmdDriverConformanceTest extends DriverConformance {
    private static final long EFR = AmdViUnitProvider.EFR_6_LEVEL;
    private static final long HATS = 3L << 10;

    /** PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup. */
    private static final long GUEST_EFR = EFR | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    /** HASup, HDSup. */
    private static final long DIRTY_EFR = EFR | 1L << 49 | 1L << 52;

    /** Guest tables and written pages, EPHSup, and automatic answers to page requests that are lost. */
    private static final long CAPABLE_EFR = GUEST_EFR | DIRTY_EFR | 1L << 50 | 1L << 41;

    private static Traits.Builder host(int bits) {
        return Traits.builder()
                .addressBits(bits)
                .walk(new AmdViWalk())
                .enforcement(Enforcement.UNCONDITIONAL)
                .can(IDENTITY, WRITE_ONLY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, ID_PER_DOMAIN);
    }

    private static Traits.Builder guest(int bits) {
        return Traits.builder()
                .addressBits(bits)
                .walk(new AmdViWalk())
                .enforcement(Enforcement.PRETENDED)
                .can(IDENTITY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, ID_PER_DOMAIN);
    }

    static List<Subject> subjects() {
        List<Subject> all = new ArrayList<>();
        Traits sixLevels = host(64).build();
        all.addAll(Subject.both(AmdViUnitProvider.machine("amd-6", EFR, 0), sixLevels)
                .toList());
        all.add(Subject.of(AmdViUnitProvider.machine("amd-5", (EFR & ~HATS) | (1 << 10), 0), host(57).build())
                .flat());
        all.add(Subject.of(AmdViUnitProvider.machine("amd-4", EFR & ~HATS, 0), host(48).build())
                .flat());
        // The unit that is told of 65,536 domains each time it is opened.
        all.add(Subject.of(AmdViUnitProvider.machine("amd-no-ia", EFR & ~(1L << 6), 0), sixLevels));
        all.addAll(Subject.both(
                        AmdMachines.cachingNotPresent(AmdViUnitProvider.machine("amd-np", EFR, 0)),
                        host(64).can(NEGATIVE_CACHE).build())
                .toList());
        all.addAll(Subject.both(Machines.withPasids(AmdViUnitProvider.machine("amd-ats", EFR, 0), true), sixLevels)
                .toList());
        all.addAll(Subject.both(
                        Machines.withPasids(AmdViUnitProvider.machine("amd-dirty", DIRTY_EFR, 0), true),
                        host(64).can(DIRTY_TRACKING).build())
                .toList());
        all.add(Subject.of(Machines.withPasids(TwoUnits.machine(0), true), sixLevels)
                .named("amd-two-units, IOTLBs")
                .flat());
        MachineDescription fourLevels = guestTables(4);
        all.addAll(Subject.both(fourLevels, guest(47).build()).toList());
        all.add(Subject.of(guestTables(5), guest(56).build()));
        all.add(Subject.of(
                        AmdMachines.takingPasids(Machines.withPasids(fourLevels, true)),
                        guest(47).can(PASID, FAULT_PASIDS).build())
                .named("amd-v2-4, PASIDs, IOTLBs"));
        all.add(Subject.of(Machines.withPasids(fourLevels, true), guest(47).build())
                .named("amd-v2-4, PASIDs as in Linux"));
        all.addAll(Subject.both(
                        AmdMachines.takingPasids(Machines.withPageRequests(
                                Machines.withPasids(AmdViUnitProvider.machine("amd-capable", CAPABLE_EFR, 0), true))),
                        host(64).can(DIRTY_TRACKING, PASID, PAGE_REQUESTS, FAULT_PASIDS)
                                .build())
                .toList());
        all.addAll(withUnityMaps(
                Subject.of(AmdViUnitProvider.machine("amd-6", EFR, 0), sixLevels),
                Subject.of(fourLevels, guest(47).build())));
        return all;
    }

    /**
     * Returns subjects with memory that firmware has mapped one to one (IVMD): of the first GPU to read, and of the
     * second in two parts that overlap and one to write. An exclusion range is mapped too, with every right.
     */
    private static List<Subject> withUnityMaps(Subject host, Subject guest) {
        return Stream.of(host, guest)
                .map(subject -> Subject.of(
                                withUnityMaps(subject.machine()),
                                subject.traits()
                                        .with()
                                        .directRegions(BuiltInTopology.GPU, region(0xe000000, 0xe00ffff, Prot.READ))
                                        .directRegions(
                                                BuiltInTopology.SECOND_GPU,
                                                region(0xe100000, 0xe117fff, Prot.READ_WRITE),
                                                region(0xf000000, 0xf003fff, Prot.WRITE))
                                        .build())
                        .named(subject.name() + ", unity maps")
                        .flat())
                .toList();
    }

    private static MachineDescription withUnityMaps(MachineDescription machine) {
        int unity = 1;
        int readable = 1 << 1;
        int writable = 1 << 2;
        int exclusion = 1 << 3;
        byte[] ivrs = machine.acpiTables().get("IVRS");
        ivrs = IvrsWriter.withMemory(ivrs, BuiltInTopology.SECOND_GPU, unity | writable, 0xf000000, 0x4000);
        ivrs = IvrsWriter.withMemory(ivrs, BuiltInTopology.SECOND_GPU, exclusion, 0xe108000, 0x10000);
        ivrs = IvrsWriter.withMemory(ivrs, BuiltInTopology.GPU, unity | readable, 0xe000000, 0x10000);
        ivrs = IvrsWriter.withMemory(ivrs, BuiltInTopology.SECOND_GPU, unity | readable | writable, 0xe100000, 0x10000);
        return machine.withAcpiTables(Map.of("IVRS", ivrs));
    }

    private static ReservedRegion region(long start, long end, int prot) {
        return new ReservedRegion(start, end, ReservedRegion.Type.DIRECT, prot);
    }

    /** GATS in 13:12. */
    private static MachineDescription guestTables(int levels) {
        MachineDescription machine = AmdViUnitProvider.machine("amd-v2-" + levels, GUEST_EFR | (levels - 4) << 12, 0);
        return machine.withBootOptions(machine.bootOptions().and("amd_iommu=pgtbl_v2"));
    }
}
