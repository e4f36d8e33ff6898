// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.absolute;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.InvalidationTags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * The invalidation queue, with descriptors of 128 bits or, where IQA.DW is set and the unit has scalable mode, of 256.
 *
 * <p>Source: VT-d 6.5.2 and the descriptors below it; errors 6.5.2.10 and 11.4.9.9. Descriptors and status writes are
 * always snooped. Device TLBs answer at once or never: a time-out is reported at the next wait, which is then aborted,
 * or when the queue is empty. Descriptors that name a PASID must be wide. A bad descriptor stops the queue with the
 * head at it until software clears FSTS.IQE. Then it is fetched again.
 */
final class VtdInvalidationQueue {
    private static final BitField TYPE = bits(3, 0, "TYPE");
    private static final BitField TYPE_HIGH = bits(11, 9, "TYPE[6:4]");
    private static final BitField PASID = bits(51, 32, "PASID");
    private static final BitField GRANULARITY = bits(5, 4, "G");
    private static final BitField DID = bits(31, 16, "DID");

    private static final int CONTEXT_CACHE = 1;
    private static final BitField SID = bits(47, 32, "SID");
    private static final BitField FM = bits(49, 48, "FM");
    private static final Reserved CONTEXT_CACHE_RESERVED =
            Reserved.of(Layout.of("context-cache invalidate (6.5.2.1)", 2, TYPE, GRANULARITY, DID, SID, FM));

    private static final int IOTLB = 2;
    private static final BitField AM = absolute(69, 64, "AM");
    private static final BitField IH = absolute(70, 70, "IH");
    private static final BitField ADDR = absolute(127, 76, "ADDR");
    private static final Reserved IOTLB_RESERVED = Reserved.of(Layout.of(
            "IOTLB invalidate (6.5.2.3)", 2, TYPE, GRANULARITY, bits(6, 6, "DW"), bits(7, 7, "DR"), DID, AM, IH, ADDR));

    private static final int DEVICE_TLB = 3;
    private static final BitField DEVICE_TLB_S = absolute(64, 64, "S");
    private static final Reserved DEVICE_TLB_RESERVED = Reserved.of(Layout.of(
            "device-TLB invalidate (6.5.2.5)",
            2,
            TYPE,
            bits(15, 12, "PFSID[3:0]"),
            bits(20, 16, "MIP"),
            SID,
            bits(63, 52, "PFSID[15:4]"),
            DEVICE_TLB_S,
            ADDR));

    private static final int INTERRUPT_ENTRY_CACHE = 4;
    private static final Reserved INTERRUPT_ENTRY_CACHE_RESERVED = Reserved.of(Layout.of(
            "interrupt entry cache invalidate (6.5.2.7)",
            2,
            TYPE,
            bits(4, 4, "G"),
            bits(31, 27, "IM"),
            bits(47, 32, "IIDX")));

    private static final int WAIT = 5;
    private static final BitField IF = bits(4, 4, "IF");
    private static final BitField SW = bits(5, 5, "SW");
    private static final BitField PD = bits(7, 7, "PD");
    private static final BitField STATUS_DATA = bits(63, 32, "DATA");
    private static final BitField STATUS_ADDRESS = absolute(127, 66, "ADDR");
    private static final Reserved WAIT_RESERVED = Reserved.of(Layout.of(
            "invalidation wait (6.5.2.8)", 2, TYPE, IF, SW, bits(6, 6, "FN"), PD, STATUS_DATA, STATUS_ADDRESS));

    private static final int PASID_IOTLB = 6;
    private static final Reserved PASID_IOTLB_RESERVED = Reserved.of(
            Layout.of("PASID-based IOTLB invalidate (6.5.2.4)", 2, TYPE, GRANULARITY, DID, PASID, AM, IH, ADDR));

    private static final int PASID_CACHE = 7;
    private static final Reserved PASID_CACHE_RESERVED =
            Reserved.of(Layout.of("PASID-cache invalidate (6.5.2.2)", 2, TYPE, GRANULARITY, DID, PASID));

