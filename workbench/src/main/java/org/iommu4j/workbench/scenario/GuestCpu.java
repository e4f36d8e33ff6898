// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.kvm.Vcpu;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.trace.Trace;

/** A guest's vCPU in a scenario: what the guest does on it is recorded under its label, with what the guest wished. */
public final class GuestCpu {
    private final Trace trace;
    private final Vcpu vcpu;
    private final String label;
    private boolean entered;

    /**
     * Makes one.
     *
     * @param label how the trace names it: a number behind {@code vcpu}, behind the machine where it is not the first
     */
    GuestCpu(Trace trace, Vcpu vcpu, String label) {
        this.trace = trace;
        this.vcpu = vcpu;
        this.label = label;
    }

    /** Returns the vCPU itself, for those who record nothing. */
    public Vcpu vcpu() {
        return vcpu;
    }

    /** Returns how the trace names it. */
    String label() {
        return label;
    }

    /** Returns the number of the CPU on which it is loaded. */
    public int cpu() {
        return vcpu.processor().id();
    }

    /** Enters the guest, for the first time or again after an exit to the VMM. */
    public void enter() {
        entered = true;
        vcpu.loadOn(vcpu.processor());
        trace.note(label + " enters the guest on cpu" + vcpu.processor().id());
    }

    /** Enters the guest unless it did already. */
    public void enterOnce() {
        if (!entered) {
            enter();
        }
    }

    /** Continues, inside the guest, on another CPU. */
    public void moveTo(Processor target) {
        vcpu.loadOn(target);
        trace.note(label + " moves to cpu" + target.id());
    }

    /** Is taken off its CPU while it is in the guest, and put there again. */
    public void preempt() {
        vcpu.loadOn(vcpu.processor());
        trace.note(label + " is preempted on cpu" + vcpu.processor().id());
    }

    /** Stores a word at a guest physical address, which the guest has mapped with a type. */
    public void store(long guestAddress, long value, MemoryType mapped) {
        trace.initiator(label, mapped);
        try {
            vcpu.store(guestAddress, value, mapped);
        } finally {
            trace.initiator("");
        }
    }

    /** Loads a word from a guest physical address, which the guest has mapped with a type. */
    public long load(long guestAddress, MemoryType mapped) {
        trace.initiator(label, mapped);
        try {
            return vcpu.load(guestAddress, mapped);
        } finally {
            trace.initiator("");
        }
    }

    /** Sets or clears CR0.CD. */
    public void setCachingOff(boolean off) {
        vcpu.setCachingOff(off);
        trace.note(label + " turns caching " + (off ? "off" : "on"));
    }

    /** Flushes a line. */
    public void clflush(long guestAddress) {
        labelled(() -> vcpu.clflush(guestAddress));
    }

    /** Flushes a line by the next fence. */
    public void clflushopt(long guestAddress) {
        labelled(() -> vcpu.clflushopt(guestAddress));
    }

    /** Writes back a line by the next fence. */
    public void clwb(long guestAddress) {
        labelled(() -> vcpu.clwb(guestAddress));
    }

    /** Orders stores. */
    public void sfence() {
        labelled(vcpu::sfence);
    }

    /** Orders loads and stores. */
    public void mfence() {
        labelled(vcpu::mfence);
    }

    private void labelled(Runnable instruction) {
        trace.initiator(label);
        try {
            instruction.run();
        } finally {
            trace.initiator("");
        }
    }

    /** Executes WBINVD; nothing comes between its two steps. */
    public void wbinvd() {
        beginWbinvd();
        endWbinvd();
    }

    /** Executes WBNOINVD, which KVM takes for {@link #wbinvd}. */
    public void wbnoinvd() {
        trace.note(label + "'s WBNOINVD exits as WBINVD does");
        wbinvd();
    }

    /**
     * Runs a guest of its own, which executes WBINVD.
     *
     * @param ignored whether this guest's kernel ignores that, and executes none itself
     */
    void wbinvdOfInnerGuest(boolean ignored) {
        trace.note("a guest of " + label + "'s guest executes WBINVD, which its hypervisor "
                + (ignored ? "ignores: its IOMMU offers snoop control" : "executes"));
        if (ignored) {
            labelled(trace::guestWbinvd);
        } else {
            wbinvd();
        }
    }

    /** Executes the first step of WBINVD: caches are flushed. Until the second one only the scheduler acts. */
    public void beginWbinvd() {
        trace.initiator(label);
        try {
            trace.guestWbinvd();
            vcpu.beginWbinvd();
        } finally {
            trace.initiator("");
        }
    }

    /** Executes the second step: KVM forgets the CPUs that it flushed. */
    public void endWbinvd() {
        vcpu.endWbinvd();
    }
}
