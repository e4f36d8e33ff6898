// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Objects;
import org.iommu4j.Errno;

/**
 * Limits and release-dependent behaviour of a type 1 IOMMU.
 *
 * @param allowUnsafeInterrupts whether a group whose interrupts are not isolated may be attached
 * @param dmaEntryLimit the greatest number of mappings
 * @param blocking how it gets no-snoop blocked; differs between releases
 * @param rangeOverflow the errno for a range that wraps around the end of the address space; differs between releases
 * @param unmapsToTheEnd whether a range that ends with the address space is unmapped, or taken as empty; differs
 *     between releases
 */
public record Type1Options(
        boolean allowUnsafeInterrupts,
        int dmaEntryLimit,
        NoSnoopBlocking blocking,
        Errno rangeOverflow,
        boolean unmapsToTheEnd) {
    /** Refuses null. */
    public Type1Options {
        Objects.requireNonNull(blocking, "blocking");
        Objects.requireNonNull(rangeOverflow, "rangeOverflow");
    }
}
