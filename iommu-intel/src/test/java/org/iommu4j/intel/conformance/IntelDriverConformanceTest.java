// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;
import static org.iommu4j.tck.Ability.WRITE_ONLY;

import java.util.stream.Stream;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.DriverConformance;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Enforcement;

/** The driver on every kind of VT-d unit that changes how it has to act. */
class IntelDriverConformanceTest extends DriverConformance {
    static Stream<Subject> subjects() {
        Traits second = Traits.builder()
                .addressBits(48)
                .enforcement(Enforcement.GRANTED)
                .can(IDENTITY, WRITE_ONLY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION)
                .build();
        return Subject.both(
                VtdUnitProvider.machine("intel-sc", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL),
                second);
    }
}
