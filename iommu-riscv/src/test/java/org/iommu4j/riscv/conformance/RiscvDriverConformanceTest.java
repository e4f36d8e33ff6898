// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.conformance;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.tck.DriverConformance;
import org.iommu4j.tck.Subject;

/** The driver on units that cache nothing, and on the silicon. */
class RiscvDriverConformanceTest extends DriverConformance {
    static List<Subject> subjects() {
        List<Subject> all = new ArrayList<>(RiscvSubjects.walking());
        all.add(RiscvSubjects.under(all.get(1), "7.0"));
        RiscvSubjects.silicon().forEach(all::add);
        RiscvSubjects.silicon().limit(1).forEach(subject -> all.add(RiscvSubjects.under(subject.flat(), "7.0")));
        RiscvSubjects.silicon()
                .filter(subject -> subject.machine().deviceTree().isPresent())
                .forEach(subject -> all.add(RiscvSubjects.under(subject, "6.13")));
        return all;
    }
}
