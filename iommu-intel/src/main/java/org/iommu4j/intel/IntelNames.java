// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

/** The names of the vendor and of its units, as Linux prints them. */
final class IntelNames {
    /** The name of the vendor. */
    static final String VENDOR = "intel";

    /** The prefix of each unit's name. */
    static final String UNIT_PREFIX = "dmar";

    private IntelNames() {}

    /** Returns the name of the n-th unit of DMAR, counted from 0. */
    static String unit(int index) {
        return UNIT_PREFIX + index;
    }
}
