// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Objects;
import org.iommu4j.Errno;

/**
 * How a type 1 IOMMU behaves.
 *
 * @param allowUnsafeInterrupts whether a group whose interrupts are not isolated may be attached
 * @param dmaEntryLimit how many mappings there may be
 * @param blocking what it relies on to have no-snoop blocked; differs between releases
 * @param rangeOverflow how a range is refused that wraps around the end of the address space; differs between releases
 * @param unmapsToTheEnd whether a range that ends where the address space does is unmapped, or taken for empty; differs
 *     between releases
 */
public record Type1Options(
        boolean allowUnsafeInterrupts,
        int dmaEntryLimit,
        NoSnoopBlocking blocking,
        Errno rangeOverflow,
        boolean unmapsToTheEnd) {
    /** Refuses what is missing. */
    public Type1Options {
        Objects.requireNonNull(blocking, "blocking");
        Objects.requireNonNull(rangeOverflow, "rangeOverflow");
    }
}
