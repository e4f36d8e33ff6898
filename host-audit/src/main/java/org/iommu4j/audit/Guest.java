// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;
import org.iommu4j.spi.Answer;

/** How KVM treats a guest's DMA. */
public enum Guest {
    /** No-snoop is blocked: WBINVD does nothing, and under VMX memory is write-back regardless of the guest's PAT. */
    COHERENT,
    /** No-snoop may pass: WBINVD is executed and the guest's PAT is honoured. */
    NONCOHERENT,
    /** The input does not decide it. */
    UNKNOWN;

    /** Returns the answer that follows from whether no-snoop is blocked. */
    public static Guest of(Answer enforced) {
        return switch (enforced) {
            case YES -> COHERENT;
            case NO -> NONCOHERENT;
            case UNKNOWN -> UNKNOWN;
        };
    }

    /** Returns the answer for both together: NONCOHERENT takes precedence, then UNKNOWN. */
    public Guest and(Guest other) {
        Objects.requireNonNull(other, "other");
        if (this == NONCOHERENT || other == NONCOHERENT) {
            return NONCOHERENT;
        }
        return this == UNKNOWN || other == UNKNOWN ? UNKNOWN : COHERENT;
    }
}
