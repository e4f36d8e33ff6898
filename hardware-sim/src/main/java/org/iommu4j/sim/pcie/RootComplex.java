// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Objects;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/**
 * Receives requests from below, and passes them through the translation unit into memory, snooped or not.
 *
 * <p>A request with the no-snoop attribute goes past the caches unless the unit forces it to be snooped. Writes from
 * 0xFEE00000 to 0xFEEFFFFF are interrupt requests and neither translated nor stored; reads there are unsupported (VT-d
 * specification, section on interrupt address ranges; AMD64 manual, APIC's message window). Has no state and allocates
 * nothing.
 */
public final class RootComplex {
    private static final long INTERRUPT_WINDOW = 0xfee00000L;
    private static final long INTERRUPT_WINDOW_SIZE = 0x100000L;

    private final Fabric fabric;
    private final Trace trace;

    /** Makes a root complex in front of memory. */
    public RootComplex(Fabric fabric, Trace trace) {
        Objects.requireNonNull(fabric, "fabric");
        Objects.requireNonNull(trace, "trace");
        this.fabric = fabric;
        this.trace = trace;
    }

    /**
     * Handles a request and fills in its result.
     *
     * @param unit the translation unit on its way, null when there is none
     */
    void handle(Tlp tlp, @Nullable TranslationUnit unit) {
        tlp.fault = 0;
        if (isInterrupt(tlp.address)) {
            refuse(tlp, tlp.write ? RequestStatus.INTERRUPT : RequestStatus.UNSUPPORTED_REQUEST);
            return;
        }
        long translation = unit == null
                ? Translation.to(tlp.address, false)
                : tlp.translated
                        ? unit.passTranslated(tlp.requesterId, tlp.pasid, tlp.translatedAddress, tlp.write)
                        : unit.translate(tlp.requesterId, tlp.pasid, tlp.address, tlp.write);
        if (Translation.isFault(translation)) {
            tlp.fault = Translation.faultCode(translation);
            refuse(tlp, RequestStatus.TRANSLATION_FAULT);
            return;
        }
        boolean blocked = tlp.noSnoop && Translation.snoopForced(translation);
        boolean snoop = !tlp.noSnoop || blocked;
        long physicalAddress = Translation.address(translation);
        if (tlp.write) {
            fabric.write(physicalAddress, tlp.data, snoop);
        } else {
            tlp.data = fabric.read(physicalAddress, snoop);
        }
        tlp.status = RequestStatus.DONE;
        if (trace.isOn()) {
            int flags = attributes(tlp)
                    | (blocked ? Trace.NO_SNOOP_BLOCKED : 0)
                    | (snoop ? 0 : Trace.UNSNOOPED)
                    | (fabric.isMemory(physicalAddress) ? 0 : Trace.FAULT);
            trace.dma(kind(tlp), tlp.device, tlp.address, physicalAddress, tlp.data, flags, 0);
        }
    }

    /** Returns whether an untranslated address belongs to interrupts. */
    static boolean isInterrupt(long address) {
        return address >= INTERRUPT_WINDOW && address < INTERRUPT_WINDOW + INTERRUPT_WINDOW_SIZE;
    }

    /** Records a device's page request. */
    void notePageRequest(int device, long page) {
        if (trace.isOn()) {
            trace.dma(TraceKind.PAGE_REQUEST, device, page, -1L, 0, 0, 0);
        }
    }

    /** Ends a request that reaches no memory. */
    void refuse(Tlp tlp, RequestStatus status) {
        tlp.status = status;
        if (!tlp.write) {
            tlp.data = -1L;
        }
        if (trace.isOn()) {
            boolean interrupt = status == RequestStatus.INTERRUPT;
            trace.dma(
                    interrupt ? TraceKind.INTERRUPT : kind(tlp),
                    tlp.device,
                    tlp.address,
                    -1L,
                    tlp.data,
                    attributes(tlp) | (interrupt ? 0 : Trace.FAULT),
                    tlp.fault);
        }
    }

    private static TraceKind kind(Tlp tlp) {
        return tlp.write ? TraceKind.DMA_WRITE : TraceKind.DMA_READ;
    }

    private static int attributes(Tlp tlp) {
        return (tlp.noSnoopWished ? Trace.NO_SNOOP_REQUESTED : 0) | (tlp.noSnoop ? Trace.NO_SNOOP_SENT : 0);
    }
}
