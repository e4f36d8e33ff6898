// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.OBSERVED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DecisionSource;
import org.iommu4j.LinuxRelease;
import org.iommu4j.amd.reg.Features;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;
import org.iommu4j.release.RuleValue;

/**
 * What Linux's AMD driver does differently from release to release, and nothing else: the rules that {@link #RULES}
 * declares, under one release. Each component has its rule's name, and the rule's sentence says what it is.
 *
 * <p>What never changed from 5.15 to 7.1 and so is no rule: FC is in every v1 leaf, whatever the domain is for, so the
 * DMA API blocks no-snoop too; {@link org.iommu4j.IommuCapability#CACHE_COHERENCY} is true; a v1 table starts with 3
 * levels; IVHD blocks up to type 0x40 are read. {@link #V2_ANSWERS_AS_V1} holds wherever there are v2 tables.
 *
 * <p>No domain with page tables takes PASIDs in any release: the paging ops have no {@code set_dev_pasid}, shared
 * virtual addressing alone has. {@code iommu4j.amd=pasids}, which Linux does not know, lets guest tables take them
 * here.
 *
 * <p>What no release up to 7.1 has: nested domains. {@code drivers/iommu/amd/nested.c} can make them since 7.0, but
 * {@code amd_viommu_ops} has no {@code alloc_domain_nested} and no {@code cache_invalidate}, so iommufd answers
 * EOPNOTSUPP; both were left for a later series (seen in a tree of 7.0; for 7.1 inferred from that series being posted
 * still). What 7.0 did bring is {@link #nestParents}.
 */
