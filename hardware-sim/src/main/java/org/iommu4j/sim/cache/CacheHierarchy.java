// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.memory.Dram.LINE_BYTES;
import static org.iommu4j.sim.memory.Dram.LINE_WORDS;

import java.util.Objects;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/**
 * All caches of a machine in front of DRAM, as CPUs, devices and translation units access them.
 *
 * <p>CPUs use accesses of every {@link MemoryType} and the cache instructions; devices and translation units use
 * snooped and un-snooped accesses. {@link CoherenceProtocol} decides on the states of lines. Addresses are physical, in
 * bytes, aligned to 8. While the trace is off, only the growth of a cache allocates.
 *
 * <p>Three things wait, for each CPU, until something orders them: words in write-combining buffers, CLFLUSHOPT and
 * CLWB. SFENCE, MFENCE, WBINVD, INVD and a locked operation order all of them. An uncached access and a full buffer
 * write buffers to memory; {@link #drain(int)} does all of it at a time that a scheduler chooses.
 *
 * <p>Belongs to one thread at a time: an access from a second one is refused with {@link IllegalStateException} until
 * {@link #release}.
 */
public final class CacheHierarchy {
    private static final long LINE_MASK = CoherenceProtocol.LINE_MASK;

    private final Dram dram;
    private final Trace trace;
    private final CoherenceProtocol protocol;
    private final CombiningBuffers buffers;
    private final PendingFlushes pending;
    private final boolean selfSnoop;
    private final boolean dataDirectIo;

    /** A line on its way to the trace. */
    private final long[] drained = new long[LINE_WORDS];

    private @Nullable Thread owner;

    /**
     * Makes empty caches.
     *
     * @param processors the number of CPUs, the sizes and the features of their caches
     * @param trace records accesses and movements of lines
     */
    public CacheHierarchy(Dram dram, ProcessorDescription processors, EvictionPolicy policy, Trace trace) {
        Objects.requireNonNull(dram, "dram");
        Objects.requireNonNull(processors, "processors");
        Objects.requireNonNull(policy, "policy");
        Objects.requireNonNull(trace, "trace");
        CacheFeatures features = processors.features();
        this.dram = dram;
        this.trace = trace;
        this.protocol = new CoherenceProtocol(
                dram, processors.cpus(), processors.caches(), features.inclusive(), policy, trace);
        this.buffers = new CombiningBuffers(processors.cpus(), features.combiningBuffers());
        this.pending = new PendingFlushes(processors.cpus());
        this.selfSnoop = features.selfSnoop();
        this.dataDirectIo = features.dataDirectIo();
    }

    // CPU accesses to write-back memory.

