// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.KernelParameter.Effect;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The sentences that an operator reads first, and that they are about the devices that a guest can get. */
class HeadlineTest {
    private static final String NOT_USED = "Linux version 6.1.0-9-amd64 (x@y) #1\nRun /init as init process\n";
    private static final String NOT_REMAPPED = """
            Linux version 6.1.0-9-amd64 (x@y) #1
            DMAR: Intel(R) Virtualization Technology for Directed I/O
            DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.
            """;

    @TempDir
    private Path folder;

    private final MadeUpVendor vendor = new MadeUpVendor("v").rule(CoherencyRule.PER_DOMAIN);
    private final List<String> functions = new ArrayList<>();

    /** A function alone in its group, with the given answer. */
    private HeadlineTest device(String guest) {
        int number = functions.size() + 1;
        String address = String.format("00:%02x.0", number);
        functions.add(Hosts.function(address + " Ethernet controller [0200]: Maker Card [1234:0003]")
                + Hosts.in(number, "vfio-pci"));
        switch (guest) {
            case "good" -> vendor.has(address, "good", Answer.YES);
            case "bad" -> vendor.has(address, "bad", Answer.NO);
            case "open" -> vendor.has(address, "open", Answer.UNKNOWN);
            case "kept" -> vendor.has(address, "bad", Answer.NO, Regions.DIRECT);
            default -> vendor.hasNot(address);
        }
        return this;
    }

    private Hosts host(String log) throws IOException {
        Hosts host = new Hosts(folder)
                .vendors(vendor.unit("good", Answer.YES, Answer.YES)
                        .unit("bad", Answer.NO, Answer.NO)
                        .unit("open", Answer.UNKNOWN, Answer.NO))
                .text("dmesg.txt", log);
        return functions.isEmpty() ? host : host.lspci(functions.toArray(String[]::new));
    }

