// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.Access.READ_ONLY;
import static org.iommu4j.bits.Access.READ_WRITE;
import static org.iommu4j.bits.Access.WRITE_1_TO_CLEAR;
import static org.iommu4j.bits.BitField.absolute;
import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Page requests of devices: the queue in memory, its registers and event, and the answers.
 *
 * <p>Source: VT-d 7.4 to 7.6, 7.10 and 11.4.11. Messages that have arrived wait here until {@link #step}, or until a
 * wait descriptor asks for draining. A request that the tables allow is written to the queue, snooped; a full queue
 * sets PRO instead. While PRO is set nothing is written, and the last request of each group is answered with success,
 * so that its device tries again. Callers hold the unit's lock.
 */
final class VtdPageRequestQueue {
    /** Offset of the first register. */
    private static final int FIRST = 0xc0;

    /** Offset after the last register. */
    static final int END = 0xf0;

    private static final BitField POINTER = bits(18, 5, "PQH");
    private static final Register PQH =
            Register.of("PQH", 0xc0, 64, "VT-d 11.4.11.1").field(POINTER, READ_WRITE);
    private static final Register PQT =
            Register.of("PQT", 0xc8, 64, "VT-d 11.4.11.2").field(POINTER, READ_WRITE);

    private static final BitField PQ_ADDRESS = bits(63, 12, "PQA");
    private static final BitField PQS = bits(2, 0, "PQS");
    private static final Register PQA = Register.of("PQA", 0xd0, 64, "VT-d 11.4.11.3")
            .field(PQ_ADDRESS, READ_WRITE)
            .field(PQS, READ_WRITE);

    private static final BitField PRO = bit(1, "PRO");
    private static final BitField PPR = bit(0, "PPR");
    private static final Register PRS = Register.of("PRS", 0xdc, 32, "VT-d 11.4.11.4")
            .field(PRO, WRITE_1_TO_CLEAR)
            .field(PPR, WRITE_1_TO_CLEAR);

    private static final Register PECTL = Register.of("PECTL", 0xe0, 32, "VT-d 11.4.11.5")
            .field(VtdRegisters.IM, READ_WRITE)
            .field(VtdRegisters.IP, READ_ONLY);
    private static final Register PEDATA =
            Register.of("PEDATA", 0xe4, 32, "VT-d 11.4.11.6").field(bits(31, 0, "IMD"), READ_WRITE);
    private static final Register PEADDR =
            Register.of("PEADDR", 0xe8, 32, "VT-d 11.4.11.7").field(bits(31, 2, "MA"), READ_WRITE);
    private static final Register PEUADDR =
            Register.of("PEUADDR", 0xec, 32, "VT-d 11.4.11.8").field(bits(31, 0, "MUA"), READ_WRITE);

    // Page request descriptor, 7.4.1.1
    private static final int BYTES = 32;
    private static final BitField TYPE = bits(7, 0, "TYPE");
    private static final int PAGE_REQUEST = 1;
    private static final BitField PP = bit(8, "PP");
    private static final BitField RID = bits(31, 16, "RID");
    private static final BitField PASID = bits(51, 32, "PASID");
    private static final BitField EXR = bit(52, "EXR");
    private static final BitField PMR = bit(53, "PMR");
    private static final BitField RDR = absolute(64, 64, "RDR");
    private static final BitField WRR = absolute(65, 65, "WRR");
    private static final BitField LPIG = absolute(66, 66, "LPIG");
    private static final BitField PRGI = absolute(75, 67, "PRGI");
    private static final BitField ADDR = absolute(127, 76, "ADDR");

    // Page group response descriptor, 6.5.2.8 and 7.6.1; the third and fourth word are private data once, and ignored
    private static final BitField RESPONSE_PP = bit(4, "PP");
    private static final BitField RC = bits(15, 12, "RC");
    private static final BitField LRQ = absolute(66, 66, "LPIG");
    private static final Layout RESPONSE = Layout.of(
            "page group response (7.6.1)",
            2,
            bits(3, 0, "TYPE"),
            RESPONSE_PP,
            bits(11, 9, "TYPE[6:4]"),
            RC,
            RID,
            PASID,
            LRQ,
            PRGI);
    private static final long RESPONSE_RESERVED_LOW = RESPONSE.reserved(0);
    private static final long RESPONSE_RESERVED_HIGH = RESPONSE.reserved(1);

    private static final int SUCCESS = 0;
    private static final int INVALID_REQUEST = 1;
    private static final int RESPONSE_FAILURE = 0xf;

    private final boolean supported;
    private final Fabric fabric;
    private final Check check;
    private final EventControl event = new EventControl(PECTL);

    /** Messages that have arrived and are not handled yet. */
    private final Queue<Message> arrived = new ArrayDeque<>();

    private long head;
    private long tail;
    private long address;
    private int status;

    /** PEDATA, PEADDR and PEUADDR, which have no effect. */
    private final int[] message = new int[3];

    /** Returns whether a device may send page requests, and records the fault when it may not. */
    @FunctionalInterface
    interface Check {
        boolean allows(int requesterId, int pasid, long address, boolean write);
    }

    private record Message(int requesterId, int pasid, long address, int flags, int group) {
        boolean has(int flag) {
            return (flags & flag) != 0;
        }
    }

    VtdPageRequestQueue(VtdCapabilities capabilities, Fabric fabric, Check check) {
        this.supported = capabilities.pageRequests;
        this.fabric = fabric;
        this.check = check;
    }

    /** Receives a message; a unit without page requests drops it. */
    void arrive(int requesterId, int pasid, long page, int flags, int group) {
        if (supported) {
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

    /** Handles all messages that have arrived. */
    void drain() {
        while (step()) {
            // one after the other
        }
    }

    private void handle(Message request) {
        if (!check.allows(request.requesterId, request.pasid, request.address, request.has(RequestFlags.WRITE))) {
            answer(request, INVALID_REQUEST);
            return;
        }
        long bytes = 4096L << PQS.get(address);
        long next = (tail + BYTES) % bytes;
        if (PRO.isSet(status) || next == head) {
            raise(PRO);
            answer(request, SUCCESS);
            return;
        }
        long at = PQ_ADDRESS.getInPlace(address) + tail;
        boolean withPasid = request.pasid != TranslationUnit.NO_PASID;
        fabric.write(
                at,
                TYPE.of(PAGE_REQUEST)
                        | RID.of(request.requesterId)
                        | (request.has(RequestFlags.EXECUTE) ? EXR.mask() : 0)
                        | (request.has(RequestFlags.PRIVILEGED) ? PMR.mask() : 0)
                        | (withPasid ? PP.mask() | PASID.of(request.pasid) : 0),
                true);
        fabric.write(
                at + 8,
                (request.has(RequestFlags.READ) ? RDR.mask() : 0)
                        | (request.has(RequestFlags.WRITE) ? WRR.mask() : 0)
                        | (request.has(RequestFlags.LAST) ? LPIG.mask() : 0)
                        | PRGI.of(request.group)
                        | ADDR.getInPlace(request.address),
                true);
        fabric.write(at + 16, 0, true);
        fabric.write(at + 24, 0, true);
        tail = next;
        raise(PPR);
    }

    private void answer(Message request, int code) {
        if (request.has(RequestFlags.LAST)) {
            fabric.respondToPageRequest(request.requesterId, request.pasid, request.group, code);
        }
    }

    private void raise(BitField condition) {
        // A condition that arises while software has another to service raises no new interrupt.
        boolean first = status == 0;
        status |= (int) condition.mask();
        if (first) {
            event.raise();
        }
    }

    /**
     * Sends the answer of a page group response descriptor.
     *
     * @return false when a bit or value in it is reserved
     */
    boolean respond(long low, long high) {
        int code = (int) RC.get(low);
        if ((low & RESPONSE_RESERVED_LOW) != 0
                || (high & RESPONSE_RESERVED_HIGH) != 0
                || (code != SUCCESS && code != INVALID_REQUEST && code != RESPONSE_FAILURE)) {
            return false;
        }
        fabric.respondToPageRequest(
                (int) RID.get(low),
                RESPONSE_PP.isSet(low) ? (int) PASID.get(low) : TranslationUnit.NO_PASID,
                (int) PRGI.get(high),
                code);
        return true;
    }

    // Registers

    /** Returns whether the 64 bits at an offset belong to these registers. */
    static boolean isRegister(int offset) {
        return offset >= FIRST && offset < END;
    }

    /** Reads the 64 bits at an offset; 0 without page requests. */
    long read(int offset) {
        return switch (offset) {
            case 0xc0 -> head;
            case 0xc8 -> tail;
            case 0xd0 -> address;
            case 0xd8 -> (long) status << 32;
            case 0xe0 -> supported ? pair(event.value(), message[0]) : 0;
            default -> pair(message[1], message[2]);
        };
    }

    private static long pair(int low, int high) {
        return (low & 0xffffffffL) | (long) high << 32;
    }

    /**
     * Writes one or both halves of the 64 bits at an offset.
     *
     * @param value the 64 bits after the write, except for bits that clear by writing 1
     */
    void write(int offset, long value, boolean low, boolean high) {
        if (!supported) {
            return;
        }
        int upper = (int) (value >>> 32);
        switch (offset) {
            case 0xc0 -> head = PQH.afterWrite(head, value);
            case 0xc8 -> tail = PQT.afterWrite(tail, value);
            case 0xd0 -> address = PQA.afterWrite(address, value);
            case 0xd8 -> {
                if (high) {
                    status = (int) PRS.afterWrite(status, upper);
                    if (status == 0) {
                        event.serviced();
                    }
                }
            }
            case 0xe0 -> {
                if (low) {
                    event.write((int) value);
                }
                message[0] = high ? (int) PEDATA.afterWrite(message[0], upper) : message[0];
            }
            default -> {
                message[1] = low ? (int) PEADDR.afterWrite(message[1], value) : message[1];
                message[2] = high ? (int) PEUADDR.afterWrite(message[2], upper) : message[2];
            }
        }
    }

    void reset() {
        arrived.clear();
        head = 0;
        tail = 0;
        address = 0;
        status = 0;
        Arrays.fill(message, 0);
        event.reset();
    }

    void addTo(StateDigest digest) {
        for (Message each : arrived) {
            digest.add(each.requesterId);
            digest.add(each.pasid);
            digest.add(each.address | each.flags);
            digest.add(each.group);
        }
        digest.add(head);
        digest.add(tail);
        digest.add(address);
        digest.add(status);
        for (int word : message) {
            digest.add(word);
        }
        event.addTo(digest);
    }
}
