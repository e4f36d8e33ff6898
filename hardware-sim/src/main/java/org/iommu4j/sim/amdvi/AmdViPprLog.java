// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;
import static org.iommu4j.sim.amdvi.AmdViRegisters.IOMMU_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_AUTO_RSP_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_HEAD;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_INT;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_LOG_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_LOG_RUN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_OVERFLOW;
import static org.iommu4j.sim.amdvi.AmdViRegisters.PPR_TAIL;

import java.util.ArrayDeque;
import java.util.Queue;
import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Peripheral page requests: the ring in memory to which the unit writes them, snooped, and the answers. The caller of
 * each method holds the unit's lock.
 *
 * <p>Source: 48882, sections 2.4.7, 2.5.10 and 2.6. The unit owns the tail, software the head; one entry stays free. A
 * request that finds no room sets PprOverflow and stops the log. While the log does not run, requests are lost; the
 * last of each group is answered with the code of the auto response register where EFR has that and PprAutoRspEn is
 * set. A request of a device that may not send any is answered as invalid, and INVALID_PPR_REQUEST is logged as an
 * event.
 */
final class AmdViPprLog {
    private static final int BAR_PLACE = RegisterFile.place(PPR_BAR);
    private static final int HEAD_PLACE = RegisterFile.place(PPR_HEAD);
    private static final int TAIL_PLACE = RegisterFile.place(PPR_TAIL);
    private static final int CONTROL_PLACE = RegisterFile.place(AmdViRegisters.CONTROL);
    private static final int STATUS_PLACE = RegisterFile.place(AmdViRegisters.STATUS);
    private static final int DEV_TAB_PLACE = RegisterFile.place(AmdViRegisters.DEV_TAB_BAR);
    private static final int AUTO_RESPONSE_PLACE = RegisterFile.place(AmdViRegisters.PPR_AUTO_RESPONSE);

    // An entry; INVALID_PPR_REQUEST has the same fields
    private static final int BYTES = 16;
    private static final BitField DEVICE_ID = bits(15, 0, "DeviceID");
    private static final BitField PASID_LOW = bits(31, 16, "PASID 15:0");
    private static final BitField TAG = bits(40, 32, "PPRTag");
    private static final BitField LAST = bit(41, "PPRTag L");
    private static final BitField PASID_HIGH = bits(45, 42, "PASID 19:16");
    private static final BitField EXECUTE = bit(49, "X");
    private static final BitField READ = bit(50, "R");
    private static final BitField WRITE = bit(53, "W");
    private static final BitField USER = bit(54, "US");
    private static final BitField GN = bit(56, "GN");
    private static final BitField CODE = bits(63, 60, "PPRCode");
    private static final int PAGE_SERVICE_REQUEST = 1;

    private static final int INVALID_REQUEST = 1;

    private final RegisterFile registers;
    private final Fabric fabric;
    private final AmdViFeatures features;
    private final AmdViEventLog events;

    /** Messages that have arrived and are not handled yet. */
    private final Queue<Message> arrived = new ArrayDeque<>();

    private record Message(int requesterId, int pasid, long address, int flags, int group) {
        boolean has(int flag) {
            return (flags & flag) != 0;
        }
    }

    AmdViPprLog(RegisterFile registers, Fabric fabric, AmdViFeatures features, AmdViEventLog events) {
        this.registers = registers;
        this.fabric = fabric;
        this.features = features;
        this.events = events;
    }

    /** Receives a message; a unit without page requests drops it. */
    void arrive(int requesterId, int pasid, long page, int flags, int group) {
        if (features.pageRequests) {
            arrived.add(new Message(requesterId, pasid, page, flags, group));
        }
    }

    /** Handles one message that has arrived, and returns whether there was any. */
    boolean step() {
        Message next = arrived.poll();
        if (next != null) {
            handle(next);
        }
        return next != null;
    }

    /** Handles all messages that have arrived, so that later ones do not overtake them. */
    void drain() {
        while (step()) {
            // one after the other
        }
    }

    private void handle(Message request) {
        long control = registers.get(CONTROL_PLACE);
        long entry = IOMMU_EN.isSet(control) && PPR_EN.isSet(control) ? entry(request.requesterId) : 0;
        // Without enhanced handling PPR of the entry is ignored.
        if (!AmdViDeviceTableEntry.V.isSet(entry)
                || (features.enhancedPageRequests && !AmdViDeviceTableEntry.PPR.isSet(entry))) {
            events.write(word0(request, Event.INVALID_PPR_REQUEST), request.address);
            answer(request, entry, INVALID_REQUEST);
        } else if (!write(request)) {
            if (features.pageAutoResponse && PPR_AUTO_RSP_EN.isSet(control)) {
                answer(request, entry, (int) AmdViRegisters.PPR_AUTO_CODE.get(registers.get(AUTO_RESPONSE_PLACE)));
            }
        }
    }

