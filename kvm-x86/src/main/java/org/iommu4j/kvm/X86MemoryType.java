// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.Objects;
import org.iommu4j.platform.MemoryType;

/**
 * A memory type as PAT entries, MTRRs and second-stage entries have it.
 *
 * <p>Source: Intel SDM volume 3, table 12-10 (types that a PAT entry can have) and section 12.3.
 */
public enum X86MemoryType {
    /** Uncacheable. */
    UC("UC", 0),
    /** Write-combining: writes are gathered, nothing is cached. */
    WC("WC", 1),
    /** Write-through: reads are cached, writes go to memory and to the cache. */
    WT("WT", 4),
    /** Write-protected: reads are cached, writes go to memory and drop the line in other caches. */
    WP("WP", 5),
    /** Write-back. */
    WB("WB", 6),
    /** Uncacheable, unless an MTRR states write-combining. Only a PAT entry has this type. */
    UC_MINUS("UC-", 7);

    private final String text;
    private final int encoding;

    X86MemoryType(String text, int encoding) {
        this.text = text;
        this.encoding = encoding;
    }

    /** Returns the type's number in a PAT entry, an MTRR and bits 5:3 of a second-stage entry. */
    public int encoding() {
        return encoding;
    }

    /** Returns whether an MTRR or a second-stage entry can have it. */
    public boolean isOfMtrr() {
        return this != UC_MINUS;
    }

    /**
     * Returns the type of an access to a page whose MTRR, or second-stage entry, states this type.
     *
     * <p>Source: Intel SDM volume 3, section 12.5.2.2, table 12-7; the section on EPT and
     * memory typing has a second-stage entry in the place of the MTRR.
     *
     * @param pat the type in the PAT entry that the page selects
     * @return never {@link #UC_MINUS}
     * @throws IllegalStateException when this is {@link #UC_MINUS}
     */
    public X86MemoryType combinedWith(X86MemoryType pat) {
        Objects.requireNonNull(pat, "pat");
        if (!isOfMtrr()) {
            throw new IllegalStateException("UC- is of PAT entries alone");
        }
        return switch (pat) {
            case UC -> UC;
            case WC -> WC;
            case UC_MINUS -> this == WC || this == WP ? WC : UC;
            case WB -> this;
            case WT, WP -> this == UC || this == WC ? UC : pat;
        };
    }

    /** Returns the type of the same name. */
    static X86MemoryType of(MemoryType type) {
        return switch (type) {
            case UC -> UC;
            case UC_MINUS -> UC_MINUS;
            case WC -> WC;
            case WT -> WT;
            case WP -> WP;
            case WB -> WB;
        };
    }

    /** Returns the type of the same name on the platform. */
    MemoryType onPlatform() {
        return switch (this) {
            case UC -> MemoryType.UC;
            case UC_MINUS -> MemoryType.UC_MINUS;
            case WC -> MemoryType.WC;
            case WT -> MemoryType.WT;
            case WP -> MemoryType.WP;
            case WB -> MemoryType.WB;
        };
    }

    /** Returns the name that manuals use, for example {@code UC-}. */
    @Override
    public String toString() {
        return text;
    }
}