    /** Loads a word of write-back memory. */
    public long load(int cpu, long physicalAddress) {
        enter(physicalAddress);
        Cache cache = protocol.cache(cpu);
        int at = protocol.readable(cache, physicalAddress & LINE_MASK);
        long value = cache.data[Cache.word(at, physicalAddress)];
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, value, 0);
        }
        return value;
    }

    /** Stores a word of write-back memory. */
    public void store(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        Cache cache = protocol.cache(cpu);
        int at = protocol.writable(cache, physicalAddress & LINE_MASK);
        cache.data[Cache.word(at, physicalAddress)] = value;
        if (trace.isOn()) {
            trace.cpu(TraceKind.STORE, cpu, physicalAddress, value, 0);
        }
    }

    /**
     * Stores a word if it has the expected value, and returns whether it had. Takes the line in both cases, like LOCK
     * CMPXCHG, and first does what waits.
     */
    public boolean compareAndSet(int cpu, long physicalAddress, long expected, long value) {
        enter(physicalAddress);
        complete(cpu);
        Cache cache = protocol.cache(cpu);
        int at = Cache.word(protocol.writable(cache, physicalAddress & LINE_MASK), physicalAddress);
        long found = cache.data[at];
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, found, 0);
        }
        if (found != expected) {
            return false;
        }
        cache.data[at] = value;
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
        Cache cache = protocol.cache(cpu);
        long value = first;
        long address = physicalAddress;
        int left = count;
        while (left > 0) {
            int at = Cache.word(protocol.writable(cache, address & LINE_MASK), address);
            int words = Math.min(left, wordsLeft(address));
            long[] data = cache.data;
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
        Cache cache = protocol.cache(cpu);
        int counted = 0;
        while (counted < count) {
            long address = physicalAddress + counted * 8L;
            int at = Cache.word(protocol.readable(cache, address & LINE_MASK), address);
            int words = Math.min(count - counted, wordsLeft(address));
            for (int i = 0; i < words; i++) {
                long value = cache.data[at + i];
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

    // CPU accesses to memory of any type.

    /**
     * Loads a word of memory of a type.
     *
     * <ul>
     *   <li>WB, WT, WP: from the caches; a miss brings the line in.
     *   <li>UC, UC-: from memory, after this CPU's write-combining buffers were written to it.
     *   <li>WC: from memory, after this CPU's write-combining buffer of the line was, if there is one.
     * </ul>
     *
     * <p>With self-snoop, UC and WC first write back, if modified, and drop the line in every cache; without, they look
     * into none.
     */
    public long load(int cpu, long physicalAddress, MemoryType type) {
        Objects.requireNonNull(type, "type");
        return switch (type) {
            case WB -> load(cpu, physicalAddress);
            case WT -> loadUnowned(cpu, physicalAddress, Trace.WRITE_THROUGH);
            case WP -> loadUnowned(cpu, physicalAddress, Trace.WRITE_PROTECTED);
            case UC, UC_MINUS -> loadUncached(cpu, physicalAddress);
            case WC -> loadCombining(cpu, physicalAddress);
        };
    }

    /**
     * Stores a word to memory of a type.
     *
     * <ul>
     *   <li>WB: to the caches.
     *   <li>WT: to memory and to the copy of the line that this CPU has; other CPUs' copies are dropped.
     *   <li>WP: to memory; all copies of the line are dropped.
     *   <li>UC, UC-: to memory, after this CPU's write-combining buffers were written to it.
     *   <li>WC: to a write-combining buffer.
     * </ul>
     *
     * <p>Copies that WT and WP find modified are written back first. UC, and WC when its buffer is written to memory,
     * treat caches as loads do.
     */
    public void store(int cpu, long physicalAddress, long value, MemoryType type) {
        Objects.requireNonNull(type, "type");
        switch (type) {
            case WB -> store(cpu, physicalAddress, value);
            case WT -> storeThrough(cpu, physicalAddress, value);
            case WP -> storeProtected(cpu, physicalAddress, value);
            case UC, UC_MINUS -> storeUncached(cpu, physicalAddress, value);
            case WC -> storeCombining(cpu, physicalAddress, value);
        }
    }

    private long loadUnowned(int cpu, long physicalAddress, int flag) {
        enter(physicalAddress);
        Cache cache = protocol.cache(cpu);
        int at = protocol.readableUnowned(cache, physicalAddress & LINE_MASK);
        return loaded(cpu, physicalAddress, cache.data[Cache.word(at, physicalAddress)], flag);
    }

    private long loadUncached(int cpu, long physicalAddress) {
        enter(physicalAddress);
        drainBuffers(cpu);
        snoopSelf(physicalAddress & LINE_MASK);
        return loaded(cpu, physicalAddress, dram.read(physicalAddress), Trace.UNCACHEABLE);
    }

    private long loadCombining(int cpu, long physicalAddress) {
        enter(physicalAddress);
        int buffer = buffers.find(cpu, physicalAddress & LINE_MASK);
        if (buffer >= 0) {
            drainBuffer(cpu, buffer, 0);
        }
        snoopSelf(physicalAddress & LINE_MASK);
        return loaded(cpu, physicalAddress, dram.read(physicalAddress), Trace.WRITE_COMBINING);
    }

    private long loaded(int cpu, long physicalAddress, long value, int flag) {
        if (trace.isOn()) {
            trace.cpu(TraceKind.LOAD, cpu, physicalAddress, value, flag);
        }
        return value;
    }

    private void storeThrough(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        protocol.writeThrough(protocol.cache(cpu), physicalAddress, value);
        stored(cpu, physicalAddress, value, Trace.WRITE_THROUGH);
    }

    private void storeProtected(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        protocol.flushLine(physicalAddress & LINE_MASK);
        dram.write(physicalAddress, value);
        stored(cpu, physicalAddress, value, Trace.WRITE_PROTECTED);
    }

    private void storeUncached(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        drainBuffers(cpu);
        snoopSelf(physicalAddress & LINE_MASK);
        dram.write(physicalAddress, value);
        stored(cpu, physicalAddress, value, Trace.UNCACHEABLE);
    }

    private void storeCombining(int cpu, long physicalAddress, long value) {
        enter(physicalAddress);
        protocol.checkInMemory(physicalAddress);
        long line = physicalAddress & LINE_MASK;
        int buffer = buffers.find(cpu, line);
        if (buffer < 0) {
            if (buffers.allInUse(cpu)) {
                drainBuffer(cpu, 0, 0);
            }
            buffer = buffers.begin(cpu, line);
        }
        boolean whole = buffers.put(cpu, buffer, physicalAddress, value);
        stored(cpu, physicalAddress, value, Trace.WRITE_COMBINING);
        if (whole) {
            drainBuffer(cpu, buffer, 0);
        }
    }

    private void stored(int cpu, long physicalAddress, long value, int flag) {
        if (trace.isOn()) {
            trace.cpu(TraceKind.STORE, cpu, physicalAddress, value, flag);
        }
    }

    /** Looks for a line in the caches on behalf of an access that goes past them. */
    private void snoopSelf(long line) {
        if (selfSnoop) {
            protocol.flushLine(line);
        }
    }

    // What waits until it is ordered.

    private void complete(int cpu) {
        drainBuffers(cpu);
        while (!pending.isEmpty(cpu)) {
            flushFirst(cpu);
        }
    }

    private void drainBuffers(int cpu) {
        while (buffers.count(cpu) > 0) {
            drainBuffer(cpu, 0, 0);
        }
    }

    private void drainBuffer(int cpu, int buffer, int flags) {
        long line = buffers.line(cpu, buffer);
        snoopSelf(line);
        for (int word = 0; word < LINE_WORDS; word++) {
            if (buffers.has(cpu, buffer, word)) {
                dram.write(line + word * 8L, buffers.word(cpu, buffer, word));
            }
        }
        buffers.end(cpu, buffer);
        if (trace.isOn()) {
            dram.readLine(line, drained, 0);
            trace.line(TraceKind.DRAIN, "buffers" + cpu, cpu, line, drained, 0, flags);
        }
    }

    private void flushFirst(int cpu) {
        long line = pending.first(cpu);
        boolean keep = pending.firstKeeps(cpu);
        pending.removeFirst(cpu);
        if (keep) {
            protocol.cleanLine(line);
        } else {
            protocol.flushLine(line);
        }
    }

    private void flushLater(int cpu, long line, boolean keep) {
        if (pending.isFull(cpu)) {
            flushFirst(cpu);
        }
        pending.add(cpu, line, keep);
    }

    // Cache instructions of CPUs.

    /** Writes back, if modified, and drops a line in every cache, before any later access of the CPU. */
    public void clflush(int cpu, long physicalAddress) {
        instruction(TraceKind.CLFLUSH, cpu, physicalAddress);
        protocol.flushLine(physicalAddress & LINE_MASK);
    }

    /** Flushes every line that has a byte in a range, of any size above 0, as {@link #clflush} does. */
    public void clflushRange(int cpu, long physicalAddress, long bytes) {
        long end = physicalAddress + bytes;
        for (long line = physicalAddress & LINE_MASK; line < end; line += LINE_BYTES) {
            clflush(cpu, line);
        }
    }

    /** As {@link #clflush}, but at the next fence or locked operation of the CPU, or by {@link #drain(int)}. */
    public void clflushopt(int cpu, long physicalAddress) {
        instruction(TraceKind.CLFLUSHOPT, cpu, physicalAddress);
        flushLater(cpu, physicalAddress & LINE_MASK, false);
    }

    /** As {@link #clflushopt}, but caches keep the line. */
    public void clwb(int cpu, long physicalAddress) {
        instruction(TraceKind.CLWB, cpu, physicalAddress);
        flushLater(cpu, physicalAddress & LINE_MASK, true);
    }

    /**
     * Writes back and empties a CPU's private cache and the shared one, but no other CPU's private cache unless the
     * shared one is inclusive. Does what waits first: it is a serializing instruction.
     */
    public void wbinvd(int cpu) {
        instruction(TraceKind.WBINVD, cpu, -1L);
        complete(cpu);
        protocol.writeBackAndClear(cpu);
    }

    /** Writes back a CPU's private cache and the shared one, which keep their lines. */
    public void wbnoinvd(int cpu) {
        instruction(TraceKind.WBNOINVD, cpu, -1L);
        protocol.writeBack(cpu);
    }

    /** As {@link #wbinvd}, but what was modified is lost. */
    public void invd(int cpu) {
        instruction(TraceKind.INVD, cpu, -1L);
        complete(cpu);
        protocol.discard(cpu);
    }

    /** Does what waits: stores before it are in caches or memory, and lines are flushed. */
    public void sfence(int cpu) {
        instruction(TraceKind.SFENCE, cpu, -1L);
        complete(cpu);
    }

    /** As {@link #sfence}. Loads are always in order. */
    public void mfence(int cpu) {
        instruction(TraceKind.MFENCE, cpu, -1L);
        complete(cpu);
    }

    private void instruction(TraceKind kind, int cpu, long physicalAddress) {
        claim();
        if (trace.isOn()) {
            trace.cpu(kind, cpu, physicalAddress, 0, 0);
        }
    }

    // Accesses of devices and translation units.

    /** Reads a word: snooped from a cached copy if there is one, without changing states; otherwise from DRAM. */
    public long deviceRead(long physicalAddress, boolean snoop) {
        enter(physicalAddress);
        return snoop ? protocol.readSnooped(physicalAddress) : dram.read(physicalAddress);
    }

    /**
     * Writes a word.
     *
     * @param snoop whether cached copies are written back if modified, and dropped; with Data Direct I/O the line then
     *     is in the shared cache, modified. Otherwise the word goes to DRAM, and cached copies stay unchanged
     */
    public void deviceWrite(long physicalAddress, long value, boolean snoop) {
        enter(physicalAddress);
        write(physicalAddress, value, snoop);
    }

    /** Writes 4 bytes at an address aligned to 4, otherwise as {@link #deviceWrite}. */
    public void deviceWrite32(long physicalAddress, int value, boolean snoop) {
        long aligned = physicalAddress & ~4L;
        enter(aligned);
        long word = snoop ? protocol.readSnooped(aligned) : dram.read(aligned);
        write(aligned, merge32(word, physicalAddress, value), snoop);
    }

    private void write(long physicalAddress, long value, boolean snoop) {
        if (snoop && dataDirectIo) {
            protocol.writeToShared(physicalAddress, value);
            return;
        }
        if (snoop) {
            protocol.flushLine(physicalAddress & LINE_MASK);
        }
        dram.write(physicalAddress, value);
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
        protocol.readable(protocol.cache(cpu), physicalAddress & LINE_MASK);
    }

    /** Evicts a line, if it is there, from a CPU's private cache into the shared one. */
    public void evictPrivate(int cpu, long physicalAddress) {
        claim();
        protocol.evictToShared(cpu, physicalAddress & LINE_MASK);
    }

    /** Evicts a line, if it is there, from the shared cache to DRAM; an inclusive one makes private caches drop it. */
    public void evictShared(long physicalAddress) {
        claim();
        protocol.evictSharedToDram(physicalAddress & LINE_MASK);
    }

    /**
     * Evicts a line, if it is there, from a CPU's private cache and from the shared one to DRAM. Other CPUs keep
     * theirs, unless the shared cache is inclusive.
     */
    public void evict(int cpu, long physicalAddress) {
        claim();
        protocol.evictPrivateToDram(cpu, physicalAddress & LINE_MASK);
        protocol.evictSharedToDram(physicalAddress & LINE_MASK);
    }

    /** Writes the words of a line, if there are any, from a CPU's write-combining buffer to memory. */
    public void drain(int cpu, long physicalAddress) {
        claim();
        int buffer = buffers.find(cpu, physicalAddress & LINE_MASK);
        if (buffer >= 0) {
            drainBuffer(cpu, buffer, Trace.EXPLICIT);
        }
    }

    /** Does what a CPU's instructions left to wait: all its write-combining buffers, CLFLUSHOPT and CLWB. */
    public void drain(int cpu) {
        claim();
        complete(cpu);
    }

    /**
     * Writes a CPU's write-combining buffers to memory, as its uncached store to a register does. Flushes that wait for
     * a fence wait on.
     */
    public void drainCombining(int cpu) {
        claim();
        drainBuffers(cpu);
    }

    /** Does what all CPUs' instructions left to wait, then writes back and empties all caches. */
    public void drain() {
        claim();
        for (int cpu = 0; cpu < protocol.cpus(); cpu++) {
            complete(cpu);
        }
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

    /** Returns whether some cache has a line. */
    public boolean isCached(long physicalAddress) {
        boolean cached = sharedState(physicalAddress) != Mesi.INVALID;
        for (int cpu = 0; cpu < protocol.cpus() && !cached; cpu++) {
            cached = state(cpu, physicalAddress) != Mesi.INVALID;
        }
        return cached;
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

    /**
     * Returns the physical addresses of the lines that a cache holds, ascending.
     *
     * @param cpu the CPU whose private cache it is, or {@link #SHARED_CACHE}
     */
    public long[] lines(int cpu) {
        return protocol.lines(cpu);
    }

    /** Returns how many lines a CPU's write-combining buffer has words of. */
    public int combining(int cpu) {
        return buffers.count(cpu);
    }

    /** Returns whether a CPU's write-combining buffer has the word at an address. */
    public boolean isCombining(int cpu, long physicalAddress) {
        int buffer = buffers.find(cpu, physicalAddress & LINE_MASK);
        return buffer >= 0 && buffers.has(cpu, buffer, word(physicalAddress));
    }

    /**
     * Returns a word that waits in a CPU's write-combining buffer, without any effect.
     *
     * @throws IllegalStateException when it has no such word
     */
    public long combiningWord(int cpu, long physicalAddress) {
        if (!isCombining(cpu, physicalAddress)) {
            throw new IllegalStateException("the write-combining buffers of cpu" + cpu + " have no word of 0x"
                    + Long.toHexString(physicalAddress));
        }
        return buffers.word(cpu, buffers.find(cpu, physicalAddress & LINE_MASK), word(physicalAddress));
    }

    /**
     * Has a CPU's write-combining buffer hold one word of a line, or none, as it was when somebody saved it: {@link
     * #isCombining}, {@link #combiningWord}. Neither a cache nor memory takes part. The line becomes the one that was
     * begun last.
     *
     * @param word the word at the address; without effect when it holds none
     * @throws IllegalStateException when the CPU has no buffer left
     */
    public void restoreCombining(int cpu, long physicalAddress, boolean combining, long word) {
        claim();
        long line = physicalAddress & LINE_MASK;
        int buffer = buffers.find(cpu, line);
        if (buffer >= 0) {
            buffers.end(cpu, buffer);
        }
        if (combining) {
            if (buffers.allInUse(cpu)) {
                throw new IllegalStateException(
                        "cpu" + cpu + " has no write-combining buffer left for 0x" + Long.toHexString(physicalAddress));
            }
            buffers.put(cpu, buffers.begin(cpu, line), physicalAddress, word);
        }
    }

    private static int word(long physicalAddress) {
        return (int) (physicalAddress >>> 3) & (LINE_WORDS - 1);
    }

    /** Lets another thread use the caches. */
    public void release() {
        owner = null;
    }

    /** Empties all caches and buffers without writing back, and lets another thread use them: power-on. */
    public void reset() {
        protocol.clear();
        buffers.clear();
        pending.clear();
        owner = null;
    }

    /** Adds lines, states, data and order of use, and what waits. */
    public void addTo(StateDigest digest) {
        protocol.addTo(digest);
        buffers.addTo(digest);
        pending.addTo(digest);
    }

    private static int wordsLeft(long physicalAddress) {
        return LINE_WORDS - word(physicalAddress);
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
