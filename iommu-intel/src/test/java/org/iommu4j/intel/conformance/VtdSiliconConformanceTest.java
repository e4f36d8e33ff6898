// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.TABLE_READER;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;
import static org.iommu4j.tck.Ability.TRANSLATION_REQUESTS;
import static org.iommu4j.tck.Ability.WRITE_ONLY;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.SiliconConformance;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;

/** VT-d silicon: legacy tables, either stage of scalable mode, device TLBs, page requests, two units. */
class VtdSiliconConformanceTest extends SiliconConformance {
    private static final long CAP = VtdUnitProvider.CAP_4_LEVEL;
    private static final long SC = VtdUnitProvider.ECAP_SNOOP_CONTROL;
    private static final long NO_SC = VtdUnitProvider.ECAP_NO_SNOOP_CONTROL;

    /** FL1GP; SMTS, SMPWC and either stage. */
    private static final long SCALABLE_CAP = CAP | 1L << 56;

    private static final long SECOND = SC | 1L << 43 | 1L << 46 | 1L << 48;
    private static final long FIRST = SC | 1L << 43 | 1L << 47 | 1L << 48;

    /** PRS, PSS 20 bits, PASID. */
    private static final long PAGE_REQUESTS = 1L << 29 | 0x13L << 35 | 1L << 40;

    private static Traits.Builder traits() {
        return Traits.builder().can(IDENTITY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, TABLE_READER);
    }

    static List<Subject> subjects() {
        Traits legacy = traits().can(WRITE_ONLY).build();
        Traits notSnooped = legacy.with().snoopedWalks(false).build();
        Traits first = traits().addressBits(47).build();
        List<Subject> all = new ArrayList<>();
        all.addAll(Subject.both(VtdUnitProvider.machine("vtd-legacy", CAP, SC), legacy)
                .toList());
        all.add(Subject.of(VtdUnitProvider.machine("vtd-non-coherent", CAP, NO_SC & ~1), notSnooped));
        all.add(Subject.of(IntelMachines.twoUnits(CAP, SC), legacy).named("vtd-two-units"));
        all.add(Subject.of(VtdUnitProvider.machine("vtd-second-stage", SCALABLE_CAP, SECOND), legacy));
        all.add(Subject.of(VtdUnitProvider.machine("vtd-first-stage", SCALABLE_CAP, FIRST), first)
                .flat());
        all.add(withDevices(Subject.of(VtdUnitProvider.machine("vtd-device-tlbs", CAP, SC), legacy)));
        all.add(withDevices(Subject.of(
                VtdUnitProvider.machine("vtd-page-requests", SCALABLE_CAP, FIRST | PAGE_REQUESTS),
                first.with().can(Ability.PASID).build())));
        return all;
    }

    private static Subject withDevices(Subject subject) {
        return Subject.of(
                        IntelMachines.withPasids(subject.machine(), true),
                        subject.traits().with().can(TRANSLATION_REQUESTS).build())
                .named(subject.name());
    }
}
