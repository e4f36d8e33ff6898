// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.intel.fmt.SecondStageEntry;
import org.iommu4j.spi.CoherencyRule;

/**
 * What the VT-d driver does differently from release to release, as named rules.
 *
 * @param writeOnlyMapsReadToo whether a write-only mapping is readable by the device as well: up to 6.x, not in 7.1
 * @param enforcedStaysEnforced whether asking an enforced domain again is answered without looking at its devices
 */
record IntelRules(boolean writeOnlyMapsReadToo, boolean enforcedStaysEnforced) {
    private static final LinuxRelease LINUX_7_1 = new LinuxRelease(7, 1);

    /**
     * Returns a release's rules.
     *
     * @throws IllegalArgumentException when they are not built
     */
    static IntelRules of(LinuxRelease release) {
        if (release.equals(LINUX_7_1)) {
            return new IntelRules(false, true);
        }
        throw new IllegalArgumentException("no VT-d rules for Linux release '" + release + "'; known: " + LINUX_7_1);
    }

    /** Returns the permission bits of a leaf, 0 when the protection grants nothing. */
    long permissions(int prot) {
        long bits = 0;
        if ((prot & Prot.READ) != 0) {
            bits |= SecondStageEntry.R.mask();
        }
        if ((prot & Prot.WRITE) != 0) {
            bits |= SecondStageEntry.W.mask();
            if (writeOnlyMapsReadToo) {
                bits |= SecondStageEntry.R.mask();
            }
        }
        return bits;
    }

    /**
     * Answers whether a domain may promise that no-snoop is blocked.
     *
     * @param enforced whether it promised already
     * @param unitsSnoop whether every unit behind its devices has snoop control; true for a domain without devices
     */
    boolean mayEnforce(boolean enforced, boolean unitsSnoop) {
        return (enforced && enforcedStaysEnforced) || unitsSnoop;
    }

    /**
     * Returns whose snoop control decides whether no-snoop is blocked for a device.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     */
    static CoherencyRule coherencyRule(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException("no VT-d rules for Linux release '" + release + "'");
        }
        if (!release.isAtLeast(5, 19)) {
            return CoherencyRule.PER_MACHINE;
        }
        return release.isAtLeast(6, 2) ? CoherencyRule.PER_DEVICE : CoherencyRule.PER_DOMAIN;
    }
}
