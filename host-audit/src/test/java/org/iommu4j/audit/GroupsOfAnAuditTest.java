// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What an audit says of its groups, and which warnings it has of what it does not know. */
class GroupsOfAnAuditTest {
    private static final String BRIDGE =
            "00:1e.0 PCI bridge [0604]: Maker Bridge [1234:0006]\n\tBus: primary=00, secondary=05, subordinate=05";

    @TempDir
    private Path folder;

    private final MadeUpVendor vendor = new MadeUpVendor("v");

    @BeforeEach
    void units() {
        vendor.unit("v0", Answer.YES, Answer.YES).unit("v1", Answer.NO, Answer.NO);
    }

    private static String card(String address, int group) {
        return Hosts.express(address + " Ethernet controller [0200]: Maker Card [1234:0003]", "Endpoint", true)
                + Hosts.in(group, "vfio-pci");
    }

    private Hosts host(String... functions) throws IOException {
        return new Hosts(folder).vendors(vendor).lspci(functions).text("dmesg.txt", Hosts.LOG);
    }

    // --- the guest that gets a whole group ---

    @ParameterizedTest
    @CsvSource({
        "YES, YES, COHERENT",
        "YES, UNKNOWN, UNKNOWN",
        "UNKNOWN, YES, UNKNOWN",
        "YES, NO, NONCOHERENT",
        "NO, YES, NONCOHERENT",
        "NO, UNKNOWN, NONCOHERENT",
        "UNKNOWN, NO, NONCOHERENT"
    })
    void oneFunctionThatIsNotCoherentDecidesForTheGroupThenOneThatIsNotKnown(Answer a, Answer b, Guest guest)
            throws IOException {
        vendor.has("00:03.0", "v0", a).has("00:03.1", "v0", b);
        AuditedGroup group = host(card("00:03.0", 6), card("00:03.1", 6))
                .audit("6.1")
                .groups()
                .get(0);
        assertThat(group.id()).isEqualTo(6);
        assertThat(group.devices()).extracting(PciAddress::toString).containsExactly("0000:00:03.0", "0000:00:03.1");
        assertThat(group.guest()).isEqualTo(guest);
        assertThat(group.noncoherent()).hasSize(guest == Guest.NONCOHERENT ? 1 : 0);
        if (guest == Guest.NONCOHERENT) {
            assertThat(group.noncoherent()).containsExactly(PciAddress.parse(a == Answer.NO ? "00:03.0" : "00:03.1"));
        }
    }

    /** No guest gets a bridge: whatever its unit can do is nothing to a guest that gets the functions behind it. */
    @Test
    void aBridgeIsNoFunctionOfAGuestUnlessTheGroupHasNothingElse() throws IOException {
        vendor.has("00:1e.0", "v1", Answer.NO).has("05:00.0", "v0", Answer.YES);
        AuditedGroup group = host(BRIDGE + "\n" + Hosts.in(4, ""), card("05:00.0", 4))
                .audit("6.1")
                .groups()
                .get(0);
        assertThat(group.guest()).isEqualTo(Guest.COHERENT);
        assertThat(group.noncoherent()).isEmpty();

        AuditedGroup alone =
                host(BRIDGE + "\n" + Hosts.in(4, "")).audit("6.1").groups().get(0);
        assertThat(alone.guest()).isEqualTo(Guest.NONCOHERENT);
        vendor.has("00:1e.0", "v1", Answer.UNKNOWN);
        assertThat(host(BRIDGE + "\n" + Hosts.in(4, ""))
                        .audit("6.1")
                        .groups()
                        .get(0)
                        .guest())
                .isEqualTo(Guest.UNKNOWN);
        vendor.has("00:1e.0", "v1", Answer.YES);
        assertThat(host(BRIDGE + "\n" + Hosts.in(4, ""))
                        .audit("6.1")
                        .groups()
                        .get(0)
                        .guest())
                .isEqualTo(Guest.COHERENT);
    }

