// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

/** The names of the vendor and of its units, as Linux prints them. */
final class AmdNames {
    /** The name of the vendor. */
    static final String VENDOR = "amd";

    /** The prefix of each unit's name. */
    static final String UNIT_PREFIX = "ivhd";

    private AmdNames() {}

    /** Returns the name of the n-th unit of the IVRS, counted from 0. */
    static String unit(int index) {
        return UNIT_PREFIX + index;
    }
}
