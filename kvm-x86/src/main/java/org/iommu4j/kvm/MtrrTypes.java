// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import org.iommu4j.platform.MemoryType;

/** Memory types as MTRRs and second-stage entries have them, and how they combine with those of PAT entries. */
final class MtrrTypes {
    private MtrrTypes() {}

    /** Returns whether an MTRR or a second-stage entry can have a type: all but UC-. */
    static boolean has(MemoryType type) {
        return type != MemoryType.UC_MINUS;
    }

    /**
     * Returns the number of a type in an MTRR and in bits 5:3 of a second-stage entry.
     *
     * <p>Source: Intel SDM volume 3, table 12-8.
     *
     * @throws IllegalArgumentException when the type is UC-
     */
    static int encoding(MemoryType type) {
        return switch (type) {
            case UC -> 0;
            case WC -> 1;
            case WT -> 4;
            case WP -> 5;
            case WB -> 6;
            case UC_MINUS -> throw ofPatAlone();
        };
    }

    /**
     * Returns the type of an access to a page whose MTRR, or second-stage entry, states a type.
     *
     * <p>Source: Intel SDM volume 3, section 12.5.2.2, table 12-7; the section on EPT and memory typing has a
     * second-stage entry in the place of the MTRR.
     *
     * @param stated the type that the MTRR, or the entry, states
     * @param pat the type in the PAT entry that the page selects
     * @return never UC-
     * @throws IllegalArgumentException when the stated type is UC-
     */
    static MemoryType combined(MemoryType stated, MemoryType pat) {
        if (!has(stated)) {
            throw ofPatAlone();
        }
        return switch (pat) {
            case UC -> MemoryType.UC;
            case WC -> MemoryType.WC;
            case UC_MINUS -> stated == MemoryType.WC || stated == MemoryType.WP ? MemoryType.WC : MemoryType.UC;
            case WB -> stated;
            case WT, WP -> stated == MemoryType.UC || stated == MemoryType.WC ? MemoryType.UC : pat;
        };
    }

    private static IllegalArgumentException ofPatAlone() {
        return new IllegalArgumentException("type UC-, expected one of an MTRR: UC- is of PAT entries alone");
    }
}
