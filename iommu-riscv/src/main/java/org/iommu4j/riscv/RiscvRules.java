// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;

/**
 * What Linux's RISC-V driver does differently from release to release, and nothing else: the rules that {@link #RULES}
 * declares, under one release. Each component has its rule's name, and the rule's sentence says what it is.
 *
 * <p>What never changed from 6.13 to 7.2 and so is no rule: the driver answers no question about a device ({@code
 * iommu_ops} has no {@code capable}), so it does not say that {@link org.iommu4j.Prot#CACHE} works, and VFIO refuses
 * every device; domains have no {@code enforce_cache_coherency}; there are no second stages, nested domains, PASIDs,
 * MSI tables, translation requests and page requests.
 */
record RiscvRules(
        boolean readsDeviceTree,
        boolean platformMessages,
        boolean readsRimt,
        boolean countsWires,
        boolean genericTables,
        boolean hardwareUpdates,
        boolean forgetsAfterDirectory,
        boolean memoryTypes,
        boolean nonLeafInvalidations,
        boolean rangeInvalidations) {
    /** The rules. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of(
                            "readsDeviceTree",
                            "There is a driver; units and devices are found by the device tree.",
                            false,
                            READ)
                    .since("6.13", true, READ)
                    .witnessedBy("RiscvRulesTest#machinesWithADeviceTreeHaveADriverSince613"),
            ReleaseRule.of(
                            "platformMessages",
                            "A platform device can interrupt by messages, if it has a controller for them; before, by "
                                    + "wires alone.",
                            false,
                            READ)
                    .since("6.14", true, INFERRED, "d5f88acdd6ff")
                    .witnessedBy("RiscvRulesTest#aPlatformDeviceSendsMessagesSince614"),
            ReleaseRule.of(
                            "readsRimt",
                            "Units and devices are found by the ACPI table RIMT as well; before, on machines with a "
                                    + "device tree only.",
                            false,
                            READ)
                    .since("6.18", true, READ)
                    .witnessedBy("RiscvRulesTest#machinesWithRimtHaveADriverSince618"),
            ReleaseRule.of(
                            "countsWires",
                            "A platform device without wires is no unit, even if it interrupts by messages, and has as "
                                    + "many vectors as wires.",
                            true,
                            READ)
                    .since("7.1", false, INFERRED, "7217cee35aad")
                    .witnessedBy("RiscvRulesTest#aUnitThatSendsMessagesNeedsNoWiresSince71"),
            ReleaseRule.of(
                            "genericTables",
                            "Tables are generic_pt's: also pages of 64 KiB (Svnapot) and 256 TiB, and leaves can be "
                                    + "executed unless NOEXEC; before, no leaf could be.",
                            false,
                            READ)
                    .since("7.1", true, READ, "e71e00127110", "e5ef32191a87", "69541898b71a")
                    .witnessedBy("RiscvRulesTest#pagesOf64KibAnd256TibCameWithTheGenericTablesOf71"),
            ReleaseRule.of(
                            "hardwareUpdates",
                            "The unit sets D bits of leaves where it can (SADE, by AMO_HWAD); else, and since, the "
                                    + "driver does in advance.",
                            true,
                            READ)
                    .since("7.1", false, READ, "e93e4a6363b8")
                    .witnessedBy("RiscvRulesTest#theUnitSetsNoBitsOfLeavesSince71"),
            ReleaseRule.of(
                            "forgetsAfterDirectory",
                            "A device that moves has the unit forget translations (IOTINVAL.VMA) too, not only its "
                                    + "device context (IODIR.INVAL_DDT).",
                            false,
                            READ)
                    .since("7.1", true, READ, "f5c262b54497")
                    .witnessedBy("RiscvRulesTest#aDeviceThatMovesHasTranslationsForgottenSince71"),
            ReleaseRule.of(
                            "memoryTypes",
                            "Leaves have a memory type (Svpbmt): I/O for MMIO, no cache for mappings without CACHE.",
                            false,
                            READ)
                    .since("7.2", true, READ, "f196a8668797", "6c21eb174c6c")
                    .witnessedBy("RiscvRulesTest#leavesHaveMemoryTypesSince72"),
            ReleaseRule.of(
                            "nonLeafInvalidations",
                            "Where the unit can (NL), freed tables are forgotten with the range that they "
                                    + "translated; else all of the domain is.",
                            false,
                            READ)
                    .since("7.2", true, READ, "e4084c6bbb42")
                    .witnessedBy("RiscvRulesTest#freedTablesAreForgottenByRangeSince72"),
            ReleaseRule.of(
                            "rangeInvalidations",
                            "Where the unit can (S), one command forgets a range; and up to 512 commands are sent for "
                                    + "a range before all of the domain is forgotten.",
                            false,
                            READ)
                    .since("7.2", true, READ, "bb62adcf4513", "082ad5ed0785")
                    .witnessedBy("RiscvRulesTest#aRangeIsForgottenByOneCommandSince72"));

    /** Returns whether the rules of a release are built, and it has the driver, which came with 6.13. */
    static boolean areBuiltFor(LinuxRelease release) {
        return release.isKnown() && of(release).readsDeviceTree;
    }

    /** Returns the rules of a release. */
    static RiscvRules of(LinuxRelease release) {
        return RuleRecords.of(MethodHandles.lookup(), RiscvRules.class, RULES, release);
    }
}