record AmdRules(
        boolean enforcementOp,
        boolean enforcementCapability,
        boolean guestTables,
        boolean guestTablesForAll,
        boolean pasidDomains,
        boolean formatsShareOps,
        boolean guestApertureHalved,
        boolean dirtyTracking,
        boolean htRangeIgnore,
        boolean hostLevelsByHats,
        HostTablesOff hostTablesOff,
        boolean hostAddressesByFirmware,
        boolean forgetsFreedTablesAlone,
        boolean hostPageSizesEnd,
        boolean atsCapability,
        boolean flushCapability,
        boolean nestParents,
        boolean passThroughEntryWrong,
        SouthBridge southBridge,
        Snp snp,
        DirtyLeaves dirtyLeaves) {
    /** Where firmware says that there are no host (v1) tables, so that every domain has guest (v2) tables. */
    enum HostTablesOff implements RuleValue {
        /** It is not asked. */
        NOT_ASKED("it is not asked"),
        /** By HATS 3 of the images, or by HATDis of a block whose image has GASup: of others Linux reads no HATDis. */
        WITH_GA_SUP("HATS 3 of the images, or HATDis of an IVHD block of type 11h or 40h whose image has GASup"),
        /** By HATS 3 of the images, or by HATDis of any block. */
        BY_FIRMWARE("HATS 3 of the images, or HATDis of an IVHD block of type 11h or 40h");

        private final String words;

        HostTablesOff(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** Which I/O APIC must be the south bridge's, that interrupts are remapped at all. */
    enum SouthBridge implements RuleValue {
        /** One at 00:14.0. An I/O APIC that IVRS lacks matters only if the MADT lists it later. */
        LISTED_LAST("one at 00:14.0; an I/O APIC that IVRS lacks matters only if the MADT lists it later"),
        /** That of interrupt 0, at 00:14.0; IVRS has all others too. */
        ALL_LISTED("that of interrupt 0, at 00:14.0; and IVRS must have every I/O APIC of the MADT"),
        /** That of interrupt 0, at a function of the right class; IVRS has all others too. */
        BY_CLASS("that of interrupt 0, at a function that is an SMBus controller or ISA bridge; and IVRS must have "
                + "every I/O APIC of the MADT");

        private final String words;

        SouthBridge(String words) {
            this.words = words;
        }

        @Override
        public String words() {
            return words;
        }
    }

    /** What SNP, where CPUs and firmware have it, forbids. */
    enum Snp implements RuleValue {
        /** Nothing: nobody turns it on in the units. */
        LEFT_OFF("nothing: it is left off in the units"),
        /** Identity domains, which can't be allocated, and PASIDs. */
        NO_IDENTITY("an identity domain, which can't be allocated (EINVAL), and PASIDs; it is left off where identity "
                + "or v2 is the default"),
        /** The same, but identity domains are refused when a device is attached. */
        NO_IDENTITY_ATTACHED("attaching an identity domain (EINVAL), and PASIDs; it is left off where identity or v2 "
                + "is the default"),
        /** The same, unless all units can do with Mode 0. */
        UNLESS_MODE_0("attaching an identity domain (EINVAL), and PASIDs, unless all units have SNPPageMode0Sup; else "
                + "it is left off where identity or v2 is the default");

        private final String words;

        Snp(String words) {
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
        /** The size of its slots that are left from there on. */
        MARK_AHEAD("the size of its slots that are left from there on, so that pages behind it are marked too"),
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

    /** The newest type of IVHD block that is read ({@code ACPI_IVHD_TYPE_MAX_SUPPORTED}). */
    static final int HIGHEST_IVHD_TYPE = 0x40;

    /** Levels of a fresh v1 table ({@code amd_iommu_domain_alloc_paging_v1}). */
    static final int START_LEVELS = 3;

    /** Levels that a v1 table can have ({@code PAGE_MODE_6_LEVEL}). */
    private static final int MOST_LEVELS = 6;

    /**
     * A domain with v2 tables answers a request to block no-snoop as one with v1 tables does: yes.
     *
     * <p>It is not so. A v2 entry has no FC bit, the driver has nothing to set, and a no-snoop request passes the CPU
     * caches. Linux knows it and keeps the answer, because VFIO and iommufd can't handle devices that differ in it
     * (comment at {@code amdv2_ops}). What follows: VFIO reports the device coherent, KVM makes the guest's WBINVD do
     * nothing, and the guest reads stale lines.
     */
    static final boolean V2_ANSWERS_AS_V1 = true;

    /** The rules. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of(
                            "enforcementOp",
                            "Domains with page tables have enforce_cache_coherency; it answers yes and changes "
                                    + "nothing, because every v1 leaf has FC, and v2 entries have no such bit.",
                            false,
                            READ)
                    .deciding()
                    .since("5.19-posted", true, READ)
                    .witnessedBy("AmdRulesTest#enforcementCameWith519AndItsPredictionWith62"),
            ReleaseRule.of(
                            "enforcementCapability",
                            "The driver answers IOMMU_CAP_ENFORCE_CACHE_COHERENCY: yes, for every device.",
                            false,
                            READ)
                    .deciding()
                    .since("6.2", true, READ)
                    .witnessedBy("AmdRulesTest#enforcementCameWith519AndItsPredictionWith62"),
            ReleaseRule.of(
                            "guestTables",
                            "amd_iommu=pgtbl_v2 gives domains of the DMA API v2 tables, which can't block no-snoop.",
                            false,
                            READ)
                    .deciding()
                    .since("6.1", true, READ)
                    .witnessedBy("GuestTablesTest#theCommandLineChoosesGuestTablesAsFarAsTheReleaseListens"),
            ReleaseRule.of(
                            "guestTablesForAll",
                            "amd_iommu=pgtbl_v2 counts for UNMANAGED domains as well; before, what VFIO uses was "
                                    + "always v1, which blocks no-snoop.",
                            false,
                            READ)
                    .deciding()
                    .since("6.13", true, READ)
                    .witnessedBy("GuestTablesTest#theCommandLineChoosesGuestTablesAsFarAsTheReleaseListens"),
            ReleaseRule.of("pasidDomains", "IOMMU_HWPT_ALLOC_PASID gives a v2 table.", false, READ)
                    .deciding()
                    .since("6.13", true, READ)
                    .witnessedBy("GuestTablesTest#domainsForPasidsCameWith613"),
            ReleaseRule.of(
                            "formatsShareOps",
                            "Domains with v1 and with v2 tables have the same ops, so that VFIO's type 1 tries a "
                                    + "device in a domain of the other format; but all domains of type 1 on a machine "
                                    + "have one.",
                            true,
                            READ)
                    .since("6.19", false, READ)
                    .witnessedBy("AmdRulesTest#bothFormatsHadTheSameOpsUntil618"),
            ReleaseRule.of(
                            "guestApertureHalved",
                            "The top bit of a v2 address is not used, so that a table means the same with and without "
                                    + "a PASID.",
                            false,
                            READ)
                    .since("6.12.42", true, READ)
                    .since("6.17", true, READ)
                    .witnessedBy("GuestTablesTest#theTopAddressBitIsLeftAloneSince617"),
            ReleaseRule.of("dirtyTracking", "Domains can record written pages (amd_dirty_ops).", false, READ)
                    .since("6.7", true, READ)
                    .witnessedBy("AmdRulesTest#writtenPagesAreRecordedSince67"),
            ReleaseRule.of(
                            "htRangeIgnore",
                            "The HyperTransport range is not reserved where EFR2 says so (amd_iommu_ht_range_ignore).",
                            false,
                            READ)
                    .since("6.16", true, INFERRED)
                    .witnessedBy(
                            "AmdRulesTest#theHyperTransportRangeIsLeftToDevicesSince616WhereEveryUnitTranslatesIt"),
            ReleaseRule.of(
                            "hostLevelsByHats",
                            "A v1 table has no more levels than HATS says (amd_iommu_hpt_level); before, up to 6.",
                            false,
                            READ)
                    .since("6.17", true, READ, "025d1371cc8c")
                    .witnessedBy("AmdRulesTest#hostTablesHaveTheLevelsOfFirmwaresImageSince617AndSixBefore"),
            ReleaseRule.of(
                            "hostTablesOff",
                            "What says that units have no host tables: then every domain has a v2 table, which can't "
                                    + "block no-snoop, or no device is taken where there are none either "
                                    + "(amd_iommu_hatdis).",
                            HostTablesOff.NOT_ASKED,
                            READ)
                    .deciding()
                    .since("6.17", HostTablesOff.WITH_GA_SUP, READ)
                    .since("7.2", HostTablesOff.BY_FIRMWARE, READ)
                    .witnessedBy("AmdRulesTest#whatSaysThatThereAreNoHostTables"),
            ReleaseRule.of(
                            "hostAddressesByFirmware",
                            "The addresses of v1 tables have no more bits than VASize of IVinfo "
                                    + "(amd_iommu_hpt_vasize).",
                            false,
                            READ)
                    .since("7.2", true, READ, "33730f068818")
                    .witnessedBy("AmdRulesTest#hostAddressesAreAsWideAsFirmwareSaysSince72"),
            ReleaseRule.of(
                            "forgetsFreedTablesAlone",
                            "An invalidation after unmapping reaches the entries that lead to tables only when tables "
                                    + "were freed (PDE); before, always.",
                            false,
                            READ)
                    .since("7.2", true, READ, "e4f39d793123")
                    .witnessedBy("AmdRulesTest#entriesThatLeadToTablesAreForgottenOnlyWithTheirTablesSince72"),
            ReleaseRule.of(
                            "hostPageSizesEnd",
                            "The page sizes of v1 tables end below the 52 bits of a physical address; before, every "
                                    + "power of two of an address is named, and none above 2^52 can be mapped.",
                            false,
                            OBSERVED)
                    .since("6.10", true, INFERRED)
                    .witnessedBy("AmdRulesTest#pageSizesOfHostTablesEndWherePhysicalAddressesDoSince610"),
            ReleaseRule.of("atsCapability", "The driver answers IOMMU_CAP_PCI_ATS_SUPPORTED.", false, READ)
                    .since("7.1", true, READ)
                    .witnessedBy("AmdRulesTest#thatADeviceHasAnIotlbIsToldSince71"),
            ReleaseRule.of(
                            "flushCapability",
                            "The driver answers IOMMU_CAP_DEFERRED_FLUSH: yes; since, the core knows it of every "
                                    + "domain with generic page tables.",
                            true,
                            READ)
                    .since("7.1", false, READ)
                    .witnessedBy("AmdRulesTest#thatAFlushMayBeDeferredIsToldUntil70"),
            ReleaseRule.of(
                            "nestParents",
                            "IOMMU_HWPT_ALLOC_NEST_PARENT gives a v1 table where all units have GTSup, GIoSup and "
                                    + "GCR3TRPMode, and GCR3TRPMode of the control register is set.",
                            false,
                            READ)
                    .since("7.0", true, READ)
                    .witnessedBy("AmdRulesTest#parentsOfNestedDomainsAreHostTablesSince70ButNestedDomainsAreNot"),
            ReleaseRule.of(
                            "passThroughEntryWrong",
                            "The device table entry of an identity domain has no domain id, and lets every device ask "
                                    + "for translations: a wrong precedence in set_dte_passthrough.",
                            false,
                            READ)
                    .since("7.0", true, READ, "93eee2a49c1b")
                    .since("7.1", false, READ, "10161b4a791d")
                    .witnessedBy("AmdRulesTest#in70APassThroughEntryHasNoDomainIdAndLetsEveryDeviceHaveAnIotlb"),
            ReleaseRule.of(
                            "southBridge",
                            "Which I/O APIC of IVRS is taken for the south bridge's, without which no interrupt is "
                                    + "remapped (check_ioapic_information).",
                            SouthBridge.LISTED_LAST,
                            READ)
                    .since("6.1.188", SouthBridge.ALL_LISTED, READ)
                    .since("6.12.110", SouthBridge.ALL_LISTED, READ)
                    .since("7.2.12", SouthBridge.ALL_LISTED, READ)
                    .since("7.3", SouthBridge.BY_CLASS, OBSERVED, "04fee302fac7", "854056480f92", "16f52863b2ec")
                    .witnessedBy("IoApicsTest#whichIoApicMustBeTheSouthBridges"),
            ReleaseRule.of(
                            "snp",
                            "What SNP forbids, where it is on, because device table entries need host tables "
                                    + "(iommu_snp_enable).",
                            Snp.LEFT_OFF,
                            READ)
                    .since("6.9", Snp.NO_IDENTITY, INFERRED, "04d65a9dbb33")
                    .since("6.13", Snp.NO_IDENTITY_ATTACHED, INFERRED)
                    .since("7.3", Snp.UNLESS_MODE_0, READ, "cb2860ad6c4f")
                    .witnessedBy("SnpTest#whatAReleaseForbidsWithSnp"),
            ReleaseRule.of(
                            "dirtyLeaves",
                            "What a large leaf that was written marks in a bitmap whose range begins behind its "
                                    + "start.",
                            DirtyLeaves.SKIP_AHEAD,
                            READ)
                    .since("6.19", DirtyLeaves.MARK_AHEAD, INFERRED)
                    .since("7.3", DirtyLeaves.OWN_PAGES, READ)
                    .witnessedBy("DirtyTrackingTest#whatALargeLeafMarksThatIsEnteredBehindItsStart"));

    /**
     * Returns the levels that v1 tables may have, 0 when there can be none.
     *
     * <p>Until 6.16 it is 6 whatever the unit walks: a table that grows beyond gets the device table entry refused as
     * illegal, and all requests of the device with it. Since 6.17 it is what HATS says, of firmware's images alone,
     * because Linux looks ({@code early_amd_iommu_init}) before it reads the registers: without an image it is 4. Of
     * units that differ the bits that all have count, which need not be what any of them has: 5 and 6 levels make 4.
     *
     * @param sharedEfrImage what firmware's images of the units' features have in common ({@link
     *     UnitMap#sharedEfrImage})
     */
    int hostLevels(long sharedEfrImage) {
        return hostLevelsByHats ? Features.hostLevels(sharedEfrImage) : MOST_LEVELS;
    }

    /** Returns the page sizes that the driver names for v1 tables, as a bitmap. */
    long hostPageSizes() {
        return hostPageSizesEnd ? HostPageTable.PAGE_SIZES : HostPageTable.ALL_PAGE_SIZES;
    }

    /** Returns whether the rules of a release are built. */
    static boolean areBuiltFor(LinuxRelease release) {
        return release.isKnown();
    }

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when they are not built
     */
    static AmdRules of(LinuxRelease release) {
        if (!areBuiltFor(release)) {
            throw new IllegalArgumentException(
                    "the AMD-Vi driver has no rules for Linux release " + release + "; known: " + LinuxRelease.known());
        }
        return RuleRecords.of(MethodHandles.lookup(), AmdRules.class, RULES, release);
    }

    /**
     * Returns where Linux decides whether a domain blocks no-snoop.
     *
     * @param others names of rules that have a part in it too
     */
    DecisionSource enforcementSource(String... others) {
        List<String> rules = new ArrayList<>(List.of("enforcementOp"));
        rules.addAll(List.of(others));
        return new DecisionSource(
                "amd",
                enforcementOp
                        ? "amd_iommu_enforce_cache_coherency"
                        : "amd_iommu_ops, which has no enforce_cache_coherency",
                rules);
    }
}
