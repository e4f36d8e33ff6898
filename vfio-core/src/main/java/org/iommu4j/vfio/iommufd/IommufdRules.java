// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.OBSERVED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;
import org.iommu4j.release.RuleValue;

/**
 * What of iommufd's behaviour depends on the release of Linux, all of it: the rules that {@link #RULES} declares, under
 * one release. Each component has its rule's name, and the rule's sentence says what it is.
 */
record IommufdRules(
        Calls calls,
        boolean deviceFiles,
        boolean compatWithoutIommu,
        boolean compatUnmapsNothing,
        boolean wrapsAheadOfLength,
        boolean upgradesAtAttach,
        boolean keepsEnforceableApart,
        boolean driverAllocatesForUsers,
        boolean nestsByOwnOp,
        HwptFlags pagingFlags,
        boolean faultQueues,
        boolean refusesAllVirtualFunctions,
        boolean hardwareInfoOfType,
        boolean tellsPasids,
        boolean tellsAts,
        boolean attachesPasids,
        boolean bindsByToken,
        boolean answersWhatWaits,
        boolean mapsDmaBufs,
        boolean emptyDirtyRangeIsInvalid,
        boolean boundsInvalidations,
        boolean refusesShortReads,
        boolean devicesWithoutIommu) {

    /** The last ioctl that a release knows. */
    enum Calls implements RuleValue {
        /** There is no iommufd. */
        NONE(0),
        /** Up to IOMMU_VFIO_IOAS. */
        VFIO_IOAS(0x88),
        /** Up to IOMMU_GET_HW_INFO. */
        GET_HW_INFO(0x8a),
        /** Up to IOMMU_HWPT_GET_DIRTY_BITMAP. */
        HWPT_GET_DIRTY_BITMAP(0x8c),
        /** Up to IOMMU_HWPT_INVALIDATE. */
        HWPT_INVALIDATE(0x8d),
        /** Up to IOMMU_FAULT_QUEUE_ALLOC. */
        FAULT_QUEUE_ALLOC(0x8e),
        /** Up to IOMMU_VDEVICE_ALLOC. */
        VDEVICE_ALLOC(0x91),
        /** Up to IOMMU_IOAS_CHANGE_PROCESS. */
        IOAS_CHANGE_PROCESS(0x92),
        /** Up to IOMMU_VEVENTQ_ALLOC. */
        VEVENTQ_ALLOC(0x93),
        /** Up to IOMMU_HW_QUEUE_ALLOC. */
        HW_QUEUE_ALLOC(0x94),
        /** Up to IOMMU_IOAS_NOIOMMU_GET_PA. */
        IOAS_NOIOMMU_GET_PA(0x95);

        private final int last;

        Calls(int last) {
            this.last = last;
        }

        /** Returns the last ioctl's number, 0 for none. */
        int last() {
            return last;
        }

        @Override
        public String words() {
            return last == 0 ? "none" : "up to 0x" + Integer.toHexString(last);
        }
    }

    /** Which flags a HWPT on an IOAS may be asked for with. */
    enum HwptFlags implements RuleValue {
        /** None is known. */
        NONE(0, "none"),
        /** NEST_PARENT and DIRTY_TRACKING. */
        NESTED_DIRTY(3, "NEST_PARENT and DIRTY_TRACKING"),
        /** FAULT_ID_VALID and PASID as well. */
        ALL(15, "NEST_PARENT, DIRTY_TRACKING, FAULT_ID_VALID and PASID");

        private final int mask;
        private final String words;

        HwptFlags(int mask, String words) {
            this.mask = mask;
            this.words = words;
        }

        int mask() {
            return mask;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** The rules. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of("calls", "The ioctls that /dev/iommu knows.", Calls.NONE, READ)
                    .since("6.2", Calls.VFIO_IOAS, INFERRED)
                    .since("6.6", Calls.GET_HW_INFO, INFERRED)
                    .since("6.7", Calls.HWPT_GET_DIRTY_BITMAP, INFERRED)
                    .since("6.8", Calls.HWPT_INVALIDATE, INFERRED)
                    .since("6.11", Calls.FAULT_QUEUE_ALLOC, OBSERVED)
                    .since("6.13", Calls.VDEVICE_ALLOC, INFERRED)
                    .since("6.14", Calls.IOAS_CHANGE_PROCESS, INFERRED)
                    .since("6.15", Calls.VEVENTQ_ALLOC, INFERRED)
                    .since("6.17", Calls.HW_QUEUE_ALLOC, INFERRED)
                    .since("7.3", Calls.IOAS_NOIOMMU_GET_PA, OBSERVED)
                    .witnessedBy("IommufdRulesTest#eachReleaseKnowsItsCalls"),
            ReleaseRule.of("deviceFiles", "A device has a file of its own, which is bound to an iommufd.", false, READ)
                    .since("6.6", true, INFERRED)
                    .witnessedBy("IommufdRulesTest#aDeviceHasAFileOfItsOwnSince66"),
            ReleaseRule.of(
                            "compatWithoutIommu",
                            "An iommufd serves groups without an IOMMU as their container, too; before, they "
                                    + "enter it, and their devices can't be opened.",
                            false,
                            INFERRED)
                    .since("6.3", true, INFERRED, "c9a397cee9f5")
                    .witnessedBy("CompatGroupsTest#since63AGroupWithoutAnIommuHasAnIommufdForItself"),
            ReleaseRule.of(
                            "compatUnmapsNothing",
                            "A container's unmap of a range without mappings succeeds, as type 1's does; before, it "
                                    + "is ENOENT.",
                            false,
                            OBSERVED)
                    .since("6.6.117", true, READ)
                    .since("6.12.59", true, OBSERVED)
                    .since("6.17.9", true, READ)
                    .since("6.18", true, OBSERVED, "afb47765f923")
                    .witnessedBy("IommufdRulesTest#aContainersUnmapOfNothingSucceedsSince618"),
            ReleaseRule.of(
                            "wrapsAheadOfLength",
                            "Memory to map that wraps around is EOVERFLOW however long it is; before, more than "
                                    + "2^64 - 4097 bytes are EINVAL first.",
                            false,
                            READ)
                    .since("6.13", true, READ)
                    .witnessedBy("IommufdRulesTest#memoryThatIsTooLongAndWrapsIsAnOverflowSince613"),
            ReleaseRule.of(
                            "upgradesAtAttach",
                            "A device that can be enforced asks a HWPT that does not block no-snoop to do so when it "
                                    + "is attached; since, the HWPT stays as it was made.",
                            true,
                            READ)
                    .deciding()
                    .since("6.7", false, OBSERVED, "2ccabf81ddff")
                    .witnessedBy("IommufdRulesTest#until66ADeviceUpgradesTheHwptThatItJoins"),
            ReleaseRule.of(
                            "keepsEnforceableApart",
                            "A HWPT that lets no-snoop pass refuses a device that can be enforced with EINVAL, so that "
                                    + "an IOAS makes it one of its own.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("IommufdRulesTest#aCorrectedHwptRefusesADeviceThatCanBeEnforced"),
            ReleaseRule.of(
                            "driverAllocatesForUsers",
                            "The driver allocates domains for user space with an op of its own (domain_alloc_user, "
                                    + "later domain_alloc_paging_flags); before, as for type 1.",
                            false,
                            READ)
                    .deciding()
                    .since("6.7", true, OBSERVED)
                    .witnessedBy("IommufdRulesTest#driversHaveAnOpForUsersSince67"),
            ReleaseRule.of(
                            "nestsByOwnOp",
                            "Nested domains have an op of their own, so that a driver without is refused before the "
                                    + "parent is looked at.",
                            false,
                            OBSERVED)
                    .since("6.13", true, INFERRED)
                    .witnessedBy("IommufdRulesTest#aDriverThatNestsNothingIsRefusedFirstSince613"),
            ReleaseRule.of("pagingFlags", "The flags of a HWPT on an IOAS.", HwptFlags.NONE, INFERRED)
                    .since("6.7", HwptFlags.NESTED_DIRTY, OBSERVED)
                    .since("6.13", HwptFlags.ALL, INFERRED)
                    .witnessedBy("IommufdRulesTest#theFlagsOfAHwptCameWithTheirReleases"),
            ReleaseRule.of("faultQueues", "A HWPT may deliver page requests to a queue.", false, INFERRED)
                    .since("6.11", true, OBSERVED)
                    .witnessedBy("IommufdRulesTest#beforeFaultQueuesTheFlagIsUnknown"),
            ReleaseRule.of(
                            "refusesAllVirtualFunctions",
                            "A HWPT with a fault queue refuses every virtual function with EINVAL; since, those alone "
                                    + "whose physical function has the Page Request capability.",
                            true,
                            READ)
                    .since("6.13", false, READ)
                    .witnessedBy("IommufdRulesTest#aVirtualFunctionWithoutPageRequestsMayDeliverFaultsSince613"),
            ReleaseRule.of("hardwareInfoOfType", "GET_HW_INFO takes the type that is asked for.", false, OBSERVED)
                    .since("6.17", true, INFERRED)
                    .witnessedBy("IommufdRulesTest#hardwareInformationGrewWithTheReleases"),
            ReleaseRule.of("tellsPasids", "GET_HW_INFO tells how many PASIDs a device has.", false, OBSERVED)
                    .since("6.12.31", true, READ)
                    .since("6.15", true, INFERRED)
                    .witnessedBy("IommufdRulesTest#hardwareInformationGrewWithTheReleases"),
            ReleaseRule.of("tellsAts", "GET_HW_INFO tells that a device has no ATS.", false, OBSERVED)
                    .since("7.1", true, INFERRED)
                    .witnessedBy("IommufdRulesTest#hardwareInformationGrewWithTheReleases"),
            ReleaseRule.of("attachesPasids", "A PASID of a device can be attached.", false, OBSERVED)
                    .since("6.15", true, INFERRED)
                    .witnessedBy("IommufdRulesTest#aPasidCanBeAttachedSince615"),
            ReleaseRule.of("bindsByToken", "Binding a device may name its physical function's token.", false, OBSERVED)
                    .since("6.17", true, INFERRED)
                    .witnessedBy("IommufdRulesTest#aTokenIsReadSince617"),
            ReleaseRule.of(
                            "answersWhatWaits",
                            "A device that moves to another HWPT has the page requests that wait in the old one's "
                                    + "queue answered, as invalid; where not, they are looked for in the new one's "
                                    + "queue, and go on waiting unless both have the same "
                                    + "(iommufd_hwpt_replace_device).",
                            true,
                            INFERRED)
                    .since("6.12.24", false, READ, "fb21b1568ada")
                    .since("6.13.12", false, INFERRED, "fb21b1568ada")
                    .since("6.14.3", false, INFERRED, "fb21b1568ada")
                    .since("6.15", false, INFERRED, "fb21b1568ada")
                    .since("7.2", true, READ)
                    .witnessedBy("IommufdRulesTest#whatWaitsOfADeviceThatMovesIsAnsweredButFrom615To71"),
            ReleaseRule.of(
                            "mapsDmaBufs",
                            "IOMMU_IOAS_MAP_FILE takes a dma-buf of a vfio-pci device, and looks at the range "
                                    + "first; before, at the file, of which a dma-buf is one without memory.",
                            false,
                            INFERRED)
                    .since("6.19", true, INFERRED, "5185c4d8a56b")
                    .witnessedBy("IommufdRulesTest#aDmaBufIsMappedSince619"),
            ReleaseRule.of(
                            "emptyDirtyRangeIsInvalid",
                            "A dirty bitmap of 0 bytes is EINVAL; before, its end wrapped around: EOVERFLOW.",
                            false,
                            READ)
                    .since("6.12.117", true, READ)
                    .since("7.3.4", true, READ)
                    .witnessedBy("IommufdRulesTest#aDirtyBitmapOfNoBytesIsInvalidSince734"),
            ReleaseRule.of(
                            "boundsInvalidations",
                            "An array of invalidations has at most 2^19 entries of at most 4096 bytes, and a queue "
                                    + "of a virtual IOMMU at most 2^19 events.",
                            false,
                            READ)
                    .since("6.12.96", true, READ)
                    .since("6.18.39", true, INFERRED, "32ca4aed2a66")
                    .since("7.1.4", true, INFERRED)
                    .since("7.2", true, READ, "4d7098600")
                    .witnessedBy("IommufdRulesTest#anArrayOfInvalidationsIsBoundedSince72"),
            ReleaseRule.of(
                            "refusesShortReads",
                            "A read of a queue that is too short for the first group of page requests, or for the "
                                    + "first event, is EINVAL, and one that can't be written takes out whole ones; "
                                    + "before, the first is 0 bytes, and a part of the second may be read.",
                            false,
                            READ)
                    .since("6.12.101", true, READ, "415cd5ab28f8", "b10011fabbf1")
                    .since("6.18.39", true, INFERRED, "f2dbe1dba01e", "67daea4c0935", "f549a749b625", "64011399d881")
                    .since("7.1.4", true, INFERRED)
                    .since("7.2", true, READ, "47916a54eeb2", "091ab6d70dc4", "00203ca8323f", "01e41ad76c12")
                    .witnessedBy("IommufdRulesTest#aReadThatIsTooShortIsInvalidSince72"),
            ReleaseRule.of(
                            "devicesWithoutIommu",
                            "A device without an IOMMU can be bound, and its physical addresses be read.",
                            false,
                            READ)
                    .since("7.3", true, READ, "072f454c38fd", "17ea9f74bb53")
                    .witnessedBy("IommufdRulesTest#aDeviceWithoutAnIommuIsBoundSince73"));

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     * @throws IommuException ENOENT when the release has no {@code /dev/iommu}
     */
    static IommufdRules of(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException(
                    "no iommufd rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        IommufdRules rules = RuleRecords.of(MethodHandles.lookup(), IommufdRules.class, RULES, release);
        if (rules.calls == Calls.NONE) {
            throw new IommuException(Errno.ENOENT, "Linux " + release + " has no /dev/iommu");
        }
        return rules;
    }

    /** Returns where Linux decides whether a HWPT blocks no-snoop, once its domain can be asked. */
    DecisionSource enforcementSource() {
        return DecisionSource.of(
                "iommufd",
                upgradesAtAttach ? "iommufd_hw_pagetable_enforce_cc" : "iommufd_hwpt_paging_enforce_cc",
                "upgradesAtAttach");
    }

    /**
     * Refuses an ioctl that the release does not know.
     *
     * @param number the ioctl's number, from 0x80
     * @throws IommuException ENOTTY
     */
    void checkKnows(int number) {
        if (number > calls.last()) {
            throw new IommuException(Errno.ENOTTY, "no ioctl 0x" + Integer.toHexString(number));
        }
    }
}
