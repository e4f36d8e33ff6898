// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.Objects;
import org.iommu4j.platform.MemoryType;

/**
 * The memory type that KVM sets for a guest page in the second-stage table.
 *
 * <p>Source: {@code vmx_get_mt_mask}; Intel SDM volume 3, section on EPT memory types (bits 5:3, IPAT bit 6).
 */
public enum GuestMemoryType {
    /** Write-back, and the guest's PAT is ignored. */
    WB_IPAT("WB+IPAT", false),
    /** Write-back, unless the guest's PAT selects another type. */
    WB("WB", true),
    /** Uncacheable: device memory. */
    UC("UC", false),
    /** No type in the table at all (SVM): the guest's PAT alone decides. */
    GUEST_PAT("GUEST_PAT", true);

    private final String text;
    private final boolean honoursGuestPat;

    GuestMemoryType(String text, boolean honoursGuestPat) {
        this.text = text;
        this.honoursGuestPat = honoursGuestPat;
    }

    /** Returns whether the guest's choice has an effect. */
    public boolean honoursGuestPat() {
        return honoursGuestPat;
    }

    /** Returns the effective type of an access when the guest's PAT selects {@code guestPat}. */
    public MemoryType effective(MemoryType guestPat) {
        Objects.requireNonNull(guestPat, "guestPat");
        if (this == UC) {
            return MemoryType.UC;
        }
        return honoursGuestPat ? guestPat : MemoryType.WB;
    }

    /** Returns the name as reports print it, for example {@code WB+IPAT}. */
    @Override
    public String toString() {
        return text;
    }
}
