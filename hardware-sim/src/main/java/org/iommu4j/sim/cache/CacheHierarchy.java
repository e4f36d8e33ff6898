// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.cache.CacheSet.EXCLUSIVE;
import static org.iommu4j.sim.cache.CacheSet.INVALID;
import static org.iommu4j.sim.cache.CacheSet.MODIFIED;
import static org.iommu4j.sim.cache.CacheSet.SHARED;
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
 * All caches of a machine and the coherence protocol between them, in front of DRAM.
 *
 * <p>CPUs come in through write-back and uncached accesses and the flush instructions, devices and translation units
 * through snooped and un-snooped ones. Addresses are physical, in bytes, aligned to 8. Nothing allocates once a set was
 * used, while the trace is off.
 *
 * <p>Belongs to one thread at a time: an access from a second one is refused with {@link IllegalStateException} until
 * {@link #release}.
 */
public final class CacheHierarchy {
    private static final long LINE_MASK = -LINE_BYTES;

    private final Dram dram;
    private final EvictionPolicy policy;
    private final Trace trace;
    private final Cache[] privates;
    private final Cache shared;

    /** When lines were last used; only the order matters. */
    private long now;

    private @Nullable Thread owner;

    /**
     * Makes empty caches.
     *
     * @param cpus how many private caches
     * @param trace where accesses and movements of lines are recorded
     */
    public CacheHierarchy(Dram dram, int cpus, CacheGeometry geometry, EvictionPolicy policy, Trace trace) {
        Objects.requireNonNull(dram, "dram");
        Objects.requireNonNull(geometry, "geometry");
        Objects.requireNonNull(policy, "policy");
        Objects.requireNonNull(trace, "trace");
        this.dram = dram;
        this.policy = policy;
        this.trace = trace;
        this.privates = new Cache[cpus];
        for (int cpu = 0; cpu < cpus; cpu++) {
            privates[cpu] = new Cache("cache" + cpu, cpu, geometry.privateSets(), geometry.privateWays());
        }
        this.shared = new Cache("shared cache", -1, geometry.sharedSets(), geometry.sharedWays());
    }

    // What CPUs do with write-back memory.

    /** Loads a word of write-back memory. */
    public long load(int cpu, long physicalAddress) {
        enter(physicalAddress);
        CacheSet set = privates[cpu].set(physicalAddress);
        int way = readable(cpu, physicalAddress & LINE_MASK, set);
        long value = set.data[word(way, physicalAddress)];
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, value, 0);
        }
        return value;
    }

    /** Stores a word of write-back memory. */
    public void store(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        CacheSet set = privates[cpu].set(physicalAddress);
        int way = writable(cpu, physicalAddress & LINE_MASK, set);
        set.data[word(way, physicalAddress)] = value;
        if (trace.isOn()) {
            trace.cpu(TraceKind.STORE, cpu, physicalAddress, value, 0);
        }
    }

    /** Stores a word if it has the expected value and returns whether it had. Takes the line either way, as LOCK CMPXCHG does. */
    public boolean compareAndSet(int cpu, long physicalAddress, long expected, long value) {
        enter(physicalAddress);
        CacheSet set = privates[cpu].set(physicalAddress);
        int at = word(writable(cpu, physicalAddress & LINE_MASK, set), physicalAddress);
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
     * @param count how many words, from 1
     */
    public void storeRun(int cpu, long physicalAddress, long first, long increment, int count) {
        enter(physicalAddress);
        long value = first;
        long address = physicalAddress;
        int left = count;
        while (left > 0) {
            CacheSet set = privates[cpu].set(address);
            int at = word(writable(cpu, address & LINE_MASK, set), address);
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
     * Counts words from an address on that have no bit of a mask, or that have some, with one look-up for each line.
     *
     * @param clear whether to count words without those bits
     * @param count the most to count, from 1
     */
    public int leading(int cpu, long physicalAddress, long mask, boolean clear, int count) {
        enter(physicalAddress);
        int counted = 0;
        while (counted < count) {
            long address = physicalAddress + counted * 8L;
            CacheSet set = privates[cpu].set(address);
            int at = word(readable(cpu, address & LINE_MASK, set), address);
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

    // What CPUs do with uncacheable memory.

    /** Loads a word past the caches. A line that a cache holds is written back, if modified, and dropped first. */
    public long loadUncached(int cpu, long physicalAddress) {
        enter(physicalAddress);
        flushLine(physicalAddress & LINE_MASK);
        long value = dram.read(physicalAddress);
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, value, Trace.UNCACHEABLE);
        }
        return value;
    }

    /** Stores a word past the caches. A line that a cache holds is written back, if modified, and dropped first. */
    public void storeUncached(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        flushLine(physicalAddress & LINE_MASK);
        dram.write(physicalAddress, value);
        if (trace.isOn()) {
            trace.cpu(TraceKind.STORE, cpu, physicalAddress, value, Trace.UNCACHEABLE);
        }
    }

    // What CPUs do to the caches.

    /** Writes back, if modified, and drops a line in every cache. */
    public void clflush(int cpu, long physicalAddress) {
        claim();
        if (trace.isOn()) {
            trace.cpu(TraceKind.CLFLUSH, cpu, physicalAddress, 0, 0);
        }
        flushLine(physicalAddress & LINE_MASK);
    }

    /** Flushes every line that has a byte in a range, of any size above 0, as {@link #clflush} does. */
    public void clflushRange(int cpu, long physicalAddress, long bytes) {
        long end = physicalAddress + bytes;
        for (long line = physicalAddress & LINE_MASK; line < end; line += LINE_BYTES) {
            clflush(cpu, line);
        }
    }

    /** Writes back and empties a CPU's private cache and the shared one, and no other CPU's. */
    public void wbinvd(int cpu) {
        claim();
        if (trace.isOn()) {
            trace.cpu(TraceKind.WBINVD, cpu, -1L, 0, 0);
        }
        writeBackAndClear(privates[cpu]);
        writeBackAndClear(shared);
    }

    /** Orders accesses. They are ordered already; the event is recorded. */
    public void mfence(int cpu) {
        claim();
        if (trace.isOn()) {
            trace.cpu(TraceKind.MFENCE, cpu, -1L, 0, 0);
        }
    }

    // What devices and translation units do.

    /** Reads a word: snooped from a cached copy if there is one, leaving all states as they are; else from DRAM. */
    public long deviceRead(long physicalAddress, boolean snoop) {
        enter(physicalAddress);
        if (snoop) {
            long line = physicalAddress & LINE_MASK;
            for (Cache cache : privates) {
                CacheSet set = cache.setIfTouched(line);
                int way = set == null ? -1 : set.find(line);
                if (set != null && way >= 0) {
                    return set.data[word(way, physicalAddress)];
                }
            }
            CacheSet set = shared.setIfTouched(line);
            int way = set == null ? -1 : set.find(line);
            if (set != null && way >= 0) {
                return set.data[word(way, physicalAddress)];
            }
        }
        return dram.read(physicalAddress);
    }

    /**
     * Writes a word to DRAM.
     *
     * @param snoop whether cached copies are merged, that is written back if modified, and dropped; else they stay as they
     *     are
     */
    public void deviceWrite(long physicalAddress, long value, boolean snoop) {
        enter(physicalAddress);
        if (snoop) {
            flushLine(physicalAddress & LINE_MASK);
        }
        dram.write(physicalAddress, value);
    }

    /** Writes 4 bytes at an address aligned to 4, otherwise as {@link #deviceWrite}. */
    public void deviceWrite32(long physicalAddress, int value, boolean snoop) {
        long aligned = physicalAddress & ~4L;
        enter(aligned);
        if (snoop) {
            flushLine(aligned & LINE_MASK);
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

    /** Returns a word with the 4 bytes at an address, whose bit 2 says which, replaced. */
    public static long merge32(long word, long physicalAddress, int value) {
        return (physicalAddress & 4) == 0
                ? (word & 0xffffffff00000000L) | (value & 0xffffffffL)
                : (word & 0xffffffffL) | (long) value << 32;
    }

    // Explicit events: what hardware does whenever it likes.

    /** Takes a line into a CPU's private cache, as a load would. */
    public void prefetch(int cpu, long physicalAddress) {
        claim();
        readable(cpu, physicalAddress & LINE_MASK, privates[cpu].set(physicalAddress));
    }

    /** Evicts a line, if it is there, from a CPU's private cache into the shared one. */
    public void evictPrivate(int cpu, long physicalAddress) {
        claim();
        CacheSet set = privates[cpu].setIfTouched(physicalAddress);
        int way = set == null ? -1 : set.find(physicalAddress & LINE_MASK);
        if (set != null && way >= 0) {
            evictToShared(privates[cpu], set, way, Trace.EXPLICIT);
        }
    }

    /** Evicts a line, if it is there, from the shared cache to DRAM. */
    public void evictShared(long physicalAddress) {
        claim();
        evictToDram(shared, physicalAddress & LINE_MASK);
    }

    /** Evicts a line, if it is there, from a CPU's private cache and from the shared one to DRAM. Other CPUs keep theirs. */
    public void evict(int cpu, long physicalAddress) {
        claim();
        evictToDram(privates[cpu], physicalAddress & LINE_MASK);
        evictToDram(shared, physicalAddress & LINE_MASK);
    }

    /** Writes back and empties all caches. */
    public void drain() {
        claim();
        for (Cache cache : privates) {
            writeBackAndClear(cache);
        }
        writeBackAndClear(shared);
    }

    // Looking in from outside.

    /** Returns a line's state in a CPU's private cache. */
    public Mesi state(int cpu, long physicalAddress) {
        return state(privates[cpu], physicalAddress);
    }

    /** Returns a line's state in the shared cache. */
    public Mesi sharedState(long physicalAddress) {
        return state(shared, physicalAddress);
    }

    /** Lets another thread use the caches. */
    public void release() {
        owner = null;
    }

    /** Empties all caches without writing back and lets another thread use them: power-on. */
    public void reset() {
        for (Cache cache : privates) {
            cache.clear();
        }
        shared.clear();
        now = 0;
        owner = null;
    }

    /** Adds lines, states, data and order of use. */
    public void addTo(StateDigest digest) {
        for (Cache cache : privates) {
            cache.addTo(digest);
        }
        shared.addTo(digest);
    }

    // The protocol.

    /** Brings a line into a private cache for loads and returns its way in the set. */
    private int readable(int cpu, long line, CacheSet set) {
        int way = set.find(line);
        if (way < 0) {
            way = room(privates[cpu], set, line);
            boolean cached = copyFromPeer(cpu, line, set, way) || copyFromShared(line, set, way);
            if (!cached) {
                dram.readLine(line, set.data, way * LINE_WORDS);
            }
            set.setLine(way, line, cached ? SHARED : EXCLUSIVE);
            record(TraceKind.FILL, privates[cpu], line, set, way, 0);
        }
        set.use(way, ++now);
        return way;
    }

    /** Brings a line into a private cache for stores, alone, and returns its way in the set. */
    private int writable(int cpu, long line, CacheSet set) {
        int way = set.find(line);
        if (way < 0) {
            way = room(privates[cpu], set, line);
            if (!takeFromOthers(cpu, line, set, way)) {
                dram.readLine(line, set.data, way * LINE_WORDS);
            }
            set.setLine(way, line, MODIFIED);
            record(TraceKind.FILL, privates[cpu], line, set, way, 0);
        } else if (set.state(way) != MODIFIED) {
            if (set.state(way) == SHARED) {
                takeFromOthers(cpu, line, set, way);
            }
            set.setState(way, MODIFIED);
        }
        set.use(way, ++now);
        return way;
    }

    /** Copies a line from another CPU's private cache, which keeps it shared; a modified one goes to the shared cache too. */
    private boolean copyFromPeer(int cpu, long line, CacheSet into, int intoWay) {
        for (Cache peer : privates) {
            CacheSet set = peer.cpu == cpu ? null : peer.setIfTouched(line);
            int way = set == null ? -1 : set.find(line);
            if (set != null && way >= 0) {
                System.arraycopy(set.data, way * LINE_WORDS, into.data, intoWay * LINE_WORDS, LINE_WORDS);
                if (set.state(way) == MODIFIED) {
                    fillShared(line, set, way, MODIFIED);
                }
                // With an exclusive copy there is no other, and of shared ones all have the same state already.
                set.setState(way, SHARED);
                return true;
            }
        }
        return false;
    }

    private boolean copyFromShared(long line, CacheSet into, int intoWay) {
        CacheSet set = shared.setIfTouched(line);
        int way = set == null ? -1 : set.find(line);
        if (set == null || way < 0) {
            return false;
        }
        System.arraycopy(set.data, way * LINE_WORDS, into.data, intoWay * LINE_WORDS, LINE_WORDS);
        set.use(way, ++now);
        return true;
    }

    /** Drops a line in all other caches, without writing back, and copies its data; returns whether any had it. */
    private boolean takeFromOthers(int cpu, long line, CacheSet into, int intoWay) {
        boolean found = false;
        for (Cache peer : privates) {
            if (peer.cpu != cpu) {
                found |= take(peer, line, into, intoWay);
            }
        }
        boolean wasShared = take(shared, line, into, intoWay);
        return found || wasShared;
    }

    private boolean take(Cache cache, long line, CacheSet into, int intoWay) {
        CacheSet set = cache.setIfTouched(line);
        int way = set == null ? -1 : set.find(line);
        if (set == null || way < 0) {
            return false;
        }
        System.arraycopy(set.data, way * LINE_WORDS, into.data, intoWay * LINE_WORDS, LINE_WORDS);
        record(TraceKind.INVALIDATE, cache, line, set, way, 0);
        set.setState(way, INVALID);
        return true;
    }

    /** Returns a free way of a private cache's set, evicting a line if need be. */
    private int room(Cache cache, CacheSet set, long line) {
        if (!dram.contains(line)) {
            throw new IllegalStateException("physical address 0x" + Long.toHexString(line) + " is outside memory of 0x"
                    + Long.toHexString(dram.size()) + " bytes");
        }
        int way = set.free();
        if (way < 0) {
            way = set.atRank(policy.victim(line, set.ways()));
            evictToShared(cache, set, way, 0);
        }
        return way;
    }

    private void evictToShared(Cache cache, CacheSet set, int way, int flags) {
        long line = set.line(way);
        int state = set.state(way);
        record(TraceKind.EVICT, cache, line, set, way, flags);
        CacheSet target = shared.setIfTouched(line);
        if (target == null || target.find(line) < 0) {
            fillShared(line, set, way, state == MODIFIED ? MODIFIED : SHARED);
        }
        set.setState(way, INVALID);
    }

    /** Puts a line that the shared cache lacks there. */
    private void fillShared(long line, CacheSet from, int fromWay, int state) {
        CacheSet set = shared.set(line);
        int way = set.free();
        if (way < 0) {
            way = set.atRank(policy.victim(line, set.ways()));
            long victim = set.line(way);
            if (set.state(way) == MODIFIED) {
                writeBack(shared, victim, set, way);
            }
            record(TraceKind.EVICT, shared, victim, set, way, 0);
        }
        System.arraycopy(from.data, fromWay * LINE_WORDS, set.data, way * LINE_WORDS, LINE_WORDS);
        set.setLine(way, line, state);
        set.use(way, ++now);
        record(TraceKind.FILL, shared, line, set, way, 0);
    }

    private void evictToDram(Cache cache, long line) {
        CacheSet set = cache.setIfTouched(line);
        int way = set == null ? -1 : set.find(line);
        if (set != null && way >= 0) {
            if (set.state(way) == MODIFIED) {
                writeBack(cache, line, set, way);
            }
            record(TraceKind.EVICT, cache, line, set, way, Trace.EXPLICIT);
            set.setState(way, INVALID);
        }
    }

    /** Writes back, if modified, and drops a line wherever it is. */
    private void flushLine(long line) {
        for (Cache cache : privates) {
            flushLine(cache, line);
        }
        flushLine(shared, line);
    }

    private void flushLine(Cache cache, long line) {
        CacheSet set = cache.setIfTouched(line);
        int way = set == null ? -1 : set.find(line);
        if (set != null && way >= 0) {
            if (set.state(way) == MODIFIED) {
                writeBack(cache, line, set, way);
            }
            record(TraceKind.INVALIDATE, cache, line, set, way, 0);
            set.setState(way, INVALID);
        }
    }

    private void writeBackAndClear(Cache cache) {
        for (CacheSet set = cache.firstListed(); set != null; set = set.next) {
            for (int way = 0; way < set.ways(); way++) {
                if (set.state(way) == MODIFIED) {
                    writeBack(cache, set.line(way), set, way);
                }
                if (set.state(way) != INVALID) {
                    record(TraceKind.INVALIDATE, cache, set.line(way), set, way, 0);
                }
            }
        }
        cache.clear();
    }

    private void writeBack(Cache cache, long line, CacheSet set, int way) {
        record(TraceKind.WRITE_BACK, cache, line, set, way, 0);
        dram.writeLine(line, set.data, way * LINE_WORDS);
    }

    private void record(TraceKind kind, Cache cache, long line, CacheSet set, int way, int flags) {
        if (trace.isOn()) {
            int dirty = set.state(way) == MODIFIED ? Trace.DIRTY : 0;
            trace.line(kind, cache.name, cache.cpu, line, set.data, way * LINE_WORDS, flags | dirty);
        }
    }

    private static Mesi state(Cache cache, long physicalAddress) {
        CacheSet set = cache.setIfTouched(physicalAddress);
        int way = set == null ? -1 : set.find(physicalAddress & LINE_MASK);
        if (set == null || way < 0) {
            return Mesi.INVALID;
        }
        return switch (set.state(way)) {
            case MODIFIED -> Mesi.MODIFIED;
            case EXCLUSIVE -> Mesi.EXCLUSIVE;
            default -> Mesi.SHARED;
        };
    }

    private static int word(int way, long physicalAddress) {
        return way * LINE_WORDS + ((int) (physicalAddress >>> 3) & (LINE_WORDS - 1));
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
