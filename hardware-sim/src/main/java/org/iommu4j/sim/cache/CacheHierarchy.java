// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.memory.Dram.LINE_BYTES;
import static org.iommu4j.sim.memory.Dram.LINE_WORDS;

import java.util.Objects;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/**
 * All caches of a machine in front of DRAM, as CPUs, devices and translation units access them.
 *
 * <p>CPUs use write-back and uncached accesses and the flush instructions; devices and translation units use snooped
 * and un-snooped accesses. {@link CoherenceProtocol} decides on the states of lines. Addresses are physical, in bytes,
 * aligned to 8. While the trace is off, only the first use of a set allocates.
 *
 * <p>Belongs to one thread at a time: an access from a second one is refused with {@link IllegalStateException} until
 * {@link #release}.
 */
public final class CacheHierarchy {
    private static final long LINE_MASK = CoherenceProtocol.LINE_MASK;

    private final Dram dram;
    private final Trace trace;
    private final CoherenceProtocol protocol;

    private @Nullable Thread owner;

    /**
     * Makes empty caches.
     *
     * @param cpus the number of private caches
     * @param trace records accesses and movements of lines
     */
    public CacheHierarchy(Dram dram, int cpus, CacheGeometry geometry, EvictionPolicy policy, Trace trace) {
        Objects.requireNonNull(dram, "dram");
        Objects.requireNonNull(geometry, "geometry");
        Objects.requireNonNull(policy, "policy");
        Objects.requireNonNull(trace, "trace");
        this.dram = dram;
        this.trace = trace;
        this.protocol = new CoherenceProtocol(dram, cpus, geometry, policy, trace);
    }

    // CPU accesses to write-back memory.

