// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.StateDigest;

/** The translation-request registers. Source: manual, "Debug support". Writes while a request is busy are ignored. */
final class DebugTranslation {
    private static final BitField VPN = bits(63, 12, "vpn");
    private static final BitField GO = bit(0, "Go/Busy");
    private static final BitField PRIV = bit(1, "Priv");
    private static final BitField EXE = bit(2, "Exe");
    private static final BitField NW = bit(3, "NW");
    private static final BitField PID = bits(31, 12, "PID");
    private static final BitField PV = bit(32, "PV");
    private static final BitField DID = bits(63, 40, "DID");
    private static final long WRITABLE =
            GO.mask() | PRIV.mask() | EXE.mask() | NW.mask() | PID.mask() | PV.mask() | DID.mask();

    private static final BitField FAULT = bit(0, "fault");
    private static final BitField PBMT = bits(8, 7, "PBMT");
    private static final BitField S = bit(9, "S");
    private static final BitField PPN = bits(53, 10, "PPN");

    private final Translator translator;
    private final FaultQueue faults;
    private final Request request = new Request();
    private long address;
    private long control;
    private long response;

    DebugTranslation(Translator translator, FaultQueue faults) {
        this.translator = translator;
        this.faults = faults;
    }

    void reset() {
        address = 0;
        control = 0;
        response = 0;
    }

    long address() {
        return address;
    }

    void writeAddress(long value) {
        if (!GO.isSet(control)) {
            address = VPN.getInPlace(value);
        }
    }

    long control() {
        return control;
    }

    void writeControl(long value) {
        if (!GO.isSet(control)) {
            control = value & WRITABLE;
        }
    }

    long response() {
        return response;
    }

    /** Answers the request, and returns whether there was one. */
    boolean step() {
        if (!GO.isSet(control)) {
            return false;
        }
        boolean process = PV.isSet(control);
        request.begin(Request.UNTRANSLATED, (int) DID.get(control), process ? (int) PID.get(control) : -1, address);
        request.privileged = process && PRIV.isSet(control);
        request.wanted = NW.isSet(control) ? EXE.isSet(control) ? Pte.X : Pte.R : Pte.R | Pte.W;
        translator.translate(request);
        if (request.isForMrif()) {
            request.fault(Cause.TYPE_DISALLOWED);
        }
        if (request.cause == Cause.NONE) {
            response = PBMT.of(request.memoryType) | sized(request.translated >>> 12, request.shift - 12);
        } else {
            response = FAULT.mask();
            faults.record(request);
        }
        control &= ~GO.mask();
        return true;
    }

    /** Returns S, and the page number with the size of the range in its low bits. */
    private static long sized(long page, int pageBits) {
        if (pageBits == 0) {
            return PPN.of(page);
        }
        long low = (1L << pageBits) - 1;
        return S.mask() | PPN.of((page & ~low) | (low >>> 1));
    }

    void addTo(StateDigest digest) {
        digest.add(address);
        digest.add(control);
        digest.add(response);
    }
}
