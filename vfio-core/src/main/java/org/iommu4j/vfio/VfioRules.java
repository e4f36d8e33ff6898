// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.OBSERVED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;
import org.iommu4j.vfio.type1.NoSnoopBlocking;
import org.iommu4j.vfio.type1.Type1Options;

/**
 * What of VFIO's behaviour depends on the release of Linux, all of it: the rules that {@link #RULES} declares, under
 * one release. Each component has its rule's name, and the rule's sentence says what it is.
 */
record VfioRules(
        boolean asksDomains,
        boolean claimsGroups,
        boolean isolationByGroup,
        boolean filesAskDevices,
        boolean filesAskWholeGroups,
        boolean externalUsersNeedIommu,
        boolean knowsFiles,
        boolean movesAddresses,
        boolean alignsCapabilities,
        boolean nests,
        boolean reachesTheEnd,
        boolean growsVectors,
        boolean exportsDmaBufs,
        boolean claimsExportedBars) {
    /** The rules. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of(
                            "asksDomains",
                            "Every mapping has IOMMU_CACHE, of which a device must be capable to be registered, and a "
                                    + "domain is asked to enforce; before, the platform's answer decides for all "
                                    + "mappings of a container, and is what VFIO_DMA_CC_IOMMU says.",
                            false,
                            READ)
                    .deciding()
                    .since("5.19-posted", true, READ)
                    .witnessedBy("VfioReleaseTest#since519EveryMappingHasCacheAndTheDomainIsAsked"),
            ReleaseRule.of(
                            "claimsGroups",
                            "A group that enters a container is claimed from its kernel drivers, those of its bridges "
                                    + "included (iommu_group_claim_dma_owner), and refused with EPERM; before, VFIO "
                                    + "looked itself when a device was opened, passed bridges over "
                                    + "(vfio_group_viable), and refused with EINVAL.",
                            false,
                            READ)
                    .since("5.19", true, READ)
                    .witnessedBy("VfioReleaseTest#since519AGroupIsClaimedWhenItEntersItsContainer"),
            ReleaseRule.of(
                            "isolationByGroup",
                            "The interrupts of every device of a group must be remapped "
                                    + "(iommu_group_has_isolated_msi); before, one device's IOMMU that remaps was "
                                    + "enough (IOMMU_CAP_INTR_REMAP).",
                            false,
                            READ)
                    .since("6.3", true, READ)
                    .witnessedBy("VfioReleaseTest#since63TheInterruptsOfEveryDeviceMustBeRemapped"),
            ReleaseRule.of(
                            "filesAskDevices",
                            "A file vouches to KVM for what its group's registered devices are capable of; before, for "
                                    + "its container's VFIO_DMA_CC_IOMMU.",
                            false,
                            OBSERVED)
                    .deciding()
                    .since("6.2", true, READ, "0d8227b622f3")
                    .witnessedBy("VfioReleaseTest#since62AFileAnswersForItsDevices"),
            ReleaseRule.of(
                            "filesAskWholeGroups",
                            "A group's file that vouches for what devices are capable of asks every device of the "
                                    + "IOMMU's group, and not those alone that VFIO has.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("VfioReleaseTest#aCorrectedFileAnswersForAllDevicesOfItsGroup"),
            ReleaseRule.of(
                            "externalUsersNeedIommu",
                            "KVM takes a viable group alone whose container has an IOMMU, and the group can't leave "
                                    + "that while KVM has it (vfio_group_get_external_user); since, KVM has any "
                                    + "group's file.",
                            true,
                            READ)
                    .deciding()
                    .since("5.19", false, INFERRED)
                    .witnessedBy("VfioReleaseTest#until518KvmTakesAGroupWithAnIommuAlone"),
            ReleaseRule.of(
                            "knowsFiles",
                            "What is no container is EBADFD for VFIO_GROUP_SET_CONTAINER and not EINVAL.",
                            false,
                            OBSERVED)
                    .since("6.2", true, INFERRED)
                    .witnessedBy("VfioReleaseTest#since62AFileOfAnotherKindHasAnErrnoOfItsOwn"),
            ReleaseRule.of(
                            "movesAddresses",
                            "A mapping that gets a new virtual address is charged to the caller, and "
                                    + "VFIO_UPDATE_VADDR needs an IOMMU and excludes emulated devices; before, the "
                                    + "charge stays where it was, and the extension is always there.",
                            false,
                            INFERRED)
                    .since("6.1.16", true, OBSERVED, "ef3a3f6a294b", "90fdd158a695")
                    .since("6.3", true, INFERRED, "ef3a3f6a294b", "90fdd158a695")
                    .witnessedBy("VfioReleaseTest#since63ANewVirtualAddressExcludesEmulatedDevices"),
            ReleaseRule.of(
                            "alignsCapabilities",
                            "Each capability of VFIO_IOMMU_GET_INFO begins at a multiple of 8; before, one right "
                                    + "behind the other.",
                            false,
                            OBSERVED)
                    .since("6.6", true, INFERRED, "a881b496941f")
                    .witnessedBy("VfioReleaseTest#since66CapabilitiesAreAligned"),
            ReleaseRule.of("nests", "VFIO_TYPE1_NESTING_IOMMU is an extension.", true, OBSERVED)
                    .since("6.13", false, INFERRED, "35890f85573c")
                    .witnessedBy("VfioReleaseTest#until612ThereIsAnExtensionForNesting"),
            ReleaseRule.of(
                            "reachesTheEnd",
                            "A range that wraps around is EOVERFLOW and not EINVAL, also where a driver pins pages, "
                                    + "and one that ends where the address space does is unmapped.",
                            false,
                            OBSERVED)
                    .since("6.18", true, OBSERVED, "6012379ede6a", "1196f1f897d4", "ef270ec44637")
                    .witnessedBy("VfioReleaseTest#theLastPageOfTheAddressSpaceIsUnmapped"),
            ReleaseRule.of(
                            "growsVectors",
                            "Vectors of MSI-X can be added while others are in use, so that VFIO_DEVICE_GET_IRQ_INFO "
                                    + "does not say VFIO_IRQ_INFO_NORESIZE.",
                            false,
                            READ)
                    .since("6.5", true, READ, "e4163438e015", "6c8017c6a58d")
                    .witnessedBy("VfioReleaseTest#since65VectorsOfMsiXCanBeAdded"),
            ReleaseRule.of(
                            "exportsDmaBufs",
                            "A region of a PCI function can be exported as a dma-buf (VFIO_DEVICE_FEATURE_DMA_BUF).",
                            false,
                            INFERRED)
                    .since("6.19", true, INFERRED, "5d74781ebc86")
                    .witnessedBy("VfioReleaseTest#since619ARegionIsExported"),
            ReleaseRule.of(
                            "claimsExportedBars",
                            "A region that opens nothing can't be exported because it can't be claimed: ENODEV; "
                                    + "before, because it is no memory: EINVAL.",
                            false,
                            INFERRED)
                    .since("7.1", true, INFERRED, "702809dabdec")
                    .witnessedBy("VfioReleaseTest#since71AnEmptyRegionIsClaimedFirst"));

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     */
    static VfioRules of(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException(
                    "no VFIO rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        return RuleRecords.of(MethodHandles.lookup(), VfioRules.class, RULES, release);
    }

    /**
     * Returns whether a device whose ordinary DMA is not coherent is refused. Source: {@code vfio_register_group_dev}.
     */
    boolean requiresCoherentDma() {
        return asksDomains;
    }

    /** Returns where Linux decides what a file vouches for. */
    DecisionSource fileSource(boolean group) {
        String function = !asksDomains
                ? "vfio_external_check_extension"
                : filesAskDevices && group ? "vfio_group_enforced_coherent" : "vfio_file_enforced_coherent";
        return filesAskWholeGroups && group
                ? DecisionSource.of("vfio", function, "filesAskDevices", "filesAskWholeGroups")
                : DecisionSource.of("vfio", function, "filesAskDevices");
    }

    /** Returns where Linux decides what VFIO_DMA_CC_IOMMU is. */
    DecisionSource containerSource() {
        return DecisionSource.of(
                "vfio",
                asksDomains ? "vfio_domains_have_enforce_cache_coherency" : "vfio_domains_have_iommu_cache",
                "asksDomains");
    }

    /** Returns where Linux asks a domain to block no-snoop. */
    DecisionSource askingSource() {
        return DecisionSource.of("vfio", "vfio_iommu_type1_attach_group", "asksDomains");
    }

    /** Returns how type 1 behaves under these rules. */
    Type1Options type1(VfioOptions options) {
        return new Type1Options(
                options.allowUnsafeInterrupts(),
                isolationByGroup,
                options.dmaEntryLimit(),
                asksDomains ? NoSnoopBlocking.BY_DOMAIN : NoSnoopBlocking.BY_MAPPING,
                reachesTheEnd ? Errno.EOVERFLOW : Errno.EINVAL,
                reachesTheEnd,
                movesAddresses,
                alignsCapabilities);
    }
}
