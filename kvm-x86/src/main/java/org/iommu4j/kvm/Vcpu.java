// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.BitSet;
import java.util.Objects;
import org.iommu4j.IommuException;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;

/**
 * A virtual CPU, loaded on a CPU of the host: its guest's accesses to memory and caches.
 *
 * <p>Addresses are guest physical, in bytes; words are 64 bits, aligned to 8. Belongs to one thread, like a vCPU's file
 * descriptor. A guest's access inside of a WBINVD is an {@link IllegalStateException}.
 *
 * <p>Source: {@code kvm_arch_vcpu_load} and {@code kvm_emulate_wbinvd} in {@code arch/x86/kvm/x86.c}.
 */
public final class Vcpu {
    /** Where the vCPU is: in its guest, or between the two steps of a WBINVD. */
    private enum Step {
        GUEST,
        /** The WBINVD was a no-op, or was not intercepted. */
        IGNORED,
        FLUSHED
    }

    /** CPUs that a saved mask has room for. */
    private static final int SAVED_CPUS = 48;

    private static final Step[] STEPS = Step.values();

    private final VirtualMachine machine;
    private final int id;
    /** The CPUs whose caches may hold lines that this vCPU dirtied; filled only while DMA is non-coherent. */
    private final BitSet wbinvdDirtyMask = new BitSet();

    /** Created once, so that an access allocates nothing. */
    private final MemorySlots.TypeOfPage freshType;

    private Processor processor;

    /** The CPU that was bound to the last WBINVD which flushed. */
    private Processor flushedOn;

    private boolean cachingOff;
    private Step step = Step.GUEST;

    Vcpu(VirtualMachine machine, int id, Processor processor) {
        this.machine = machine;
        this.id = id;
        this.processor = checked(machine, processor);
        this.flushedOn = processor;
        this.freshType = address -> machine.freshType(address, cachingOff);
        if (remembersCpus()) {
            wbinvdDirtyMask.set(processor.id());
        }
    }

    /** Returns whether a load adds its CPU to the mask. */
    private boolean remembersCpus() {
        return machine.options().wbinvdExit()
                && (machine.needEmulateWbinvd() || machine.rules().maskFollowsEveryLoad());
    }

    /** Returns the vCPU's number in its machine, from 0 in order of creation. */
    public int id() {
        return id;
    }

    /** Returns the CPU on which it is loaded. */
    public Processor processor() {
        return processor;
    }

    /**
     * Loads the vCPU on a CPU of the host. It is the one event by which a scheduler has a part in this class.
     *
     * <p>KVM loads a vCPU when it is created, at KVM_RUN and other ioctls of the vCPU, and when its thread is scheduled
     * in again. So a move is a load on another CPU, a preemption ends with a load on the same one. A vCPU that runs on
     * undisturbed is not loaded.
     *
     * <p>While DMA is non-coherent, a host that intercepts WBINVD adds the CPU to the mask of CPUs that the vCPU
     * dirtied; at other times the mask stays as it is. A host that does not intercept it writes back the old CPU's
     * caches at once. Source: {@code kvm_arch_vcpu_load}, {@code kvm_sched_in}.
     *
     * @throws IllegalArgumentException when the CPU is not one of this host
     */
    public void loadOn(Processor target) {
        Processor old = processor;
        checked(machine, target);
        if (remembersCpus()) {
            wbinvdDirtyMask.set(target.id());
        } else if (machine.needEmulateWbinvd() && old != target) {
            machine.writeBackAndInvalidate(old);
        }
        processor = target;
    }

    /** Loads a word of RAM, write-back as guests map it. See {@link #load(long, MemoryType)}. */
    public long load(long guestAddress) {
        return load(guestAddress, MemoryType.WB);
    }

    /**
     * Loads a word of RAM.
     *
     * @param guestPat the type that the guest chose by its PAT; {@link GuestMemoryType} decides whether it is honoured
     * @throws IommuException EFAULT when there is no memory
     */
    public long load(long guestAddress, MemoryType guestPat) {
        Objects.requireNonNull(guestPat, "guestPat");
        checkInGuest();
        long physicalAddress = machine.translate(guestAddress);
        return processor.load(physicalAddress, effectiveType(guestAddress, guestPat));
    }

    /** Stores a word to RAM, write-back as guests map it. See {@link #store(long, long, MemoryType)}. */
    public void store(long guestAddress, long value) {
        store(guestAddress, value, MemoryType.WB);
    }

    /**
     * Stores a word to RAM.
     *
     * @param guestPat the type that the guest chose by its PAT; {@link GuestMemoryType} decides whether it is honoured
     * @throws IommuException EFAULT when there is no memory
     */
    public void store(long guestAddress, long value, MemoryType guestPat) {
        Objects.requireNonNull(guestPat, "guestPat");
        checkInGuest();
        long physicalAddress = machine.translate(guestAddress);
        processor.store(physicalAddress, value, effectiveType(guestAddress, guestPat));
    }