    private String verdict(String... devices) throws IOException {
        for (String device : devices) {
            device(device);
        }
        return Headline.verdict(host(Hosts.LOG).audit("6.6"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "good | every device leaves its guest COHERENT",
                "good good | every device leaves its guest COHERENT",
                "bad | 1 of 1 devices makes its guest NONCOHERENT",
                "bad bad | 2 of 2 devices make their guest NONCOHERENT",
                "bad good | 1 of 2 devices makes its guest NONCOHERENT, the other 1 leaves it COHERENT",
                "good bad good | 1 of 3 devices makes its guest NONCOHERENT, the other 2 leave it COHERENT",
                "bad open | 1 of 2 devices makes its guest NONCOHERENT, 1 UNKNOWN",
                "bad open good bad | 2 of 4 devices make their guest NONCOHERENT, 1 UNKNOWN, the other 1 leaves it "
                        + "COHERENT",
                "open good | 1 UNKNOWN, the other 1 leaves it COHERENT",
                "open | UNKNOWN whether guests are coherent: the registers of the units, or the units of the devices, "
                        + "are unknown",
                "good none | every device leaves its guest COHERENT",
                "good kept | every device leaves its guest COHERENT; VFIO refuses 1 more",
                "bad good kept kept | 1 of 2 devices makes its guest NONCOHERENT, the other 1 leaves it COHERENT; "
                        + "VFIO refuses 2 more",
                "kept | 1 of 1 devices makes its guest NONCOHERENT, but VFIO refuses all of them"
            })
    void devicesAreCountedByWhatTheirGuestBecomes(String devices, String verdict) throws IOException {
        assertThat(verdict(devices.split(" ", -1))).isEqualTo(verdict);
    }

    @Test
    void whereInterruptsAreNotRemappedTheVerdictSaysThatNothingIsTaken() throws IOException {
        device("good").device("bad");
        Audit audit = host(NOT_REMAPPED).audit("6.1");
        assertThat(Headline.verdict(audit))
                .isEqualTo("1 of 2 devices makes its guest NONCOHERENT, the other 1 leaves it COHERENT, but VFIO "
                        + "refuses all of them");
        assertThat(audit.overall()).isEqualTo(Guest.UNKNOWN);
        assertThat(Headline.addresses(audit, Guest.NONCOHERENT)).hasSize(1);
    }

    @Test
    void whereTheIommuIsNotUsedTheVerdictIsAboutTurningItOn() throws IOException {
        device("bad");
        vendor.parameter("v_iommu", "on", Effect.ENABLES);
        Audit audit = host(NOT_USED).audit("6.1");
        assertThat(Headline.verdict(audit))
                .isEqualTo("no IOMMU is in use: nothing can be assigned now. With the IOMMU on: 1 of 1 devices "
                        + "makes its guest"
                        + " NONCOHERENT");
        assertThat(labels(audit)).containsExactly("not coherent", "do", "cost", "units", "rule");
        assertThat(line(audit, "do")).isEqualTo("boot with v_iommu=on: it does ENABLES");
        Audit none = new Hosts(folder).text("dmesg.txt", NOT_USED).audit("6.1");
        assertThat(Headline.verdict(none)).isEqualTo("no IOMMU is in use: nothing can be assigned");
        assertThat(Headline.units(none)).isEqualTo("none known");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "YES | its unit can block no-snoop: guests are COHERENT; the devices are UNKNOWN | 1 once the "
                        + "container",
                "NO | its unit can't block no-snoop: guests are NONCOHERENT; the devices are UNKNOWN | 0",
                "UNKNOWN | 1 unit in its table; their devices, and whether they block no-snoop, are UNKNOWN | ",
                "YES YES | its 2 units can block no-snoop: guests are COHERENT; the devices are UNKNOWN | 1 once the "
                        + "container",
                "NO NO | its 2 units can't block no-snoop: guests are NONCOHERENT; the devices are UNKNOWN | 0",
                "UNKNOWN UNKNOWN | 2 units in its table; their devices, and whether they block no-snoop, are "
                        + "UNKNOWN | ",
                "YES NO | whether a guest is coherent depends on its device's unit: NONCOHERENT behind v1, COHERENT "
                        + "behind v0; devices are UNKNOWN | 0 behind v1, 1 behind v0",
                "YES UNKNOWN | whether a guest is coherent depends on its device's unit: COHERENT behind v0, UNKNOWN "
                        + "behind v1; devices are UNKNOWN | 1 behind v0, unknown behind v1"
            })
    void withoutDevicesTheUnitsAnswer(String units, String verdict, String dmaCc) throws IOException {
        int number = 0;
        for (String blocks : units.split(" ", -1)) {
            vendor.unit("v" + number++, Answer.valueOf(blocks), Answer.YES);
        }
        Audit audit =
                new Hosts(folder).vendors(vendor).text("dmesg.txt", Hosts.LOG).audit("6.1");
        assertThat(Headline.verdict(audit)).isEqualTo(verdict);
        if (dmaCc == null) {
            assertThat(labels(audit)).doesNotContain("VFIO_DMA_CC_IOMMU");
        } else {
            assertThat(line(audit, "VFIO_DMA_CC_IOMMU")).startsWith(dmaCc);
        }
        assertThat(labels(audit).contains("cost"))
                .as("a guest may pay")
                .isEqualTo(units.contains("NO") && !units.contains("UNKNOWN"));
        assertThat(audit.overall())
                .isEqualTo(
                        verdict.contains("guests are COHERENT")
                                ? Guest.COHERENT
                                : verdict.contains("guests are NONCOHERENT") ? Guest.NONCOHERENT : Guest.UNKNOWN);
        assertThat(audit.reliablyCoherent()).as("no device is known").isFalse();
        assertThat(Headline.shade(audit)).isEqualTo(audit.overall());
    }

