// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

/** What came of a device's request. */
public enum RequestStatus {
    /** It was done. */
    DONE,
    /** The translation unit refused it and recorded a fault. */
    TRANSLATION_FAULT,
    /** The page is not there: the function waits for it, and has asked for it if it may have one more request. */
    PAGE_AWAITED,
    /** It was never sent: the function's Bus Master Enable is clear. */
    BUS_MASTER_DISABLED,
    /** A bridge with Bus Master Enable clear, or the root complex, did not take it. */
    UNSUPPORTED_REQUEST,
    /** It was a write into the interrupt window: an interrupt request, which reaches no memory. */
    INTERRUPT
}
