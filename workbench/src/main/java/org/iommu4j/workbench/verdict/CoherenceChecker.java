// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.verdict;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntUnaryOperator;
import java.util.function.UnaryOperator;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/**
 * Compares what readers saw with a flat memory in which every write takes effect in event order.
 *
 * <p>The trace must have been on since power-on, when memory is all zeros. Reads by CPUs and devices count, and so does
 * memory itself after all caches are drained.
 *
 * <p>Blame: a guest whose driver asked for cache maintenance between the write and the read did its part, so that what
 * went wrong is the host's; one that did not ask is to blame itself. Before a device's write past the caches the guest's
 * own stores to the line must have been flushed too: asking only afterwards writes the old line over the device's data,
 * however well the host does it. Without a guest it is the host's.
 */
public final class CoherenceChecker {
    private static final long LINE = 64;

    /** No guest's store to the line was left to be flushed. */
    private static final int NOTHING_LEFT = -1;

    /** One write: when, what, and for a device's past the caches the guest's store to the line that nobody flushed. */
    private record Write(int at, long value, int unflushed) {}

    private final Trace trace;
    private final IntUnaryOperator numberOf;
    private final UnaryOperator<String> ownerOf;
    private final Map<Long, List<Write>> writes = new TreeMap<>();
    private final Map<Long, Integer> lastCpuStoreToLine = new HashMap<>();
    /** The guest's last store to a line that is neither in memory nor was asked to be. */
    private final Map<Long, Integer> unflushedGuestStores = new HashMap<>();

    private final List<Integer> guestFlushes = new ArrayList<>();
    private final List<StaleRead> stale = new ArrayList<>();
    private int sent;
    private int blocked;
    private int passed;
    private boolean guestSeen;

    private CoherenceChecker(Trace trace, IntUnaryOperator numberOf, UnaryOperator<String> ownerOf) {
        this.trace = trace;
        this.numberOf = numberOf;
        this.ownerOf = ownerOf;
    }

    /**
     * Drains the machine's caches and judges its trace.
     *
     * @param machine a machine whose trace was on since power-on
     * @param numberOf the number by which people know an event of the trace
     * @param ownerOf whose data a trace's initiator works on: the same text for the same owner
     */
    public static Findings check(Machine machine, IntUnaryOperator numberOf, UnaryOperator<String> ownerOf) {
        Trace trace = machine.trace();
        CoherenceChecker checker = new CoherenceChecker(trace, numberOf, ownerOf);
        for (int event = 0; event < trace.size(); event++) {
            checker.replay(event);
        }
        int end = trace.size();
        machine.drainCaches();
        checker.compareMemory(machine, end);
        return checker.findings();
    }

    private void replay(int event) {
        TraceKind kind = trace.kind(event);
        switch (kind) {
            case LOAD -> read(event);
            case DMA_READ -> {
                countNoSnoop(event);
                if (!has(event, Trace.FAULT)) {
                    read(event);
                }
            }
            case STORE -> {
                lastCpuStoreToLine.put(trace.address(event) / LINE, event);
                if (isGuest(trace.who(event)) && !has(event, Trace.UNCACHEABLE)) {
                    unflushedGuestStores.put(trace.address(event) / LINE, event);
                }
                write(event);
            }
            case CLFLUSH, WRITE_BACK -> unflushedGuestStores.remove(trace.address(event) / LINE);
            case UNIT_WRITE -> write(event);
            case DMA_WRITE -> {
                countNoSnoop(event);
                if (!has(event, Trace.FAULT)) {
                    write(event);
                }
            }
            case GUEST_WBINVD -> {
                guestSeen = true;
                guestFlushes.add(event);
                unflushedGuestStores.clear();
            }
            case WBINVD,
                    MFENCE,
                    INTERRUPT,
                    PAGE_REQUEST,
                    PAGE_RESPONSE,
                    UNIT_READ,
                    REGISTER_READ,
                    REGISTER_WRITE,
                    FILL,
                    EVICT,
                    INVALIDATE,
                    NOTE -> {
                // Changes where a value is, never what it should be. What a unit reads is its driver's affair: a driver
                // may leave bits that hardware ignores in a cache.
            }
        }
        guestSeen |= isGuest(trace.who(event));
    }

    private void countNoSnoop(int event) {
        if (has(event, Trace.NO_SNOOP_SENT)) {
            sent++;
            if (has(event, Trace.NO_SNOOP_BLOCKED)) {
                blocked++;
            } else if (has(event, Trace.UNSNOOPED) && !has(event, Trace.FAULT)) {
                passed++;
            }
        }
    }

    private void write(int event) {
        long address = trace.address(event) & -8L;
        long value = trace.value(event);
        if (has(event, Trace.HALF)) {
            int shift = (trace.address(event) & 4) == 0 ? 0 : 32;
            long mask = 0xffffffffL << shift;
            value = (expected(address) & ~mask) | (value << shift & mask);
        }
        int unflushed = trace.kind(event) == TraceKind.DMA_WRITE && has(event, Trace.UNSNOOPED)
                ? unflushedGuestStores.getOrDefault(address / LINE, NOTHING_LEFT)
                : NOTHING_LEFT;
        writes.computeIfAbsent(address, unused -> new ArrayList<>()).add(new Write(event, value, unflushed));
    }

