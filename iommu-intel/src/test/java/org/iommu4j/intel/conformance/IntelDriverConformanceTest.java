// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.DIRTY_TRACKING;
import static org.iommu4j.tck.Ability.EARLIER_MAPPINGS;
import static org.iommu4j.tck.Ability.FAULT_PASIDS;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.ID_PER_ATTACHMENT;
import static org.iommu4j.tck.Ability.KEEPS_DIRECT_DEVICES;
import static org.iommu4j.tck.Ability.NEGATIVE_CACHE;
import static org.iommu4j.tck.Ability.PAGE_REQUESTS;
import static org.iommu4j.tck.Ability.PASID;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;
import static org.iommu4j.tck.Ability.WRITE_ONLY;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.DriverConformance;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Enforcement;

/**
 * The driver on every kind of VT-d unit that changes how it has to act.
 *
 * <p>A first stage without snoop control is not among them: there Linux 7.1 lets a device into a domain that promised.
 * Caches are in front of memory where the unit walks without snooping, and on one machine of each kind besides.
 */
class IntelDriverConformanceTest extends DriverConformance {
    private static final long CAP = VtdUnitProvider.CAP_4_LEVEL;
    private static final long SC = VtdUnitProvider.ECAP_SNOOP_CONTROL;
    private static final long NO_SC = VtdUnitProvider.ECAP_NO_SNOOP_CONTROL;
    private static final long CACHING_MODE = CAP | VtdUnitProvider.CAP_CM;

    /** SAGAW bit 1, MGAW 39 bits. */
    private static final long THREE_LEVELS = (CAP & ~(0x1fL << 8) & ~(0x3fL << 16)) | (2 << 8) | (38 << 16);

    /** SAGAW bit 3 besides, MGAW 57 bits. */
    private static final long FIVE_LEVELS = (CAP & ~(0x3fL << 16)) | (8 << 8) | (56 << 16);

    private static final long PAGES_4K = CAP & ~(0xfL << 34);
    private static final long PAGES_2M = PAGES_4K | (1L << 34);
    private static final long NO_PAGE_SELECTIVE = CAP & ~(1L << 39);
    private static final long SMALL_MASKS = CAP & ~(0x3fL << 48);
    private static final long WRITE_BUFFER = CAP | (1 << 4);
    private static final long FEW_DOMAINS = CAP & ~7L;

    /** Without queued invalidation there is no interrupt remapping either. */
    private static final long REGISTERS_ONLY = SC & ~(1L << 1) & ~(1L << 3);

    private static final long QEMU_CAP = 0xd2008c22260206L;

    // Scalable mode: FL1GP; SMTS and SMPWC; either stage; SAGAW bit 3, FL5LP.
    private static final long SCALABLE_CAP = CAP | 1L << 56;
    private static final long SCALABLE = SC | 1L << 43 | 1L << 48;
    private static final long SECOND = SCALABLE | 1L << 46;
    private static final long FIRST = SCALABLE | 1L << 47;

    /** NEST, PSS 20 bits, PASID, SLADS. */
    private static final long NESTING_PASID_DIRTY = 1L << 26 | 0x13L << 35 | 1L << 40 | 1L << 45;

    private static final long SCALABLE_5_LEVELS = (SCALABLE_CAP & ~(0x3fL << 16)) | 56L << 16 | 0x800 | 1L << 60;

    /** ECAP.C and SMPWC. */
    private static final long COHERENT = 1L | 1L << 48;

    static List<Subject> subjects() {
        List<Subject> all = new ArrayList<>(Subject.both(machine("SC, coherent walk", CAP, SC), legacy(CAP, SC))
                .toList());
        all.add(legacy("SC, non-coherent walk", CAP, SC & ~1));
        all.add(legacy("no SC, coherent walk", CAP, NO_SC));
        all.add(legacy("no SC, non-coherent walk", CAP, NO_SC & ~1));
        all.add(legacy("caching mode", CACHING_MODE, SC).flat());
        all.add(legacy("caching mode, non-coherent walk, no SC", CACHING_MODE, NO_SC & ~1));
        all.add(legacy("3 levels", THREE_LEVELS, SC).flat());
        all.add(legacy("3 levels, non-coherent walk", THREE_LEVELS, SC & ~1));
        all.add(legacy("5 levels", FIVE_LEVELS, SC).flat());
        all.add(legacy("5 levels, non-coherent walk", FIVE_LEVELS, SC & ~1));
        all.add(legacy("4 KiB only", PAGES_4K, SC).flat());
        all.add(legacy("4 KiB and 2 MiB", PAGES_2M, SC).flat());
        all.add(legacy("no page-selective invalidation", NO_PAGE_SELECTIVE, SC).flat());
        all.add(legacy("page-selective for single pages only", SMALL_MASKS, SC).flat());
        all.add(legacy("write-buffer flushing", WRITE_BUFFER, SC & ~1));
        all.add(legacy("16 domain ids", FEW_DOMAINS, SC).flat());
        all.add(legacy("register-based invalidation", CAP, REGISTERS_ONLY).flat());
        all.add(legacy("QEMU 7.2's unit", QEMU_CAP, 0xf00f4aL));
        all.add(legacy("QEMU 7.2's unit with snoop control", QEMU_CAP, 0xf00fcaL));
        all.add(Subject.of(IntelMachines.twoUnits(CAP, SC), legacy(CAP, SC))
                .named("two units")
                .flat());
        all.add(withDevices(legacy("SC, coherent walk", CAP, SC), true).flat());
        all.add(withDevices(legacy("SC, non-coherent walk", CAP, SC & ~1), true));
        all.addAll(scalable());
        all.addAll(capable());
        all.addAll(withReservedMemory());
        return all;
    }

