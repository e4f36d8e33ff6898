// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import java.util.ArrayDeque;
import java.util.Queue;
import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * The page-request queue, and the answers that the unit itself gives. Source: manual, "Page-Request-Queue" and "PCIe
 * ATS Page Request handling".
 */
final class PageRequestQueue extends RecordQueue {
    private static final int BYTES = 16;

    // A record; its first word is otherwise a fault's
    private static final BitField EXEC = bit(34, "EXEC");
    private static final BitField R = bit(0, "R");
    private static final BitField W = bit(1, "W");
    private static final BitField L = bit(2, "L");
    private static final BitField GROUP = bits(11, 3, "Page Request Group Index");
    private static final BitField ADDRESS = bits(63, 12, "Page Address");

    // Response codes of PCI Express
    private static final int SUCCESS = 0;
    private static final int INVALID_REQUEST = 1;
    private static final int RESPONSE_FAILURE = 15;

    private final Fabric fabric;
    private final Control control;
    private final DeviceDirectory devices;
    private final Caches caches;
    private final FaultQueue faults;
    private final Request request = new Request();

    /** Messages that have arrived and are not handled yet. */
    private final Queue<Message> arrived = new ArrayDeque<>();

    private record Message(int device, int process, long address, int flags, int group) {
        boolean has(int flag) {
            return process != TranslationUnit.NO_PASID && (flags & flag) != 0;
        }

        /** Returns whether the device waits for an answer: the last of a group does, a stop marker does not. */
        boolean isAnswered() {
            return (flags & RequestFlags.LAST) != 0 && (flags & (RequestFlags.READ | RequestFlags.WRITE)) != 0;
        }

        long payload() {
            return ADDRESS.getInPlace(address)
                    | GROUP.of(group)
                    | ((flags & RequestFlags.READ) != 0 ? R.mask() : 0)
                    | ((flags & RequestFlags.WRITE) != 0 ? W.mask() : 0)
                    | ((flags & RequestFlags.LAST) != 0 ? L.mask() : 0);
        }
    }

    PageRequestQueue(
            Interrupts interrupts,
            Features features,
            Memory memory,
            Fabric fabric,
            Control control,
            DeviceDirectory devices,
            Caches caches,
            FaultQueue faults) {
        super(interrupts, features, Interrupts.PIP, BYTES, memory, control);
        this.fabric = fabric;
        this.control = control;
        this.devices = devices;
        this.caches = caches;
        this.faults = faults;
    }

    @Override
    void reset() {
        super.reset();
        arrived.clear();
    }

    void arrive(int device, int process, long address, int flags, int group) {
        arrived.add(new Message(device, process, address, flags, group));
    }

    /** Handles one message, and returns whether there was any. */
    boolean step() {
        Message message = arrived.poll();
        if (message != null) {
            handle(message);
        }
        return message != null;
    }

    private void handle(Message message) {
        request.begin(Request.UNTRANSLATED, message.device, message.process, message.address);
        request.privileged = message.has(RequestFlags.PRIVILEGED);
        request.epoch = caches.epoch.current();
        locate();
        DeviceContext context = request.context;
        boolean prpr = context != null && context.is(DeviceContext.PRPR);
        if (request.cause != Cause.NONE) {
            faults.recordMessage(request);
            boolean invalid = request.cause == Cause.TYPE_DISALLOWED;
            answer(message, invalid ? INVALID_REQUEST : RESPONSE_FAILURE, prpr);
            return;
        }
        long ids = FaultQueue.ids(request) | (message.has(RequestFlags.EXECUTE) ? EXEC.mask() : 0);
        if (!write(ids, message.payload(), 0, 0, false)) {
            answer(message, !isOn() || has(MEMORY_FAULT) ? RESPONSE_FAILURE : SUCCESS, prpr);
        }
    }

    /** Finds out whether the device may send page requests; the request's cause says why not. */
    private void locate() {
        long ddtp = control.directory();
        switch (Control.mode(ddtp)) {
            case Control.OFF -> request.fault(Cause.ALL_DISALLOWED);
            case Control.BARE -> request.fault(Cause.TYPE_DISALLOWED);
            default -> {
                DeviceContext context = devices.locate(request, ddtp);
                if (context != null && !context.is(DeviceContext.EN_PRI)) { // which needs EN_ATS
                    request.fault(Cause.TYPE_DISALLOWED);
                }
            }
        }
    }

    private void answer(Message message, int code, boolean prpr) {
        if (message.isAnswered()) {
            boolean withPasid = prpr || code == RESPONSE_FAILURE;
            fabric.respondToPageRequest(
                    message.device, withPasid ? message.process : TranslationUnit.NO_PASID, message.group, code);
        }
    }

    @Override
    void addTo(StateDigest digest) {
        super.addTo(digest);
        for (Message each : arrived) {
            digest.add(each.device);
            digest.add(each.process);
            digest.add(each.payload());
            digest.add(each.flags);
        }
    }
}