    @Test
    void groupsAreInTheOrderOfTheirNumbersAndEachFunctionKnowsItsOwn() throws IOException {
        vendor.has("00:03.0", "v0", Answer.YES).has("00:04.0", "v0", Answer.YES).has("00:05.0", "v0", Answer.YES);
        Audit audit = host(card("00:03.0", 10), card("00:04.0", 2), card("00:05.0", 10))
                .audit("6.1");
        assertThat(audit.groups()).extracting(AuditedGroup::id).containsExactly(2, 10);
        assertThat(Hosts.groups(audit)).containsExactly("00:04.0", "00:03.0 00:05.0");
        assertThat(Hosts.device(audit, "00:05.0").group()).hasValue(10);
        assertThat(Hosts.device(audit, "00:04.0").group()).hasValue(2);
    }

    // --- groups that no input lists ---

    @Test
    void groupsAreFormedOfTranslatedFunctionsAloneAndNumberedFromZero() throws IOException {
        String plain = " Ethernet controller [0200]: Maker Card [1234:0003]";
        vendor.has("00:03.0", "v0", Answer.YES)
                .hasNot("00:04.0")
                .isUnsureOf("00:05.0")
                .has("00:06.0", "v0", Answer.YES);
        Audit audit = host(
                        Hosts.function("00:03.0" + plain),
                        Hosts.function("00:04.0" + plain),
                        Hosts.function("00:05.0" + plain),
                        Hosts.function("00:06.0" + plain))
                .audit("6.1");
        assertThat(Hosts.groups(audit)).containsExactly("00:03.0", "00:06.0");
        assertThat(audit.groups()).extracting(AuditedGroup::id).containsExactly(0, 1);
        assertThat(audit.warnings())
                .contains(
                        "no input lists groups: iommu4j derives them from configuration space and numbers them itself");
    }

    @Test
    void noGroupIsFormedWhereNoIommuIsInUseNorOfHalfKnownFunctions() throws IOException {
        vendor.has("00:03.0", "v0", Answer.YES);
        String plain = Hosts.function("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]");
        Audit off = new Hosts(folder)
                .vendors(vendor)
                .lspci(plain)
                .text("dmesg.txt", "Linux version 6.1.0-9-amd64 (x@y) #1\nRun /init as init process\n")
                .audit("6.1");
        assertThat(off.groups()).isEmpty();
        assertThat(off.warnings()).noneMatch(warning -> warning.contains("groups"));
        Audit half = host("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]\n")
                .audit("6.1");
        assertThat(half.groups()).isEmpty();
        assertThat(half.warnings())
                .contains("groups are unknown: no input lists them, and configuration space is not fully known");
        Audit none = host(plain.replace("00:03.0", "00:07.0")).audit("6.1");
        assertThat(none.groups()).as("nothing is translated").isEmpty();
        assertThat(none.warnings()).noneMatch(warning -> warning.contains("worked out"));
    }

    // --- why functions are together ---

    private List<String> together(String... functions) throws IOException {
        for (String function : functions) {
            vendor.has(function.substring(0, 7), "v0", Answer.YES);
        }
        List<AuditedGroup> groups = host(functions).audit("6.1").groups();
        return groups.get(groups.size() - 1).together().stream()
                .map(Reason::text)
                .toList();
    }

    @Test
    void functionsOfOneDeviceThatDoNotIsolateAreToBlame() throws IOException {
        assertThat(together(
                        Hosts.function("00:00.0 Host bridge [0600]: Maker Host [1234:0001]"),
                        Hosts.express(
                                        "00:05.0 Ethernet controller [0200]: Maker [1234:3]",
                                        "Root Complex Integrated Endpoint",
                                        true)
                                .replace("1234:3", "1234:0003"),
                        Hosts.express(
                                "00:05.1 Ethernet controller [0200]: Maker [1234:0003]",
                                "Root Complex Integrated Endpoint",
                                true)))
                .containsExactly("functions of device 0000:00:05 are not isolated from each other (no ACS)");
    }

    @Test
    void aFunctionAloneInItsGroupIsKeptFromNobody() throws IOException {
        assertThat(together(card("00:03.0", 1))).isEmpty();
    }

    @Test
    void ofManyReasonsTheFirstFourAreTold() throws IOException {
        StringBuilder listing = new StringBuilder();
        for (int device = 3; device < 9; device++) {
            for (int function = 0; function < 2; function++) {
                String address = String.format("00:%02x.%d", device, function);
                vendor.has(address, "v0", Answer.YES);
                listing.append(card(address, 1)).append('\n');
            }
        }
        assertThat(host(listing.toString()).audit("6.1").groups().get(0).together())
                .extracting(Reason::text)
                .hasSize(4)
                .first()
                .isEqualTo("functions of device 0000:00:03 are not isolated from each other (no ACS)");
    }

