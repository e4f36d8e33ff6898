// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.Objects;
import org.iommu4j.platform.MemoryType;

/**
 * The memory type that KVM sets for a guest page in the second-stage table.
 *
 * <p>Source: {@code vmx_get_mt_mask}; Intel SDM volume 3, section on EPT and memory typing (bits 5:3, and
 * IPAT, bit 6, which has the guest's PAT ignored); AMD APM volume 2, section on combining memory types.
 */
public enum GuestMemoryType {
    /** Write-back, and the guest's PAT is ignored. */
    WB_IPAT("WB+IPAT", MemoryType.WB, true),
    /** Write-back, combined with the guest's PAT. */
    WB("WB", MemoryType.WB, false),
    /** Write-through, combined with the guest's PAT. */
    WT("WT", MemoryType.WT, false),
    /** Write-protected, combined with the guest's PAT. */
    WP("WP", MemoryType.WP, false),
    /** Write-combining, combined with the guest's PAT. */
    WC("WC", MemoryType.WC, false),
    /** Uncacheable, combined with the guest's PAT: device memory. */
    UC("UC", MemoryType.UC, false),
    /** Uncacheable, and the guest's PAT is ignored. */
    UC_IPAT("UC+IPAT", MemoryType.UC, true),
    /**
     * No type in the table (SVM): the guest's PAT is combined with the host's MTRR, which states write-back for RAM.
     * The host's PAT takes no part: an entry selects its first type, write-back. Write-combining is then what AMD calls
     * WC+, which looks into all caches; here that is {@link org.iommu4j.platform.Processor#selfSnoop}.
     */
    GUEST_PAT("GUEST_PAT", MemoryType.WB, false),
    /** As {@link #GUEST_PAT}, for device memory: the host's MTRR states uncacheable. */
    GUEST_PAT_DEVICE("GUEST_PAT+UC", MemoryType.UC, false);

    private final String text;
    private final MemoryType type;
    private final boolean ignoresGuestPat;

    GuestMemoryType(String text, MemoryType type, boolean ignoresGuestPat) {
        this.text = text;
        this.type = type;
        this.ignoresGuestPat = ignoresGuestPat;
    }

    /**
     * Returns the entry with a type and without IPAT.
     *
     * @throws IllegalArgumentException when the type is UC-
     */
    static GuestMemoryType of(MemoryType type) {
        return switch (type) {
            case UC -> UC;
            case WC -> WC;
            case WT -> WT;
            case WP -> WP;
            case WB -> WB;
            case UC_MINUS -> throw new IllegalArgumentException("no entry has the type UC-");
        };
    }

    /** Returns whether the guest's choice has an effect. */
    public boolean honoursGuestPat() {
        return !ignoresGuestPat;
    }

    /**
     * Returns the type of an access when the guest's PAT selects {@code guestPat}, on a vCPU with caching on.
     *
     * @return never UC-
     */
    public MemoryType effective(MemoryType guestPat) {
        Objects.requireNonNull(guestPat, "guestPat");
        return ignoresGuestPat ? type : MtrrTypes.combined(type, guestPat);
    }

    /** Returns the name as reports print it, for example {@code WB+IPAT}. */
    @Override
    public String toString() {
        return text;
    }
}
