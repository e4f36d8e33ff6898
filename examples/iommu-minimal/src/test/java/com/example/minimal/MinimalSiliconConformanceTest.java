// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.stream.Stream;
import org.iommu4j.tck.SiliconConformance;
import org.iommu4j.tck.Subject;

/** The kit's tests, which are inherited. */
class MinimalSiliconConformanceTest extends SiliconConformance {
    static Stream<Subject> subjects() {
        return MinimalSubjects.all();
    }
}