    private void read(int event) {
        long address = trace.address(event);
        long expected = expected(address);
        long observed = trace.value(event);
        if (observed != expected) {
            Write last = lastWrite(address);
            Blame blame = last != null && last.unflushed() != NOTHING_LEFT
                    ? Blame.GUEST_DRIVER
                    : blame(last == null ? 0 : last.at(), event);
            stale.add(new StaleRead(
                    numberOf.applyAsInt(event),
                    trace.who(event),
                    address,
                    expected,
                    observed,
                    blame,
                    leaked(address, observed, trace.who(event)),
                    why(last, event)));
        }
    }

    private void compareMemory(Machine machine, int end) {
        for (Map.Entry<Long, List<Write>> word : writes.entrySet()) {
            long address = word.getKey();
            Write last = word.getValue().get(word.getValue().size() - 1);
            long observed = machine.peekDram(address);
            if (observed != last.value()) {
                int dirtied = lastCpuStoreToLine.getOrDefault(address / LINE, 0);
                stale.add(new StaleRead(
                        numberOf.applyAsInt(end),
                        "memory",
                        address,
                        last.value(),
                        observed,
                        blameForMemory(last, dirtied, end),
                        false,
                        "a dirty line, last stored to at " + numberOf.applyAsInt(dirtied)
                                + ", was written back over what " + trace.who(last.at()) + " wrote at "
                                + numberOf.applyAsInt(last.at()) + guestPartForMemory(last, dirtied, end)));
            }
        }
    }

    /** Between a store to the line and the device's write, whichever came first, the guest had to flush its own store. */
    private Blame blameForMemory(Write last, int dirtied, int end) {
        if (last.unflushed() != NOTHING_LEFT) {
            return Blame.GUEST_DRIVER;
        }
        if (!isGuest(trace.who(dirtied))) {
            return Blame.HOST;
        }
        return blame(Math.min(dirtied, last.at()), dirtied == last.at() ? end : Math.max(dirtied, last.at()));
    }

    private String guestPartForMemory(Write last, int dirtied, int end) {
        if (last.unflushed() == NOTHING_LEFT && !isGuest(trace.who(dirtied))) {
            return "";
        }
        return guestPart(last, Math.min(dirtied, last.at()), dirtied == last.at() ? end : Math.max(dirtied, last.at()));
    }

    private Findings findings() {
        Verdict verdict = stale.isEmpty()
                ? Verdict.COHERENT
                : stale.stream().anyMatch(StaleRead::leaked) ? Verdict.LEAKED : Verdict.CORRUPTED;
        Blame blame = null;
        if (!stale.isEmpty()) {
            blame = stale.stream().anyMatch(read -> read.blame() == Blame.HOST) ? Blame.HOST : Blame.GUEST_DRIVER;
        }
        return new Findings(verdict, blame, sent, blocked, passed, stale);
    }

    private long expected(long address) {
        Write last = lastWrite(address);
        return last == null ? 0 : last.value();
    }

    private @Nullable Write lastWrite(long address) {
        List<Write> history = writes.get(address);
        return history == null ? null : history.get(history.size() - 1);
    }

    private Blame blame(int from, int to) {
        return guestSeen && flushBetween(from, to) == null ? Blame.GUEST_DRIVER : Blame.HOST;
    }

    private @Nullable Integer flushBetween(int from, int to) {
        for (Integer flush : guestFlushes) {
            if (flush > from && flush < to) {
                return flush;
            }
        }
        return null;
    }

    /** The value seen was written earlier by somebody else than the reader; zeros are nobody's data. */
    private boolean leaked(long address, long observed, String reader) {
        List<Write> history = writes.getOrDefault(address, List.of());
        for (int i = history.size() - 2; i >= 0; i--) {
            if (history.get(i).value() == observed) {
                return observed != 0
                        && !ownerOf.apply(trace.who(history.get(i).at())).equals(ownerOf.apply(reader));
            }
        }
        return false;
    }

    private String why(@Nullable Write last, int event) {
        String reader = trace.who(event);
        if (last == null) {
            return reader + " saw a value that nobody wrote";
        }
        String writer = trace.who(last.at());
        int written = numberOf.applyAsInt(last.at());
        String what;
        if (has(event, Trace.UNSNOOPED)) {
            what = writer + "'s value of " + written + " was still in a cache; " + reader + " read past the caches";
        } else if (has(last.at(), Trace.UNSNOOPED)) {
            what = writer + " wrote at " + written + " past the caches; " + reader + " read an older line from a cache";
        } else {
            what = reader + " did not see what " + writer + " wrote at " + written;
        }
        return what + guestPart(last, last.at(), event);
    }

    private String guestPart(Write last, int from, int to) {
        if (!guestSeen) {
            return "";
        }
        if (last.unflushed() != NOTHING_LEFT) {
            return "; the guest's driver had stored to the line at " + numberOf.applyAsInt(last.unflushed())
                    + " and asked for no WBINVD before that write";
        }
        Integer flush = flushBetween(from, to);
        return flush == null
                ? "; the guest's driver asked for no WBINVD in between"
                : "; the guest's WBINVD at " + numberOf.applyAsInt(flush) + " did not reach the line";
    }

    private boolean has(int event, int flag) {
        return (trace.flags(event) & flag) != 0;
    }

    private static boolean isGuest(String who) {
        return who.startsWith("vcpu");
    }
}
