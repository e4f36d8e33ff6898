// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;
import static org.iommu4j.tck.Ability.WRITE_ONLY;

import java.util.stream.Stream;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Enforcement;

/** The whole drivers that saboteurs break: one of each vendor. */
final class Subjects {
    private Subjects() {}

    static Stream<Subject> all() {
        return Stream.of(intel());
    }

    /** Returns subjects with what no ordinary one has; a saboteur that applies to none of those gets one of these. */
    static Stream<Subject> rare() {
        return Stream.of(nonCoherentWalk());
    }

    private static Subject nonCoherentWalk() {
        Subject intel = intel();
        return Subject.of(
                VtdUnitProvider.machine(
                        "intel-non-coherent", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL & ~1),
                intel.traits().with().snoopedWalks(false).build());
    }

    private static Subject intel() {
        return Subject.of(
                VtdUnitProvider.machine("intel-sc", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL),
                Traits.builder()
                        .addressBits(48)
                        .enforcement(Enforcement.GRANTED)
                        .can(IDENTITY, WRITE_ONLY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION)
                        .build());
    }
}
