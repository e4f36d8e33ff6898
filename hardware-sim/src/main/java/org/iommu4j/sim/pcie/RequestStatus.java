// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

/** The result of a device's request. */
public enum RequestStatus {
    /** It completed. */
    DONE,
    /** The translation unit refused it and recorded a fault. */
    TRANSLATION_FAULT,
    /** The page is not present: the function waits for it, and has requested it if it may send one more request. */
    PAGE_AWAITED,
    /** It was never sent: the function's Bus Master Enable is clear. */
    BUS_MASTER_DISABLED,
    /** A bridge with Bus Master Enable clear, or the root complex, did not accept it. */
    UNSUPPORTED_REQUEST,
    /** It was a write into the interrupt window: an interrupt request, which reaches no memory. */
    INTERRUPT,
    /** It was a write that the translation unit took itself: it reaches no memory. */
    CONSUMED,
    /** It was a read of a word that is corrupt beyond repair. */
    POISONED;

    /** Returns whether it was done, by memory, as an interrupt or by the unit. */
    public boolean isAccepted() {
        return this == DONE || this == INTERRUPT || this == CONSUMED;
    }
}
