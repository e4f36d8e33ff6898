// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;

/** The fault queue. Source: manual, "Fault/Event-Queue". */
final class FaultQueue extends RecordQueue {
    private static final int BYTES = 32;

    // The first word of a record; that of a page request has PID to PRIV and DID alike
    private static final BitField CAUSE = bits(11, 0, "CAUSE");
    static final BitField PID = bits(31, 12, "PID");
    static final BitField PV = bit(32, "PV");
    static final BitField PRIV = bit(33, "PRIV");
    private static final BitField TTYP = bits(39, 34, "TTYP");
    static final BitField DID = bits(63, 40, "DID");

    private static final int TTYP_MESSAGE = 9;

    /** The message code of a page request, in PCI Express. */
    private static final long PAGE_REQUEST = 4;

    FaultQueue(Interrupts interrupts, Features features, Memory memory, Control control) {
        super(interrupts, features, Interrupts.FIP, BYTES, memory, control);
    }

    /** Records a request's fault, unless its device's context has DTF and that hides it. */
    void record(Request request) {
        if (isReported(request)) {
            write(
                    CAUSE.of(request.cause) | TTYP.of(request.ttyp()) | ids(request),
                    0,
                    request.address,
                    request.iotval2,
                    true);
        }
    }

    /** Records the fault of a page request. */
    void recordMessage(Request request) {
        if (isReported(request)) {
            write(CAUSE.of(request.cause) | TTYP.of(TTYP_MESSAGE) | ids(request), 0, PAGE_REQUEST, 0, true);
        }
    }

    /** Records that memory did not take an interrupt's message. */
    void recordRefusedInterrupt(long address) {
        write(CAUSE.of(Cause.MSI_WRITE), 0, address, 0, true);
    }

    private static boolean isReported(Request request) {
        DeviceContext context = request.context;
        return context == null || !context.is(DeviceContext.DTF) || Cause.isReportedWithDtf(request.cause);
    }

    /** Returns the fields of a record that say whose the request is. */
    static long ids(Request request) {
        return DID.of(request.device & DID.max())
                | (request.hasProcess() ? PV.mask() | PID.of(request.process) : 0)
                | (request.privileged ? PRIV.mask() : 0);
    }
}
