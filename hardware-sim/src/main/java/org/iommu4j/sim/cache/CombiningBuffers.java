// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.memory.Dram.LINE_WORDS;

import java.util.Arrays;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The write-combining buffers of all CPUs: words that were stored to write-combining memory and are not in memory yet.
 *
 * <p>Nobody snoops them. Each CPU has a few, a line each, numbered from the one that was begun first. Source: Intel SDM
 * volume 3, section 12.3.1; AMD64 APM volume 2, section 7.4.1.
 */
final class CombiningBuffers {
    private static final int ALL_WORDS = (1 << LINE_WORDS) - 1;

    private final int perCpu;

    /** The number of buffers in use, of each CPU. */
    private final int[] used;

    private final long[] lines;

    /** Which words were stored, a bit each from bit 0. */
    private final int[] stored;

    private final long[] data;

    CombiningBuffers(int cpus, int perCpu) {
        this.perCpu = perCpu;
        this.used = new int[cpus];
        this.lines = new long[cpus * perCpu];
        this.stored = new int[cpus * perCpu];
        this.data = new long[cpus * perCpu * LINE_WORDS];
    }

    int count(int cpu) {
        return used[cpu];
    }

    boolean allInUse(int cpu) {
        return used[cpu] == perCpu;
    }

    /** Returns the number of the CPU's buffer that holds words of a line, or -1. */
    int find(int cpu, long line) {
        int from = cpu * perCpu;
        for (int buffer = 0; buffer < used[cpu]; buffer++) {
            if (lines[from + buffer] == line) {
                return buffer;
            }
        }
        return -1;
    }

    /** Begins a buffer for a line, and returns its number; the CPU has one left. */
    int begin(int cpu, long line) {
        int buffer = used[cpu]++;
        lines[cpu * perCpu + buffer] = line;
        stored[cpu * perCpu + buffer] = 0;
        return buffer;
    }

    /** Puts a word into a buffer, and returns whether the buffer has all words of its line now. */
    boolean put(int cpu, int buffer, long physicalAddress, long value) {
        int at = cpu * perCpu + buffer;
        int index = Cache.word(at, physicalAddress);
        data[index] = value;
        stored[at] |= 1 << index % LINE_WORDS;
        return stored[at] == ALL_WORDS;
    }

    long line(int cpu, int buffer) {
        return lines[cpu * perCpu + buffer];
    }

    boolean has(int cpu, int buffer, int word) {
        return (stored[cpu * perCpu + buffer] & 1 << word) != 0;
    }

    long word(int cpu, int buffer, int word) {
        return data[(cpu * perCpu + buffer) * LINE_WORDS + word];
    }

    /** Ends a buffer; the later ones move up. */
    void end(int cpu, int buffer) {
        int at = cpu * perCpu + buffer;
        int later = --used[cpu] - buffer;
        System.arraycopy(lines, at + 1, lines, at, later);
        System.arraycopy(stored, at + 1, stored, at, later);
        System.arraycopy(data, (at + 1) * LINE_WORDS, data, at * LINE_WORDS, later * LINE_WORDS);
    }

    void clear() {
        Arrays.fill(used, 0);
    }

    void addTo(StateDigest digest) {
        for (int cpu = 0; cpu < used.length; cpu++) {
            digest.add(used[cpu]);
            for (int buffer = 0; buffer < used[cpu]; buffer++) {
                digest.add(lines[cpu * perCpu + buffer]);
                digest.add(stored[cpu * perCpu + buffer]);
                for (int word = 0; word < LINE_WORDS; word++) {
                    digest.add(has(cpu, buffer, word) ? word(cpu, buffer, word) : 0);
                }
            }
        }
    }
}
