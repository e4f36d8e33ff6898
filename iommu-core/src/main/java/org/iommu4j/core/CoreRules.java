// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;

/**
 * What of core's behaviour depends on the release of Linux, all of it: the rules that {@link #RULES} declares, under
 * one release. Each component has its rule's name, and the rule's sentence says what it is.
 */
record CoreRules(boolean keepsDirectDevices, boolean failedDeviceReturns) {
    /** The rules. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of(
                            "keepsDirectDevices",
                            "A device that firmware demands to be mapped one to one can't be blocked, and so not be "
                                    + "claimed by user space; before, that was up to each vendor's driver.",
                            false,
                            READ)
                    .since("6.6", true, READ, "a48ce36e2786")
                    .witnessedBy("IommuGroupTest#itDidNotBefore66WhenThatWasUpToDrivers"),
            ReleaseRule.of(
                            "failedDeviceReturns",
                            "When a group can't be moved, the device that failed is attached to its old domain as well "
                                    + "as those that were moved; since, it is taken to be there still.",
                            true,
                            READ)
                    .since("6.19", false, READ)
                    .witnessedBy(
                            "IommuGroupTest#aDeviceThatTheDriverLeftBlockedIsAttachedToItsOldDomainAgainUntil618"));

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when the release is older than all rules
     */
    static CoreRules of(LinuxRelease release) {
        return RuleRecords.of(MethodHandles.lookup(), CoreRules.class, RULES, release);
    }
}
