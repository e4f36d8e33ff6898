// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.OBSERVED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.DecisionSource;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;

/**
 * What of KVM's decisions depends on the release of Linux, all of it: the rules that {@link #RULES} declares, under one
 * release. Each component has its rule's name, and the rule's sentence says what it is.
 *
 * <p>What concerns memory types is VMX's: SVM has no memory type in its second-stage tables, and the guest's own
 * choice always holds. That the guest's PAT always holds on a CPU with self-snoop (377b2f359d1f) was taken back
 * before 6.11 (9d70f3fec144), so it is no rule here.
 */
record KvmRules(
        boolean dropsEntriesOnChange,
        boolean cachingOffIgnoresPat,
        boolean guestMtrrs,
        boolean guestPatQuirk,
        boolean recomputesOnFailedDelete,
        boolean takesDeviceFiles,
        boolean devicesEndWithTheirFiles,
        boolean machinesAnswerDeviceControl,
        boolean maskKeepsOwnCpu,
        boolean maskEmptiedWhilePinned,
        boolean maskFollowsEveryLoad,
        boolean flushesOnRegistration,
        boolean wbinvdReachesAllCpus,
        boolean dropsEntriesOnQuirkChange) {
    /** The name under which these rules are known. */
    static final String MODULE = "kvm";

    /** The rules. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of(
                            "dropsEntriesOnChange",
                            "All second-stage entries go when DMA becomes non-coherent or coherent; before, pages that "
                                    + "were touched keep the type that they have.",
                            false,
                            READ)
                    .deciding()
                    .since("6.7", true, READ, "362ff6dca541")
                    .witnessedBy("KvmReleaseTest#aPageTouchedBeforeANoncoherentDeviceCame"),
            ReleaseRule.of(
                            "cachingOffIgnoresPat",
                            "With non-coherent DMA and CR0.CD set, a page is write-back and the guest's PAT ignored, "
                                    + "unless the quirk is off.",
                            true,
                            READ)
                    .deciding()
                    .since("6.7", false, READ, "c9f65a3f2d92")
                    .witnessedBy("KvmReleaseTest#aVcpuWithCachingOffAndNoncoherentDma"),
            ReleaseRule.of(
                            "guestMtrrs",
                            "While DMA is non-coherent the guest's MTRRs and CR0.CD give a page its type.",
                            true,
                            READ)
                    .deciding()
                    .since("6.11", false, READ, "0a7b73559b39", "e1548088ff54")
                    .witnessedBy("KvmReleaseTest#theGuestsMtrrsMatterUntil610WhileDmaIsNoncoherent"),
            ReleaseRule.of(
                            "guestPatQuirk",
                            "KVM_X86_QUIRK_IGNORE_GUEST_PAT can be turned off; then the guest's PAT holds with "
                                    + "coherent DMA too, and no change drops entries.",
                            false,
                            READ)
                    .deciding()
                    .since("6.12.78", true, OBSERVED)
                    .since("6.16", true, INFERRED)
                    .witnessedBy("KvmReleaseTest#theQuirkAboutTheGuestsPatCameWith616"),
            ReleaseRule.of(
                            "recomputesOnFailedDelete",
                            "KVM_DEV_VFIO_FILE_DEL of a file that is not there has the others asked again, before it "
                                    + "fails with ENOENT.",
                            true,
                            READ)
                    .deciding()
                    .since("7.2", false, READ, "156615264fd3")
                    .witnessedBy("KvmReleaseTest#aFileThatIsNotThereHasTheOthersAskedUntil71"),
            ReleaseRule.of(
                            "takesDeviceFiles",
                            "A device's file is one of VFIO for KVM_DEV_VFIO_FILE_ADD; before, only a group's is.",
                            false,
                            OBSERVED)
                    .deciding()
                    .since("6.6", true, INFERRED)
                    .witnessedBy("KvmReleaseTest#aDevicesFileIsTakenSince66"),
            ReleaseRule.of(
                            "devicesEndWithTheirFiles",
                            "A kvm-vfio device ends when its file is closed; before, when the machine is closed as "
                                    + "well, and until then DMA stays what it is.",
                            false,
                            READ)
                    .since("6.1.9", true, READ, "51cdc8bc120e")
                    .since("6.2", true, READ, "51cdc8bc120e")
                    .witnessedBy("KvmReleaseTest#aKvmVfioDeviceEndsWithItsFileSince62"),
            ReleaseRule.of(
                            "machinesAnswerDeviceControl",
                            "A virtual machine's file has KVM_CAP_DEVICE_CTRL, and not /dev/kvm alone.",
                            false,
                            OBSERVED)
                    .since("6.4", true, INFERRED)
                    .witnessedBy("KvmReleaseTest#aMachineAnswersForDeviceControlSince64"),
            ReleaseRule.of(
                            "maskKeepsOwnCpu",
                            "After a WBINVD the mask of CPUs keeps the CPU that was flushed last, on which the vCPU "
                                    + "runs on.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("KvmCorrectionsTest#theCpuThatWasFlushedLastIsKept"),
            ReleaseRule.of(
                            "maskEmptiedWhilePinned",
                            "A WBINVD empties the mask of CPUs while it is still bound to its CPU, so that a later "
                                    + "load stays in the mask.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("KvmCorrectionsTest#aLoadBetweenTheStepsOfAWbinvdIsKept"),
            ReleaseRule.of(
                            "maskFollowsEveryLoad",
                            "Every load of a vCPU adds its CPU to the mask, also while DMA is coherent.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("KvmCorrectionsTest#aLoadBeforeTheFirstDeviceIsRemembered"),
            ReleaseRule.of(
                            "flushesOnRegistration",
                            "When DMA becomes non-coherent, the caches of all CPUs are written back and emptied.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("KvmCorrectionsTest#theFirstDeviceHasAllCpusFlushed"),
            ReleaseRule.of(
                            "wbinvdReachesAllCpus",
                            "A guest's WBINVD is executed on all CPUs of the host, and not on those of the mask alone.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("KvmCorrectionsTest#aWbinvdReachesCpusOnWhichTheVcpuNeverWas"),
            ReleaseRule.of(
                            "dropsEntriesOnQuirkChange",
                            "All second-stage entries go when KVM_X86_QUIRK_IGNORE_GUEST_PAT is turned off, so that "
                                    + "no page ignores the guest's PAT any longer.",
                            false,
                            READ)
                    .proposing(true)
                    .witnessedBy("KvmCorrectionsTest#entriesGoWhenTheQuirkAboutTheGuestsPatIsTurnedOff"));

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     */
    static KvmRules of(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException(
                    "no KVM rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        return RuleRecords.of(MethodHandles.lookup(), KvmRules.class, RULES, release);
    }

    /** What decides about the type of a guest page; each names the rules that have a part in it. */
    private enum TypeBy {
        /** SVM has no types in its tables. */
        NO_TYPES(),
        /** A device's memory is uncacheable. */
        DEVICE_MEMORY(),
        /** DMA is coherent. */
        COHERENT_DMA("guestPatQuirk"),
        /** DMA is non-coherent, and the guest's PAT decides alone. */
        GUEST_PAT("guestMtrrs"),
        /** The guest turned caching off. */
        CACHING_OFF("guestMtrrs", "cachingOffIgnoresPat"),
        /** The guest's MTRRs. */
        MTRRS("guestMtrrs");

        @SuppressWarnings("ImmutableEnumChecker") // a copy
        private final List<String> rules;

        TypeBy(String... rules) {
            this.rules = List.of(rules);
        }
    }

    private TypeBy typeBy(
            HardwareVirtualization virtualization, boolean deviceMemory, boolean noncoherentDma, boolean cachingOff) {
        if (virtualization == HardwareVirtualization.SVM) {
            return TypeBy.NO_TYPES;
        }
        if (deviceMemory) {
            return TypeBy.DEVICE_MEMORY;
        }
        if (!noncoherentDma) {
            return TypeBy.COHERENT_DMA;
        }
        if (!guestMtrrs) {
            return TypeBy.GUEST_PAT;
        }
        return cachingOff ? TypeBy.CACHING_OFF : TypeBy.MTRRS;
    }

    /**
     * Returns the type that a guest page gets when it is entered into the second-stage table. Source: {@code
     * vmx_get_mt_mask}; {@code svm_x86_ops} has no such operation.
     *
     * @param deviceMemory whether the page is a device's memory and not RAM
     * @param noncoherentDma whether DMA is non-coherent
     * @param cachingOff whether CR0.CD is set on the vCPU that touches the page
     * @param mtrr the type that the guest's MTRRs give the page
     */
    GuestMemoryType guestMemoryType(
            HardwareVirtualization virtualization,
            KvmOptions options,
            boolean deviceMemory,
            boolean noncoherentDma,
            boolean cachingOff,
            MemoryType mtrr) {
        return switch (typeBy(virtualization, deviceMemory, noncoherentDma, cachingOff)) {
            case NO_TYPES -> deviceMemory ? GuestMemoryType.GUEST_PAT_DEVICE : GuestMemoryType.GUEST_PAT;
            case DEVICE_MEMORY -> GuestMemoryType.UC;
            case COHERENT_DMA -> options.ignoreGuestPat() ? GuestMemoryType.WB_IPAT : GuestMemoryType.WB;
            case GUEST_PAT -> GuestMemoryType.WB;
            case CACHING_OFF -> {
                if (!options.cacheDisableIgnored()) {
                    yield GuestMemoryType.UC_IPAT;
                }
                yield cachingOffIgnoresPat ? GuestMemoryType.WB_IPAT : GuestMemoryType.WB;
            }
            case MTRRS -> GuestMemoryType.of(mtrr);
        };
    }

    /** Returns where Linux decides about the type of a page of RAM, for a vCPU with caching on. */
    DecisionSource memoryTypeSource(HardwareVirtualization virtualization, boolean noncoherentDma) {
        return new DecisionSource(
                MODULE,
                virtualization == HardwareVirtualization.SVM
                        ? "svm_x86_ops, which has no get_mt_mask"
                        : "vmx_get_mt_mask",
                typeBy(virtualization, false, noncoherentDma, false).rules);
    }

    /** Returns where Linux decides whether entries go when DMA becomes non-coherent or coherent. */
    DecisionSource entriesSource() {
        return DecisionSource.of(
                MODULE,
                dropsEntriesOnChange
                        ? "kvm_noncoherent_dma_assignment_start_or_stop"
                        : "kvm_arch_register_noncoherent_dma",
                "dropsEntriesOnChange",
                "guestPatQuirk");
    }

    /**
     * Returns whether all entries go when DMA becomes non-coherent or coherent. Source: {@code
     * kvm_noncoherent_dma_assignment_start_or_stop}.
     */
    boolean dropsEntriesWhenCoherencyChanges(HardwareVirtualization virtualization, KvmOptions options) {
        return virtualization == HardwareVirtualization.VMX && dropsEntriesOnChange && options.ignoreGuestPat();
    }

    /** Returns whether all entries go when a vCPU turns caching off or on. Source: {@code kvm_post_set_cr0}. */
    boolean dropsEntriesWhenCachingChanges(
            HardwareVirtualization virtualization, KvmOptions options, boolean noncoherentDma) {
        return virtualization == HardwareVirtualization.VMX
                && guestMtrrs
                && noncoherentDma
                && !options.cacheDisableIgnored();
    }

    /** Returns whether all entries go when the guest changes its MTRRs. Source: {@code update_mtrr}. */
    boolean dropsEntriesWhenMtrrsChange(HardwareVirtualization virtualization, boolean noncoherentDma) {
        return virtualization == HardwareVirtualization.VMX && guestMtrrs && noncoherentDma;
    }

    /**
     * Returns whether a VMM can turn a quirk off. Source: {@code kvm_caps.supported_quirks}, {@code
     * vmx_hardware_setup}.
     *
     * @param selfSnoop whether all CPUs of the host have self-snoop; without it, a guest that chooses types could read
     *     old values of lines that the host cached
     */
    boolean has(KvmQuirk quirk, HardwareVirtualization virtualization, boolean selfSnoop) {
        return switch (quirk) {
            case CD_NW_CLEARED -> true;
            case IGNORE_GUEST_PAT -> guestPatQuirk && virtualization == HardwareVirtualization.VMX && selfSnoop;
        };
    }

    /**
     * Returns whether all accesses of a vCPU that turned caching off are uncached, whatever its entries say. VMX never
     * loads CR0.CD for a guest. Source: {@code svm_set_cr0}, {@code KVM_VM_CR0_ALWAYS_OFF}.
     */
    static boolean cachingOffReachesHardware(HardwareVirtualization virtualization, KvmOptions options) {
        return virtualization == HardwareVirtualization.SVM && !options.cacheDisableIgnored();
    }
}
