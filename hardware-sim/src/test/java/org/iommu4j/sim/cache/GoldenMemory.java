// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.spi.CacheFeatures;
import org.jspecify.annotations.Nullable;

/**
 * What the manuals say of caches, without caches: for each line the value in memory, the one value that all caches have
 * of it, who has it, and who must write it back.
 *
 * <p>Holders are numbers of CPUs, and the number of CPUs for the shared cache. There are no sets, no states and no
 * order of use: a line never leaves unless it is told to.
 */
final class GoldenMemory {
    private static final int WORDS = 8;
    private static final int NOBODY = -1;

    /** A line. */
    private static final class Line {
        final long[] memory = new long[WORDS];
        final long[] cached = new long[WORDS];
        int holders;
        int dirtyIn = NOBODY;

        void clean() {
            if (dirtyIn != NOBODY) {
                System.arraycopy(cached, 0, memory, 0, WORDS);
                dirtyIn = NOBODY;
            }
        }

        void flush() {
            clean();
            holders = 0;
        }

        long newest(int word) {
            return holders == 0 ? memory[word] : cached[word];
        }
    }

    /** Words that wait in a write-combining buffer. */
    private static final class Waiting {
        final int line;
        final List<@Nullable Long> words = new ArrayList<>(Collections.nCopies(WORDS, null));

        Waiting(int line) {
            this.line = line;
        }
    }

    private record Flush(int line, boolean keep) {}

    private final int cpus;
    private final int shared;
    private final CacheFeatures features;
    private final int flushesLimit;
    private final Line[] lines;
    private final List<List<Waiting>> buffers = new ArrayList<>();
    private final List<List<Flush>> flushes = new ArrayList<>();

    GoldenMemory(int cpus, CacheFeatures features, int flushesLimit, int lineCount) {
        this.cpus = cpus;
        this.shared = cpus;
        this.features = features;
        this.flushesLimit = flushesLimit;
        this.lines = new Line[lineCount];
        Arrays.setAll(lines, unused -> new Line());
        for (int cpu = 0; cpu < cpus; cpu++) {
            buffers.add(new ArrayList<>());
            flushes.add(new ArrayList<>());
        }
    }

    // ---- CPUs

    long load(int cpu, int word, MemoryType type) {
        Line line = lines[word / WORDS];
        switch (type) {
            case WB, WT, WP -> {
                take(cpu, line);
                return line.cached[word % WORDS];
            }
            case UC, UC_MINUS -> {
                drainBuffers(cpu);
                lookInside(line);
            }
            case WC -> {
                drain(cpu, word / WORDS);
                lookInside(line);
            }
        }
        return line.memory[word % WORDS];
    }

    /** A CPU gets a copy. A CPU that has the line dirty passes it to the shared cache. */
    void take(int cpu, Line line) {
        if (line.holders == 0) {
            System.arraycopy(line.memory, 0, line.cached, 0, WORDS);
        }
        if (line.dirtyIn != NOBODY && line.dirtyIn != cpu && line.dirtyIn != shared) {
            line.dirtyIn = shared;
            line.holders |= bit(shared);
        }
        line.holders |= bit(cpu) | (features.inclusive() ? bit(shared) : 0);
    }

    void prefetch(int cpu, int word) {
        take(cpu, lines[word / WORDS]);
    }

    void store(int cpu, int word, long value, MemoryType type) {
        Line line = lines[word / WORDS];
        switch (type) {
            case WB -> {
                take(cpu, line);
                line.holders = bit(cpu) | (features.inclusive() ? bit(shared) : 0);
                line.dirtyIn = cpu;
                line.cached[word % WORDS] = value;
            }
            case WT -> {
                line.clean();
                line.holders &= bit(cpu) | bit(shared);
                line.memory[word % WORDS] = value;
                System.arraycopy(line.memory, 0, line.cached, 0, WORDS);
            }
            case WP -> {
                line.flush();
                line.memory[word % WORDS] = value;
            }
            case UC, UC_MINUS -> {
                drainBuffers(cpu);
                lookInside(line);
                line.memory[word % WORDS] = value;
            }
            case WC -> combine(cpu, word, value);
        }
    }

    boolean compareAndSet(int cpu, int word, long expected, long value) {
        serialize(cpu);
        // A failed one takes the line as well, and as a store does.
        long found = load(cpu, word, MemoryType.WB);
        store(cpu, word, found == expected ? value : found, MemoryType.WB);
        return found == expected;
    }

    private void lookInside(Line line) {
        if (features.selfSnoop()) {
            line.flush();
        }
    }

    // ---- write-combining

    private void combine(int cpu, int word, long value) {
        List<Waiting> mine = buffers.get(cpu);
        int line = word / WORDS;
        Waiting buffer =
                mine.stream().filter(each -> each.line == line).findFirst().orElse(null);
        if (buffer == null) {
            if (mine.size() == features.combiningBuffers()) {
                drain(cpu, mine.get(0).line);
            }
            buffer = new Waiting(line);
            mine.add(buffer);
        }
        buffer.words.set(word % WORDS, value);
        if (!buffer.words.contains(null)) {
            drain(cpu, line);
        }
    }

