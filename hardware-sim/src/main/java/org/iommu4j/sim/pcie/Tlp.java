// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * A memory request of one 64-bit word, or a write of half of one, and, once the root complex has handled it, its
 * result.
 *
 * <p>Of a device on PCI it is a transaction layer packet; other devices' requests are the same without its attributes.
 * Its device reuses it for every request, so that DMA allocates nothing. Source: PCI Express Base 5.0, section
 * 2.2.
 */
public final class Tlp {
    /** {@link RequestFlags} READ or WRITE, EXECUTE and PRIVILEGED. */
    int flags = RequestFlags.READ;

    /** The name of its device, for the trace. */
    final String name;

    /**
     * Segment 31:16, and requester id 15:0 of the device itself; a bridge may have replaced the one it carries.
     * -1 for a device that is not on PCI.
     */
    final int device;

    /** What the unit's tables are indexed by: unsigned 32 bits. */
    int sourceId;

    /** 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}. */
    int pasid = TranslationUnit.NO_PASID;

    /** Untranslated address, aligned to {@link #bytes}. */
    long address;

    /** How many bytes it has: 8, or 4 for a write. */
    int bytes = Long.BYTES;

    /** Whether the device translated the address itself, to {@link #translatedAddress}. */
    boolean translated;

    /** The physical address that it carries instead of {@link #address}, if {@link #translated}. */
    long translatedAddress;

    /** Whether its device is coherent: snooped without asking for it. */
    boolean coherent = true;

    /** Whether the device requested no-snoop. */
    boolean noSnoopWished;

    /** The no-snoop attribute. */
    boolean noSnoop;

    /** The relaxed-ordering attribute. No effect: requests take effect in order. */
    boolean relaxedOrdering;

    /** The value to write, or the value read; all ones after a refused read. */
    long data;

    /** The result. */
    RequestStatus status = RequestStatus.DONE;

    /** The translation unit's fault code with {@link RequestStatus#TRANSLATION_FAULT}, else 0. */
    int fault;

    Tlp(String name, int device) {
        this.name = name;
        this.device = device;
    }

    /**
     * Starts another request; attributes that are not given have their ordinary values.
     *
     * @param length in bytes: 8, or 4 for a write
     */
    void begin(long iova, int requestFlags, int length) {
        if ((iova & length - 1) != 0) {
            throw new IllegalArgumentException("device " + name + " can't access 0x" + Long.toHexString(iova)
                    + ": expected an address aligned to " + length);
        }
        address = iova;
        bytes = length;
        flags = requestFlags;
        fault = 0;
        noSnoopWished = false;
        noSnoop = false;
        translated = false;
    }

    /** Returns whether it writes. */
    boolean writes() {
        return RequestFlags.writes(flags);
    }
}
