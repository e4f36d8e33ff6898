// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import org.iommu4j.LinuxRelease;

/**
 * What of core's behaviour depends on the release of Linux, all of it.
 *
 * @param keepsDirectDevices whether a device that firmware demands to be mapped one to one can't be blocked, and so not
 *     be claimed by user space: from 6.6 on (a48ce36e2786); before, that was up to each vendor's driver
 */
record CoreRules(boolean keepsDirectDevices) {
    static CoreRules of(LinuxRelease release) {
        return new CoreRules(release.isAtLeast(6, 6));
    }
}
