// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/** Invalidating and walking anew allocate nothing; translating and refusing is held to that by the conformance kit. */
class VtdAllocationTest {
    private static final int OPERATIONS = 100_000;

    private final Bench bench = Bench.withSnoopControl();
    private long sum;

    private void allocatesNothing(Runnable operation) {
        ThreadMXBean bean = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long fewest = Long.MAX_VALUE;
        for (int round = 0; round < 5; round++) {
            long before = bean.getThreadAllocatedBytes(Thread.currentThread().getId());
            for (int i = 0; i < OPERATIONS; i++) {
                operation.run();
            }
            long after = bean.getThreadAllocatedBytes(Thread.currentThread().getId());
            fewest = Math.min(fewest, after - before);
        }
        // Reading the counter costs some bytes itself.
        assertThat(fewest).isLessThan(OPERATIONS / 100);
    }

    @Test
    void anInvalidationAndAWalkAllocateNothing() {
        allocatesNothing(() -> {
            bench.invalidate(0x50032, Bench.IOVA);
            bench.invalidate(0x1_0000_0025L, Bench.STATUS);
            sum += bench.read(Bench.IOVA);
        });
    }

    @Test
    void scalableModeAllocatesNothing() {
        ScalableBench scalable = new ScalableBench().firstStage(3).secondStage();
        scalable.on();
        allocatesNothing(() -> {
            scalable.invalidate(0x12, 0);
            scalable.invalidate(0x37, 0);
            sum += scalable.translate(3, Bench.IOVA, false);
            sum += scalable.translate(ScalableBench.NO_PASID, Bench.IOVA, true);
            sum += scalable.translate(3, Bench.IOVA + 0x1000, false);
            sum += scalable.translate(3, Bench.IOVA, false);
        });
    }
}
