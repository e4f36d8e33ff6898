// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.nesting;

import org.iommu4j.capability.GuestInvalidationRequest;

/**
 * A guest's invalidation of what its first-stage table said. Source: {@code struct iommu_hwpt_vtd_s1_invalidate}.
 *
 * @param address first byte, aligned to 4096
 * @param pages pages of 4096 bytes, at least 1, or {@link #ALL_PAGES} from address 0
 * @param leavesOnly whether only leaves changed, no tables ({@code IOMMU_VTD_INV_FLAGS_LEAF})
 */
public record FirstStageInvalidation(long address, long pages, boolean leavesOnly) implements GuestInvalidationRequest {
    /** Everything; the address is 0. */
    public static final long ALL_PAGES = -1L;
}
