// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a page says in place of steps: a program for each actor, what may happen beside them, and what must not be.
 *
 * <p>The programs' steps may come in any order that keeps each program's own. An {@code await} waits: it needs a
 * doorbell, or a {@code done}, that nobody has awaited yet. A device does nothing while nobody uses it. A domain's
 * program is what its user does with it; a page has one such program, or steps of the VMM.
 *
 * @param byActor the programs by their actors' names, in order
 * @param scheduler what the host's scheduler may do
 * @param hardware what caches may do
 * @param vmm what the VMM does: these steps in this order, each at any time
 * @param never what must not be
 */
public record Programs(
        Map<String, List<Step>> byActor, Scheduler scheduler, Hardware hardware, List<Step> vmm, List<Property> never) {
    /** What a step of a program can be. Whatever else an actor can do changes more than an exploration keeps. */
    static final Set<Verb> OF_PROGRAMS = Set.of(
            Verb.STORE,
            Verb.LOAD,
            Verb.CLFLUSH,
            Verb.SFENCE,
            Verb.MFENCE,
            Verb.WBINVD,
            Verb.WBINVD_EVERYWHERE,
            Verb.MAP_AS,
            Verb.CACHING,
            Verb.RING,
            Verb.AWAIT,
            Verb.READ,
            Verb.WRITE,
            Verb.DONE,
            Verb.ENFORCE,
            Verb.MAP,
            Verb.JOIN);

    /**
     * What the VMM may do at any time: nothing that takes a virtual machine or memory away. A process' page is given
     * when the host has done with it: no program of a process or of the kernel has a step left that names it.
     */
    static final Set<Verb> OF_VMM = Set.of(
            Verb.BIND,
            Verb.HOT_ADD,
            Verb.HOT_REMOVE,
            Verb.ALLOC,
            Verb.ATTACH_HWPT,
            Verb.TRY_ATTACH_HWPT,
            Verb.ATTACH,
            Verb.DETACH,
            Verb.OPEN,
            Verb.CLOSE,
            Verb.KVM_ADD,
            Verb.KVM_DEL,
            Verb.QUIRK_OFF,
            Verb.GIVE,
            Verb.RUN);

    /** Copies what can change; the map keeps its order. */
    public Programs {
        Map<String, List<Step>> copy = new LinkedHashMap<>();
        byActor.forEach((actor, steps) -> copy.put(actor, List.copyOf(steps)));
        byActor = Collections.unmodifiableMap(copy);
        vmm = List.copyOf(vmm);
        never = List.copyOf(never);
    }

    /**
     * What the host's scheduler may do, also inside of a WBINVD.
     *
     * @param move the vCPUs that it may move to any other CPU
     * @param preempt the vCPUs that it may take off their CPU and put there again
     * @param atMost how often it acts, all in all
     */
    public record Scheduler(List<String> move, List<String> preempt, int atMost) {
        /** A scheduler that does nothing. */
        static final Scheduler IDLE = new Scheduler(List.of(), List.of(), 0);

        /** Copies the lists. */
        public Scheduler {
            move = List.copyOf(move);
            preempt = List.copyOf(preempt);
        }
    }

    /**
     * What caches may do at any time.
     *
     * @param evict the memory that all caches may drop, written back where it is dirty
     * @param prefetch the memory that a CPU's cache may take in
     * @param prefetchBy the CPUs that may do so
     */
    public record Hardware(List<String> evict, List<String> prefetch, PrefetchBy prefetchBy) {
        /** Caches that do nothing of their own. */
        static final Hardware IDLE = new Hardware(List.of(), List.of(), PrefetchBy.RUNNING_CPUS);

        /** Copies the lists. */
        public Hardware {
            evict = List.copyOf(evict);
            prefetch = List.copyOf(prefetch);
        }
    }

    /** The CPUs that may prefetch. */
    public enum PrefetchBy {
        /** Those on which a vCPU is loaded now. */
        RUNNING_CPUS,
        /** All of the machine. */
        ANY_CPU
    }

    /** What must not be. */
    public enum Property {
        /**
         * A load, or a read by DMA, sees another value than the one that was written last, and it is one that another
         * owner wrote: a virtual machine, a process, the host. Zeros are nobody's.
         */
        LEAK,
        /** A load, or a read by DMA, sees another value than the one that was written last. */
        STALE_READ,
        /** After all caches are written back, at the end, memory holds another value than the one written last. */
        LOST_WRITE,
        /**
         * After a WBINVD that KVM did not ignore, a cache holds a copy that differs from memory, and this vCPU was the
         * last to write the line.
         */
        DIRTY_AFTER_WBINVD,
        /**
         * A device is open whose domain did not promise to block no-snoop, and KVM takes the DMA of its virtual machine
         * for coherent; or a WBINVD of that machine, ignored or not, leaves a line dirty that its vCPU wrote last.
         */
        WBINVD_WITHOUT_EFFECT,
        /** A device's request with no-snoop goes past the caches, and its domain had promised to block that. */
        NO_SNOOP_AFTER_ENFORCE,
        /**
         * An open device's request with no-snoop goes past the caches, and KVM takes the DMA of its virtual machine for
         * coherent: it ignores WBINVD.
         */
        NO_SNOOP_UNKNOWN_TO_KVM,
        /** A device's read or write that its program has is refused by the IOMMU. */
        UNEXPECTED_FAULT,
        /** Nothing can happen any more, and a program has not ended. */
        STUCK
    }
}
