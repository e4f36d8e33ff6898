// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.nesting;

import org.iommu4j.capability.GuestTable;

/**
 * A guest's first-stage table, as its PASID entry has it. Source: {@code struct iommu_hwpt_vtd_s1}, VT-d 9.6.
 *
 * <p>Linux looks at width and flags when a device is attached, and at the address never: units fault where nothing is
 * there. Source: {@code intel_pasid_setup_nested}.
 *
 * @param address guest-physical address of the top table; bits 11:0 are ignored
 * @param addressWidth bits of the addresses that it translates: 48, or 57 where the unit has 5 levels
 * @param flags {@link #SUPERVISOR_REQUESTS}, {@link #EXTENDED_ACCESSED}, {@link #WRITE_PROTECT}, or 0; others are
 *     ignored
 */
public record FirstStageTable(long address, int addressWidth, int flags) implements GuestTable {
    /** Supervisor requests are translated (SRE); needs ECAP.SRS. Source: {@code IOMMU_VTD_S1_SRE}. */
    public static final int SUPERVISOR_REQUESTS = 1;
    /** The extended accessed flag is set in entries (EAFE); needs ECAP.EAFS. Source: {@code IOMMU_VTD_S1_EAFE}. */
    public static final int EXTENDED_ACCESSED = 1 << 1;
    /**
     * Supervisor requests can't write read-only pages (WPE); counts with {@link #SUPERVISOR_REQUESTS}. Source: {@code
     * IOMMU_VTD_S1_WPE}.
     */
    public static final int WRITE_PROTECT = 1 << 2;

    /** Returns whether a flag is set. */
    public boolean has(int flag) {
        return (flags & flag) != 0;
    }

    @Override
    public String toString() {
        return "first-stage table at 0x" + Long.toHexString(address) + " of " + addressWidth + " bits, flags 0x"
                + Integer.toHexString(flags);
    }
}