    @Test
    void theCostIsThatOfTheUnitsThatHaveIt() throws IOException {
        vendor.unit("v0", Answer.YES, Answer.YES).unit("v1", Answer.NO, Answer.NO);
        Audit units =
                new Hosts(folder).vendors(vendor).text("dmesg.txt", Hosts.LOG).audit("6.1");
        assertThat(line(units, "cost")).isEqualTo("behind v1 only: " + units.cost());
        device("good").device("bad");
        Audit devices = host(Hosts.LOG).audit("6.1");
        assertThat(line(devices, "cost")).isEqualTo("behind bad only: " + devices.cost());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "YES NO | v1 can't block no-snoop, which decides for all: guests are NONCOHERENT; the devices are "
                        + "UNKNOWN | NONCOHERENT",
                "YES YES | its 2 units can block no-snoop: guests are COHERENT; the devices are UNKNOWN | COHERENT",
                "UNKNOWN NO | v1 can't block no-snoop, which decides for all: guests are NONCOHERENT; the devices "
                        + "are UNKNOWN | NONCOHERENT",
                "YES UNKNOWN | 2 units in its table; their devices, and whether they block no-snoop, are UNKNOWN | "
                        + "UNKNOWN"
            })
    void underPerMachineOneUnitDecidesForAll(String units, String verdict, Guest guest) throws IOException {
        vendor.rule(CoherencyRule.PER_MACHINE);
        int number = 0;
        for (String blocks : units.split(" ", -1)) {
            vendor.unit("v" + number++, Answer.valueOf(blocks), Answer.YES);
        }
        Audit audit =
                new Hosts(folder).vendors(vendor).text("dmesg.txt", Hosts.LOG).audit("5.15");
        assertThat(Headline.verdict(audit)).isEqualTo(verdict);
        assertThat(audit.overall()).isEqualTo(guest);
        assertThat(audit.units())
                .allSatisfy(unit -> assertThat(Guest.of(unit.enforces())).isEqualTo(guest));
        if (guest == Guest.NONCOHERENT) {
            assertThat(line(audit, "VFIO_DMA_CC_IOMMU")).isEqualTo("0");
            assertThat(line(audit, "cost")).isEqualTo(audit.cost());
        }
    }

    @Test
    void whereNothingIsKnownThatIsSaid() throws IOException {
        assertThat(Headline.verdict(new Hosts(folder)
                        .vendors(vendor)
                        .text("dmesg.txt", Hosts.LOG)
                        .audit("6.1")))
                .isEqualTo("its IOMMU is unknown");
        device("good");
        assertThat(Headline.verdict(new Hosts(folder)
                        .vendors()
                        .lspci(functions.get(0))
                        .text("dmesg.txt", Hosts.LOG)
                        .audit("6.1")))
                .isEqualTo("UNKNOWN whether guests are coherent: the input has no IOMMU unit");
    }

    // --- one virtual machine ---

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "good | a guest with 0000:00:01.0 is COHERENT",
                "bad | a guest with 0000:00:01.0 is NONCOHERENT because of 0000:00:01.0",
                "open | whether a guest with 0000:00:01.0 is coherent is UNKNOWN",
                "kept | a guest with 0000:00:01.0 is NONCOHERENT because of 0000:00:01.0, but VFIO refuses it",
                "none | whether a guest with 0000:00:01.0 is coherent is UNKNOWN, but VFIO refuses it"
            })
    void ofAVirtualMachineTheVerdictNamesItsDevicesAndWhetherVfioTakesThem(String kind, String verdict)
            throws IOException {
        device(kind);
        Audit audit = host(Hosts.LOG).audit("6.6", "00:01.0");
        assertThat(Headline.verdict(audit)).isEqualTo(verdict);
    }

    @Test
    void aVirtualMachineThatVfioMayTakeIsSaidSo() throws IOException {
        device("good");
        Audit audit = host("Linux version 6.1.0-9-amd64 (x@y) #1\nDMAR: IOMMU enabled\n")
                .audit("6.1", "00:01.0");
        assertThat(Headline.verdict(audit)).isEqualTo("a guest with 0000:00:01.0 is COHERENT, if VFIO accepts it");
        assertThat(labels(audit)).containsExactly("undecided", "VFIO_DMA_CC_IOMMU", "units", "rule");
        assertThat(line(audit, "undecided"))
                .isEqualTo("it is unknown whether Linux remaps interrupts. Settle it: sudo dmesg | grep -i remapping");
    }

    @Test
    void theFirstTwoObstaclesAndTheCostAreBelowTheVerdictOfAVirtualMachine() throws IOException {
        device("kept");
        String more = "00:02.0 Ethernet controller [0200]: Maker Card [1234:0003]";
        functions.add(Hosts.function(more) + Hosts.in(1, "e1000e"));
        functions.add(Hosts.function(more.replace("02.0", "02.1")) + Hosts.in(1, "e1000e"));
        vendor.has("00:02.0", "bad", Answer.NO).has("00:02.1", "bad", Answer.NO);
        Audit audit = host(Hosts.LOG).audit("6.6", "00:01.0");
        assertThat(labels(audit))
                .containsExactly("group", "refused", "refused", "VFIO_DMA_CC_IOMMU", "cost", "units", "rule");
        assertThat(line(audit, "group"))
                .isEqualTo("group 1 has 2 more: 00:02.0 Ethernet controller, 00:02.1 Ethernet controller. VFIO"
                        + " takes 00:01.0 only when each of the 3 is without a driver or with vfio-pci: the host loses"
                        + " them all while the guest runs");
        assertThat(line(audit, "VFIO_DMA_CC_IOMMU")).isEqualTo("0");
        assertThat(line(audit, "cost")).isEqualTo(audit.cost());
        assertThat(Objects.requireNonNull(audit.assignment()).obstacles()).hasSize(3);
    }

    // --- what else is said first ---

    private static List<String> labels(Audit audit) {
        return Headline.lines(audit).stream().map(Line::label).toList();
    }

    private static String line(Audit audit, String label) {
        return Headline.lines(audit).stream()
                .filter(each -> each.label().equals(label))
                .findFirst()
                .orElseThrow()
                .text();
    }

    @Test
    void thoseToBlameAreNamedByUnitTheFirstTwoUnitsEachWithItsFirstDevice() throws IOException {
        device("bad").device("bad").device("good").device("bad");
        vendor.has("00:02.0", "worse", Answer.NO).has("00:04.0", "worst", Answer.NO);
        device("bad").device("kept");
        Audit audit = host(Hosts.LOG).audit("6.6");
        assertThat(labels(audit)).containsExactly("not coherent", "not coherent", "cost", "units", "rule");
        assertThat(Headline.lines(audit))
                .filteredOn(line -> line.label().equals("not coherent"))
                .extracting(Line::text)
                .containsExactly(
                        "0000:00:01.0 Ethernet controller: Maker Card and 1 more: v says so",
                        "0000:00:02.0 Ethernet controller: Maker Card: v says so");
    }

    @Test
    void whereEveryGuestIsCoherentNobodyIsToBlameAndNothingCosts() throws IOException {
        device("good").device("kept");
        assertThat(labels(host(Hosts.LOG).audit("6.6"))).containsExactly("units", "rule");
    }

    @Test
    void aPromiseThatIsNotKeptComesFirstAndColoursTheVerdict() throws IOException {
        device("good");
        vendor.parameter("v_iommu", "lie", Effect.FALSE_PROMISE);
        Audit kept = host(Hosts.LOG).audit("6.1");
        assertThat(Headline.shade(kept)).isEqualTo(Guest.COHERENT);
        Audit audit = host(Hosts.LOG + "Kernel command line: v_iommu=lie\n").audit("6.1");
        assertThat(labels(audit)).first().isEqualTo("false promise");
        assertThat(Headline.verdict(audit))
                .isEqualTo("every device leaves its guest COHERENT; the driver does not keep its promise");
        assertThat(Headline.shade(audit)).isEqualTo(Guest.NONCOHERENT);
        device("open");
        assertThat(Headline.shade(
                        host(Hosts.LOG + "Kernel command line: v_iommu=lie\n").audit("6.1")))
                .as("unknown anyhow")
                .isEqualTo(Guest.UNKNOWN);
    }

    @Test
    void hostAndReleaseAreNamedAndBothReleasesWhereTheyDiffer() throws IOException {
        Audit own = host(Hosts.LOG).audit("6.1");
        assertThat(Headline.subject(own)).isEqualTo("dmesg.txt, Linux 6.1");
        assertThat(Headline.subject(host(Hosts.LOG).audit("6.6")))
                .isEqualTo("dmesg.txt, Linux 6.1 by the rules of 6.6");
        assertThat(line(own, "rule"))
                .isEqualTo("Linux 6.1 (base release; the patch level is unknown), PER_DOMAIN: the units behind the"
                        + " domain's devices must be able to block no-snoop");
        device("good");
        assertThat(Headline.subject(new Hosts(folder)
                        .vendors(vendor)
                        .lspci(functions.get(0))
                        .audit("6.6")))
                .as("the host's own is not known")
                .isEqualTo("lspci.txt, Linux 6.6");
    }

    @Test
    void unitsAreToldTogetherByWhatTheyCan() throws IOException {
        for (int i = 0; i < 4; i++) {
            vendor.unit("v" + i, Answer.YES, Answer.NO);
        }
        assertThat(Headline.units(host(Hosts.LOG).audit("6.1")))
                .isEqualTo("v0 .. good (5) can block no-snoop; bad can't block no-snoop; open: unknown whether "
                        + "no-snoop can be"
                        + " blocked");
    }

    @Test
    void unitsThatReadTheirTablesPastTheCachesAreNamed() throws IOException {
        assertThat(Headline.units(walking("5a", "db")))
                .endsWith("; dmar0 walks its tables without snooping (affects the host only)");
        assertThat(Headline.units(walking("5a", "da"))).contains("; dmar0, dmar1 walk their tables without snooping");
        assertThat(Headline.units(walking("5b", "db"))).doesNotContain("caches");
    }

    /** Two units by the last byte of their capabilities: bit 7 is snoop control, bit 0 a coherent walk. */
    private Audit walking(String first, String second) throws IOException {
        return new Hosts(folder)
                .dmar(Hosts.unit(0xfed9_0000L, false, 2), Hosts.unit(0xfed9_1000L, true))
                .text(
                        "dmesg.txt",
                        Hosts.LOG
                                + Hosts.UNIT0.replace("5a\n", first + "\n")
                                + Hosts.UNIT1.replace("da\n", second + "\n"))
                .audit("6.1");
    }
}
