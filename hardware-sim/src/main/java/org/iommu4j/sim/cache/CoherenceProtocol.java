// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.cache.Cache.EXCLUSIVE;
import static org.iommu4j.sim.cache.Cache.INVALID;
import static org.iommu4j.sim.cache.Cache.MODIFIED;
import static org.iommu4j.sim.cache.Cache.SHARED;
import static org.iommu4j.sim.memory.Dram.LINE_BYTES;
import static org.iommu4j.sim.memory.Dram.LINE_WORDS;

import java.util.stream.IntStream;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;

/**
 * MESI between private caches, with a shared cache that takes the lines they evict.
 *
 * <p>The address of its first byte identifies a line. A shared cache that is not inclusive is not exclusive either: a
 * line may be in a private cache, in the shared one, or in both. {@code docs/pictures/protocol.svg} has each
 * transition.
 *
 * <p>An inclusive one holds each line that a private cache holds. While a private cache has the line modified, the
 * shared copy is old, and never counts as modified; nobody reads it, since private caches are asked first.
 */
final class CoherenceProtocol {
    /** Bits of an address that name its line. */
    static final long LINE_MASK = -LINE_BYTES;

    private final Dram dram;
    private final EvictionPolicy policy;
    private final Trace trace;
    private final Cache[] privates;
    private final Cache shared;
    private final boolean inclusive;

    /** Counter for the last use of lines; only the order matters. */
    private long now;

    CoherenceProtocol(
            Dram dram, int cpus, CacheGeometry geometry, boolean inclusive, EvictionPolicy policy, Trace trace) {
        this.dram = dram;
        this.policy = policy;
        this.trace = trace;
        this.inclusive = inclusive;
        this.privates = new Cache[cpus];
        for (int cpu = 0; cpu < cpus; cpu++) {
            privates[cpu] = new Cache("cache" + cpu, cpu, geometry.privateSets(), geometry.privateWays());
        }
        this.shared = new Cache("shared cache", -1, geometry.sharedSets(), geometry.sharedWays());
    }

    int cpus() {
        return privates.length;
    }

    /** Returns a CPU's private cache. */
    Cache cache(int cpu) {
        return privates[cpu];
    }

    /** Reads a word from a cached copy, a private one first, or from DRAM when there is none; changes nothing. */
    long readSnooped(long physicalAddress) {
        long line = physicalAddress & LINE_MASK;
        for (Cache cache : privates) {
            int at = cache.find(line);
            if (at >= 0) {
                return cache.data[Cache.word(at, physicalAddress)];
            }
        }
        int at = shared.find(line);
        return at >= 0 ? shared.data[Cache.word(at, physicalAddress)] : dram.read(physicalAddress);
    }

    Mesi state(int cpu, long line) {
        return state(privates[cpu], line);
    }

    Mesi sharedState(long line) {
        return state(shared, line);
    }

    /** Returns a word of a line that a private cache, or for -1 the shared one, holds. */
    long cachedWord(int cpu, long physicalAddress) {
        Cache cache = cacheOrShared(cpu);
        int at = cache.find(physicalAddress & LINE_MASK);
        if (at < 0) {
            throw new IllegalStateException(
                    cache.name + " does not hold the line of 0x" + Long.toHexString(physicalAddress));
        }
        return cache.data[Cache.word(at, physicalAddress)];
    }

    /** Returns the addresses of the lines that a private cache, or for -1 the shared one, holds, ascending. */
    long[] lines(int cpu) {
        Cache cache = cacheOrShared(cpu);
        return IntStream.range(0, cache.end())
                .filter(at -> cache.state(at) != INVALID)
                .mapToLong(cache::line)
                .sorted()
                .toArray();
    }

    /** Puts a line into a cache, or drops it there. */
    void restoreLine(int cpu, long physicalAddress, Mesi state, long word) {
        long line = physicalAddress & LINE_MASK;
        Cache cache = cacheOrShared(cpu);
        int at = cache.find(line);
        if (state == Mesi.INVALID) {
            if (at >= 0) {
                cache.setState(at, INVALID);
            }
            return;
        }
        if (at < 0) {
            at = cache.free(line);
            if (at < 0) {
                throw new IllegalStateException(
                        cache.name + " has no room for the line of 0x" + Long.toHexString(physicalAddress));
            }
        }
        dram.readLine(line, cache.data, at * LINE_WORDS);
        cache.data[Cache.word(at, physicalAddress)] = word;
        cache.setLine(
                at,
                line,
                switch (state) {
                    case MODIFIED -> MODIFIED;
                    case EXCLUSIVE -> EXCLUSIVE;
                    case SHARED, INVALID -> SHARED;
                });
        cache.use(at, ++now);
    }

