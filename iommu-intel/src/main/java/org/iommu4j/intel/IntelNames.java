// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.spi.HostFacts;

/** The names of the vendor and of its units, as Linux prints them. */
final class IntelNames {
    /** The name of the vendor. */
    static final String VENDOR = "intel";

    /** The prefix of each unit's name. */
    private static final String UNIT_PREFIX = "dmar";

    private IntelNames() {}

    /** Returns whether a name that Linux shows is that of a unit. */
    static boolean isUnit(String name) {
        return HostFacts.isNamed(name, UNIT_PREFIX);
    }

    /** Returns the name of the n-th unit of DMAR, counted from 0. */
    static String unit(int index) {
        return UNIT_PREFIX + index;
    }
}
