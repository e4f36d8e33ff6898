// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.stream.Stream;
import org.iommu4j.tck.DriverConformance;
import org.iommu4j.tck.Subject;

/** The kit's tests, which are inherited. */
class MinimalDriverConformanceTest extends DriverConformance {
    static Stream<Subject> subjects() {
        return MinimalSubjects.all();
    }
}
