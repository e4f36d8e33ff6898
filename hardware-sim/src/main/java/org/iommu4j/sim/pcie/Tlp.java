// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import org.iommu4j.sim.spi.TranslationUnit;

/**
 * A memory request of one 64-bit word and, once the root complex has handled it, its result.
 *
 * <p>Its device reuses it for every request, so that DMA allocates nothing. Source: PCI Express Base 5.0, section
 * 2.2.
 */
public final class Tlp {
    /** Whether it writes. */
    boolean write;

    /** Segment 31:16, and requester id 15:0 of the device itself; a bridge may have replaced the one it carries. */
    int device;

    /** The requester id that it carries: bus 15:8, device 7:3, function 2:0. */
    int requesterId;

    /** 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}. */
    int pasid = TranslationUnit.NO_PASID;

    /** Untranslated address, aligned to 8. */
    long address;

    /** Whether the device translated the address itself, to {@link #translatedAddress}. */
    boolean translated;

    /** The physical address that it carries instead of {@link #address}, if {@link #translated}. */
    long translatedAddress;

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

    Tlp() {}
}
