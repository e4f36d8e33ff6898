// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.LinuxRelease;
import org.iommu4j.amd.reg.Features;

/**
 * What Linux's AMD driver does differently from release to release, and nothing else.
 *
 * <p>What never changed from 5.15 to 7.1 and so is no rule: FC is in every v1 leaf, whatever the domain is for, so the
 * DMA API blocks no-snoop too; {@link org.iommu4j.IommuCapability#CACHE_COHERENCY} is true; a v1 table starts with 3
 * levels. {@link #V2_ANSWERS_AS_V1} holds wherever there are v2 tables.
 *
 * <p>The releases of {@link #guestTables}, {@link #guestTablesForAll}, {@link #pasidDomains},
 * {@link #guestApertureHalved}, {@link #htRangeIgnore} and {@link #atsCapability} are inferred from the dates of the
 * commits that brought them. That of {@link #hostPageSizesEnd} lies between 6.1 and 6.12, whose answers were seen, and
 * is inferred.
 *
 * <p>What no release up to 7.1 has: nested domains. {@code drivers/iommu/amd/nested.c} can make them since 7.0, but
 * {@code amd_viommu_ops} has no {@code alloc_domain_nested} and no {@code cache_invalidate}, so iommufd answers
 * EOPNOTSUPP; both were left for a later series (seen in a tree of 7.0; for 7.1 inferred from that series being posted
 * still). What 7.0 did bring is {@link #nestParents}.
 *
 * @param release the release
 * @param highestIvhdType the newest type of IVHD block that it reads ({@code ACPI_IVHD_TYPE_MAX_SUPPORTED})
 * @param enforcementOp paging domains have {@code enforce_cache_coherency}; it answers true and changes nothing,
 *     because FC is there already (5.19 and the series as posted)
 * @param enforcementCapability {@link org.iommu4j.IommuCapability#ENFORCE_CACHE_COHERENCY} exists, and is true (6.2)
 * @param guestTables {@code amd_iommu=pgtbl_v2} gives domains of the DMA API v2 tables (6.1)
 * @param guestTablesForAll {@code amd_iommu=pgtbl_v2} counts for unmanaged domains as well: before, what VFIO uses was
 *     always v1 (6.14)
 * @param pasidDomains {@code IOMMU_HWPT_ALLOC_PASID} gives a v2 table (6.14)
 * @param guestApertureHalved the top bit of a v2 address is not used, so that a table means the same with and without
 *     PASID (6.19)
 * @param dirtyTracking domains can record written pages ({@code amd_dirty_ops}, 6.7)
 * @param htRangeIgnore the HyperTransport range is not reserved where EFR2 says so ({@code amd_iommu_ht_range_ignore},
 *     6.16)
 * @param hostLevelsByHats a v1 table has no more levels than HATS says ({@code amd_iommu_hpt_level}, 6.17:
 *     025d1371cc8c, in the pull request of {@code iommu-updates-v6.17}); see {@link #hostLevels}
 * @param hostPageSizesEnd the page sizes of v1 tables end below the 52 bits of a physical address; before, the driver
 *     names every power of two that an address has ({@code AMD_IOMMU_PGSIZES}, 6.10), though no page of 2^53 bytes or
 *     more can be mapped
 * @param atsCapability {@link org.iommu4j.IommuCapability#PCI_ATS_SUPPORTED} exists (7.0)
 * @param nestParents {@code IOMMU_HWPT_ALLOC_NEST_PARENT} gives a v1 table where all units have GTSup, GIoSup and
 *     GCR3TRPMode, also together with dirty tracking, and GCR3TRPMode of the control register is set (7.0)
 * @param passThroughEntryWrong the device table entry of an identity domain has no domain id, and I whether ATS is on
 *     or not: {@code a | b ? I : 0} was written for {@code a | (b ? I : 0)} in {@code set_dte_passthrough} (only 7.0:
 *     from 93eee2a49c1b to 10161b4a791d in 7.1-rc3; stable releases of 7.0 may have the correction). A device that has
 *     no ATS, or that the kernel keeps from using it, may then ask for translations and send translated requests
 */
record AmdRules(
        LinuxRelease release,
        int highestIvhdType,
        boolean enforcementOp,
        boolean enforcementCapability,
        boolean guestTables,
        boolean guestTablesForAll,
        boolean pasidDomains,
        boolean guestApertureHalved,
        boolean dirtyTracking,
        boolean htRangeIgnore,
        boolean hostLevelsByHats,
        boolean hostPageSizesEnd,
        boolean atsCapability,
        boolean nestParents,
        boolean passThroughEntryWrong) {
    /** Levels of a fresh v1 table ({@code amd_iommu_domain_alloc_paging_v1}). */
    static final int START_LEVELS = 3;

    /** Levels that a v1 table can have ({@code PAGE_MODE_6_LEVEL}). */
    private static final int MOST_LEVELS = 6;

    /**
     * A domain with v2 tables answers a request to block no-snoop as one with v1 tables does: yes.
     *
     * <p>It is not so. A v2 entry has no FC bit, the driver has nothing to set, and a no-snoop request passes the CPU
     * caches. Linux knows it and keeps the answer, because VFIO and iommufd can't handle devices that differ in it
     * (comment at {@code amdv2_ops}). What follows: VFIO reports the device coherent, KVM makes the guest's WBINVD do
     * nothing, and the guest reads stale lines.
     */
    static final boolean V2_ANSWERS_AS_V1 = true;

    /**
     * Returns the levels that v1 tables may have, 0 when there can be none.
     *
     * <p>Until 6.16 it is 6 whatever the unit walks: a table that grows beyond gets the device table entry refused as
     * illegal, and all requests of the device with it. Since 6.17 it is what HATS says, of firmware's images alone,
     * because Linux looks ({@code early_amd_iommu_init}) before it reads the registers: without an image it is 4. Of
     * units that differ the bits that all have count, which need not be what any of them has: 5 and 6 levels make 4.
     *
     * @param sharedEfrImage what firmware's images of the units' features have in common ({@link
     *     UnitMap#sharedEfrImage})
     */
    int hostLevels(long sharedEfrImage) {
        return hostLevelsByHats ? Features.hostLevels(sharedEfrImage) : MOST_LEVELS;
    }

    /** Returns the page sizes that the driver names for v1 tables, as a bitmap. */
    long hostPageSizes() {
        return hostPageSizesEnd ? HostPageTable.PAGE_SIZES : HostPageTable.ALL_PAGE_SIZES;
    }

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when they are not built
     */
    static AmdRules of(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException(
                    "the AMD-Vi driver has no rules for Linux release " + release + "; known: " + LinuxRelease.known());
        }
        return new AmdRules(
                release,
                0x40,
                release.compareTo(LinuxRelease.SERIES_AS_POSTED) >= 0,
                release.isAtLeast(6, 2),
                release.isAtLeast(6, 1),
                release.isAtLeast(6, 14),
                release.isAtLeast(6, 14),
                release.isAtLeast(6, 19),
                release.isAtLeast(6, 7),
                release.isAtLeast(6, 16),
                release.isAtLeast(6, 17),
                release.isAtLeast(6, 10),
                release.isAtLeast(7, 0),
                release.isAtLeast(7, 0),
                release.isAtLeast(7, 0) && !release.isAtLeast(7, 1));
    }
}
