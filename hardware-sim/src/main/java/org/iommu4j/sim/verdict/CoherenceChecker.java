// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.IntFunction;
import java.util.function.IntUnaryOperator;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.verdict.BlameRules.Fault;
import org.iommu4j.sim.verdict.WriteHistory.Write;
import org.jspecify.annotations.Nullable;

/**
 * Compares the values that readers saw with a flat memory in which every write takes effect in event order.
 *
 * <p>The trace must have been on since power-on, when memory is all zeros. Reads by CPUs and devices are checked, and
 * also memory itself after all caches are drained. {@link WriteHistory} is that flat memory; {@link BlameRules} decides
 * which party broke the contract.
 */
public final class CoherenceChecker {
    private final Trace trace;
    private final IntUnaryOperator numberOf;
    private final IntFunction<Owner> ownerOf;
    private final WriteHistory history;
    private final BlameRules rules;
    /** The last write-back of each line. */
    private final EventTable writeBacks = EventTable.ofLines();

    private final List<StaleRead> stale = new ArrayList<>();
    private int sent;
    private int blocked;
    private int passed;

    private CoherenceChecker(Trace trace, IntUnaryOperator numberOf, IntFunction<Owner> ownerOf) {
        this.trace = trace;
        this.numberOf = numberOf;
        this.ownerOf = ownerOf;
        history = new WriteHistory(trace);
        rules = new BlameRules(trace, numberOf, ownerOf);
    }

    /**
     * Drains the machine's caches and judges its trace.
     *
     * @param machine a machine whose trace was on since power-on
     * @param numberOf the number under which reports show an event of the trace
     * @param ownerOf the owner for whom an event's initiator acted
     */
    public static Findings check(Machine machine, IntUnaryOperator numberOf, IntFunction<Owner> ownerOf) {
        Objects.requireNonNull(numberOf, "numberOf");
        Objects.requireNonNull(ownerOf, "ownerOf");
        Trace trace = machine.trace();
        CoherenceChecker checker = new CoherenceChecker(trace, numberOf, ownerOf);
        int end = trace.size();
        for (int event = 0; event < end; event++) {
            checker.replay(event);
        }
        machine.drainCaches();
        checker.compareMemory(machine, end);
        return checker.findings();
    }

    private void replay(int event) {
        countNoSnoop(event);
        if (trace.has(event, Trace.FAULT)) {
            return;
        }
        rules.follow(event);
        switch (trace.kind(event)) {
            case LOAD, DMA_READ -> compare(event);
            case STORE, DMA_WRITE, UNIT_WRITE -> history.write(event);
            case WRITE_BACK -> writeBacks.put(trace.address(event), event);
            case CLFLUSH,
                    CLFLUSHOPT,
                    CLWB,
                    WBINVD,
                    WBNOINVD,
                    INVD,
                    GUEST_WBINVD,
                    SFENCE,
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
                    DRAIN,
                    NOTE -> {
                // Moves a value but never changes it. Reads of a unit are not checked: its driver may leave bits that
                // hardware ignores in a cache.
            }
        }
    }

    private void countNoSnoop(int event) {
        if (!trace.has(event, Trace.NO_SNOOP_SENT)) {
            return;
        }
        sent++;
        if (trace.has(event, Trace.NO_SNOOP_BLOCKED)) {
            blocked++;
        } else if (!trace.has(event, Trace.FAULT)) {
            passed++;
        }
    }

    private void compare(int read) {
        long address = trace.address(read);
        long expected = history.expected(address);
        long observed = trace.value(read);
        if (observed != expected) {
            Write last = history.last(address);
            Write leaked = leaked(address, observed, read);
            boolean covered = last != null && trace.has(last.at(), Trace.UNSNOOPED) && writtenBackSince(last, read);
            Integer dirtied = covered ? rules.dirtyingStore(address) : null;
            Fault fault = rules.ofRead(last, read, leaked, dirtied);
            stale.add(new StaleRead(
                    number(read),
                    trace.who(read),
                    address,
                    expected,
                    observed,
                    fault.blame(),
                    leaked != null,
                    whatHappened(last, read) + fault.words()));
        }
    }

    /**
     * Returns the write of another owner that left the value seen, null when it is the reader's own. Zeros belong to no
     * owner.
     */
    private @Nullable Write leaked(long address, long observed, int read) {
        Write seen = observed == 0 ? null : history.lastOf(address, observed);
        return seen == null || ownerOf.apply(seen.at()).equals(ownerOf.apply(read)) ? null : seen;
    }

    private String whatHappened(@Nullable Write last, int read) {
        String reader = trace.who(read);
        if (last == null) {
            return reader + " saw a value that was never written";
        }
        String writer = trace.who(last.at());
        int written = number(last.at());
        if (trace.has(last.at(), Trace.UNSNOOPED)) {
            return writtenBackSince(last, read)
                    ? "a dirty line was written back over the data that " + writer + " wrote at " + written
                            + " past the caches"
                    : writer + " wrote at " + written + " past the caches; " + reader
                            + " read an older line from a cache";
        }
        if (trace.has(last.at(), Trace.WRITE_COMBINING)) {
            return writer + "'s value of " + written + " was still in a write-combining buffer";
        }
        if (trace.has(read, Trace.UNSNOOPED)) {
            return writer + "'s value of " + written + " was still in a cache; " + reader + " read past the caches";
        }
        return reader + " did not see the data that " + writer + " wrote at " + written;
    }

    private boolean writtenBackSince(Write last, int read) {
        return writeBacks.get(trace.address(read)) > last.at();
    }

    private void compareMemory(Machine machine, int end) {
        List<Long> differing = new ArrayList<>();
        history.forEachWord(address -> {
            if (machine.peekDram(address) != history.expected(address)) {
                differing.add(address);
            }
        });
        Collections.sort(differing);
        for (long address : differing) {
            Write last = Objects.requireNonNull(history.last(address));
            Integer dirtied = rules.dirtyingStore(address);
            Fault fault = rules.ofMemory(last, dirtied);
            String writer = trace.who(last.at());
            String what = dirtied == null || dirtied == last.at()
                    ? "the data that " + writer + " wrote at " + number(last.at()) + " never reached memory"
                    : "a dirty line, last stored to at " + number(dirtied) + ", was written back over the data"
                            + " that " + writer + " wrote at " + number(last.at());
            stale.add(new StaleRead(
                    number(end),
                    "memory",
                    address,
                    last.value(),
                    machine.peekDram(address),
                    fault.blame(),
                    false,
                    what + fault.words()));
        }
    }

    private Findings findings() {
        if (stale.isEmpty()) {
            return new Findings(Verdict.COHERENT, null, sent, blocked, passed, stale);
        }
        boolean leaked = stale.stream().anyMatch(StaleRead::leaked);
        boolean byHost = stale.stream().anyMatch(read -> read.blame() == Blame.HOST);
        return new Findings(
                leaked ? Verdict.LEAKED : Verdict.CORRUPTED,
                byHost ? Blame.HOST : Blame.GUEST_DRIVER,
                sent,
                blocked,
                passed,
                stale);
    }

    private int number(int event) {
        return numberOf.applyAsInt(event);
    }
}
