// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.tck.Bench;

/** Where most tests map: pages of the smallest size, in a row. */
final class Places {
    private Places() {}

    /** Returns the IOVA of a page. */
    static long page(Bench bench, long page) {
        return bench.iova() + page * bench.granule();
    }

    /** Returns the physical address of a frame for devices. */
    static long frame(Bench bench, long frame) {
        return bench.scratch() + frame * bench.granule();
    }
}
