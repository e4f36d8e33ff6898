// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.VendorConformance;

/** The kit's tests, which are inherited. */
class MinimalVendorConformanceTest extends VendorConformance {
    static Stream<Subject> subjects() {
        return MinimalSubjects.all();
    }

    @Override
    protected List<String> kernelLines() {
        return List.of(
                "minimal: minimal0: registers at 0xfed80000, CAP 0x101",
                "minimal: interrupts are remapped",
                "minimal: translating");
    }
}
