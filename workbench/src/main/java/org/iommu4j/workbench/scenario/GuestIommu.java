// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.workbench.vmm.GuestFirstStage;

/**
 * What the IOMMU that a VMM shows its guest offers. The guest's tables translate first, a parent HWPT below them.
 *
 * <p>No word of the guest's about snoop control reaches the host: {@code struct iommu_hwpt_vtd_s1} has none.
 */
public enum GuestIommu {
    /** Translation alone. The guest's kernel executes the WBINVD of guests of its own. */
    PLAIN,
    /** Snoop control, too. The guest's kernel takes DMA for coherent and ignores the WBINVD of guests of its own. */
    SNOOP_CONTROL;

    /** The last pages of guest memory, which the guest's table takes. */
    public static final int TABLE_PAGES = GuestFirstStage.PAGES;
}