    private Cache cacheOrShared(int cpu) {
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

    /** Checks that there is memory at an address. */
    void checkInMemory(long physicalAddress) {
        if (!dram.contains(physicalAddress)) {
            throw new IllegalStateException("physical address 0x" + Long.toHexString(physicalAddress)
                    + " is outside memory of 0x" + Long.toHexString(dram.size()) + " bytes");
        }
    }

    // ---- taking lines in -----------------------------------------------------------------------------------------

    /** Brings a line into a private cache for loads of write-back memory, and returns its position. */
    int readable(Cache cache, long line) {
        int at = cache.find(line);
        if (at < 0) {
            at = fill(cache, line, EXCLUSIVE);
        }
        cache.use(at, ++now);
        return at;
    }

    /** As {@link #readable}, for memory that stores do not leave modified: no cache ever owns the line. */
    int readableUnowned(Cache cache, long line) {
        int at = cache.find(line);
        if (at < 0) {
            at = fill(cache, line, SHARED);
        }
        cache.use(at, ++now);
        return at;
    }

    private int fill(Cache cache, long line, int stateFromMemory) {
        int at = room(cache, line);
        if (copyFromPeer(cache, line, at) || copyFromShared(line, cache, at)) {
            cache.setLine(at, line, SHARED);
        } else {
            dram.readLine(line, cache.data, at * LINE_WORDS);
            cache.setLine(at, line, stateFromMemory);
            if (inclusive) {
                fillShared(line, cache, at, SHARED);
            }
        }
        record(TraceKind.FILL, cache, line, at, 0);
        return at;
    }

    /** Brings a line into a private cache for stores, alone, and returns its position. */
    int writable(Cache cache, long line) {
        int at = cache.find(line);
        if (at < 0) {
            at = room(cache, line);
            if (!takeFromOthers(cache, line, at)) {
                dram.readLine(line, cache.data, at * LINE_WORDS);
                if (inclusive) {
                    fillShared(line, cache, at, SHARED);
                }
            }
            cache.setLine(at, line, MODIFIED);
            record(TraceKind.FILL, cache, line, at, 0);
        } else if (cache.state(at) != MODIFIED) {
            if (cache.state(at) == SHARED) {
                takeFromOthers(cache, line, at);
            }
            cache.setState(at, MODIFIED);
        }
        cache.use(at, ++now);
        return at;
    }

    /**
     * Copies a line from another CPU's private cache, which keeps it shared; a modified one goes to the shared cache
     * too.
     */
    private boolean copyFromPeer(Cache cache, long line, int to) {
        for (Cache peer : privates) {
            int at = peer == cache ? -1 : peer.find(line);
            if (at >= 0) {
                copy(peer, at, cache, to);
                if (peer.state(at) == MODIFIED) {
                    passToShared(line, peer, at, MODIFIED);
                }
                // An exclusive copy is the only one, and shared copies already have the same state.
                peer.setState(at, SHARED);
                return true;
            }
        }
        return false;
    }

    private boolean copyFromShared(long line, Cache cache, int to) {
        int at = shared.find(line);
        if (at < 0) {
            return false;
        }
        copy(shared, at, cache, to);
        shared.use(at, ++now);
        return true;
    }

    /**
     * Drops a line in all other caches, without writing back, and copies its data; returns whether any had it. An
     * inclusive cache keeps it, and no longer counts as modified.
     */
    private boolean takeFromOthers(Cache cache, long line, int to) {
        boolean found = false;
        for (Cache peer : privates) {
            int at = peer == cache ? -1 : peer.find(line);
            if (at >= 0) {
                copy(peer, at, cache, to);
                drop(peer, line, at);
                found = true;
            }
        }
        int at = shared.find(line);
        if (at < 0) {
            return found;
        }
        if (!found) {
            copy(shared, at, cache, to);
        }
        if (inclusive) {
            shared.setState(at, SHARED);
        } else {
            drop(shared, line, at);
        }
        return true;
    }

    /** Returns a free position of a private cache, evicting a line if necessary. */
    private int room(Cache cache, long line) {
        checkInMemory(line);
        int at = cache.free(line);
        if (at < 0) {
            at = cache.victim(line, policy);
            evictToShared(cache, at, 0);
        }
        return at;
    }

    // ---- stores to memory ----------------------------------------------------------------------------------------

    /**
     * Stores a word to memory, and to the copies that the CPU's own cache and the shared one have; other CPUs' copies
     * are dropped. A miss brings no line in.
     */
    void writeThrough(Cache cache, long physicalAddress, long value) {
        long line = physicalAddress & LINE_MASK;
        for (Cache peer : privates) {
            if (peer != cache) {
                flushLine(peer, line);
            }
        }
        cleanLine(cache, line);
        cleanLine(shared, line);
        dram.write(physicalAddress, value);
        update(cache, physicalAddress);
        update(shared, physicalAddress);
    }

    /** Reads a line anew from memory, where a cache has it; no cache has it modified. */
    private void update(Cache cache, long physicalAddress) {
        long line = physicalAddress & LINE_MASK;
        int at = cache.find(line);
        if (at >= 0) {
            dram.readLine(line, cache.data, at * LINE_WORDS);
            cache.setState(at, SHARED);
            cache.use(at, ++now);
        }
    }

    /** Stores a device's word to the shared cache, which takes the line in; private copies are dropped. */
    void writeToShared(long physicalAddress, long value) {
        long line = physicalAddress & LINE_MASK;
        int to = shared.find(line);
        boolean present = to >= 0;
        if (!present) {
            to = sharedRoom(line);
            dram.readLine(line, shared.data, to * LINE_WORDS);
        }
        for (Cache cache : privates) {
            int at = cache.find(line);
            if (at >= 0) {
                copy(cache, at, shared, to);
                drop(cache, line, at);
            }
        }
        shared.data[Cache.word(to, physicalAddress)] = value;
        shared.setLine(to, line, MODIFIED);
        shared.use(to, ++now);
        if (!present) {
            record(TraceKind.FILL, shared, line, to, 0);
        }
    }

    // ---- letting lines go ----------------------------------------------------------------------------------------

    /** Evicts a line, if it is there, from a CPU's private cache into the shared one. */
    void evictToShared(int cpu, long line) {
        int at = privates[cpu].find(line);
        if (at >= 0) {
            evictToShared(privates[cpu], at, Trace.EXPLICIT);
        }
    }

    private void evictToShared(Cache cache, int at, int flags) {
        long line = cache.line(at);
        boolean modified = cache.state(at) == MODIFIED;
        record(TraceKind.EVICT, cache, line, at, flags);
        int sharedAt = shared.find(line);
        if (sharedAt < 0) {
            fillShared(line, cache, at, modified ? MODIFIED : SHARED);
        } else if (modified) {
            updateShared(sharedAt, cache, at, MODIFIED);
        }
        cache.setState(at, INVALID);
    }

    /** Gives a line to the shared cache, which may have it. */
    private void passToShared(long line, Cache from, int fromAt, int state) {
        int at = shared.find(line);
        if (at < 0) {
            fillShared(line, from, fromAt, state);
        } else {
            updateShared(at, from, fromAt, state);
        }
    }

    private void updateShared(int at, Cache from, int fromAt, int state) {
        copy(from, fromAt, shared, at);
        shared.setState(at, state);
    }

    /** Adds a line to the shared cache, which lacks it. */
    private void fillShared(long line, Cache from, int fromAt, int state) {
        int at = sharedRoom(line);
        copy(from, fromAt, shared, at);
        shared.setLine(at, line, state);
        shared.use(at, ++now);
        record(TraceKind.FILL, shared, line, at, 0);
    }

    private int sharedRoom(long line) {
        int at = shared.free(line);
        if (at < 0) {
            at = shared.victim(line, policy);
            evictSharedToDram(at, 0);
        }
        return at;
    }

    /** Evicts a line, if it is there, from a CPU's private cache to DRAM. */
    void evictPrivateToDram(int cpu, long line) {
        Cache cache = privates[cpu];
        int at = cache.find(line);
        if (at >= 0) {
            writeBackIfModified(cache, line, at);
            record(TraceKind.EVICT, cache, line, at, Trace.EXPLICIT);
            cache.setState(at, INVALID);
        }
    }

    /** Evicts a line, if it is there, from the shared cache to DRAM; an inclusive one makes private caches drop it. */
    void evictSharedToDram(long line) {
        int at = shared.find(line);
        if (at >= 0) {
            evictSharedToDram(at, Trace.EXPLICIT);
        }
    }

    private void evictSharedToDram(int at, int flags) {
        long line = shared.line(at);
        if (inclusive) {
            flushPrivates(line);
        }
        writeBackIfModified(shared, line, at);
        record(TraceKind.EVICT, shared, line, at, flags);
        shared.setState(at, INVALID);
    }

    /** Writes back, if modified, and drops a line in every cache. */
    void flushLine(long line) {
        flushPrivates(line);
        flushLine(shared, line);
    }

    private void flushPrivates(long line) {
        for (Cache cache : privates) {
            flushLine(cache, line);
        }
    }

    private void flushLine(Cache cache, long line) {
        int at = cache.find(line);
        if (at >= 0) {
            writeBackIfModified(cache, line, at);
            drop(cache, line, at);
        }
    }

    /** Writes back a line, if modified; all caches keep it. */
    void cleanLine(long line) {
        for (Cache cache : privates) {
            cleanLine(cache, line);
        }
        cleanLine(shared, line);
    }

    private void cleanLine(Cache cache, long line) {
        int at = cache.find(line);
        if (at >= 0) {
            clean(cache, line, at);
        }
    }

    private void clean(Cache cache, long line, int at) {
        if (cache.state(at) == MODIFIED) {
            writeBack(cache, line, at);
            // A modified private copy is the only one, but for the old one of an inclusive cache.
            cache.setState(at, cache == shared ? SHARED : EXCLUSIVE);
            if (inclusive && cache != shared) {
                passToShared(line, cache, at, SHARED);
            }
        }
    }

    /** Writes back and empties a CPU's private cache and the shared one. */
    void writeBackAndClear(int cpu) {
        writeBackAndClear(privates[cpu]);
        writeBackAndClear(shared);
    }

    /** Writes back a CPU's private cache and the shared one; the lines stay. */
    void writeBack(int cpu) {
        writeBack(privates[cpu]);
        writeBack(shared);
    }

    private void writeBack(Cache cache) {
        for (int at = 0; at < cache.end(); at++) {
            clean(cache, cache.line(at), at);
        }
    }

    /** Empties a CPU's private cache and the shared one without writing back. */
    void discard(int cpu) {
        discard(privates[cpu]);
        discard(shared);
    }

    private void discard(Cache cache) {
        for (int at = 0; at < cache.end(); at++) {
            if (cache.state(at) != INVALID) {
                if (inclusive && cache == shared) {
                    dropPrivates(cache.line(at));
                }
                record(TraceKind.INVALIDATE, cache, cache.line(at), at, 0);
            }
        }
        cache.clear();
    }

    private void dropPrivates(long line) {
        for (Cache cache : privates) {
            int at = cache.find(line);
            if (at >= 0) {
                drop(cache, line, at);
            }
        }
    }

    /** Writes back and empties all caches. */
    void writeBackAndClearAll() {
        for (Cache cache : privates) {
            writeBackAndClear(cache);
        }
        writeBackAndClear(shared);
    }

    private void writeBackAndClear(Cache cache) {
        for (int at = 0; at < cache.end(); at++) {
            if (cache.state(at) != INVALID) {
                if (inclusive && cache == shared) {
                    flushPrivates(cache.line(at));
                }
                writeBackIfModified(cache, cache.line(at), at);
                record(TraceKind.INVALIDATE, cache, cache.line(at), at, 0);
            }
        }
        cache.clear();
    }

    // ---- one position --------------------------------------------------------------------------------------------

    private static void copy(Cache from, int fromAt, Cache to, int toAt) {
        System.arraycopy(from.data, fromAt * LINE_WORDS, to.data, toAt * LINE_WORDS, LINE_WORDS);
    }

    private void drop(Cache cache, long line, int at) {
        record(TraceKind.INVALIDATE, cache, line, at, 0);
        cache.setState(at, INVALID);
    }

    private void writeBackIfModified(Cache cache, long line, int at) {
        if (cache.state(at) == MODIFIED) {
            writeBack(cache, line, at);
        }
    }

    private void writeBack(Cache cache, long line, int at) {
        record(TraceKind.WRITE_BACK, cache, line, at, 0);
        dram.writeLine(line, cache.data, at * LINE_WORDS);
    }

    private void record(TraceKind kind, Cache cache, long line, int at, int flags) {
        if (trace.isOn()) {
            int dirty = cache.state(at) == MODIFIED ? Trace.DIRTY : 0;
            trace.line(kind, cache.name, cache.cpu, line, cache.data, at * LINE_WORDS, flags | dirty);
        }
    }

    private static Mesi state(Cache cache, long line) {
        int at = cache.find(line);
        if (at < 0) {
            return Mesi.INVALID;
        }
        return switch (cache.state(at)) {
            case MODIFIED -> Mesi.MODIFIED;
            case EXCLUSIVE -> Mesi.EXCLUSIVE;
            default -> Mesi.SHARED;
        };
    }
}
