// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** Counts the bytes that a thread takes from the heap, on virtual machines that can. */
final class Allocations {
    private static final int OPERATIONS = 200;

    /** The compiler's own turns can leave a few bytes to the thread, so that the first clean round counts. */
    private static final int ROUNDS = 40;

    private Allocations() {}

    static void assertNone(String what, Runnable operation) {
        if (!(ManagementFactory.getThreadMXBean() instanceof ThreadMXBean threads)
                || !threads.isThreadAllocatedMemorySupported()) {
            operation.run();
            return;
        }
        long thread = Thread.currentThread().getId();
        long bytes = -1;
        for (int round = 0; round < ROUNDS && bytes != 0; round++) {
            long before = threads.getThreadAllocatedBytes(thread);
            for (int i = 0; i < OPERATIONS; i++) {
                operation.run();
            }
            bytes = threads.getThreadAllocatedBytes(thread) - before;
        }
        assertThat(bytes).as("%s: bytes over %d operations", what, OPERATIONS).isZero();
    }
}
