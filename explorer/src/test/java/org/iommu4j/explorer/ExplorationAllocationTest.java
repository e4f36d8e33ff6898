// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

class ExplorationAllocationTest {
    /** What is allocated keeps states; the 7 million transitions add nothing to it. */
    @Test
    void transitionsAllocateNothing() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Exploration exploration = new Exploration(() -> new MesiCaches(3, 3, 2), Settings.DEFAULT)) {
            long before = threads.getCurrentThreadAllocatedBytes();
            Cover cover = exploration.run(Bounds.NONE).cover();
            long allocated = threads.getCurrentThreadAllocatedBytes() - before;
            assertThat(cover.transitions()).isEqualTo(7_190_856);
            assertThat(allocated).isLessThan(cover.memory() + 1_000_000);
        }
    }
}