    private static final int PASID_DEVICE_TLB = 8;
    private static final BitField PASID_DEVICE_TLB_SID = bits(31, 16, "SID");
    private static final BitField PASID_DEVICE_TLB_S = absolute(75, 75, "S");
    private static final Reserved PASID_DEVICE_TLB_RESERVED = Reserved.of(Layout.of(
            "PASID-based device-TLB invalidate (6.5.2.6)",
            2,
            TYPE,
            bits(8, 4, "MIP"),
            bits(15, 12, "PFSID[3:0]"),
            PASID_DEVICE_TLB_SID,
            PASID,
            bits(63, 52, "PFSID[15:4]"),
            PASID_DEVICE_TLB_S,
            ADDR));

    private static final int PAGE_GROUP_RESPONSE = 9;

    /** IQEI: the tail lies beyond the queue. */
    static final int BAD_TAIL = 1;
    /** IQEI: the descriptor can't be read. */
    static final int BAD_FETCH = 2;
    /** IQEI: no such descriptor. */
    static final int BAD_TYPE = 3;
    /** IQEI: a reserved bit or value in a descriptor. */
    static final int BAD_FIELD = 4;
    /** IQEI: IQA.DW selects descriptors of 256 bits, which the unit doesn't have. */
    static final int BAD_WIDTH = 5;
    /** IQEI: the tail is in the middle of a descriptor. */
    static final int MISALIGNED_TAIL = 6;
    /** IQEI: the descriptor has a meaning in scalable mode only. */
    static final int BAD_MODE = 7;

    private static final int NO_ERROR = 0;
    /** The descriptor stays at the head until a device answers. */
    private static final int WAITS = -1;
    /** Address of a device TLB invalidation that covers everything: bit 63 is the lowest clear one. */
    private static final long EVERYTHING = Long.MIN_VALUE;

    private final VtdCapabilities capabilities;
    private final Fabric fabric;
    private final Invalidation invalidation;
    private final VtdFaultLog faults;
    private final VtdPageRequestQueue pageRequests;
    private final EventControl completion = new EventControl(VtdRegisters.IECTL);

    private boolean enabled;
    private long base;
    private long sizeBytes;
    private boolean wide;
    private boolean scalableMode;

    /** The requests that devices answer later. */
    private final InvalidationTags tags = new InvalidationTags(InvalidationTags.MOST);

    /** A device has not answered, and this is not reported yet. */
    private boolean timedOut;

    private long head;
    private long tail;
    private boolean completed;
    private int error;

    VtdInvalidationQueue(
            VtdCapabilities capabilities,
            Fabric fabric,
            Invalidation invalidation,
            VtdFaultLog faults,
            VtdPageRequestQueue pageRequests) {
        this.capabilities = capabilities;
        this.fabric = fabric;
        this.invalidation = invalidation;
        this.faults = faults;
        this.pageRequests = pageRequests;
    }

    /** Enables the queue at the address in IQA, or disables it. */
    void enable(boolean enable, long iqa) {
        if (enable == enabled) {
            return;
        }
        enabled = enable;
        head = 0;
        if (enable) {
            base = VtdRegisters.IQ_ADDRESS.getInPlace(iqa);
            sizeBytes = 4096L << VtdRegisters.QS.get(iqa);
            wide = VtdRegisters.DW.isSet(iqa);
        }
    }

    boolean isEnabled() {
        return enabled;
    }

    void setScalableMode(boolean scalable) {
        scalableMode = scalable;
    }

    /** Handles the descriptor at the head, and returns whether there was one and the queue was not stopped. */
    boolean step() {
        if (!enabled || faults.isQueueStopped()) {
            return false;
        }
        if (head == tail) {
            return tags.isEmpty() && tellTimeOut();
        }
        int result = handleHead();
        if (result == WAITS) {
            return false;
        }
        error = result;
        if (error == NO_ERROR) {
            int bytes = wide ? 32 : 16;
            head = head + bytes == sizeBytes ? 0 : head + bytes;
        } else {
            faults.queueError();
        }
        return true;
    }

    private boolean tellTimeOut() {
        boolean told = timedOut;
        if (timedOut) {
            timedOut = false;
            faults.deviceTimeOut();
        }
        return told;
    }

