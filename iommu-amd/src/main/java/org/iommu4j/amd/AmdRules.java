// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.LinuxRelease;

/**
 * What Linux's AMD driver does differently from release to release, and nothing else.
 *
 * @param release the release
 * @param highestIvhdType the newest type of IVHD block that it reads ({@code ACPI_IVHD_TYPE_MAX_SUPPORTED})
 * @param startLevels levels of a fresh v1 table ({@code amd_iommu_domain_alloc_paging_v1})
 * @param forceCoherentLeaves FC in every leaf, whatever the domain is for ({@code PT_FEAT_AMDV1_FORCE_COHERENCE})
 * @param htRangeIgnore the HyperTransport range is not reserved where EFR2 says so ({@code amd_iommu_ht_range_ignore})
 */
record AmdRules(
        LinuxRelease release,
        int highestIvhdType,
        int startLevels,
        boolean forceCoherentLeaves,
        boolean htRangeIgnore) {
    private static final LinuxRelease LINUX_7_1 = new LinuxRelease(7, 1);

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when they are not built
     */
    static AmdRules of(LinuxRelease release) {
        if (release.equals(LINUX_7_1)) {
            return new AmdRules(release, 0x40, 3, true, true);
        }
        throw new IllegalArgumentException(
                "the AMD-Vi driver has no rules for Linux release " + release + "; known: [" + LINUX_7_1 + "]");
    }
}