    void drain(int cpu, int line) {
        for (Waiting buffer : List.copyOf(buffers.get(cpu))) {
            if (buffer.line == line) {
                lookInside(lines[line]);
                for (int word = 0; word < WORDS; word++) {
                    Long stored = buffer.words.get(word);
                    if (stored != null) {
                        lines[line].memory[word] = stored;
                    }
                }
                buffers.get(cpu).remove(buffer);
            }
        }
    }

    private void drainBuffers(int cpu) {
        for (Waiting buffer : List.copyOf(buffers.get(cpu))) {
            drain(cpu, buffer.line);
        }
    }

    int combining(int cpu) {
        return buffers.get(cpu).size();
    }

    // ---- instructions

    void clflush(int word) {
        lines[word / WORDS].flush();
    }

    void flushLater(int cpu, int word, boolean keep) {
        List<Flush> mine = flushes.get(cpu);
        if (mine.size() == flushesLimit) {
            flush(mine.remove(0));
        }
        Flush flush = new Flush(word / WORDS, keep);
        if (!mine.contains(flush)) {
            mine.add(flush);
        }
    }

    private void flush(Flush flush) {
        if (flush.keep) {
            lines[flush.line].clean();
        } else {
            lines[flush.line].flush();
        }
    }

    /** Fences, locked operations and serializing instructions. */
    void serialize(int cpu) {
        drainBuffers(cpu);
        flushes.get(cpu).forEach(this::flush);
        flushes.get(cpu).clear();
    }

    void wbinvd(int cpu) {
        serialize(cpu);
        for (Line line : lines) {
            cleanReached(cpu, line);
            leave(cpu, line);
        }
    }

    void wbnoinvd(int cpu) {
        for (Line line : lines) {
            cleanReached(cpu, line);
        }
    }

    void invd(int cpu) {
        serialize(cpu);
        for (Line line : lines) {
            boolean all = features.inclusive() && holds(line, shared);
            if (all || line.dirtyIn == cpu || line.dirtyIn == shared) {
                line.dirtyIn = NOBODY;
            }
            leave(cpu, line);
        }
    }

    private void cleanReached(int cpu, Line line) {
        if (line.dirtyIn == cpu || line.dirtyIn == shared) {
            line.clean();
        }
    }

    /** A line leaves a CPU's cache and the shared one. What an inclusive one held leaves all. */
    private void leave(int cpu, Line line) {
        if (features.inclusive() && holds(line, shared)) {
            line.flush();
        }
        line.holders &= ~(bit(cpu) | bit(shared));
    }

    // ---- devices

    long deviceRead(int word, boolean snoop) {
        Line line = lines[word / WORDS];
        return snoop ? line.newest(word % WORDS) : line.memory[word % WORDS];
    }

    void deviceWrite(int word, long value, boolean snoop) {
        Line line = lines[word / WORDS];
        if (snoop && features.dataDirectIo()) {
            if (line.holders == 0) {
                System.arraycopy(line.memory, 0, line.cached, 0, WORDS);
            }
            line.holders = bit(shared);
            line.dirtyIn = shared;
            line.cached[word % WORDS] = value;
            return;
        }
        if (snoop) {
            line.flush();
        }
        line.memory[word % WORDS] = value;
    }

    // ---- hardware, at any time

    void evictPrivate(int cpu, int word) {
        Line line = lines[word / WORDS];
        if (holds(line, cpu)) {
            line.holders = (line.holders & ~bit(cpu)) | bit(shared);
            if (line.dirtyIn == cpu) {
                line.dirtyIn = shared;
            }
        }
    }

    void evictShared(int word) {
        Line line = lines[word / WORDS];
        if (features.inclusive() && holds(line, shared)) {
            line.flush();
        }
        if (line.dirtyIn == shared) {
            line.clean();
        }
        line.holders &= ~bit(shared);
    }

    void evict(int cpu, int word) {
        Line line = lines[word / WORDS];
        if (line.dirtyIn == cpu) {
            line.clean();
        }
        line.holders &= ~bit(cpu);
        evictShared(word);
    }

    void drainAll() {
        for (int cpu = 0; cpu < cpus; cpu++) {
            serialize(cpu);
        }
        for (Line line : lines) {
            line.flush();
        }
    }

    // ---- inspection

    boolean holds(int line, int holder) {
        return holds(lines[line], holder);
    }

    boolean isDirtyIn(int line, int holder) {
        return lines[line].dirtyIn == holder;
    }

    long memory(int word) {
        return lines[word / WORDS].memory[word % WORDS];
    }

    private static boolean holds(Line line, int holder) {
        return (line.holders & bit(holder)) != 0;
    }

    private static int bit(int holder) {
        return 1 << holder;
    }
}
