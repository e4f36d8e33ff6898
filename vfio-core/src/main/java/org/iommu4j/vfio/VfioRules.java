// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.vfio.type1.Type1Options;

/**
 * What of VFIO's behaviour depends on the release of Linux, all of it.
 *
 * <p>Release 7.1: a file's coherence is predicted from the devices' capability and not read from the container (since
 * 6.2); a range that wraps around is EOVERFLOW (older: EINVAL).
 */
final class VfioRules {
    private static final LinuxRelease LINUX_7_1 = new LinuxRelease(7, 1);

    private VfioRules() {}

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     */
    static VfioRules of(LinuxRelease release) {
        if (!release.equals(LINUX_7_1)) {
            throw new IllegalArgumentException(
                    "no VFIO rules for Linux release '" + release + "'; known: " + List.of(LINUX_7_1));
        }
        return new VfioRules();
    }

    /** Returns how type 1 behaves under these rules. */
    Type1Options type1(VfioOptions options) {
        return new Type1Options(options.allowUnsafeInterrupts(), options.dmaEntryLimit(), Errno.EOVERFLOW);
    }

    /** Returns whether a group's file vouches for coherency. Source: {@code vfio_group_enforced_coherent}. */
    boolean enforcedCoherent(List<VfioDevice> registered) {
        for (VfioDevice device : registered) {
            if (!device.canEnforceCacheCoherency()) {
                return false;
            }
        }
        return true;
    }
}
