// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.stream.Stream;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.VendorConformance;

/** The kit's tests, which are inherited. */
class MinimalVendorConformanceTest extends VendorConformance {
    static Stream<Subject> subjects() {
        return MinimalSubjects.all();
    }
}
