// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.List;
import java.util.stream.IntStream;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;

/**
 * An event of a {@link Trace}, which outlives it.
 *
 * @param kind its kind
 * @param source the CPU's number, or a device's segment 31:16 and requester id 15:0, or -1
 * @param address the physical address, -1 when there is none
 * @param iova the untranslated address of a device's request, -1 for other events
 * @param value the word read or written; of a line the first
 * @param flags the flags of {@link Trace}
 * @param line the 8 words of a line that moved, empty for other events
 */
public record TracedEvent(TraceKind kind, int source, long address, long iova, long value, int flags, List<Long> line) {
    private static final int LINE_WORDS = 8;
    private static final int WORD = 8;

    /** Copies the list. */
    public TracedEvent {
        line = List.copyOf(line);
    }

    /** Copies an event. */
    static TracedEvent of(Trace trace, int event) {
        List<Long> words = trace.isLine(event)
                ? IntStream.range(0, LINE_WORDS)
                        .mapToObj(word -> trace.lineWord(event, word))
                        .toList()
                : List.of();
        return new TracedEvent(
                trace.kind(event),
                trace.source(event),
                trace.address(event),
                trace.iova(event),
                trace.value(event),
                trace.flags(event),
                words);
    }

    /** Returns whether it has a flag of {@link Trace}. */
    public boolean has(int flag) {
        return (flags & flag) != 0;
    }

    /** Returns whether it is about a line, given by the address of its first byte. */
    public boolean isAbout(long lineAddress) {
        return address != -1 && (address & -(long) (LINE_WORDS * WORD)) == lineAddress;
    }

    /**
     * Returns a word of a line that moved.
     *
     * @param wordAddress the word's address, inside the line
     */
    public long word(long wordAddress) {
        return line.get((int) (wordAddress / WORD) % LINE_WORDS);
    }
}
