// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Translation;

/** Answers of both modes: a {@link Translation}, perhaps with a mark that its fault is not recorded. */
final class Translations {
    /** Bits of a physical address. */
    private static final int PHYSICAL_BITS = 52;

    /** Bits 31:20 of every address of interrupts. */
    private static final long INTERRUPT_RANGE = 0xfee;

    /** In a fault's code, above the reason: FPD suppresses recording. */
    private static final int SILENT = 0x100;

    private Translations() {}

    static boolean isInterrupt(long address) {
        return address >>> 20 == INTERRUPT_RANGE;
    }

    /** Returns the translation of an address to itself. */
    static long unchanged(long address) {
        // No memory lies beyond the width of a physical address; such an address must not wrap around to memory.
        return Translation.to(address >>> PHYSICAL_BITS == 0 ? address : (1L << PHYSICAL_BITS) - 1, false);
    }

    static long fault(int reason, boolean silent) {
        return Translation.fault(silent ? reason | SILENT : reason);
    }

    static int reason(long fault) {
        return Translation.faultCode(fault) & 0xff;
    }

    static boolean isSilent(long fault) {
        return (Translation.faultCode(fault) & SILENT) != 0;
    }
}
