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
 * descriptor.
 *
 * <p>Source: {@code kvm_arch_vcpu_load} and {@code kvm_emulate_wbinvd} in {@code arch/x86/kvm/x86.c}.
 */
public final class Vcpu {
    private final VirtualMachine machine;
    private final int id;
    /** The CPUs whose caches may hold lines that this vCPU dirtied; filled only while DMA is non-coherent. */
    private final BitSet wbinvdDirtyMask = new BitSet();

    /** Created once, so that an access allocates nothing. */
    private final MemorySlots.TypeOfPage freshType;

    private Processor processor;
    private boolean cachingOff;

    Vcpu(VirtualMachine machine, int id, Processor processor) {
        this.machine = machine;
        this.id = id;
        this.processor = checked(machine, processor);
        this.freshType = () -> machine.freshType(false, cachingOff);
        if (machine.needEmulateWbinvd() && machine.options().wbinvdExit()) {
            wbinvdDirtyMask.set(processor.id());
        }
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
     * Enters the guest on the vCPU's current CPU, as KVM_RUN does: for the first time, or after an exit to the VMM.
     *
     * <p>This loads the vCPU. So a CPU on which it was created before DMA became non-coherent is recorded from now on.
     */
    public void enter() {
        migrateTo(processor);
    }

    /**
     * Loads the vCPU on a CPU, another one or the same one after it was scheduled out.
     *
     * <p>While DMA is non-coherent, a host that intercepts WBINVD records the CPU for later. A host that does not
     * intercept it writes back the old CPU's caches at once.
     *
     * @throws IllegalArgumentException when the CPU is not one of this host
     */
    public void migrateTo(Processor target) {
        Processor old = processor;
        checked(machine, target);
        if (machine.needEmulateWbinvd()) {
            if (machine.options().wbinvdExit()) {
                wbinvdDirtyMask.set(target.id());
            } else if (old != target) {
                machine.writeBackAndInvalidate(old);
            }
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
        long physicalAddress = machine.translate(guestAddress);
        return processor.load(physicalAddress, memoryTypeOf(guestAddress).effective(guestPat));
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
        long physicalAddress = machine.translate(guestAddress);
        processor.store(physicalAddress, value, memoryTypeOf(guestAddress).effective(guestPat));
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
     * Turns caching off or on, as the guest does by CR0.CD; initially on.
     *
     * <p>Up to 6.10 this changes the type of pages that this vCPU touches first, while DMA is non-coherent; since 6.11
     * it has no effect.
     */
    public void setCachingOff(boolean off) {
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
        processor.clflush(machine.translate(guestAddress));
    }

    /** Orders loads and stores. */
    public void mfence() {
        processor.mfence();
    }

    /**
     * The guest writes back and invalidates its caches.
     *
     * <p>Where WBINVD is intercepted, it is a no-op unless DMA is non-coherent; then it runs on this CPU and on every
     * CPU that the vCPU was loaded on since the last time. The mask is empty afterwards although the vCPU goes on
     * running here, as in Linux. Where WBINVD is not intercepted, it runs on this CPU, whatever is registered with KVM.
     */
    public void wbinvd() {
        if (!machine.options().wbinvdExit()) {
            machine.writeBackAndInvalidate(processor);
            return;
        }
        if (!machine.needEmulateWbinvd()) {
            machine.ignoredWbinvd();
            return;
        }
        wbinvdDirtyMask.set(processor.id());
        for (int cpu = wbinvdDirtyMask.nextSetBit(0); cpu >= 0; cpu = wbinvdDirtyMask.nextSetBit(cpu + 1)) {
            machine.writeBackAndInvalidate(machine.processor(cpu));
        }
        wbinvdDirtyMask.clear();
    }

    /** The guest drops its caches without writing back (INVD): always intercepted and ignored. */
    public void invd() {
        // Executing it would lose the host's dirty lines.
    }

    /** Returns whether a WBINVD now would reach this CPU because the vCPU was loaded on it. */
    public boolean dirtied(Processor candidate) {
        return wbinvdDirtyMask.get(candidate.id());
    }

    private static Processor checked(VirtualMachine machine, Processor processor) {
        if (!machine.isProcessor(processor)) {
            throw new IllegalArgumentException("processor " + processor.id() + " is not one of the machine's host");
        }
        return processor;
    }
}