    private int handleHead() {
        if (wide && !capabilities.scalable) {
            return BAD_WIDTH;
        }
        if (tail >= sizeBytes) {
            return BAD_TAIL;
        }
        if (wide && (tail & 16) != 0) {
            return MISALIGNED_TAIL;
        }
        long low = fabric.read(base + head, true);
        if (low == -1L && fabric.isUnreadable(base + head, true)) {
            return BAD_FETCH;
        }
        long high = fabric.read(base + head + 8, true);
        int type = (int) (TYPE.get(low) | TYPE_HIGH.get(low) << 4);
        if (wide && type != PAGE_GROUP_RESPONSE) {
            long rest = fabric.read(base + head + 16, true) | fabric.read(base + head + 24, true);
            if (rest != 0) {
                return BAD_FIELD;
            }
        }
        return switch (type) {
            case CONTEXT_CACHE -> hasReserved(CONTEXT_CACHE_RESERVED, low, high) ? BAD_FIELD : invalidateContexts(low);
            case IOTLB -> hasReserved(IOTLB_RESERVED, low, high) ? BAD_FIELD : invalidateIotlb(low, high);
            case DEVICE_TLB -> invalidateDeviceTlb(low, high);
            // Interrupts are not remapped: there is nothing to invalidate.
            case INTERRUPT_ENTRY_CACHE ->
                accept(capabilities.interruptRemapping, INTERRUPT_ENTRY_CACHE_RESERVED, low, high);
            case WAIT ->
                hasReserved(WAIT_RESERVED, low, high) || (PD.isSet(low) && !capabilities.pageRequests)
                        ? BAD_FIELD
                        : completeWait(low, high);
            case PASID_IOTLB, PASID_CACHE, PASID_DEVICE_TLB -> handlePasids(type, low, high);
            case PAGE_GROUP_RESPONSE -> capabilities.pageRequests ? handlePasids(type, low, high) : BAD_TYPE;
            default -> BAD_TYPE;
        };
    }

    private int handlePasids(int type, long low, long high) {
        if (!wide) {
            return BAD_TYPE;
        }
        if (!scalableMode) {
            return BAD_MODE;
        }
        return switch (type) {
            case PASID_IOTLB -> invalidatePasidIotlb(low, high);
            case PASID_CACHE -> invalidatePasidCache(low, high);
            case PAGE_GROUP_RESPONSE -> pageRequests.respond(low, high) ? NO_ERROR : BAD_FIELD;
            default -> invalidatePasidDeviceTlb(low, high);
        };
    }

    private int invalidatePasidIotlb(long low, long high) {
        if (hasReserved(PASID_IOTLB_RESERVED, low, high)) {
            return BAD_FIELD;
        }
        boolean done = invalidation.pasidTranslations(
                (int) GRANULARITY.get(low),
                (int) DID.get(low),
                (int) PASID.get(low),
                ADDR.getInPlace(high),
                (int) AM.get(high),
                IH.isSet(high));
        return done ? NO_ERROR : BAD_FIELD;
    }

    private int invalidatePasidCache(long low, long high) {
        if (hasReserved(PASID_CACHE_RESERVED, low, high)) {
            return BAD_FIELD;
        }
        boolean done = invalidation.pasids((int) GRANULARITY.get(low), (int) DID.get(low), (int) PASID.get(low));
        return done ? NO_ERROR : BAD_FIELD;
    }

    private int invalidateDeviceTlb(long low, long high) {
        int problem = accept(capabilities.deviceTlb, DEVICE_TLB_RESERVED, low, high);
        return problem != NO_ERROR
                ? problem
                : forgetInDevice((int) SID.get(low), TranslationUnit.NO_PASID, high, DEVICE_TLB_S.isSet(high));
    }

    private int invalidatePasidDeviceTlb(long low, long high) {
        int problem = accept(capabilities.deviceTlb, PASID_DEVICE_TLB_RESERVED, low, high);
        return problem != NO_ERROR
                ? problem
                : forgetInDevice(
                        (int) PASID_DEVICE_TLB_SID.get(low),
                        (int) PASID.get(low),
                        high,
                        PASID_DEVICE_TLB_S.isSet(high));
    }

