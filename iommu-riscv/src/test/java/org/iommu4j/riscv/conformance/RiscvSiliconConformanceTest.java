// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.conformance;

import java.util.stream.Stream;
import org.iommu4j.tck.SiliconConformance;
import org.iommu4j.tck.Subject;

/** RISC-V silicon. */
class RiscvSiliconConformanceTest extends SiliconConformance {
    static Stream<Subject> subjects() {
        return RiscvSubjects.silicon();
    }
}
