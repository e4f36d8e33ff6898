// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;
import org.iommu4j.release.RuleValue;

/**
 * What of core's behaviour depends on the release of Linux, all of it: the rules that {@link #RULES} declares, under
 * one release. Each component has its rule's name, and the rule's sentence says what it is.
 */
record CoreRules(
        boolean keepsDirectDevices,
        FailedMove failedMove,
        boolean claimBlocks,
        Resetting resetting,
        boolean defersByTables,
        TypeChange typeChange) {
    /** Which devices of a group are attached to the old domain again when one of them could not be moved. */
    enum FailedMove implements RuleValue {
        /**
         * None. Those that were moved stay in the new domain until its owner frees it, which takes them out: AMD's
         * driver does so up to 6.2 ({@code cleanup_domain}), Intel's up to 5.19 ({@code domain_remove_dev_info}).
         * Intel's of 6.0 to 6.2 frees the tables under them. Here they are blocked at once.
         */
        NOTHING_RETURNS("none; those that were moved are blocked, as drivers do when the refused domain is freed, but "
                + "for Intel's of 6.0 to 6.2, which leaves them in freed tables"),
        /** Every device of the group. */
        ALL_RETURN("every device of the group"),
        /** Those that were moved and the one that failed. */
        TRIED_RETURN("those that were moved, and the one that failed"),
        /** Those that were moved. The one that failed stays where its driver left it. */
        MOVED_RETURN("those that were moved; the one that failed is taken to be in the old domain still");

        private final String words;

        FailedMove(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** What is blocked and refused while a device that can use ATS is reset. */
    enum Resetting implements RuleValue {
        /** Nothing: whoever resets a device knows nothing of the IOMMU. */
        UNNOTICED("nothing: the IOMMU is not told"),
        /** One device of a group at a time: its group is in use until then. */
        BY_GROUP("the device, and every move of its group, of which one device at a time may be reset"),
        /** Each device by itself, as often as resets nest. */
        BY_DEVICE("the device, and every move of its group; several devices of a group may be reset, and resets nest");

        private final String words;

        Resetting(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** Which groups may change the kind of their default domain, by {@code type} in sysfs. */
    enum TypeChange implements RuleValue {
        /** A group of one device. */
        ONE_DEVICE("a group of one device; EBUSY while a driver is bound"),
        /** Every group. A hole: an untrusted device can be made lazy. */
        WHOLE_GROUP(
                "every group; EPERM while a driver is bound. DMA becomes DMA-FQ unchecked, for untrusted devices too");

        private final String words;

        TypeChange(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

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
                            "failedMove",
                            "Which devices are attached to the old domain again when a group can't be moved.",
                            FailedMove.NOTHING_RETURNS,
                            READ)
                    .since("6.1.18", FailedMove.ALL_RETURN, READ)
                    .since("6.2.12", FailedMove.ALL_RETURN, READ)
                    .since("6.3", FailedMove.ALL_RETURN, READ)
                    .since("6.5", FailedMove.TRIED_RETURN, READ)
                    .since("6.19", FailedMove.MOVED_RETURN, READ)
                    .witnessedBy("IommuGroupTest#whichDevicesGoBackWhenOneCantBeMoved"),
            ReleaseRule.of(
                            "claimBlocks",
                            "A group that user space claims is blocked from then on; before, it stays in its default "
                                    + "domain until another is attached, and returns there.",
                            false,
                            READ)
                    .since("5.19", true, READ)
                    .witnessedBy("IommuGroupTest#aClaimLeftTheGroupInItsDefaultDomainUntil519"),
            ReleaseRule.of(
                            "resetting",
                            "What is blocked, and what refused with EBUSY, while a device that can use ATS is reset.",
                            Resetting.UNNOTICED,
                            READ)
                    .since("7.0", Resetting.BY_GROUP, READ)
                    .since("7.1", Resetting.BY_DEVICE, READ)
                    .witnessedBy("IommuGroupTest#resetsOfAGroupExcludeEachOtherIn70Alone"),
            ReleaseRule.of(
                            "defersByTables",
                            "Unmaps of every domain with generic page tables may wait in the flush queue; before, "
                                    + "where the driver answers IOMMU_CAP_DEFERRED_FLUSH.",
                            false,
                            READ)
                    .since("7.1", true, READ)
                    .witnessedBy("GroupTypeTest#lazyBecomesStrictWhereAFlushCantBeDeferred"),
            ReleaseRule.of(
                            "typeChange",
                            "Which groups may change the kind of their default domain, by type in sysfs.",
                            TypeChange.ONE_DEVICE,
                            READ)
                    .since("6.4", TypeChange.WHOLE_GROUP, INFERRED, "dba9ca9de1de")
                    .witnessedBy("GroupTypeTest#whichGroupsMayChangeTheirType"));

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when the release is older than all rules
     */
    static CoreRules of(LinuxRelease release) {
        return RuleRecords.of(MethodHandles.lookup(), CoreRules.class, RULES, release);
    }
}
