// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.iommu4j.workbench.scenario.TimelineEntry.Lane;

/**
 * The part of a trace that people read: the accesses of guests and devices, the events of caches for the same lines,
 * and the decisions.
 *
 * <p>Left out are the driver's own table work, registers, and the units' walks.
 */
final class Timeline {
    private static final long LINE = 64;

    /** The lines that devices read or wrote, in order. */
    private final long[] lines;

    private final List<TracedEvent> earlier = new ArrayList<>();
    private final List<TimelineEntry> entries = new ArrayList<>();
    private final NavigableMap<Integer, Integer> numbers = new TreeMap<>();

    private Timeline(long[] lines) {
        this.lines = lines;
    }

    /** Makes the timeline of what was recorded so far, from an event on. */
    static Timeline of(Trace trace, int begin) {
        Timeline timeline = new Timeline(linesOfDma(trace, begin));
        for (int event = 0; event < begin; event++) {
            if (timeline.isShown(trace, event)) {
                timeline.earlier.add(TracedEvent.of(trace, event));
            }
        }
        for (int event = begin; event < trace.size(); event++) {
            boolean concerned = timeline.isShown(trace, event);
            Lane lane = switch (trace.kind(event)) {
                case LOAD, STORE, CLFLUSH, CLFLUSHOPT, CLWB -> concerned ? Lane.CPU : null;
                case WBINVD, WBNOINVD, INVD, GUEST_WBINVD, SFENCE -> Lane.CPU;
                case DMA_READ, DMA_WRITE, INTERRUPT, PAGE_REQUEST -> Lane.DEVICE;
                case FILL, EVICT, INVALIDATE, WRITE_BACK, DRAIN -> concerned ? Lane.CACHE : null;
                case NOTE -> Lane.NOTE;
                case MFENCE, PAGE_RESPONSE, UNIT_READ, UNIT_WRITE, REGISTER_READ, REGISTER_WRITE -> null;
            };
            if (lane != null) {
                timeline.numbers.put(event, timeline.entries.size() + 1);
                timeline.add(lane, who(trace, event), words(trace, event), TracedEvent.of(trace, event));
            }
        }
        timeline.numbers.put(trace.size(), timeline.entries.size() + 1);
        return timeline;
    }

    /**
     * Adds that the caches were drained, and what of the lines shown was written back then.
     *
     * @param end the first event of the drain
     */
    void addDrain(Trace trace, int end) {
        add(
                Lane.NOTE,
                "",
                "all caches are written back at the end",
                new TracedEvent(TraceKind.NOTE, -1, -1, -1, 0, 0, List.of()));
        for (int event = end; event < trace.size(); event++) {
            TraceKind kind = trace.kind(event);
            if ((kind == TraceKind.WRITE_BACK || kind == TraceKind.DRAIN) && isShown(trace, event)) {
                add(Lane.CACHE, who(trace, event), words(trace, event), TracedEvent.of(trace, event));
            }
        }
    }

    private void add(Lane lane, String who, String text, TracedEvent event) {
        entries.add(new TimelineEntry(entries.size() + 1, lane, who, text, event));
    }

    private boolean isShown(Trace trace, int event) {
        return Arrays.binarySearch(lines, trace.address(event) / LINE) >= 0;
    }

    /** Returns the events of the same lines before the case began, as drivers set up their tables. */
    List<TracedEvent> earlier() {
        return earlier;
    }

    /** Returns the entries, numbered from 1. */
    List<TimelineEntry> entries() {
        return entries;
    }

    /** Returns the number of an event's entry, or of the last one before it; 0 for what was before the case. */
    int number(int event) {
        Map.Entry<Integer, Integer> entry = numbers.floorEntry(event);
        return entry == null ? 0 : entry.getValue();
    }

    private static long[] linesOfDma(Trace trace, int begin) {
        NavigableSet<Long> lines = new TreeSet<>();
        for (int event = begin; event < trace.size(); event++) {
            switch (trace.kind(event)) {
                case DMA_READ, DMA_WRITE -> {
                    if ((trace.flags(event) & Trace.FAULT) == 0) {
                        lines.add(trace.address(event) / LINE);
                    }
                }
                default -> {
                    // Only requests of devices choose what is shown.
                }
            }
        }
        return lines.stream().mapToLong(Long::longValue).toArray();
    }

    /** Returns a device without its segment where that is 0, to save width. */
    private static String who(Trace trace, int event) {
        String who = trace.who(event);
        return who.startsWith("0000:") ? who.substring("0000:".length()) : who;
    }

    private static String words(Trace trace, int event) {
        String address = Hex.of(trace.address(event));
        String word = "[" + address + "] 0x" + Long.toHexString(trace.value(event));
        return switch (trace.kind(event)) {
            case LOAD -> "loads " + word;
            case STORE -> "stores " + word;
            case CLFLUSH -> "flushes " + address;
            case CLFLUSHOPT -> "flushes " + address + " later";
            case CLWB -> "writes back " + address + " later";
            case SFENCE -> "orders its stores";
            case WBNOINVD -> "writes back cpu" + trace.source(event) + "'s caches";
            case INVD -> "empties cpu" + trace.source(event) + "'s caches";
            case WBINVD -> "flushes cpu" + trace.source(event) + "'s caches";
            case GUEST_WBINVD -> "executes WBINVD";
            case DMA_READ ->
                refused(trace, event)
                        ? "refused: read of IOVA 0x" + Long.toHexString(trace.iova(event))
                        : "reads " + word + route(trace, event);
            case DMA_WRITE ->
                refused(trace, event)
                        ? "refused: write to IOVA 0x" + Long.toHexString(trace.iova(event))
                        : "writes " + word + route(trace, event);
            case INTERRUPT -> "sends an interrupt";
            case PAGE_REQUEST -> "asks for the page of IOVA 0x" + Long.toHexString(trace.iova(event));
            case FILL -> "fills " + address;
            case EVICT, INVALIDATE -> "drops " + address;
            case WRITE_BACK -> "writes back " + address;
            case DRAIN -> "drains " + address;
            case NOTE -> trace.text(event);
            case MFENCE, PAGE_RESPONSE, UNIT_READ, UNIT_WRITE, REGISTER_READ, REGISTER_WRITE ->
                throw new IllegalStateException(trace.describe(event));
        };
    }

    private static boolean refused(Trace trace, int event) {
        return trace.has(event, Trace.FAULT);
    }

    private static String route(Trace trace, int event) {
        if (trace.has(event, Trace.NO_SNOOP_BLOCKED)) {
            return " no-snoop blocked";
        }
        return trace.has(event, Trace.NO_SNOOP_SENT) ? " no-snoop" : " snooped";
    }
}
