// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Translation;

/** What both modes answer a request with: a {@link Translation} that may say that its fault is not to be recorded. */
final class Translations {
    /** Bits of a physical address. */
    private static final int PHYSICAL_BITS = 52;

    /** Bits 31:20 of every address that is an interrupt. */
    private static final long INTERRUPT_RANGE = 0xfee;

    /** In a fault's code, above the reason: FPD suppresses recording. */
    private static final int SILENT = 0x100;

    private Translations() {}

    static boolean isInterrupt(long address) {
        return address >>> 20 == INTERRUPT_RANGE;
    }

    /** Returns the translation of an address to itself. */
    static long unchanged(long address) {
        // There is no memory beyond what a physical address can say; don't let such an address wrap around to some.
        return Translation.to(address >>> PHYSICAL_BITS == 0 ? address : -1L, false);
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
