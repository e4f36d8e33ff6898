// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import static org.iommu4j.sim.verdict.EventTable.NONE;

import java.util.HashMap;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.function.IntFunction;
import java.util.function.IntUnaryOperator;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.iommu4j.sim.verdict.WriteHistory.Write;
import org.jspecify.annotations.Nullable;

/**
 * Decides which party broke the contract when a reader did not see the last write.
 *
 * <p>A guest can be blamed only for data between its own CPUs and its own devices. It is not blamed where its driver
 * met its duty:
 *
 * <ul>
 *   <li>Before a device's write past the caches, the guest's own stores to the line are in memory, or the vCPU that
 *       stored asked for WBINVD. Asking only afterwards writes the old line over the device's data, even when the host
 *       obeys.
 *   <li>Between write and read, the vCPU involved asked for WBINVD: on hardware it empties no other CPU's cache.
 *   <li>Or the guest had mapped the memory uncached, whatever the access's final type. What it stored to
 *       write-combining memory, as write-combining, it must order by a fence.
 * </ul>
 *
 * <p>The host is blamed for everything else: for writes by it and its devices, and when an owner sees another's data.
 */
final class BlameRules {
    /**
     * A judgement.
     *
     * @param blame the party that broke the contract
     * @param words the guest's action or omission, appended to the description of the read; empty where irrelevant
     */
    record Fault(Blame blame, String words) {}

    /** Flags of stores that reach memory at once. */
    private static final int TO_MEMORY = Trace.UNCACHEABLE | Trace.WRITE_THROUGH | Trace.WRITE_PROTECTED;

    private static final Fault HOST_ALONE = new Fault(Blame.HOST, "");

    private final Trace trace;
    private final IntUnaryOperator numberOf;
    private final IntFunction<Owner> ownerOf;

    /** For each line, the last store by a CPU that did not go to memory at once. */
    private final EventTable dirtyingStores = EventTable.ofLines();

    /** For each line, the last store that is not in memory and whose write-back no WBINVD requested. */
    private final EventTable unflushedStores = EventTable.ofLines();

    /** For each device's write past the caches, its owner's store to the line that was unflushed then. */
    private final Map<Integer, Integer> wroteOver = new HashMap<>();

    private final NavigableSet<Integer> guestWbinvds = new TreeSet<>();

    BlameRules(Trace trace, IntUnaryOperator numberOf, IntFunction<Owner> ownerOf) {
        this.trace = trace;
        this.numberOf = numberOf;
        this.ownerOf = ownerOf;
    }

    /** Records an event that was not refused; call it for each event, in order. */
    void follow(int event) {
        long address = trace.address(event);
        switch (trace.kind(event)) {
            case STORE -> {
                if (!trace.has(event, TO_MEMORY)) {
                    dirtyingStores.put(address, event);
                    if (!wishedUncached(event)) {
                        unflushedStores.put(address, event);
                    }
                }
            }
            case WRITE_BACK -> unflushedStores.put(address, NONE);
            case DRAIN -> {
                int store = unflushedStores.get(address);
                if (store != NONE && trace.has(store, Trace.WRITE_COMBINING)) {
                    unflushedStores.put(address, NONE);
                }
            }
            case GUEST_WBINVD -> {
                guestWbinvds.add(event);
                unflushedStores.removeIf(store -> trace.who(store).equals(trace.who(event)));
            }
            case DMA_WRITE -> {
                int store = unflushedStores.get(address);
                // A snooped write writes the line back first, so no unflushed store is left here.
                if (store != NONE && sameOwner(store, event)) {
                    wroteOver.put(event, store);
                }
            }
            default -> {
                // Irrelevant for the guest's duty.
            }
        }
    }

    /**
     * Judges a read that did not see the last write.
     *
     * @param last the last write, null when the word was never written
     * @param read the read
     * @param leaked the write of another owner whose value was seen, null when there is none
     * @param dirtied the store that left the line dirty, if the line was written back over the last write; else null
     */
    Fault ofRead(@Nullable Write last, int read, @Nullable Write leaked, @Nullable Integer dirtied) {
        if (leaked != null) {
            return new Fault(
                    Blame.HOST,
                    "; it saw data of " + ownerOf.apply(leaked.at()).name() + ", written at " + number(leaked.at()));
        }
        if (last == null || !ownerOf.apply(read).guest() || !sameOwner(last.at(), read)) {
            return HOST_ALONE;
        }
        if (dirtied != null && !sameOwner(dirtied, last.at())) {
            // No flush of the guest's reaches a line that another owner left dirty before.
            return new Fault(Blame.HOST, "; " + trace.who(dirtied) + " had stored to that line at " + number(dirtied));
        }
        Integer cpuAccess = isCpu(read) ? Integer.valueOf(read) : isCpu(last.at()) ? Integer.valueOf(last.at()) : null;
        return guestsPart(last, cpuAccess, last.at(), read);
    }

    /** Returns the last store by a CPU that left the line of a word dirty, null when there is none. */
    @Nullable
    Integer dirtyingStore(long address) {
        int store = dirtyingStores.get(address);
        return store == NONE ? null : Integer.valueOf(store);
    }

    /**
     * Judges memory that at the end does not hold the last write.
     *
     * @param dirtied the store that left the line dirty, which was written back over it; null when there is none
     */
    Fault ofMemory(Write last, @Nullable Integer dirtied) {
        if (dirtied == null || !ownerOf.apply(last.at()).guest() || !sameOwner(last.at(), dirtied)) {
            return HOST_ALONE;
        }
        return guestsPart(last, dirtied, Math.min(dirtied, last.at()), Math.max(dirtied, last.at()));
    }

    /**
     * Judges data inside a guest.
     *
     * @param cpuAccess the guest's load or store involved, null when only its devices are involved
     */
    private Fault guestsPart(Write last, @Nullable Integer cpuAccess, int from, int to) {
        Integer store = wroteOver.get(last.at());
        if (store != null) {
            return new Fault(
                    Blame.GUEST_DRIVER,
                    "; the guest's driver had stored to the line at " + number(store)
                            + " and asked for no WBINVD before that write");
        }
        if (cpuAccess != null && wishedUncached(cpuAccess)) {
            return new Fault(Blame.HOST, "; the guest had mapped it uncached");
        }
        for (int wbinvd : guestWbinvds.subSet(from, to)) {
            if (cpuAccess == null
                    ? sameOwner(wbinvd, last.at())
                    : trace.who(wbinvd).equals(trace.who(cpuAccess))) {
                return new Fault(Blame.HOST, "; the guest's WBINVD at " + number(wbinvd) + " did not reach the line");
            }
        }
        boolean combined = trace.has(last.at(), Trace.WRITE_COMBINING);
        String omission = combined ? "had no fence" : "asked for no WBINVD";
        return new Fault(Blame.GUEST_DRIVER, "; the guest's driver " + omission + " in between");
    }

    /** Returns whether the guest did its part by mapping memory uncached; with write-combining it needs fences too. */
    private boolean wishedUncached(int event) {
        return trace.has(event, Trace.UC_WISHED) && !trace.has(event, Trace.WRITE_COMBINING);
    }

    private boolean sameOwner(int event, int other) {
        return ownerOf.apply(event).equals(ownerOf.apply(other));
    }

    private boolean isCpu(int event) {
        return trace.kind(event) == TraceKind.LOAD || trace.kind(event) == TraceKind.STORE;
    }

    private int number(int event) {
        return numberOf.applyAsInt(event);
    }
}
