// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.memory.Dram.LINE_BYTES;
import static org.iommu4j.sim.memory.Dram.LINE_WORDS;

import java.util.Arrays;
import org.iommu4j.sim.spi.StateDigest;

/**
 * One set-associative cache: addresses of lines with states, data, and when each was last used.
 *
 * <p>All state is in flat arrays. A set gets a slot in them when it first takes a line, so that an unused set costs a
 * number only. A line is found by its position: the slot's number times the ways, plus its way.
 */
final class Cache {
    /** States, as the low bits of a line's address; a free position's whole entry is 0. */
    static final int INVALID = 0;

    static final int SHARED = 1;
    static final int EXCLUSIVE = 2;
    static final int MODIFIED = 3;

    private static final int LINE_SHIFT = Integer.numberOfTrailingZeros(LINE_BYTES);
    private static final long STATE = LINE_BYTES - 1L;

    /** Slots at first, beside slot 0. */
    private static final int FIRST_SLOTS = 4;

    final String name;

    /** Number of the CPU whose private cache it is, or -1 for the shared one. */
    final int cpu;

    /** The words of all lines, 8 for each position. */
    long[] data;

    private final int ways;
    private final int setMask;

    /** The slot of each set, 0 for sets that have none. Slot 0 is never used. */
    private final int[] slots;

    /** The set of each slot. */
    private int[] sets;

    /** Lines in each slot: a full set is known without a look at its ways. */
    private int[] lines;

    /** Slots in use, with slot 0. */
    private int slotCount = 1;

    private long[] entries;
    private long[] lastUse;

    Cache(String name, int cpu, int setCount, int ways) {
        this.name = name;
        this.cpu = cpu;
        this.ways = ways;
        this.setMask = setCount - 1;
        this.slots = new int[setCount];
        int capacity = 1 + Math.min(setCount, FIRST_SLOTS);
        this.sets = new int[capacity];
        this.lines = new int[capacity];
        this.entries = new long[capacity * ways];
        this.lastUse = new long[capacity * ways];
        this.data = new long[capacity * ways * LINE_WORDS];
    }

    /** Returns the position of a line, or -1. */
    int find(long line) {
        int slot = slots[setOf(line)];
        if (slot == 0) {
            return -1;
        }
        long[] all = entries;
        int from = slot * ways;
        for (int at = from; at < from + ways; at++) {
            long difference = all[at] ^ line;
            if ((difference & ~STATE) == 0 && difference != 0) {
                return at;
            }
        }
        return -1;
    }

    /** Returns a free position in a line's set, or -1 when the set is full. */
    int free(long line) {
        int set = setOf(line);
        int slot = slots[set];
        if (slot == 0) {
            slot = addSlot(set);
        }
        if (lines[slot] == ways) {
            return -1;
        }
        int at = slot * ways;
        while (entries[at] != 0) {
            at++;
        }
        return at;
    }

    /** Returns the position that a policy chooses in a line's set, which is full. */
    int victim(long line, EvictionPolicy policy) {
        int from = slots[setOf(line)] * ways;
        int rank = policy.victim(line, ways);
        return rank == ways - 1 ? oldest(from) : atRank(from, rank);
    }

    /** Returns the index in {@link #data} of the word at an address, whose line is at a position. */
    static int word(int at, long physicalAddress) {
        return at * LINE_WORDS + ((int) (physicalAddress >>> 3) & (LINE_WORDS - 1));
    }

    int state(int at) {
        return (int) (entries[at] & STATE);
    }

    /** Returns a line's address. */
    long line(int at) {
        return entries[at] & ~STATE;
    }

    /** Sets the state of the line at a position; {@link #INVALID} frees it. */
    void setState(int at, int state) {
        setEntry(at, state == INVALID ? 0 : line(at) | state);
    }

    void setLine(int at, long line, int state) {
        setEntry(at, line | state);
    }

    private void setEntry(int at, long entry) {
        if ((entry == 0) != (entries[at] == 0)) {
            lines[at / ways] += entry == 0 ? -1 : 1;
        }
        entries[at] = entry;
    }

    void use(int at, long now) {
        lastUse[at] = now;
    }

    /** Returns the end of the positions that may hold lines; they start from 0. */
    int end() {
        return slotCount * ways;
    }

    /** Drops all lines, at the cost of the sets that took lines. */
    void clear() {
        for (int slot = 1; slot < slotCount; slot++) {
            slots[sets[slot]] = 0;
        }
        Arrays.fill(entries, 0, end(), 0);
        Arrays.fill(lines, 0, slotCount, 0);
        slotCount = 1;
    }

    /** Adds lines, states and data in the order of use: the position of a line does not affect later events. */
    void addTo(StateDigest digest) {
        // A sum, since the order in which sets were first used must not matter.
        long sum = 0;
        for (int slot = 1; slot < slotCount; slot++) {
            sum += hash(slot * ways);
        }
        digest.add(sum);
    }

    private long hash(int from) {
        long hash = 0;
        for (int rank = 0; rank < lines[from / ways]; rank++) {
            int at = atRank(from, rank);
            hash = StateDigest.mix(hash, entries[at]);
            for (int word = 0; word < LINE_WORDS; word++) {
                hash = StateDigest.mix(hash, data[at * LINE_WORDS + word]);
            }
        }
        return hash;
    }

    private int setOf(long line) {
        return (int) (line >>> LINE_SHIFT) & setMask;
    }

    private int addSlot(int set) {
        if (slotCount == sets.length) {
            int capacity = Math.min(slotCount * 2, setMask + 2);
            sets = Arrays.copyOf(sets, capacity);
            lines = Arrays.copyOf(lines, capacity);
            entries = Arrays.copyOf(entries, capacity * ways);
            lastUse = Arrays.copyOf(lastUse, capacity * ways);
            data = Arrays.copyOf(data, capacity * ways * LINE_WORDS);
        }
        slots[set] = slotCount;
        sets[slotCount] = set;
        return slotCount++;
    }

    private int oldest(int from) {
        int oldest = from;
        for (int at = from + 1; at < from + ways; at++) {
            if (lastUse[at] < lastUse[oldest]) {
                oldest = at;
            }
        }
        return oldest;
    }

    /** Returns the position with a rank in the order of last use, 0 for the latest. */
    private int atRank(int from, int rank) {
        for (int at = from; at < from + ways; at++) {
            if (entries[at] != 0 && rank(from, at) == rank) {
                return at;
            }
        }
        throw new IllegalStateException("a set of " + ways + " lines has none of rank " + rank);
    }

    private int rank(int from, int of) {
        int later = 0;
        for (int at = from; at < from + ways; at++) {
            if (entries[at] != 0 && lastUse[at] > lastUse[of]) {
                later++;
            }
        }
        return later;
    }
}