    /** Reads the first word of a requester's entry from memory, not from the unit's cache; 0 when there is none. */
    private long entry(int requesterId) {
        long bar = registers.get(DEV_TAB_PLACE);
        long offset = (long) requesterId * AmdViDeviceTableEntry.BYTES;
        long at = AmdViRegisters.DEV_TAB_BASE.getInPlace(bar) + offset;
        return offset < (AmdViRegisters.DEV_TAB_SIZE.get(bar) + 1) << 12 && fabric.status(at, true) == AccessStatus.OK
                ? fabric.read(at, true)
                : 0;
    }

    /** Writes an entry, and returns whether there was room. */
    private boolean write(Message request) {
        if (!PPR_LOG_RUN.isSet(registers.get(STATUS_PLACE))) {
            return false;
        }
        long bar = registers.get(BAR_PLACE);
        long tail = registers.get(TAIL_PLACE);
        long next = (tail + BYTES) % Rings.bytes(bar);
        if (next == registers.get(HEAD_PLACE)) {
            registers.clearBits(STATUS_PLACE, PPR_LOG_RUN.mask());
            registers.setBits(STATUS_PLACE, PPR_OVERFLOW.mask());
            return false;
        }
        long at = Rings.base(bar) + tail;
        fabric.write(at + 8, request.address, true);
        fabric.write(at, word0(request, PAGE_SERVICE_REQUEST), true); // with the code last, as for events
        registers.set(TAIL_PLACE, next);
        registers.setBits(STATUS_PLACE, PPR_INT.mask());
        return true;
    }

    private static long word0(Message request, int code) {
        boolean withPasid = request.pasid != TranslationUnit.NO_PASID;
        return CODE.of(code)
                | DEVICE_ID.of(request.requesterId)
                | (withPasid
                        ? GN.mask() | PASID_LOW.of(request.pasid & 0xffff) | PASID_HIGH.of(request.pasid >>> 16)
                        : 0)
                | TAG.of(request.group)
                | (request.has(RequestFlags.LAST) ? LAST.mask() : 0)
                | (request.has(RequestFlags.READ) ? READ.mask() : 0)
                | (request.has(RequestFlags.WRITE) ? WRITE.mask() : 0)
                | (request.has(RequestFlags.EXECUTE) ? EXECUTE.mask() : 0)
                | (request.has(RequestFlags.PRIVILEGED) ? 0 : USER.mask());
    }

    private void answer(Message request, long entry, int code) {
        if (request.has(RequestFlags.LAST)) {
            send(request.requesterId, request.pasid, entry, request.group, code);
        }
    }

    /** Sends an answer: with the PASID where there is one and GPRP of the device's entry is set. */
    private void send(int requesterId, int pasid, long entry, int group, int code) {
        fabric.respondToPageRequest(
                requesterId, AmdViDeviceTableEntry.GPRP.isSet(entry) ? pasid : TranslationUnit.NO_PASID, group, code);
    }

    /** Sends the answer of a COMPLETE_PPR_REQUEST. */
    void complete(long word0, long word1) {
        int requesterId = (int) AmdViCommand.DEVICE_ID.get(word0);
        send(
                requesterId,
                AmdViCommand.GN.isSet(word1) ? (int) AmdViCommand.PPR_PASID.get(word0) : TranslationUnit.NO_PASID,
                entry(requesterId),
                (int) AmdViCommand.PPR_TAG.get(word1),
                (int) AmdViCommand.PPR_CODE.get(word1));
    }

    // Registers

    /** Returns whether a register belongs to the log. */
    static boolean owns(int place) {
        return place == BAR_PLACE || place == HEAD_PLACE || place == TAIL_PLACE;
    }

    /** Writes one of the log's registers; writes that the manual leaves undefined are ignored. */
    void writeRegister(int place, long value) {
        boolean runs = PPR_LOG_RUN.isSet(registers.get(STATUS_PLACE));
        if (place == BAR_PLACE) {
            if (!runs) {
                registers.write(place, value);
                registers.set(HEAD_PLACE, 0);
                registers.set(TAIL_PLACE, 0);
            }
        } else if ((place == HEAD_PLACE || !runs)
                && AmdViRegisters.RING_POINTER.getInPlace(value) < Rings.bytes(registers.get(BAR_PLACE))) {
            registers.write(place, value);
        }
    }

    /**
     * Starts or stops the log after a write of the control register; it starts at any write while PprOverflow is clear.
     */
    void controlWritten() {
        long control = registers.get(CONTROL_PLACE);
        if (!features.pageRequests || !IOMMU_EN.isSet(control) || !PPR_LOG_EN.isSet(control)) {
            registers.clearBits(STATUS_PLACE, PPR_LOG_RUN.mask());
        } else if (!PPR_OVERFLOW.isSet(registers.get(STATUS_PLACE))) {
            registers.setBits(STATUS_PLACE, PPR_LOG_RUN.mask());
        }
    }

    void reset() {
        arrived.clear();
    }

    void addTo(StateDigest digest) {
        for (Message each : arrived) {
            digest.add(word0(each, 0));
            digest.add(each.address);
        }
    }
}
