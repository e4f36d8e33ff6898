// SPDX-License-Identifier: Apache-2.0

package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.workbench.scenario.TimelineEntry.Lane;

/**
 * The part of a trace that people want to see: what guests and devices did, what caches did with the lines concerned, and
 * what was decided.
 *
 * <p>Left out are the driver's own table work, registers, and the units' walks.
 */
final class Timeline {
    private static final long LINE = 64;

    private Timeline() {}

    static List<TimelineEntry> of(Trace trace, int begin) {
        Set<Long> lines = linesOfDma(trace, begin);
        List<TimelineEntry> entries = new ArrayList<>();
        for (int event = begin; event < trace.size(); event++) {
            boolean concerned = lines.contains(trace.address(event) / LINE);
            Lane lane =
                    switch (trace.kind(event)) {
                        case LOAD, STORE, CLFLUSH -> concerned ? Lane.CPU : null;
                        case WBINVD, GUEST_WBINVD -> Lane.CPU;
                        case DMA_READ, DMA_WRITE, INTERRUPT -> Lane.DEVICE;
                        case FILL, EVICT, WRITE_BACK -> concerned ? Lane.CACHE : null;
                        case NOTE -> Lane.NOTE;
                        case MFENCE, UNIT_READ, UNIT_WRITE, REGISTER_READ, REGISTER_WRITE -> null;
                    };
            if (lane != null) {
                entries.add(new TimelineEntry(event, lane, trace.who(event), words(trace, event)));
            }
        }
        return entries;
    }

    private static Set<Long> linesOfDma(Trace trace, int begin) {
        Set<Long> lines = new HashSet<>();
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
        return lines;
    }

    private static String words(Trace trace, int event) {
        String address = "0x" + Long.toHexString(trace.address(event));
        String value = "0x" + Long.toHexString(trace.value(event));
        return switch (trace.kind(event)) {
            case LOAD -> "loads " + value + " from " + address;
            case STORE -> "stores " + value + " to " + address;
            case CLFLUSH -> "flushes the line of " + address;
            case WBINVD -> "cpu" + trace.source(event) + " writes back and invalidates its caches";
            case GUEST_WBINVD -> "executes WBINVD";
            case DMA_READ -> refused(trace, event)
                    ? "is refused a read of IOVA 0x" + Long.toHexString(trace.iova(event))
                    : "reads " + value + " from " + address + ", " + route(trace, event);
            case DMA_WRITE -> refused(trace, event)
                    ? "is refused a write to IOVA 0x" + Long.toHexString(trace.iova(event))
                    : "writes " + value + " to " + address + ", " + route(trace, event);
            case INTERRUPT -> "sends an interrupt";
            case FILL -> "takes the line of " + address;
            case EVICT -> "drops the line of " + address;
            case WRITE_BACK -> "writes the line of " + address + " to memory";
            case NOTE -> trace.text(event);
            case MFENCE, UNIT_READ, UNIT_WRITE, REGISTER_READ, REGISTER_WRITE -> trace.describe(event);
        };
    }

    private static boolean refused(Trace trace, int event) {
        return trace.has(event, Trace.FAULT);
    }

    private static String route(Trace trace, int event) {
        if (trace.has(event, Trace.NO_SNOOP_BLOCKED)) {
            return "no-snoop blocked: through the caches";
        }
        if (trace.has(event, Trace.NO_SNOOP_SENT)) {
            return "no-snoop: past the caches";
        }
        return trace.has(event, Trace.NO_SNOOP_REQUESTED)
                ? "no-snoop not enabled: through the caches"
                : "through the caches";
    }
}