    /** Before 6.6 the driver keeps the network card from users; a mapping to write could be read too. */
    private static List<Subject> withReservedMemory() {
        MachineDescription machine = IntelMachines.withReservedMemory(machine("RMRR", CAP, SC));
        Traits traits = IntelMachines.withReservedMemory(legacy(CAP, SC));
        Traits before = IntelMachines.withReservedMemory(
                traits(CAP, SC).addressBits(48).can(KEEPS_DIRECT_DEVICES).build());
        return List.of(
                Subject.of(machine, traits).named("RMRR").flat(),
                Subject.of(machine, before)
                        .named("RMRR")
                        .flat()
                        .under(LinuxRelease.of("6.5")));
    }

    private static List<Subject> capable() {
        Subject all = capable("all capabilities", SCALABLE_CAP);
        Subject few = capable("all capabilities, 16 domain ids", SCALABLE_CAP & ~7L);
        return List.of(
                all,
                all.flat(),
                Subject.of(
                                IntelMachines.withNetworkCards(few.machine(), 16),
                                few.traits().with().can(ID_PER_ATTACHMENT).build())
                        .named(few.name())
                        .flat());
    }

    /** Both stages, PRS, and all that devices can have. */
    private static Subject capable(String name, long cap) {
        long ecap = SECOND | FIRST | NESTING_PASID_DIRTY | 1L << 29;
        Subject unit = scalable(name, cap, ecap);
        Traits traits = unit.traits()
                .with()
                .can(PASID, PAGE_REQUESTS, DIRTY_TRACKING, FAULT_PASIDS)
                .nests(new VtdGuest())
                .build();
        return Subject.of(IntelMachines.withPageRequests(IntelMachines.withPasids(unit.machine(), true)), traits)
                .named(name);
    }

    private static List<Subject> scalable() {
        long cachingMode = SCALABLE_CAP | VtdUnitProvider.CAP_CM;
        Subject second = scalable("second stage", SCALABLE_CAP, SECOND);
        Subject first = scalable("first stage", SCALABLE_CAP, FIRST);
        Subject pasids = scalable("first stage, PASIDs", SCALABLE_CAP, FIRST | NESTING_PASID_DIRTY);
        Traits twoStages = pasids.traits().with().can(PASID, FAULT_PASIDS).build();
        pasids = Subject.of(pasids.machine(), twoStages).named(pasids.name());
        return List.of(
                second,
                second.flat(),
                scalable("second stage, non-coherent walk", SCALABLE_CAP, SECOND & ~COHERENT),
                scalable("second stage, caching mode", cachingMode, SECOND).flat(),
                scalable("second stage without SC", SCALABLE_CAP, SECOND & ~(1L << 7)),
                first,
                first.flat(),
                scalable("first stage, non-coherent walk", SCALABLE_CAP, FIRST & ~COHERENT),
                scalable("first stage, caching mode", cachingMode, FIRST).flat(),
                scalable("first stage of 5 levels", SCALABLE_5_LEVELS, FIRST).flat(),
                withDevices(pasids, false).flat(),
                withDevices(pasids, true).flat(),
                withDevices(second, true).flat(),
                withDevices(scalable("second stage, caching mode", cachingMode, SECOND), true)
                        .flat(),
                Subject.of(IntelMachines.twoUnits(SCALABLE_CAP, SECOND), second.traits())
                        .named("two units, second stage")
                        .flat(),
                Subject.of(IntelMachines.twoUnits(SCALABLE_CAP, FIRST), first.traits())
                        .named("two units, first stage")
                        .flat());
    }

    private static MachineDescription machine(String name, long cap, long ecap) {
        return VtdUnitProvider.machine("intel-" + name.replace(' ', '-'), cap, ecap);
    }

    private static Subject legacy(String name, long cap, long ecap) {
        return Subject.of(machine(name, cap, ecap), legacy(cap, ecap)).named(name);
    }

    private static Traits legacy(long cap, long ecap) {
        return traits(cap, ecap)
                .addressBits((int) (cap >>> 16 & 0x3f) + 1)
                .snoopedWalks((ecap & 1) != 0)
                .can(WRITE_ONLY)
                .build();
    }

    private static Subject scalable(String name, long cap, long ecap) {
        boolean first = (ecap & 1L << 47) != 0;
        int bits = (int) (cap >>> 16 & 0x3f) + 1;
        // Of the canonical addresses of a first stage, devices use the lower half.
        Traits.Builder traits = traits(first ? cap & ~VtdUnitProvider.CAP_CM : cap, ecap)
                .addressBits(first ? bits - 1 : bits)
                .snoopedWalks((ecap & COHERENT) == COHERENT);
        if (first) {
            traits.can(EARLIER_MAPPINGS);
        } else {
            traits.can(WRITE_ONLY);
        }
        return Subject.of(machine(name, cap, ecap), traits.build()).named(name);
    }

    private static Traits.Builder traits(long cap, long ecap) {
        Traits.Builder traits = Traits.builder()
                .walk(new VtdWalk())
                .enforcement((ecap >>> 7 & 1) != 0 ? Enforcement.GRANTED : Enforcement.REFUSED)
                .can(TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION);
        if ((ecap >>> 6 & 1) != 0) {
            traits.can(IDENTITY);
        }
        if ((cap & VtdUnitProvider.CAP_CM) != 0) {
            traits.can(NEGATIVE_CACHE);
        }
        return traits;
    }

    private static Subject withDevices(Subject subject, boolean translationCaches) {
        return Subject.of(IntelMachines.withPasids(subject.machine(), translationCaches), subject.traits())
                .named(subject.name() + (translationCaches ? ", device TLBs" : ""));
    }
}
