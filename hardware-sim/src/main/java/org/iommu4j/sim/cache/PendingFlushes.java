// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.memory.Dram.LINE_BYTES;

import java.util.Arrays;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The lines that each CPU asked to flush by CLFLUSHOPT or CLWB, which nothing made it do yet.
 *
 * <p>These instructions are ordered by fences and locked operations, and not by other stores: software that uses them
 * without a fence can't know when they happen. Source: Intel SDM volume 2, CLFLUSHOPT and CLWB.
 */
final class PendingFlushes {
    /** Lines that a CPU's list has room for; one more, and the first of them is flushed. */
    static final int PER_CPU = 16;

    private static final long KEEP = 1;
    private static final long LINE_MASK = -LINE_BYTES;

    private final int[] used;
    private final long[] entries;

    PendingFlushes(int cpus) {
        this.used = new int[cpus];
        this.entries = new long[cpus * PER_CPU];
    }

    boolean isFull(int cpu) {
        return used[cpu] == PER_CPU;
    }

    boolean isEmpty(int cpu) {
        return used[cpu] == 0;
    }

    /**
     * Adds a line, unless the CPU asked for the same already; the CPU's list has room.
     *
     * @param keep whether caches may keep the line
     */
    void add(int cpu, long line, boolean keep) {
        long entry = line | (keep ? KEEP : 0);
        int from = cpu * PER_CPU;
        for (int at = from; at < from + used[cpu]; at++) {
            if (entries[at] == entry) {
                return;
            }
        }
        entries[from + used[cpu]++] = entry;
    }

    /** Returns the line that was asked for first, of those that are left. */
    long first(int cpu) {
        return entries[cpu * PER_CPU] & LINE_MASK;
    }

    /** Returns whether caches may keep the first line. */
    boolean firstKeeps(int cpu) {
        return (entries[cpu * PER_CPU] & KEEP) != 0;
    }

    void removeFirst(int cpu) {
        int from = cpu * PER_CPU;
        System.arraycopy(entries, from + 1, entries, from, --used[cpu]);
    }

    void clear() {
        Arrays.fill(used, 0);
    }

    void addTo(StateDigest digest) {
        for (int cpu = 0; cpu < used.length; cpu++) {
            digest.add(used[cpu]);
            for (int at = 0; at < used[cpu]; at++) {
                digest.add(entries[cpu * PER_CPU + at]);
            }
        }
    }
}