    // --- warnings ---

    private static List<String> about(Audit audit, String words) {
        return audit.warnings().stream()
                .filter(warning -> warning.contains(words))
                .toList();
    }

    @Test
    void functionsOfWhichTheGuestIsNotKnownAreCountedAndThoseThatNoGuestGetsAreNot() throws IOException {
        vendor.has("00:03.0", "v0", Answer.UNKNOWN)
                .has("00:04.0", "v0", Answer.YES)
                .hasNot("00:05.0")
                .has("00:1e.0", "v0", Answer.UNKNOWN);
        Audit audit = host(card("00:03.0", 1), card("00:04.0", 2), card("00:05.0", 3), BRIDGE)
                .audit("6.1");
        assertThat(about(audit, "whether a guest is coherent"))
                .containsExactly("it is unknown for 1 of 4 functions whether a guest is coherent");
        vendor.has("00:03.0", "v0", Answer.YES);
        assertThat(about(host(card("00:03.0", 1)).audit("6.1"), "whether a guest is coherent"))
                .isEmpty();
    }

    @Test
    void functionsWhoseEnableNoSnoopIsNotKnownAreNamedThreeAtMost() throws IOException {
        for (int known = 1; known <= 4; known++) {
            StringBuilder listing = new StringBuilder(card("00:02.0", 9)).append('\n');
            for (int i = 0; i < known; i++) {
                listing.append("00:0")
                        .append(3 + i)
                        .append(".0 Ethernet controller [0200]: Maker Card [1234:0003]\n\n");
            }
            Audit audit = host(listing.toString()).audit("6.1");
            String named = List.of("0000:00:03.0", "0000:00:04.0", "0000:00:05.0", "0000:00:06.0").stream()
                    .limit(Math.min(known, 3))
                    .reduce((a, b) -> a + ", " + b)
                    .orElseThrow();
            assertThat(about(audit, "Enable No Snoop"))
                    .containsExactly("Enable No Snoop is unknown for " + known
                            + (known == 1 ? " function: " : " functions: ") + named
                            + (known > 3 ? " and others" : ""));
        }
        assertThat(about(
                        host(Hosts.function("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]"))
                                .audit("6.1"),
                        "Enable No Snoop"))
                .as("conventional PCI has no such bit")
                .isEmpty();
    }

    @Test
    void unitsOfWhichNoRegisterIsKnownAreNamed() throws IOException {
        Hosts table = new Hosts(folder).dmar(Hosts.unit(0xfed9_0000L, false, 2), Hosts.unit(0xfed9_1000L, true));
        assertThat(about(table.audit("6.1"), "registers of"))
                .containsExactly("registers of dmar0, dmar1 are unknown: no input states them");
        assertThat(about(table.text("dmesg.txt", Hosts.LOG + Hosts.UNIT0).audit("6.1"), "registers of"))
                .containsExactly("registers of dmar1 are unknown: no input states them");
        assertThat(about(
                        new Hosts(Files.createDirectory(folder.resolve("both")))
                                .dmar(Hosts.unit(0xfed9_0000L, false, 2), Hosts.unit(0xfed9_1000L, true))
                                .text("dmesg.txt", Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1)
                                .audit("6.1"),
                        "registers of"))
                .isEmpty();
    }

    @Test
    void whatNoInputTellsOfInterruptsAndUseIsSaidAndWhatOneTellsIsNot() throws IOException {
        Audit silent = new Hosts(folder)
                .vendors(vendor)
                .lspci(Hosts.function("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]"))
                .audit("6.1");
        assertThat(silent.warnings())
                .contains(
                        "it is unknown whether Linux remaps interrupts: no input states it",
                        "it is unknown whether Linux uses the IOMMU: the answers assume that it does");
        Audit told = host(card("00:03.0", 1)).audit("6.1");
        assertThat(told.warnings()).noneMatch(warning -> warning.startsWith("whether Linux"));
        assertThat(new Hosts(Files.createDirectory(folder.resolve("log")))
                        .vendors(vendor)
                        .text("dmesg.txt", Hosts.LOG)
                        .audit("6.1")
                        .warnings())
                .contains("the input has no PCI function: devices and groups are unknown");
    }

