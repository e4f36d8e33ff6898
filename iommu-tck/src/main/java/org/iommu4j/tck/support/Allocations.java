// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.support;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** Counts the bytes that a thread takes from the heap, on virtual machines that can. */
public final class Allocations {
    /**
     * The compiler's own turns (a method replaced while it runs) can leave a few bytes to the thread, so that the first
     * clean round counts; what allocates in any operation is clean in none.
     */
    private static final int ROUNDS = 40;

    private static final int OPERATIONS = 200;

    private Allocations() {}

    /** Asserts that an operation, done 200 times, takes nothing from the heap. */
    public static void assertNone(String what, Runnable operation) {
        assertNone(what, OPERATIONS, operation);
    }

    /** Asserts that an operation, done some times, takes nothing from the heap. */
    public static void assertNone(String what, int operations, Runnable operation) {
        if (!(ManagementFactory.getThreadMXBean() instanceof ThreadMXBean threads)
                || !threads.isThreadAllocatedMemorySupported()) {
            operation.run();
            return;
        }
        long thread = Thread.currentThread().getId();
        long bytes = -1;
        for (int round = 0; round < ROUNDS && bytes != 0; round++) {
            long before = threads.getThreadAllocatedBytes(thread);
            for (int i = 0; i < operations; i++) {
                operation.run();
            }
            bytes = threads.getThreadAllocatedBytes(thread) - before;
        }
        assertThat(bytes).as("%s: bytes over %d operations", what, operations).isZero();
    }
}
