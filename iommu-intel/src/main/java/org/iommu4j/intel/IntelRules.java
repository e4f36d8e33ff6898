// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.OBSERVED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;
import org.iommu4j.release.RuleValue;
import org.iommu4j.spi.CoherencyRule;

/**
 * What the VT-d driver does differently from release to release: the rules that {@link #RULES} declares, under one
 * release. Each component has its rule's name, and the rule's sentence says what it is.
 */
record IntelRules(
        Enforcement enforcement,
        AttachCheck secondStageAttach,
        AttachCheck firstStageAttach,
        AttachCheck widthRefusal,
        TableLevels tableLevels,
        ComparedWidth comparedWidth,
        Comparison pageSizes,
        Comparison walks,
        boolean announcesByDomain,
        boolean lockedDevicesStayWithTheKernel,
        boolean predictsEnforcement,
        boolean atsCapability,
        boolean flushCapability,
        boolean writeOnlyMapsReadToo,
        boolean firstStageForbidsExecution,
        boolean entryEnablesExecuteDisable,
        boolean unmanagedPrefersSecondStage,
        boolean userDomainsAreSnooped,
        boolean attachesPasids,
        boolean tracksWithPasids,
        boolean nestsAndTracks,
        boolean stagesShareOps,
        boolean usersGetSecondStage,
        boolean takesPasidFlag,
        boolean deliversPageRequests,
        boolean hearsOptOut,
        DirtyLeaves dirtyLeaves) {

    /** How a device that does not fit is refused. */
    enum AttachCheck implements RuleValue {
        /** Nobody looks. */
        NONE("nobody looks"),
        /** With an errno that ends the caller's attempt. */
        HARD("an errno that ends the caller's attempt: EOPNOTSUPP for snooping, EFAULT for width"),
        /** With the EINVAL on which the caller may try another domain. */
        SOFT("EINVAL, on which the caller may try another domain");

        private final String words;

        AttachCheck(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** How many levels the tables of a unit have, and so how wide their addresses are. */
    enum TableLevels implements RuleValue {
        /** The most that SAGAW has, for a first stage too, which can't have 3. */
        MOST("the most that SAGAW has, for a first stage too; a table of fewer levels is taken, though the unit may "
                + "not know it"),
        /** The most that the unit has in each of its stages. */
        MOST_OF_EACH_STAGE("the most that the unit has in each of its stages; a table of fewer levels is taken, "
                + "though the unit may not know it"),
        /**
         * What the addresses of requests need. A second stage gets the next more where the unit has them, but not below
         * its addresses' width.
         */
        NEEDED("what the addresses of requests need; a second stage for 39 or 48 bits has more where the unit has "
                + "more; a unit must know the table's levels");

        private final String words;

        TableLevels(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** Which width is compared with what a unit reaches, when a device is attached. */
    enum ComparedWidth implements RuleValue {
        /**
         * The highest address that was ever mapped. The domain's width becomes that of the unit that joins. Linux also
         * widens it again for a wider unit; here it never grows, because the other devices would not reach all of it.
         * What iommufd asks for by itself starts at its whole width.
         */
        HIGHEST_MAPPED("the highest address that was ever mapped; the domain is narrowed to the unit"),
        /** That of the domain, in either stage. */
        OF_DOMAIN("that of the domain, in either stage"),
        /** That of a second stage. Of a first stage only 5 levels are. */
        OF_SECOND_STAGE("that of a second stage; of a first stage only that 5 levels need 5 levels");

        private final String words;

        ComparedWidth(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** How units in one domain are compared in something that its tables depend on. */
    enum Comparison implements RuleValue {
        /** Not at all: the domain does what suits those that it knows of. */
        NONE("not at all; the domain does what suits the units that it knows of"),
        /** They must be alike. */
        ALIKE("they must be alike"),
        /** Each must be able to do what the domain does. */
        ENOUGH("each must be able to do what the domain does");

        private final String words;

        Comparison(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** What a written leaf marks that the range of a bitmap enters behind its start. */
    enum DirtyLeaves implements RuleValue {
        /** Its size from there on; as much is passed over, written or not. */
        SKIP_AHEAD("its size from there on, and as much behind it is passed over, written or not"),
        /** Its size from there on. */
        MARK_AHEAD("its size from there on, so that pages behind it are marked too"),
        /** Its own pages. */
        OWN_PAGES("its own pages");

        private final String words;

        DirtyLeaves(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** Who may promise that no-snoop is blocked, and what makes it so. */
    enum Enforcement implements RuleValue {
        /**
         * Nobody can be asked. A leaf blocks no-snoop when it is mapped with {@link Prot#CACHE} and every unit of the
         * machine can ({@code domain->iommu_snooping}); CACHE_COHERENCY told the latter. One flag for two things:
         * kernel drivers that passed it lost no-snoop, callers that did not let guests use it.
         */
        BY_MAPPING("no domain can be asked; a mapping with IOMMU_CACHE blocks no-snoop where every unit can"),
        /** The series as posted: whether every unit of the machine can, whoever is attached. */
        WHOLE_MACHINE("every unit of the machine must have snoop control, whoever is attached"),
        /**
         * What was promised stays; else every attached device's unit must have snoop control, none attached is fine. Of
         * a second stage, only what is mapped later blocks no-snoop.
         */
        ATTACHED_UNITS("the attached devices' units must have snoop control; what was promised stays, and what was "
                + "mapped before keeps letting no-snoop pass in a second stage"),
        /** Besides, a second stage in which something was ever mapped can't promise. */
        NOTHING_EVER_MAPPED("the attached devices' units must have snoop control, and nothing may ever have been "
                + "mapped in a second stage; what was promised stays"),
        /** The split into two ops lost the short cut for a second stage that promised already. */
        NOTHING_EVER_MAPPED_ASKED_AGAIN("the attached devices' units must have snoop control, and nothing may ever "
                + "have been mapped in a second stage, also in one that promised already"),
        /** A second stage asks the attached devices' units alone, whatever is mapped. */
        ATTACHED_UNITS_ALONE("the attached devices' units alone are asked; a second stage in which something is "
                + "mapped promises too, and those mappings keep letting no-snoop pass");

        private final String words;

        Enforcement(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** The rules. Releases between those that were read are inferred from the dates of the commits. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of(
                            "enforcement",
                            "What a domain looks at before it promises that no-snoop is blocked.",
                            Enforcement.BY_MAPPING,
                            READ)
                    .deciding()
                    .since("5.19-posted", Enforcement.WHOLE_MACHINE, READ, "6043257b1de0")
                    .since("5.19", Enforcement.ATTACHED_UNITS, READ, "fc0051cb9590", "e80552267b63")
                    .since("6.7", Enforcement.NOTHING_EVER_MAPPED, READ, "e645c20e8e9c")
                    .since("6.17", Enforcement.NOTHING_EVER_MAPPED_ASKED_AGAIN, READ)
                    .since("6.19", Enforcement.ATTACHED_UNITS_ALONE, READ)
                    .witnessedBy("IntelRulesTest#whatAPromiseLooksAt"),
            ReleaseRule.of(
                            "secondStageAttach",
                            "How a second-stage domain that promised refuses a device whose unit lacks snoop control.",
                            AttachCheck.NONE,
                            READ)
                    .deciding()
                    .since("5.19", AttachCheck.HARD, READ)
                    .since("6.2", AttachCheck.SOFT, READ)
                    .witnessedBy("IntelRulesTest#aDeviceWithoutSnoopControlIsRefusedHardFirst"),
            ReleaseRule.of(
                            "firstStageAttach",
                            "How a first-stage domain that promised refuses a device whose unit lacks snoop control.",
                            AttachCheck.NONE,
                            READ)
                    .deciding()
                    .since("5.19", AttachCheck.HARD, READ)
                    .since("6.2", AttachCheck.SOFT, READ)
                    .since("6.19", AttachCheck.NONE, READ)
                    .witnessedBy("IntelRulesTest#howAFirstStageRefusesADeviceWithoutSnoopControl"),
            ReleaseRule.of(
                            "widthRefusal",
                            "How a unit whose addresses are too narrow for a domain refuses it.",
                            AttachCheck.HARD,
                            READ)
                    .since("6.2", AttachCheck.SOFT, READ)
                    .witnessedBy("IntelRulesTest#aDomainTooWideForAUnitIsRefusedHardFirst"),
            ReleaseRule.of("tableLevels", "How many levels the tables of a unit have.", TableLevels.MOST, READ)
                    .since("6.0", TableLevels.MOST_OF_EACH_STAGE, INFERRED, "53fc7ad6edf2")
                    .since("6.19", TableLevels.NEEDED, READ)
                    .witnessedBy("TableSizeTest#aSecondStageHadNoMoreLevelsThanAFirst"),
            ReleaseRule.of(
                            "comparedWidth",
                            "Which width is compared with what a unit reaches, when a device is attached.",
                            ComparedWidth.HIGHEST_MAPPED,
                            READ)
                    .since("6.13", ComparedWidth.OF_DOMAIN, READ, "a98db518dde2")
                    .since("6.19", ComparedWidth.OF_SECOND_STAGE, READ)
                    .witnessedBy("TableSizeTest#whichWidthIsCompared"),
            ReleaseRule.of(
                            "pageSizes",
                            "How the page sizes of units in one domain are compared.",
                            Comparison.NONE,
                            READ)
                    .since("6.13", Comparison.ALIKE, READ, "a98db518dde2")
                    .since("6.17", Comparison.ENOUGH, READ)
                    .witnessedBy("IntelRulesTest#thenTheirPageSizesHadToBeAlikeAndLaterEnough"),
            ReleaseRule.of(
                            "walks",
                            "How units in one domain are compared as to whether they snoop when they read its tables.",
                            Comparison.NONE,
                            READ)
                    .since("6.13", Comparison.ALIKE, READ, "a98db518dde2")
                    .since("6.19", Comparison.ENOUGH, READ)
                    .witnessedBy("IntelRulesTest#howUnitsWalkHadToBeAlikeAndLaterGoodEnough"),
            ReleaseRule.of(
                            "announcesByDomain",
                            "A unit that must be told of new mappings is refused by a domain that announces none; "
                                    + "before, every unit was asked at every mapping.",
                            false,
                            READ)
                    .since("6.17", true, READ)
                    .witnessedBy("IntelRulesTest#onceAnyUnitWasToldOfNewMappings"),
            ReleaseRule.of(
                            "lockedDevicesStayWithTheKernel",
                            "The driver refuses a device with an RMRR that is not relaxable to UNMANAGED domains, with "
                                    + "EPERM (device_is_rmrr_locked); since, the core keeps such devices.",
                            true,
                            READ)
                    .since("6.6", false, READ)
                    .witnessedBy("IntelRulesTest#aDeviceLockedByFirmwareStaysWithTheKernelUntilTheCoreSawToIt"),
            ReleaseRule.of(
                            "predictsEnforcement",
                            "The driver answers IOMMU_CAP_ENFORCE_CACHE_COHERENCY: by the unit's snoop control.",
                            false,
                            READ)
                    .deciding()
                    .since("6.2", true, READ, "4989764d8ed3")
                    .witnessedBy("IntelRulesTest#thePredictionCameLaterThanThePromise"),
            ReleaseRule.of("atsCapability", "The driver answers IOMMU_CAP_PCI_ATS_SUPPORTED.", false, READ)
                    .since("7.1", true, READ)
                    .witnessedBy("IntelRulesTest#thatADeviceHasATlbIsToldSince71"),
            ReleaseRule.of(
                            "flushCapability",
                            "The driver answers IOMMU_CAP_DEFERRED_FLUSH: yes; since, the core knows it of every "
                                    + "domain with generic page tables.",
                            true,
                            READ)
                    .since("7.1", false, READ)
                    .witnessedBy("IntelRulesTest#thatAFlushMayBeDeferredIsToldUntil70"),
            ReleaseRule.of(
                            "writeOnlyMapsReadToo",
                            "A write-only mapping of a second stage is readable by the device as well.",
                            true,
                            READ,
                            "eea53c581688")
                    .since("6.16", false, INFERRED)
                    .witnessedBy("IntelRulesTest#aWriteOnlyMappingWasReadableToo"),
            ReleaseRule.of(
                            "firstStageForbidsExecution",
                            "First-stage leaves have XD set, until the manual had dropped execute requests.",
                            true,
                            READ)
                    .since("6.11", false, READ, "e995fcde6070")
                    .witnessedBy("IntelRulesTest#executionWasForbiddenUntilTheManualDroppedIt"),
            ReleaseRule.of(
                            "entryEnablesExecuteDisable",
                            "A first stage's PASID entry has NXE set, without which XD is reserved.",
                            false,
                            READ)
                    .since("6.1.16", true, READ)
                    .since("6.2.12", true, READ)
                    .since("6.3", true, READ, "e06d24435596")
                    .since("6.11", false, READ, "e995fcde6070")
                    .witnessedBy("IntelRulesTest#executionWasForbiddenUntilTheManualDroppedIt"),
            ReleaseRule.of(
                            "unmanagedPrefersSecondStage",
                            "An UNMANAGED domain, which VFIO uses, gets a second stage where the units have both, and "
                                    + "the stage is chosen for all units of the machine alike.",
                            true,
                            READ)
                    .deciding()
                    .since("6.13", false, READ, "a98db518dde2")
                    .witnessedBy("IntelRulesTest#theStageIsChosenAsTheReleaseDoes"),
            ReleaseRule.of(
                            "userDomainsAreSnooped",
                            "The PASID entry of every UNMANAGED domain has PGSNP set, asked or not.",
                            true,
                            READ)
                    .deciding()
                    .since("5.19", false, READ, "0d647b33e74f")
                    .witnessedBy("IntelRulesTest#beforeTheSeriesScalableModeBlockedForUsersWithoutBeingAsked"),
            ReleaseRule.of("attachesPasids", "Domains with page tables take PASIDs.", false, READ)
                    .since("6.6", true, READ, "7d0c9da6c150")
                    .witnessedBy("IntelRulesTest#abilitiesComeWithTheirReleases"),
            ReleaseRule.of(
                            "tracksWithPasids",
                            "A domain that records written pages takes PASIDs, and records theirs; before, it is "
                                    + "incompatible with every PASID.",
                            false,
                            READ)
                    .since("7.1", true, READ)
                    .witnessedBy("IntelRulesTest#aDomainThatRecordsTakesPasidsSince71"),
            ReleaseRule.of("nestsAndTracks", "User space may ask for nesting and for dirty tracking.", false, READ)
                    .since("6.7", true, READ)
                    .witnessedBy("IntelRulesTest#abilitiesComeWithTheirReleases"),
            ReleaseRule.of(
                            "stagesShareOps",
                            "Domains of either stage have the same ops, so that VFIO's type 1 tries a device in a "
                                    + "domain of the other stage.",
                            true,
                            READ)
                    .deciding()
                    .since("6.17", false, READ)
                    .witnessedBy("IntelRulesTest#bothStagesHadTheSameOpsUntil616"),
            ReleaseRule.of(
                            "usersGetSecondStage",
                            "A domain that iommufd asks for has a second stage, made for the device's unit alone, also "
                                    + "where the unit has none (intel_iommu_domain_alloc_user).",
                            false,
                            READ)
                    .deciding()
                    .since("6.7", true, OBSERVED)
                    .since("6.13", false, READ)
                    .witnessedBy("IntelRulesTest#aUsersDomainHasASecondStageFrom67To612"),
            ReleaseRule.of(
                            "takesPasidFlag",
                            "A user may ask for a domain that takes PASIDs, of any unit; it changes nothing.",
                            false,
                            READ)
                    .since("6.15", true, INFERRED)
                    .witnessedBy("IntelRulesTest#aUserMayAskForPasidsOfAnyUnitSince615"),
            ReleaseRule.of(
                            "deliversPageRequests",
                            "Who attaches a PASID may be given its page requests, as iommufd is; before, shared "
                                    + "virtual addressing alone used them.",
                            false,
                            READ)
                    .since("6.11", true, READ)
                    .witnessedBy("PageRequestsTest#pageRequestsAreHandedOutSinceTheReleaseThatHasSomebodyForThem"),
            ReleaseRule.of(
                            "hearsOptOut",
                            "No unit is used where firmware wants DMA not to be remapped (DMAR_REMAP_OPT_OUT), "
                                    + "whatever the command line says.",
                            false,
                            READ)
                    .since("7.3", true, READ, "1c677d8a2c3c")
                    .witnessedBy("IntelRulesTest#firmwareMayForbidRemappingSince73"),
            ReleaseRule.of(
                            "dirtyLeaves",
                            "What a large leaf that was written marks in a bitmap whose range begins behind its "
                                    + "start.",
                            DirtyLeaves.SKIP_AHEAD,
                            READ)
                    .since("6.19", DirtyLeaves.MARK_AHEAD, INFERRED)
                    .since("7.3", DirtyLeaves.OWN_PAGES, READ)
                    .witnessedBy("ScalableModeTest#whatALargeLeafMarksThatIsEnteredBehindItsStart"));

    /** Returns whether the rules of a release are built. */
    static boolean areBuiltFor(LinuxRelease release) {
        return release.isKnown();
    }

    /**
     * Returns a release's rules.
     *
     * @throws IllegalArgumentException when they are not built
     */
    static IntelRules of(LinuxRelease release) {
        if (!areBuiltFor(release)) {
            throw new IllegalArgumentException(
                    "no VT-d rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        return RuleRecords.of(MethodHandles.lookup(), IntelRules.class, RULES, release);
    }

    /** Returns whether a domain can be asked to block no-snoop. */
    boolean canBeAsked() {
        return enforcement != Enforcement.BY_MAPPING;
    }

    /**
     * Answers whether a domain with a second stage may promise that no-snoop is blocked.
     *
     * @param enforced whether it promised already
     * @param everMapped whether anything was ever mapped in it
     * @param attachedSnoop whether every unit behind its devices has snoop control; true for a domain without devices
     * @param machineSnoops whether every unit of the machine has snoop control or is in scalable mode
     */
    boolean mayEnforceSecondStage(boolean enforced, boolean everMapped, boolean attachedSnoop, boolean machineSnoops) {
        return switch (enforcement) {
            case BY_MAPPING -> false;
            case WHOLE_MACHINE -> machineSnoops;
            case ATTACHED_UNITS -> enforced || attachedSnoop;
            case NOTHING_EVER_MAPPED -> enforced || (attachedSnoop && !everMapped);
            case NOTHING_EVER_MAPPED_ASKED_AGAIN -> attachedSnoop && !everMapped;
            case ATTACHED_UNITS_ALONE -> attachedSnoop;
        };
    }

    /** Answers the same for a first stage, whose mappings do not matter: no-snoop is blocked by PASID entries. */
    boolean mayEnforceFirstStage(boolean enforced, boolean attachedSnoop, boolean machineSnoops) {
        return switch (enforcement) {
            case BY_MAPPING -> false;
            case WHOLE_MACHINE -> machineSnoops;
            case ATTACHED_UNITS, NOTHING_EVER_MAPPED, NOTHING_EVER_MAPPED_ASKED_AGAIN, ATTACHED_UNITS_ALONE ->
                enforced || attachedSnoop;
        };
    }

    /** Returns the function of Linux that decides whether a domain blocks no-snoop. */
    String enforcementFunction(boolean firstStage) {
        if (!canBeAsked()) {
            return "intel_iommu_map";
        }
        return "intel_iommu_enforce_cache_coherency" + (stagesShareOps ? "" : firstStage ? "_fs" : "_ss");
    }

    /** Returns whether a second-stage leaf blocks no-snoop. */
    boolean leafSnoops(boolean enforced, int prot, boolean machineSnoops) {
        return enforcement == Enforcement.BY_MAPPING ? (prot & Prot.CACHE) != 0 && machineSnoops : enforced;
    }

    /** Returns whether a PASID entry blocks no-snoop: of a first stage that promised, or of any user's domain once. */
    boolean entrySnoops(boolean enforced, DomainType type, boolean firstStage) {
        return (firstStage && enforced) || (userDomainsAreSnooped && type == DomainType.UNMANAGED);
    }

    /** Answers {@link org.iommu4j.IommuCapability#CACHE_COHERENCY}. */
    boolean cacheCoherency(boolean machineSnoops) {
        return enforcement != Enforcement.BY_MAPPING || machineSnoops;
    }

    /** Returns the permissions that a mapping really gives. */
    int effective(int prot) {
        return writeOnlyMapsReadToo && (prot & Prot.WRITE) != 0 ? prot | Prot.READ : prot;
    }

    /** Returns whose snoop control decides about a device, in the words of a description. */
    CoherencyRule coherencyRule() {
        return switch (enforcement) {
            case BY_MAPPING, WHOLE_MACHINE -> CoherencyRule.PER_MACHINE;
            case ATTACHED_UNITS, NOTHING_EVER_MAPPED, NOTHING_EVER_MAPPED_ASKED_AGAIN, ATTACHED_UNITS_ALONE ->
                predictsEnforcement ? CoherencyRule.PER_DEVICE : CoherencyRule.PER_DOMAIN;
        };
    }
}
