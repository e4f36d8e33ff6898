// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.trace;

/** The kinds of events. */
public enum TraceKind {
    /** A CPU loaded a word and saw the value. */
    LOAD,
    /** A CPU stored a word. */
    STORE,
    /** A CPU flushed the line of an address from all caches. */
    CLFLUSH,
    /** A CPU asked to flush the line of an address from all caches; it need not have happened yet. */
    CLFLUSHOPT,
    /** A CPU asked to write the line of an address back, if modified; it need not have happened yet. */
    CLWB,
    /** A CPU wrote back and invalidated its private caches and the shared one. */
    WBINVD,
    /** A CPU wrote back its private caches and the shared one, and left their lines. */
    WBNOINVD,
    /** A CPU invalidated its private caches and the shared one without writing back. */
    INVD,
    /** A guest executed WBINVD; its effects follow, if any. */
    GUEST_WBINVD,
    /** A CPU ordered its stores. */
    SFENCE,
    /** A CPU ordered its accesses. */
    MFENCE,
    /** A device read a word and saw the value. */
    DMA_READ,
    /** A device wrote a word. */
    DMA_WRITE,
    /** A device wrote into the interrupt window, or the translation unit took the write: no DMA. */
    INTERRUPT,
    /** A device requested a page. */
    PAGE_REQUEST,
    /**
     * A translation unit answered a group of page requests: the address is the source id, the value the answer.
     */
    PAGE_RESPONSE,
    /** A translation unit read a word of a table or a queue. */
    UNIT_READ,
    /** A translation unit wrote a word, or half of one, such as a status or a fault record. */
    UNIT_WRITE,
    /** A driver read a register. */
    REGISTER_READ,
    /** A driver wrote a register. */
    REGISTER_WRITE,
    /** A line was taken into a cache. */
    FILL,
    /** A line left a cache because its slot was needed, or by an explicit event. */
    EVICT,
    /** A line left a cache because another agent took it, or because it was flushed. */
    INVALIDATE,
    /** A modified line was written to DRAM. */
    WRITE_BACK,
    /** Words left a CPU's write-combining buffer for DRAM; the line is what DRAM holds then. */
    DRAIN,
    /** A remark for readers. */
    NOTE
}
