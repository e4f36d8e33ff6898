// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InterruptWindow;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/**
 * Receives requests of devices, and passes them through the translation unit into memory, snooped or not.
 *
 * <p>A request goes past the caches when it has the no-snoop attribute, when its device is not coherent, or when the
 * unit gives it a memory type that is not cached; unless the unit forces it to be snooped. Where the machine has an
 * {@link InterruptWindow}, writes there are interrupt requests and neither translated nor stored, and reads are
 * unsupported. A write that the unit takes itself reaches no memory. Has no state and allocates nothing.
 */
public final class RootComplex {
    private final Fabric fabric;
    private final Trace trace;
    private final long windowStart;

    /** 0 without a window. */
    private final long windowSize;

    /** Makes a root complex in front of memory. */
    public RootComplex(Fabric fabric, Trace trace, Optional<InterruptWindow> interruptWindow) {
        Objects.requireNonNull(fabric, "fabric");
        Objects.requireNonNull(trace, "trace");
        Objects.requireNonNull(interruptWindow, "interruptWindow");
        this.fabric = fabric;
        this.trace = trace;
        windowStart = interruptWindow.map(InterruptWindow::start).orElse(0L);
        windowSize = interruptWindow.map(InterruptWindow::size).orElse(0L);
    }

    /**
     * Handles a request and fills in its result.
     *
     * @param unit the translation unit on its way, null when there is none
     */
    void handle(Tlp tlp, @Nullable TranslationUnit unit) {
        tlp.fault = 0;
        if (isInterrupt(tlp.address)) {
            refuse(tlp, tlp.writes() ? RequestStatus.INTERRUPT : RequestStatus.UNSUPPORTED_REQUEST);
            return;
        }
        long translation = unit == null
                ? Translation.to(tlp.address, false)
                : tlp.translated
                        ? unit.passTranslated(tlp.sourceId, tlp.pasid, tlp.translatedAddress, tlp.flags)
                        : unit.translate(tlp.sourceId, tlp.pasid, tlp.address, tlp.flags);
        if (Translation.isFault(translation)) {
            tlp.fault = Translation.faultCode(translation);
            refuse(tlp, RequestStatus.TRANSLATION_FAULT);
            return;
        }
        if (unit != null && Translation.isConsumed(translation)) {
            long address = tlp.translated ? tlp.translatedAddress : tlp.address;
            tlp.fault = unit.consume(
                    translation, tlp.sourceId, tlp.pasid, address, tlp.flags, tlp.data, tlp.bytes);
            refuse(tlp, tlp.fault == 0 ? RequestStatus.CONSUMED : RequestStatus.TRANSLATION_FAULT);
            return;
        }
        access(tlp, translation);
    }

    private void access(Tlp tlp, long translation) {
        boolean snoop = Translation.snoopForced(translation) || wantsSnoop(tlp, translation);
        long physicalAddress = Translation.address(translation);
        tlp.status = RequestStatus.DONE;
        if (tlp.bytes == Integer.BYTES) {
            fabric.write32(physicalAddress, (int) tlp.data, snoop);
        } else if (tlp.writes()) {
            fabric.write(physicalAddress, tlp.data, snoop);
        } else {
            tlp.data = fabric.read(physicalAddress, snoop);
            if (tlp.data == -1L && fabric.status(physicalAddress, snoop) == AccessStatus.POISON) {
                tlp.status = RequestStatus.POISONED;
            }
        }
        if (trace.isOn()) {
            boolean done = fabric.isMemory(physicalAddress) && tlp.status == RequestStatus.DONE;
            int flags = attributes(tlp)
                    | (tlp.noSnoop && Translation.snoopForced(translation) ? Trace.NO_SNOOP_BLOCKED : 0)
                    | (snoop ? 0 : Trace.UNSNOOPED)
                    | (done ? 0 : Trace.FAULT);
            trace.dma(kind(tlp), tlp.name, tlp.device, tlp.address, physicalAddress, tlp.data, flags, 0);
        }
    }

    private static boolean wantsSnoop(Tlp tlp, long translation) {
        return switch (Translation.memoryType(translation)) {
            case AS_REQUESTED -> tlp.coherent && !tlp.noSnoop;
            case WRITE_BACK -> !tlp.noSnoop;
            case NON_CACHEABLE, DEVICE -> false;
        };
    }

    /** Returns whether an untranslated address belongs to interrupts. */
    boolean isInterrupt(long address) {
        return Long.compareUnsigned(address - windowStart, windowSize) < 0;
    }

    /** Records a device's page request. */
    void notePageRequest(Tlp tlp, long page) {
        if (trace.isOn()) {
            trace.dma(TraceKind.PAGE_REQUEST, tlp.name, tlp.device, page, -1L, 0, 0, 0);
        }
    }

    /** Ends a request that reaches no memory. */
    void refuse(Tlp tlp, RequestStatus status) {
        tlp.status = status;
        if (!tlp.writes()) {
            tlp.data = -1L;
        }
        if (trace.isOn()) {
            boolean interrupt = status == RequestStatus.INTERRUPT || status == RequestStatus.CONSUMED;
            trace.dma(
                    interrupt ? TraceKind.INTERRUPT : kind(tlp),
                    tlp.name,
                    tlp.device,
                    tlp.address,
                    -1L,
                    tlp.data,
                    attributes(tlp) | (interrupt ? 0 : Trace.FAULT),
                    tlp.fault);
        }
    }

    private static TraceKind kind(Tlp tlp) {
        return tlp.writes() ? TraceKind.DMA_WRITE : TraceKind.DMA_READ;
    }

    private static int attributes(Tlp tlp) {
        return (tlp.bytes == Integer.BYTES ? Trace.HALF : 0)
                | (tlp.noSnoopWished ? Trace.NO_SNOOP_REQUESTED : 0) | (tlp.noSnoop ? Trace.NO_SNOOP_SENT : 0);
    }
}