    /** Loads a word of write-back memory. */
    public long load(int cpu, long physicalAddress) {
        enter(physicalAddress);
        CacheSet set = protocol.set(cpu, physicalAddress);
        int way = protocol.readable(cpu, physicalAddress & LINE_MASK, set);
        long value = set.data[CacheSet.word(way, physicalAddress)];
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, value, 0);
        }
        return value;
    }

    /** Stores a word of write-back memory. */
    public void store(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        CacheSet set = protocol.set(cpu, physicalAddress);
        int way = protocol.writable(cpu, physicalAddress & LINE_MASK, set);
        set.data[CacheSet.word(way, physicalAddress)] = value;
        if (trace.isOn()) {
            trace.cpu(TraceKind.STORE, cpu, physicalAddress, value, 0);
        }
    }

    /**
     * Stores a word if it has the expected value, and returns whether it had. Takes the line in both cases, like LOCK
     * CMPXCHG.
     */
    public boolean compareAndSet(int cpu, long physicalAddress, long expected, long value) {
        enter(physicalAddress);
        CacheSet set = protocol.set(cpu, physicalAddress);
        int at = CacheSet.word(protocol.writable(cpu, physicalAddress & LINE_MASK, set), physicalAddress);
        long found = set.data[at];
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, found, 0);
        }
        if (found != expected) {
            return false;
        }
        set.data[at] = value;
        if (trace.isOn()) {
            trace.cpu(TraceKind.STORE, cpu, physicalAddress, value, 0);
        }
        return true;
    }

    /**
     * Stores {@code first}, {@code first + increment}, ... with one look-up for each line.
     *
     * @param count the number of words, from 1
     */
    public void storeRun(int cpu, long physicalAddress, long first, long increment, int count) {
        enter(physicalAddress);
        long value = first;
        long address = physicalAddress;
        int left = count;
        while (left > 0) {
            CacheSet set = protocol.set(cpu, address);
            int at = CacheSet.word(protocol.writable(cpu, address & LINE_MASK, set), address);
            int words = Math.min(left, wordsLeft(address));
            long[] data = set.data;
            for (int i = 0; i < words; i++) {
                data[at + i] = value;
                value += increment;
            }
            if (trace.isOn()) {
                for (int i = 0; i < words; i++) {
                    trace.cpu(TraceKind.STORE, cpu, address + i * 8L, data[at + i], 0);
                }
            }
            address += words * 8L;
            left -= words;
        }
    }

    /**
     * Counts consecutive words that have no bit of a mask, or at least one, with one look-up for each line.
     *
     * @param clear whether to count words without those bits
     * @param count the greatest number to count, from 1
     */
    public int leading(int cpu, long physicalAddress, long mask, boolean clear, int count) {
        enter(physicalAddress);
        int counted = 0;
        while (counted < count) {
            long address = physicalAddress + counted * 8L;
            CacheSet set = protocol.set(cpu, address);
            int at = CacheSet.word(protocol.readable(cpu, address & LINE_MASK, set), address);
            int words = Math.min(count - counted, wordsLeft(address));
            for (int i = 0; i < words; i++) {
                long value = set.data[at + i];
                if (trace.isOn()) {
                    trace.cpu(TraceKind.LOAD, cpu, address + i * 8L, value, 0);
                }
                if (((value & mask) == 0) != clear) {
                    return counted + i;
                }
            }
            counted += words;
        }
        return counted;
    }

    // CPU accesses to uncacheable memory.

    /** Loads a word past the caches. A line that a cache holds is written back, if modified, and dropped first. */
    public long loadUncached(int cpu, long physicalAddress) {
        enter(physicalAddress);
        protocol.flushLine(physicalAddress & LINE_MASK);
        long value = dram.read(physicalAddress);
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, value, Trace.UNCACHEABLE);
        }
        return value;
    }

    /** Stores a word past the caches. A line that a cache holds is written back, if modified, and dropped first. */
    public void storeUncached(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        protocol.flushLine(physicalAddress & LINE_MASK);
        dram.write(physicalAddress, value);
        if (trace.isOn()) {
            trace.cpu(TraceKind.STORE, cpu, physicalAddress, value, Trace.UNCACHEABLE);
        }
    }

    // Cache instructions of CPUs.

    /** Writes back, if modified, and drops a line in every cache. */
    public void clflush(int cpu, long physicalAddress) {
        claim();
        if (trace.isOn()) {
            trace.cpu(TraceKind.CLFLUSH, cpu, physicalAddress, 0, 0);
        }
        protocol.flushLine(physicalAddress & LINE_MASK);
    }

    /** Flushes every line that has a byte in a range, of any size above 0, as {@link #clflush} does. */
    public void clflushRange(int cpu, long physicalAddress, long bytes) {
        long end = physicalAddress + bytes;
        for (long line = physicalAddress & LINE_MASK; line < end; line += LINE_BYTES) {
            clflush(cpu, line);
        }
    }

    /** Writes back and empties a CPU's private cache and the shared one, but no other CPU's private cache. */
    public void wbinvd(int cpu) {
        claim();
        if (trace.isOn()) {
            trace.cpu(TraceKind.WBINVD, cpu, -1L, 0, 0);
        }
        protocol.writeBackAndClear(cpu);
    }

    /** Orders accesses. They are always in order; only the event is recorded. */
    public void mfence(int cpu) {
        claim();
        if (trace.isOn()) {
            trace.cpu(TraceKind.MFENCE, cpu, -1L, 0, 0);
        }
    }

    // Accesses of devices and translation units.

    /** Reads a word: snooped from a cached copy if there is one, without changing states; otherwise from DRAM. */
    public long deviceRead(long physicalAddress, boolean snoop) {
        enter(physicalAddress);
        return snoop ? protocol.readSnooped(physicalAddress) : dram.read(physicalAddress);
    }

    /**
     * Writes a word to DRAM.
     *
     * @param snoop whether cached copies are written back if modified, and dropped; otherwise they stay unchanged
     */
    public void deviceWrite(long physicalAddress, long value, boolean snoop) {
        enter(physicalAddress);
        if (snoop) {
            protocol.flushLine(physicalAddress & LINE_MASK);
        }
        dram.write(physicalAddress, value);
    }

    /** Writes 4 bytes at an address aligned to 4, otherwise as {@link #deviceWrite}. */
    public void deviceWrite32(long physicalAddress, int value, boolean snoop) {
        long aligned = physicalAddress & ~4L;
        enter(aligned);
        if (snoop) {
            protocol.flushLine(aligned & LINE_MASK);
        }
        dram.write(aligned, merge32(dram.read(aligned), physicalAddress, value));
    }

    /** Writes a word if it has the expected value, in one step, and returns whether it had. */
    public boolean deviceCompareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        if (deviceRead(physicalAddress, snoop) != expected) {
            return false;
        }
        deviceWrite(physicalAddress, value, snoop);
        return true;
    }

    /** Returns a word with 4 of its bytes replaced; bit 2 of the address selects the half. */
    public static long merge32(long word, long physicalAddress, int value) {
        return (physicalAddress & 4) == 0
                ? (word & 0xffffffff00000000L) | (value & 0xffffffffL)
                : (word & 0xffffffffL) | (long) value << 32;
    }

    // Explicit events, which hardware may cause at any time.

    /** Takes a line into a CPU's private cache, like a load. */
    public void prefetch(int cpu, long physicalAddress) {
        claim();
        protocol.readable(cpu, physicalAddress & LINE_MASK, protocol.set(cpu, physicalAddress));
    }

    /** Evicts a line, if it is there, from a CPU's private cache into the shared one. */
    public void evictPrivate(int cpu, long physicalAddress) {
        claim();
        protocol.evictToShared(cpu, physicalAddress & LINE_MASK);
    }

    /** Evicts a line, if it is there, from the shared cache to DRAM. */
    public void evictShared(long physicalAddress) {
        claim();
        protocol.evictSharedToDram(physicalAddress & LINE_MASK);
    }

    /**
     * Evicts a line, if it is there, from a CPU's private cache and from the shared one to DRAM. Other CPUs keep
     * theirs.
     */
    public void evict(int cpu, long physicalAddress) {
        claim();
        protocol.evictPrivateToDram(cpu, physicalAddress & LINE_MASK);
        protocol.evictSharedToDram(physicalAddress & LINE_MASK);
    }

    /** Writes back and empties all caches. */
    public void drain() {
        claim();
        protocol.writeBackAndClearAll();
    }

    // Inspection from outside.

    /** Returns a line's state in a CPU's private cache. */
    public Mesi state(int cpu, long physicalAddress) {
        return protocol.state(cpu, physicalAddress & LINE_MASK);
    }

    /** Returns a line's state in the shared cache. */
    public Mesi sharedState(long physicalAddress) {
        return protocol.sharedState(physicalAddress & LINE_MASK);
    }

    /** The number that stands for the shared cache where a private one has its CPU's. */
    public static final int SHARED_CACHE = -1;

    /**
     * Returns a word of a line that a cache holds, without any effect.
     *
     * @param cpu the CPU whose private cache it is, or {@link #SHARED_CACHE}
     * @throws IllegalStateException when the cache does not hold the line
     */
    public long cachedWord(int cpu, long physicalAddress) {
        return protocol.cachedWord(cpu, physicalAddress);
    }

    /**
     * Puts a line into a cache, or drops it there, as it was when somebody saved it: {@link #state}, {@link
     * #sharedState}, {@link #cachedWord}. No other cache nor memory takes part. The line's other words are those of
     * memory. The line becomes the one that was used last.
     *
     * @param cpu the CPU whose private cache it is, or {@link #SHARED_CACHE}
     * @param word the word at the address; without effect when the line is dropped
     * @throws IllegalStateException when the line's set has no room
     */
    public void restoreLine(int cpu, long physicalAddress, Mesi state, long word) {
        Objects.requireNonNull(state, "state");
        claim();
        protocol.restoreLine(cpu, physicalAddress, state, word);
    }

    /** Lets another thread use the caches. */
    public void release() {
        owner = null;
    }

    /** Empties all caches without writing back and lets another thread use them: power-on. */
    public void reset() {
        protocol.clear();
        owner = null;
    }

    /** Adds lines, states, data and order of use. */
    public void addTo(StateDigest digest) {
        protocol.addTo(digest);
    }

    private static int wordsLeft(long physicalAddress) {
        return LINE_WORDS - ((int) (physicalAddress >>> 3) & (LINE_WORDS - 1));
    }

    private void enter(long physicalAddress) {
        claim();
        if ((physicalAddress & 7) != 0) {
            throw new IllegalStateException("physical address 0x" + Long.toHexString(physicalAddress)
                    + " is not aligned to the 8 bytes of an access");
        }
    }

    private void claim() {
        if (Thread.currentThread() != owner) {
            changeOwner();
        }
    }

    private void changeOwner() {
        if (owner != null) {
            throw new IllegalStateException("a machine with caches is used by " + Thread.currentThread()
                    + " while it belongs to " + owner + "; see release()");
        }
        owner = Thread.currentThread();
    }
}
