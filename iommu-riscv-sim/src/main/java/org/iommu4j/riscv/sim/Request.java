// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.sim.spi.AccessStatus;
import org.jspecify.annotations.Nullable;

/** One request and the answer to it; each thread has one and uses it again. */
final class Request {
    /** Types of requests, by the distance of their TTYP from that of an untranslated one. */
    static final int UNTRANSLATED = 0;

    static final int TRANSLATED = 4;
    static final int TRANSLATION_REQUEST = 8;
    private static final int TTYP_EXECUTE = 1;
    private static final int TTYP_READ = 2;
    private static final int TTYP_WRITE = 3;

    private static final long NO_MRIF = -1;

    // --- what is asked ---

    int device;

    /** 0 to 2^20 - 1, or -1. */
    int process;

    long address;
    int type;
    boolean privileged;

    /** The rights asked for: {@link Pte#R}, {@link Pte#W}, {@link Pte#X}. */
    long wanted;

    /** Counts invalidations: what was read before one is not cached. */
    long epoch;

    /** Room for the words of a structure. */
    final long[] words = new long[DeviceContext.EXTENDED_BYTES / Long.BYTES];

    // --- the answer ---

    /** A {@link Cause}. */
    int cause;

    long iotval2;

    /** The device's context, once it is found. */
    @Nullable
    DeviceContext context;

    long translated;

    /** The rights that an ATS translation request is granted. */
    long granted;

    boolean global;

    /** Log2 of the bytes around the address that are translated alike. */
    int shift;

    int memoryType;

    /** Whether an MSI page table translated it. */
    boolean msi;

    /** The address of the interrupt file in memory that the request is for, or {@code NO_MRIF}. */
    long mrif = NO_MRIF;

    /** The second word of the MSI PTE that says so. */
    long notice;

    void begin(int newType, int newDevice, int newProcess, long newAddress) {
        type = newType;
        device = newDevice;
        process = newProcess;
        address = newAddress;
        cause = Cause.NONE;
        iotval2 = 0;
        context = null;
        global = false;
        memoryType = 0;
        msi = false;
        mrif = NO_MRIF;
    }

    boolean isForMrif() {
        return mrif != NO_MRIF;
    }

    /** Returns whether it is a request that ended at an interrupt file in memory. */
    boolean isFor(int ofDevice, int ofProcess, long ofAddress, long file) {
        return device == ofDevice && process == ofProcess && address == ofAddress && mrif == file;
    }

    boolean hasProcess() {
        return process >= 0;
    }

    boolean isTranslationRequest() {
        return type == TRANSLATION_REQUEST;
    }

    /** Returns the rights without which the request is refused: an ATS translation request gets what there is. */
    long needed() {
        return isTranslationRequest() ? 0 : wanted;
    }

    boolean executes() {
        return (wanted & Pte.X) != 0;
    }

    /** Returns whether it stores; an ATS translation request only asks. */
    boolean stores() {
        return (wanted & Pte.W) != 0 && !isTranslationRequest();
    }

    int ttyp() {
        return isTranslationRequest()
                ? TRANSLATION_REQUEST
                : type + (executes() ? TTYP_EXECUTE : stores() ? TTYP_WRITE : TTYP_READ);
    }

    // --- faults; each returns 0, so that walks can return it ---

    long fault(int newCause) {
        cause = newCause;
        return 0;
    }

    long pageFault() {
        return fault(
                executes() ? Cause.INSTRUCTION_PAGE_FAULT : stores() ? Cause.WRITE_PAGE_FAULT : Cause.READ_PAGE_FAULT);
    }

    /**
     * Records a guest-page fault.
     *
     * @param flags of iotval2: bit 0 for an implicit access, bit 1 for an implicit write
     */
    long guestPageFault(long guestPhysical, long flags) {
        pageFault();
        cause += Cause.GUEST;
        iotval2 = (guestPhysical & ~3L) | flags;
        return 0;
    }

    /** Records that an access to memory failed. */
    long accessFault() {
        return fault(
                executes()
                        ? Cause.INSTRUCTION_ACCESS_FAULT
                        : stores() ? Cause.WRITE_ACCESS_FAULT : Cause.READ_ACCESS_FAULT);
    }

    /** Records that a PTE can't be read. */
    long unreadable(AccessStatus status) {
        return status == AccessStatus.POISON ? fault(Cause.PT_CORRUPT) : accessFault();
    }
}