    /**
     * Returns the type of a page of RAM in the second-stage table; a page that was not touched yet gets one now.
     *
     * @throws IommuException EFAULT when there is no memory
     */
    public GuestMemoryType memoryTypeOf(long guestAddress) {
        return machine.entryType(guestAddress, freshType);
    }

    /**
     * Returns the type of an access to a page of RAM.
     *
     * <p>It is the second-stage entry's type, combined with the guest's PAT unless the entry ignores it. A vCPU that
     * turned caching off accesses everything uncached where its CR0.CD reaches hardware: on SVM, with the quirk {@link
     * KvmQuirk#CD_NW_CLEARED} off.
     *
     * @param guestPat the type in the PAT entry that the guest's page selects
     * @return never UC-
     * @throws IommuException EFAULT when there is no memory
     */
    public MemoryType effectiveType(long guestAddress, MemoryType guestPat) {
        Objects.requireNonNull(guestPat, "guestPat");
        GuestMemoryType entry = memoryTypeOf(guestAddress);
        return cachingOff && machine.cachingOffReachesHardware() ? MemoryType.UC : entry.effective(guestPat);
    }

    /**
     * Turns caching off or on, as the guest does by CR0.CD; initially on.
     *
     * <p>On VMX and up to 6.10 this changes the type of pages that this vCPU touches first, while DMA is non-coherent;
     * since 6.11 it has no effect. On SVM see {@link #effectiveType}.
     */
    public void setCachingOff(boolean off) {
        checkInGuest();
        if (cachingOff != off) {
            cachingOff = off;
            machine.cachingChanged();
        }
    }

    /**
     * Flushes a line. KVM does not intercept this instruction: it always works.
     *
     * @throws IommuException EFAULT when there is no memory
     */
    public void clflush(long guestAddress) {
        checkInGuest();
        processor.clflush(machine.translate(guestAddress));
    }

    /**
     * As {@link #clflush}, but only a fence makes sure that it is done. KVM does not intercept it.
     *
     * @throws IommuException EFAULT when there is no memory
     */
    public void clflushopt(long guestAddress) {
        checkInGuest();
        processor.clflushopt(machine.translate(guestAddress));
    }

    /**
     * As {@link #clflushopt}, but caches may keep the line, no longer modified. KVM does not intercept it.
     *
     * @throws IommuException EFAULT when there is no memory
     */
    public void clwb(long guestAddress) {
        checkInGuest();
        processor.clwb(machine.translate(guestAddress));
    }

    /** Orders stores: write-combining buffers are written to memory, {@link #clflushopt} and {@link #clwb} are done. */
    public void sfence() {
        checkInGuest();
        processor.sfence();
    }

    /** Orders loads and stores. */
    public void mfence() {
        checkInGuest();
        processor.mfence();
    }

    /**
     * The guest writes back and invalidates its caches, and nothing comes between the two steps: {@link #beginWbinvd}
     * and {@link #endWbinvd}.
     *
     * @throws IllegalStateException inside of another WBINVD
     */
    public void wbinvd() {
        beginWbinvd();
        endWbinvd();
    }

    /**
     * The first step of a WBINVD, on one CPU: it adds this CPU to the mask and flushes all CPUs of the mask.
     *
     * <p>Where WBINVD is intercepted, it is a no-op unless DMA is non-coherent. Where it is not intercepted, it runs on
     * this CPU, whatever is registered with KVM. Until {@link #endWbinvd} the guest executes nothing: only the
     * scheduler acts, by {@link #loadOn}. Source: {@code kvm_emulate_wbinvd_noskip}, up to {@code put_cpu}.
     *
     * @throws IllegalStateException inside of another WBINVD
     */
    public void beginWbinvd() {
        checkInGuest();
        if (!machine.options().wbinvdExit()) {
            machine.writeBackAndInvalidate(processor);
            step = Step.IGNORED;
            return;
        }
        if (!machine.needEmulateWbinvd()) {
            machine.ignoredWbinvd();
            step = Step.IGNORED;
            return;
        }
        step = Step.FLUSHED;
        wbinvdDirtyMask.set(processor.id());
        if (machine.rules().wbinvdReachesAllCpus()) {
            wbinvdDirtyMask.set(0, machine.cpus());
        }
        for (int cpu = wbinvdDirtyMask.nextSetBit(0); cpu >= 0; cpu = wbinvdDirtyMask.nextSetBit(cpu + 1)) {
            machine.writeBackAndInvalidate(machine.processor(cpu));
        }
        flushedOn = processor;
        if (machine.rules().maskEmptiedWhilePinned()) {
            emptyMask();
        }
    }

