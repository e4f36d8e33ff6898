// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

/**
 * Why a request was blocked, by the manual's codes.
 *
 * <p>Source: VT-d 7.1.3 (DMA remapping fault conditions) and the table of fault reasons in the appendix.
 */
final class FaultReason {
    /** The root entry is not present. */
    static final int ROOT_NOT_PRESENT = 0x1;
    /** The context entry is not present. */
    static final int CONTEXT_NOT_PRESENT = 0x2;
    /** The context entry's AW or TT is not supported, or its top-level table can't be read. */
    static final int CONTEXT_INVALID = 0x3;
    /** The address is beyond the lesser of CAP.MGAW and the context entry's AW. */
    static final int ADDRESS_BEYOND = 0x4;
    /** No permission to write. */
    static final int WRITE = 0x5;
    /** No permission to read. */
    static final int READ = 0x6;
    /** A paging entry below the top level can't be read. */
    static final int TABLE_ACCESS = 0x7;
    /** The root entry can't be read. */
    static final int ROOT_ACCESS = 0x8;
    /** The context entry can't be read. */
    static final int CONTEXT_ACCESS = 0x9;
    /** A reserved bit in a present root entry. */
    static final int ROOT_RESERVED = 0xa;
    /** A reserved bit in a present context entry. */
    static final int CONTEXT_RESERVED = 0xb;
    /** A reserved bit in a paging entry with R or W. */
    static final int ENTRY_RESERVED = 0xc;
    /** The translated address lies in the interrupt address range. */
    static final int OUTPUT_INTERRUPT_RANGE = 0xe;
    /** RTADDR.TTM asks for a mode that the unit doesn't have. */
    static final int ROOT_TABLE_MODE = 0x30;
    /** A request with PASID in legacy mode. */
    static final int PASID_IN_LEGACY_MODE = 0x31;

    private FaultReason() {}

    /**
     * Returns whether a context entry's FPD suppresses recording: whether the condition was found with a context entry
     * in hand.
     */
    static boolean isQualified(int reason) {
        return switch (reason) {
            case ROOT_NOT_PRESENT, ROOT_ACCESS, CONTEXT_ACCESS, ROOT_RESERVED, ROOT_TABLE_MODE, PASID_IN_LEGACY_MODE ->
                false;
            default -> true;
        };
    }
}
