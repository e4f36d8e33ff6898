// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.intel.IntelRules.TableLevels;
import org.iommu4j.intel.reg.Capability;

/**
 * How large a table Linux makes for a unit.
 *
 * <p>Of a first stage's width the top bit is not mapped: addresses are canonical, and devices use the lower half. The
 * manual takes that bit from the levels' 48 or 57 bits alone (VT-d 3.6), Linux also from a smaller
 * MGAW. Source: {@code iommu_calculate_agaw} and {@code __iommu_calculate_sagaw} until 6.18; {@code
 * compute_vasz_lg2_ss} and {@code intel_iommu_domain_alloc_first_stage} since 6.19.
 *
 * @param levels 3 to 5
 * @param width bits of an address that are compared with those of units
 */
record TableSize(int levels, int width) {
    /**
     * Returns the size of a unit's first-stage tables.
     *
     * @throws IommuException EOPNOTSUPP when the release finds no number of levels for the unit
     */
    static TableSize ofFirstStage(IntelRules rules, IntelUnit unit) {
        Capability cap = unit.cap();
        if (rules.tableLevels() != TableLevels.NEEDED) {
            return most(rules, unit);
        }
        return sized(cap.maximumAddressWidth() > 48 && cap.firstStageOf5Levels() ? 5 : 4, cap);
    }

    /**
     * Returns the size of a unit's second-stage tables.
     *
     * @throws IommuException EOPNOTSUPP when the release finds no number of levels for the unit
     */
    static TableSize ofSecondStage(IntelRules rules, IntelUnit unit) {
        if (rules.tableLevels() != TableLevels.NEEDED) {
            return most(rules, unit);
        }
        Capability cap = unit.cap();
        boolean four = cap.supportsLevels(4);
        boolean five = cap.supportsLevels(5);
        int width = cap.maximumAddressWidth();
        if (width > 48 && five) {
            return sized(5, cap);
        }
        if (width > 39 && (four || five)) {
            return new TableSize(five ? 5 : 4, Math.min(48, width));
        }
        if (width > 30 && (cap.supportsLevels(3) || four || five)) {
            return new TableSize(four ? 4 : five ? 5 : 3, Math.min(39, width));
        }
        throw none(unit);
    }

    /** Returns the largest table of either stage, which is also what a unit is compared by. */
    private static TableSize most(IntelRules rules, IntelUnit unit) {
        Capability cap = unit.cap();
        boolean both = rules.tableLevels() == TableLevels.MOST_OF_EACH_STAGE;
        boolean first = both && unit.isScalable() && unit.ecap().firstStage();
        boolean second = !first || unit.ecap().secondStage();
        for (int levels = 5; levels >= 3; levels--) {
            if ((!first || levels == 4 || (levels == 5 && cap.firstStageOf5Levels()))
                    && (!second || cap.supportsLevels(levels))) {
                return sized(levels, cap);
            }
        }
        throw none(unit);
    }

    private static TableSize sized(int levels, Capability cap) {
        return new TableSize(levels, Math.min(12 + 9 * levels, cap.maximumAddressWidth()));
    }

    private static IommuException none(IntelUnit unit) {
        return new IommuException(
                Errno.EOPNOTSUPP,
                unit.name() + " supports neither 3, 4 nor 5 levels: "
                        + Capability.LAYOUT.decode(unit.cap().value()));
    }
}
