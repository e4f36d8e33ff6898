// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.amd.reg.Features;

/**
 * A unit's features, as far as the driver uses them.
 *
 * @param efr its extended features, or firmware's image of them
 * @param efr2 its second extended features, likewise
 * @param capability its PCI capability
 */
record UnitFeatures(long efr, long efr2, UnitCapability capability) {
    /** Returns whether it records which pages were written. */
    boolean tracksDirtyPages() {
        return Features.HD_SUP.isSet(efr);
    }

    /** Returns whether it translates the HyperTransport range too. */
    boolean ignoresHtRange() {
        return Features.HT_RANGE_IGNORE.isSet(efr2);
    }

    /** Returns whether it may cache that an entry was not present. */
    boolean cachesNotPresent() {
        return capability.cachesNotPresent();
    }

    /** Returns whether devices behind it may have their own IOTLBs. */
    boolean allowsDeviceIotlbs() {
        return capability.deviceIotlbs();
    }

    /** Returns whether it nests a guest's tables, GCR3 table included, in host tables. */
    boolean nests() {
        return Features.nests(efr, efr2);
    }

    /** Returns whether it can check requests against the owners of memory (SNP). */
    boolean supportsSnp() {
        return Features.SNP_SUP.isSet(efr);
    }

    /** Returns whether a device table entry may be without host tables while SNP is on. */
    boolean allowsMode0WithSnp() {
        return Features.SNP_PAGE_MODE0_SUP.isSet(efr2);
    }

    /** Returns whether it accepts page requests, as in {@code amd_iommu_gt_ppr_supported}. */
    boolean takesPageRequests() {
        return Features.PPR_SUP.isSet(efr) && Features.GT_SUP.isSet(efr);
    }
}