    private void emptyMask() {
        wbinvdDirtyMask.clear();
        if (machine.rules().maskKeepsOwnCpu()) {
            wbinvdDirtyMask.set(flushedOn.id());
        }
    }

    /**
     * The second step of a WBINVD, no longer bound to a CPU: it empties the mask, unless the first step was a no-op.
     *
     * <p>As in Linux, two CPUs are forgotten on which lines may be dirty later. One is the CPU on which the vCPU runs
     * on. The other is a CPU on which it was loaded between the steps. Source: {@code kvm_emulate_wbinvd_noskip}, after
     * {@code put_cpu}.
     *
     * @throws IllegalStateException without a first step
     */
    public void endWbinvd() {
        if (step == Step.GUEST) {
            throw new IllegalStateException("vCPU " + id + " is not inside of a WBINVD");
        }
        if (step == Step.FLUSHED && !machine.rules().maskEmptiedWhilePinned()) {
            emptyMask();
        }
        step = Step.GUEST;
    }

    /**
     * The guest writes back its caches without invalidating them (WBNOINVD). It exits as WBINVD does, and KVM treats it
     * as one; a CPU that does not intercept it executes the older instruction. So lines go, too.
     *
     * @throws IllegalStateException inside of a WBINVD
     */
    public void wbnoinvd() {
        wbinvd();
    }

    /** The guest drops its caches without writing back (INVD): always intercepted and ignored. */
    public void invd() {
        checkInGuest();
        // Executing it would lose the host's dirty lines.
    }

    /** Returns whether a CPU is in the mask of those that a WBINVD reaches, beside the one on which it runs. */
    public boolean dirtied(Processor candidate) {
        return wbinvdDirtyMask.get(candidate.id());
    }

    /**
     * Returns whether a CPU on which this vCPU runs may take a line of a page into its cache without being asked: the
     * page has an entry, and an access would be cached. Touches nothing.
     *
     * @param guestPat the type that the guest chose by its PAT
     * @throws IommuException EFAULT when there is no memory
     */
    public boolean mayPrefetch(long guestAddress, MemoryType guestPat) {
        Objects.requireNonNull(guestPat, "guestPat");
        return step == Step.GUEST
                && machine.entryCode(guestAddress) != 0
                && effectiveType(guestAddress, guestPat) == MemoryType.WB;
    }

    /** Returns whether it is between the two steps of a WBINVD that was not a no-op. */
    public boolean insideExecutedWbinvd() {
        return step == Step.FLUSHED;
    }

    /**
     * Returns all that KVM and the guest's registers keep of this vCPU, to be restored later.
     *
     * @return bits 47:0 the mask of CPUs, 53:48 the CPU on which it is loaded, 59:54 the CPU that the last WBINVD was
     *     bound to, 61:60 the step inside of a WBINVD, 62 CR0.CD
     * @throws IllegalStateException on a host of more than {@value #SAVED_CPUS} CPUs
     */
    @SuppressWarnings("EnumOrdinal") // a number in a word that only restore reads
    public long save() {
        long word = 0;
        for (int cpu = wbinvdDirtyMask.nextSetBit(0); cpu >= 0; cpu = wbinvdDirtyMask.nextSetBit(cpu + 1)) {
            if (cpu >= SAVED_CPUS) {
                throw new IllegalStateException("cpu" + cpu + " of a vCPU to be saved, expected less than 48 CPUs");
            }
            word |= 1L << cpu;
        }
        // Between two instructions of the guest nobody asks which CPU was flushed.
        int flushed = step == Step.FLUSHED ? flushedOn.id() : 0;
        return word
                | (long) processor.id() << 48
                | (long) flushed << 54
                | (long) step.ordinal() << 60
                | (cachingOff ? 1L << 62 : 0);
    }

    /**
     * Returns to a saved state.
     *
     * @param saved what {@link #save} returned, for this vCPU or one of the same number on a host like this one
     */
    public void restore(long saved) {
        wbinvdDirtyMask.clear();
        for (long left = saved & (1L << SAVED_CPUS) - 1; left != 0; left &= left - 1) {
            wbinvdDirtyMask.set(Long.numberOfTrailingZeros(left));
        }
        processor = machine.processor((int) (saved >>> 48) & 63);
        flushedOn = machine.processor((int) (saved >>> 54) & 63);
        step = STEPS[(int) (saved >>> 60) & 3];
        cachingOff = (saved >>> 62 & 1) != 0;
    }

    /** Refuses what a guest does while KVM emulates its WBINVD. */
    private void checkInGuest() {
        if (step != Step.GUEST) {
            throw new IllegalStateException("vCPU " + id + " is inside of a WBINVD");
        }
    }

    private static Processor checked(VirtualMachine machine, Processor processor) {
        if (!machine.isProcessor(processor)) {
            throw new IllegalArgumentException("processor " + processor.id() + " is not one of the machine's host");
        }
        return processor;
    }
}
