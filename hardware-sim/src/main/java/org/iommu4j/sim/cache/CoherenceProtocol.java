// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.cache.CacheSet.EXCLUSIVE;
import static org.iommu4j.sim.cache.CacheSet.INVALID;
import static org.iommu4j.sim.cache.CacheSet.MODIFIED;
import static org.iommu4j.sim.cache.CacheSet.SHARED;
import static org.iommu4j.sim.memory.Dram.LINE_BYTES;
import static org.iommu4j.sim.memory.Dram.LINE_WORDS;

import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;

/**
 * MESI between private caches, with a shared cache that takes the lines they evict.
 *
 * <p>The address of its first byte identifies a line. The shared cache is neither inclusive nor exclusive: a line
 * may be in a private cache, in the shared one, or in both. {@code docs/pictures/protocol.svg} has each transition.
 */
final class CoherenceProtocol {
    /** Bits of an address that name its line. */
    static final long LINE_MASK = -LINE_BYTES;

    private final Dram dram;
    private final EvictionPolicy policy;
    private final Trace trace;
    private final Cache[] privates;
    private final Cache shared;

    /** Counter for the last use of lines; only the order matters. */
    private long now;

    CoherenceProtocol(Dram dram, int cpus, CacheGeometry geometry, EvictionPolicy policy, Trace trace) {
        this.dram = dram;
        this.policy = policy;
        this.trace = trace;
        this.privates = new Cache[cpus];
        for (int cpu = 0; cpu < cpus; cpu++) {
            privates[cpu] = new Cache("cache" + cpu, cpu, geometry.privateSets(), geometry.privateWays());
        }
        this.shared = new Cache("shared cache", -1, geometry.sharedSets(), geometry.sharedWays());
    }

    /** Returns a line's set in a CPU's private cache. */
    CacheSet set(int cpu, long line) {
        return privates[cpu].set(line);
    }

    /** Reads a word from a cached copy, a private one first, or from DRAM when there is none; changes nothing. */
    long readSnooped(long physicalAddress) {
        for (Cache cache : privates) {
            CacheSet set = cache.setIfTouched(physicalAddress);
            int way = set == null ? -1 : set.find(physicalAddress & LINE_MASK);
            if (set != null && way >= 0) {
                return set.data[CacheSet.word(way, physicalAddress)];
            }
        }
        CacheSet set = shared.setIfTouched(physicalAddress);
        int way = set == null ? -1 : set.find(physicalAddress & LINE_MASK);
        return set != null && way >= 0 ? set.data[CacheSet.word(way, physicalAddress)] : dram.read(physicalAddress);
    }

    Mesi state(int cpu, long line) {
        return state(privates[cpu], line);
    }

    Mesi sharedState(long line) {
        return state(shared, line);
    }

    /** Returns a word of a line that a private cache, or for -1 the shared one, holds. */
    long cachedWord(int cpu, long physicalAddress) {
        CacheSet set = cache(cpu).setIfTouched(physicalAddress);
        int way = set == null ? -1 : set.find(physicalAddress & LINE_MASK);
        if (set == null || way < 0) {
            throw new IllegalStateException(
                    cache(cpu).name + " does not hold the line of 0x" + Long.toHexString(physicalAddress));
        }
        return set.data[CacheSet.word(way, physicalAddress)];
    }

    /** Puts a line into a cache, or drops it there. */
    void restoreLine(int cpu, long physicalAddress, Mesi state, long word) {
        long line = physicalAddress & LINE_MASK;
        Cache cache = cache(cpu);
        CacheSet set = state == Mesi.INVALID ? cache.setIfTouched(line) : cache.set(line);
        if (set == null) {
            return;
        }
        int way = set.find(line);
        if (state == Mesi.INVALID) {
            if (way >= 0) {
                set.setState(way, INVALID);
            }
            return;
        }
        if (way < 0) {
            way = set.free();
            if (way < 0) {
                throw new IllegalStateException(
                        cache.name + " has no room for the line of 0x" + Long.toHexString(physicalAddress));
            }
        }
        dram.readLine(line, set.data, way * LINE_WORDS);
        set.data[CacheSet.word(way, physicalAddress)] = word;
        set.setLine(
                way,
                line,
                switch (state) {
                    case MODIFIED -> MODIFIED;
                    case EXCLUSIVE -> EXCLUSIVE;
                    case SHARED, INVALID -> SHARED;
                });
        set.use(way, ++now);
    }

    private Cache cache(int cpu) {
        return cpu < 0 ? shared : privates[cpu];
    }

    /** Empties all caches without writing back. */
    void clear() {
        for (Cache cache : privates) {
            cache.clear();
        }
        shared.clear();
        now = 0;
    }

    void addTo(StateDigest digest) {
        for (Cache cache : privates) {
            cache.addTo(digest);
        }
        shared.addTo(digest);
    }

    // ---- taking lines in -----------------------------------------------------------------------------------------

    /** Brings a line into a private cache for loads and returns its way in the set. */
    int readable(int cpu, long line, CacheSet set) {
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
    int writable(int cpu, long line, CacheSet set) {
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

    /**
     * Copies a line from another CPU's private cache, which keeps it shared; a modified one goes to the shared cache
     * too.
     */
    private boolean copyFromPeer(int cpu, long line, CacheSet into, int intoWay) {
        for (Cache peer : privates) {
            CacheSet set = peer.cpu == cpu ? null : peer.setIfTouched(line);
            int way = set == null ? -1 : set.find(line);
            if (set != null && way >= 0) {
                System.arraycopy(set.data, way * LINE_WORDS, into.data, intoWay * LINE_WORDS, LINE_WORDS);
                if (set.state(way) == MODIFIED) {
                    fillShared(line, set, way, MODIFIED);
                }
                // An exclusive copy is the only one, and shared copies already have the same state.
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

    /** Returns a free way of a private cache's set, evicting a line if necessary. */
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

    // ---- letting lines go ----------------------------------------------------------------------------------------

    /** Evicts a line, if it is there, from a CPU's private cache into the shared one. */
    void evictToShared(int cpu, long line) {
        CacheSet set = privates[cpu].setIfTouched(line);
        int way = set == null ? -1 : set.find(line);
        if (set != null && way >= 0) {
            evictToShared(privates[cpu], set, way, Trace.EXPLICIT);
        }
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

    /** Adds a line to the shared cache, which lacks it. */
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

    /** Evicts a line, if it is there, from a CPU's private cache to DRAM. */
    void evictPrivateToDram(int cpu, long line) {
        evictToDram(privates[cpu], line);
    }

    /** Evicts a line, if it is there, from the shared cache to DRAM. */
    void evictSharedToDram(long line) {
        evictToDram(shared, line);
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

    /** Writes back, if modified, and drops a line in every cache. */
    void flushLine(long line) {
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

    /** Writes back and empties a CPU's private cache and the shared one. */
    void writeBackAndClear(int cpu) {
        writeBackAndClear(privates[cpu]);
        writeBackAndClear(shared);
    }

    /** Writes back and empties all caches. */
    void writeBackAndClearAll() {
        for (Cache cache : privates) {
            writeBackAndClear(cache);
        }
        writeBackAndClear(shared);
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

    private static Mesi state(Cache cache, long line) {
        CacheSet set = cache.setIfTouched(line);
        int way = set == null ? -1 : set.find(line);
        if (set == null || way < 0) {
            return Mesi.INVALID;
        }
        return switch (set.state(way)) {
            case MODIFIED -> Mesi.MODIFIED;
            case EXCLUSIVE -> Mesi.EXCLUSIVE;
            default -> Mesi.SHARED;
        };
    }
}
