// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Objects;
import org.iommu4j.Errno;

/**
 * Limits and release-dependent behaviour of a type 1 IOMMU.
 *
 * @param allowUnsafeInterrupts whether a group whose interrupts are not isolated may be attached
 * @param isolationByGroup whether all devices of a group must be isolated, and not one at least; differs between
 *     releases
 * @param dmaEntryLimit the greatest number of mappings
 * @param blocking how it gets no-snoop blocked; differs between releases
 * @param rangeOverflow the errno for a range that wraps around the end of the address space; differs between releases
 * @param unmapsToTheEnd whether a range that ends with the address space is unmapped, or taken as empty, and whether
 *     pages that a driver pins may not wrap around; differs between releases
 * @param movesAddresses whether a new virtual address takes the charge to the caller, and excludes emulated devices;
 *     differs between releases
 * @param alignsCapabilities whether each capability begins at a multiple of 8; differs between releases
 */
public record Type1Options(
        boolean allowUnsafeInterrupts,
        boolean isolationByGroup,
        int dmaEntryLimit,
        NoSnoopBlocking blocking,
        Errno rangeOverflow,
        boolean unmapsToTheEnd,
        boolean movesAddresses,
        boolean alignsCapabilities) {
    /** Refuses null. */
    public Type1Options {
        Objects.requireNonNull(blocking, "blocking");
        Objects.requireNonNull(rangeOverflow, "rangeOverflow");
    }
}