    @Test
    void aHostOfNoKnownVendorIsSaidToBeOne() throws IOException {
        Hosts nobody = new Hosts(folder).vendors().text("dmesg.txt", Hosts.LOG);
        String words = "the input has no firmware table and no unit of a known IOMMU vendor";
        assertThat(nobody.audit("6.1").warnings()).contains(words);
        assertThat(nobody.audit("6.1").rule()).isNull();
        Audit audit = nobody.lspci(card("00:03.0", 1)).audit("6.1");
        assertThat(audit.warnings()).contains(words + ": the units of the devices are unknown");
        AuditedDevice card = Hosts.device(audit, "00:03.0");
        assertThat(card.translated()).isEqualTo(Answer.UNKNOWN);
        assertThat(card.guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(card.assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(card.hints()).isEmpty();
        assertThat(host(card("00:03.0", 1)).audit("6.1").warnings()).noneMatch(warning -> warning.startsWith(words));
    }

    // --- where a function is ---

    /**
     * A scope may end in any function below a bridge: whose place is not known may be anybody's, unless one unit has
     * all.
     */
    @ParameterizedTest
    @CsvSource({"1, YES", "2, UNKNOWN"})
    void aFunctionWhoseBridgeIsNotKnownIsOneUnitsOnlyWhereThereIsNoOther(int units, Answer translated)
            throws IOException {
        MadeUpVendor its = new MadeUpVendor("w").has("02:00.0", "w0", Answer.YES);
        for (int i = 0; i < units; i++) {
            its.unit("w" + i, Answer.YES, Answer.YES);
        }
        Audit audit = new Hosts(folder)
                .vendors(its)
                .lspci("00:01.0 PCI bridge [0604]: Maker Port [1234:0002]\n", card("02:00.0", 1))
                .text("dmesg.txt", Hosts.LOG)
                .audit("6.1");
        assertThat(Hosts.device(audit, "02:00.0").translated()).isEqualTo(translated);
        assertThat(Hosts.device(audit, "02:00.0").guest())
                .isEqualTo(translated == Answer.YES ? Guest.COHERENT : Guest.UNKNOWN);
        if (translated == Answer.UNKNOWN) {
            assertThat(Hosts.device(audit, "02:00.0").why())
                    .first()
                    .extracting(Reason::text)
                    .isEqualTo("the bridge above it is unknown, so scopes of bridges can't be followed");
        }
    }

    // --- what is told of a device ---

    @ParameterizedTest
    @CsvSource({
        "true, Enable No Snoop is on: the device may send no-snoop",
        "false, 'Enable No Snoop is off: the device must not send no-snoop until the bit is set'"
    })
    void enableNoSnoopIsAmongTheReasonsBehindTheVendors(boolean on, String words) throws IOException {
        vendor.has("00:03.0", "v0", Answer.YES);
        Audit audit = host(Hosts.express(
                                "00:03.0 VGA compatible controller [0300]: Maker Graphics [1234:0003]", "Endpoint", on)
                        + Hosts.in(1, "i915"))
                .audit("6.1");
        assertThat(Hosts.device(audit, "00:03.0").why())
                .extracting(Reason::text)
                .containsExactly(
                        "v says so",
                        words,
                        "driver i915: flushes all CPUs' caches with WBINVD for its no-snoop accesses");
    }

    @Test
    void aFunctionWithoutTheBitIsSaidToHaveNoneAndOneThatIsNotReadIsNotKnown() throws IOException {
        vendor.has("00:03.0", "v0", Answer.YES).has("00:04.0", "v0", Answer.YES);
        Audit audit = host(
                        Hosts.function("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]"),
                        "00:04.0 Ethernet controller [0200]: Maker Card [1234:0003]\n")
                .audit("6.1");
        assertThat(Hosts.device(audit, "00:03.0").why())
                .extracting(Reason::text)
                .contains("it is conventional PCI or has no PCI Express capability: no Enable No Snoop");
        assertThat(Hosts.device(audit, "00:04.0").why())
                .extracting(Reason::text)
                .contains("Enable No Snoop is unknown");
    }
}
