// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import org.iommu4j.Errno;

/**
 * How a type 1 IOMMU behaves.
 *
 * @param allowUnsafeInterrupts whether a group whose interrupts are not isolated may be attached
 * @param dmaEntryLimit how many mappings there may be
 * @param rangeOverflow how a range is refused that wraps around the end of the address space; differs between releases
 */
public record Type1Options(boolean allowUnsafeInterrupts, int dmaEntryLimit, Errno rangeOverflow) {}