    /** S: the lowest clear bit of the address from 12 on encodes the size of the range (PCI Express, 10.3.8). */
    private int forgetInDevice(int requesterId, int pasid, long high, boolean several) {
        int tag = tags.free();
        if (tag == InvalidationTags.NONE) {
            return WAITS;
        }
        long address = ADDR.getInPlace(high);
        long size = 4096;
        if (several) {
            size = Long.lowestOneBit(~(address | 0xfff)) << 1;
            size = size == 0 ? EVERYTHING : size;
        }
        tags.take(tag, requesterId, 0);
        InvalidationAnswer answer = fabric.invalidateDevice(requesterId, pasid, false, address & -size, size, tag);
        if (answer != InvalidationAnswer.LATER) {
            tags.release(tag);
        }
        timedOut |= answer == InvalidationAnswer.NEVER;
        return NO_ERROR;
    }

    /** Takes a device's late answer, and returns whether it was expected. */
    boolean complete(int requesterId, int completed, int count) {
        boolean expected = tags.complete(requesterId, completed, count);
        if (!expected) {
            faults.unexpectedCompletion();
        }
        return expected;
    }

    /** Gives up on some answers; a wait descriptor then reports the time-out. */
    void timeOut(int late) {
        for (int left = late & tags.outstanding(); left != 0; left &= left - 1) {
            tags.release(Integer.numberOfTrailingZeros(left));
            timedOut = true;
        }
    }

    private static int accept(boolean supported, Reserved reserved, long low, long high) {
        if (!supported) {
            return BAD_TYPE;
        }
        return hasReserved(reserved, low, high) ? BAD_FIELD : NO_ERROR;
    }

    private static boolean hasReserved(Reserved reserved, long low, long high) {
        return (low & reserved.low) != 0 || (high & reserved.high) != 0;
    }

    /** The reserved bits of a descriptor. */
    private record Reserved(long low, long high) {
        static Reserved of(Layout layout) {
            return new Reserved(layout.reserved(0), layout.reserved(1));
        }
    }

    private int invalidateContexts(long low) {
        int granularity = (int) GRANULARITY.get(low);
        int done = invalidation.contexts(granularity, (int) DID.get(low), (int) SID.get(low), (int) FM.get(low));
        return done == Invalidation.REFUSED ? BAD_FIELD : NO_ERROR;
    }

    private int invalidateIotlb(long low, long high) {
        int granularity = (int) GRANULARITY.get(low);
        int done = invalidation.translations(
                granularity, (int) DID.get(low), ADDR.getInPlace(high), (int) AM.get(high), IH.isSet(high));
        return done == Invalidation.REFUSED ? BAD_FIELD : NO_ERROR;
    }

    private int completeWait(long low, long high) {
        if (!tags.isEmpty()) {
            return WAITS;
        }
        if (tellTimeOut()) {
            return NO_ERROR; // fetched, and aborted
        }
        if (PD.isSet(low)) {
            pageRequests.drain();
        }
        if (SW.isSet(low)) {
            fabric.write32(STATUS_ADDRESS.getInPlace(high), (int) STATUS_DATA.get(low), true);
        }
        if (IF.isSet(low) && !completed) {
            completed = true;
            completion.raise();
        }
        return NO_ERROR;
    }

    long readHead() {
        return head;
    }

    long readTail() {
        return tail;
    }

    void writeTail(long written) {
        tail = VtdRegisters.IQT.afterWrite(tail, written);
    }

    int readCompletion() {
        return completed ? 1 : 0;
    }

    void writeCompletion(int written) {
        if (VtdRegisters.IWC.isSet(written)) {
            completed = false;
            completion.serviced();
        }
    }

    /** Reads IECTL; 0 without queued invalidation. */
    int readControl() {
        return capabilities.queuedInvalidation ? completion.value() : 0;
    }

    void writeControl(int written) {
        completion.write(written);
    }

    /** Reads IQERCD: the reason for the queue's last stop. */
    long readError() {
        return error;
    }

    void reset() {
        enabled = false;
        base = 0;
        sizeBytes = 0;
        wide = false;
        scalableMode = false;
        tags.reset();
        timedOut = false;
        head = 0;
        tail = 0;
        completed = false;
        error = NO_ERROR;
        completion.reset();
    }

    void addTo(StateDigest digest) {
        digest.add(enabled);
        digest.add(base);
        digest.add(sizeBytes);
        digest.add(wide);
        digest.add(scalableMode);
        tags.addTo(digest);
        digest.add(timedOut);
        digest.add(head);
        digest.add(tail);
        digest.add(completed);
        digest.add(error);
        completion.addTo(digest);
    }
}
