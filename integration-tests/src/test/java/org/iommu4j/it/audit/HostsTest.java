// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.Guest;
import org.iommu4j.host.GroupEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What people have of real hosts gives the answers that they needed. */
class HostsTest {
    private static final Pattern CC = Pattern.compile(
            "CHECK_EXTENSION (after SET_IOMMU\\(TYPE1(?:v2)?\\)|with two groups):.*VFIO_DMA_CC_IOMMU=(\\d)");

    private static final Pattern GROUP =
            Pattern.compile("(0000:\\S{7}) group (\\d+)|group (\\d+) of (0000:[0-9a-f]{2}:[0-9a-f.]{4})");

    /** Between two ranges that can be mapped; the next hole may begin where the second ends. */
    private static final Pattern HOLE = Pattern.compile("-0x([0-9a-f]+)\\](?= \\[0x([0-9a-f]+)-)");

    @TempDir
    private Path directory;

    private Path file(String name, String text) throws IOException {
        return Files.writeString(directory.resolve(name), text);
    }

    // --- everything in the data ---

    @Test
    void everyTextGivesAnAnswerOrAClearRefusal() throws IOException {
        Map<String, Integer> counts = new TreeMap<>();
        for (String suffix : List.of(".txt", ".md")) {
            for (Path file : SharedData.files("data/machines", suffix)) {
                String kind = file.getFileName().toString().replaceAll("[-_.].*", "");
                try {
                    Audit audit = Audits.of(file);
                    assertThat(Audits.text(audit)).allMatch(line -> line.length() <= 100);
                    counts.merge(kind + " answered", 1, Integer::sum);
                } catch (InputException e) {
                    assertThat(e.getMessage()).doesNotContain("\n");
                    counts.merge(kind + " refused", 1, Integer::sum);
                }
            }
        }
        System.out.println("texts alone: " + counts);
        assertThat(counts).isNotEmpty();
    }

    @Test
    void enableNoSnoopOfEveryFunctionIsWhatLspciPrinted() throws IOException {
        int compared = 0;
        int dumps = 0;
        for (Path expected : SharedData.files("data/machines", ".expected")) {
            Path dump =
                    expected.resolveSibling(expected.getFileName().toString().replace(".expected", ".txt"));
            if (!Files.exists(dump)) {
                continue;
            }
            Audit audit = Audits.of(dump);
            for (String line : Files.readAllLines(expected, StandardCharsets.UTF_8)) {
                String[] cells = line.split("\t", -1);
                if (line.startsWith("#") || line.startsWith("bdf") || cells.length < 5) {
                    continue;
                }
                String bit = cells[4].equals("+") || cells[4].equals("-") ? cells[4] : cells[1];
                AuditedDevice device = audit.device(PciAddress.parse(cells[0])).orElseThrow();
                Answer answer = bit.equals("+") ? Answer.YES : bit.equals("-") ? Answer.NO : Answer.UNKNOWN;
                assertThat(device.noSnoopEnabled()).as(dump + " " + line).isEqualTo(answer);
                compared++;
            }
            dumps++;
        }
        System.out.println("lspci dumps: " + dumps + ", " + compared + " functions compared");
        assertThat(compared).isGreaterThan(200);
    }

    @Test
    void groupsOfEveryCaptureAreItsLinuxs() throws IOException {
        int captures = 0;
        int functions = 0;
        for (Path capture : SharedData.files("linux/captures", ".tar")) {
            Audit audit = Audits.of(capture);
            HostEvidence evidence =
                    HostInputs.withInstalledVendors().path(capture).read();
            assertThat(audit.groups().stream()
                            .collect(Collectors.toMap(group -> group.id(), group -> List.copyOf(group.devices()))))
                    .as(capture.toString())
                    .isEqualTo(evidence.groups().values().stream()
                            .collect(Collectors.toMap(group -> group.id(), group -> List.copyOf(group.members()))));
            for (AuditedDevice device : audit.devices()) {
                Optional<String> linux =
                        evidence.function(device.address()).orElseThrow().unit().map(fact -> fact.value());
                if (audit.iommuInUse() == Answer.YES) {
                    assertThat(Optional.ofNullable(device.unit())).isEqualTo(linux);
                    functions++;
                }
            }
            assertThat(audit.hostLinux()).isPresent();
            captures++;
        }
        System.out.println("captures: " + captures + ", units of " + functions + " functions compared");
        assertThat(captures).isGreaterThanOrEqualTo(7);
    }

    /**
     * What VFIO answered on a host is what the audit of its capture says: groups, coherency, holes of the address
     * space.
     */
    @ParameterizedTest
    @CsvSource({"6.1-sc0, intel-sc0", "6.1-sc1, intel-sc1", "6.1-amd, amd-qemu11"})
    void vfioAnsweredAsTheAuditSays(String run, String capture) throws IOException {
        String said = Files.readString(SharedData.path("linux/vfio/" + run + ".txt"));
        Path tar = SharedData.path("linux/captures/" + capture + ".tar");
        Audit one = Audits.assigning(tar, "6.1", "00:05.0");
        Audit two = Audits.assigning(tar, "6.1", "00:05.0", "00:0b.0");

        int coherency = 0;
        for (Matcher matcher = CC.matcher(said); matcher.find(); coherency++) {
            Audit asked = matcher.group(1).startsWith("after") ? one : two;
            assertThat(asked.assignment().dmaCcIommu())
                    .as(matcher.group())
                    .isEqualTo(Answer.of(matcher.group(2).equals("1")));
        }
        assertThat(one.assignment().assignable()).isEqualTo(Answer.YES);
        assertThat(two.assignment().assignable()).isEqualTo(Answer.YES);
        assertThat(said).contains("GROUP_GET_STATUS -> 0 0 flags=0x1 ");

        int groups = 0;
        for (Matcher matcher = GROUP.matcher(said); matcher.find(); groups++) {
            boolean first = matcher.group(1) != null;
            PciAddress device = PciAddress.parse(matcher.group(first ? 1 : 4));
            assertThat(one.device(device).orElseThrow().group())
                    .as(matcher.group())
                    .hasValue(Integer.parseInt(matcher.group(first ? 2 : 3)));
        }

        int holes = 0;
        for (Matcher matcher = HOLE.matcher(said); matcher.find(); holes++) {
            long first = Long.parseUnsignedLong(matcher.group(1), 16) + 1;
            long last = Long.parseUnsignedLong(matcher.group(2), 16) - 1;
            assertThat(one.device(PciAddress.parse("00:05.0")).orElseThrow().reservedRegions())
                    .as(matcher.group())
                    .anyMatch(region -> region.start() == first && region.end() == last);
        }
        System.out.println("VFIO of " + run + ": " + coherency + " answers about coherency, " + groups + " groups, "
                + holes + " holes compared");
        assertThat(coherency).isGreaterThanOrEqualTo(2);
        assertThat(groups).isGreaterThanOrEqualTo(3);
        assertThat(holes).isPositive();
    }

    @Test
    void reservedRegionsAreThoseThatTheHostsLinuxLists() throws IOException {
        int groups = 0;
        int regions = 0;
        for (Path capture : SharedData.files("linux/captures", ".tar")) {
            HostEvidence host = HostInputs.withInstalledVendors().path(capture).read();
            Audit audit = Audits.of(capture);
            for (GroupEvidence group : host.groups().values()) {
                if (group.reservedRegions().isEmpty()) {
                    continue;
                }
                Set<ReservedRegion> ours = new HashSet<>();
                for (AuditedDevice device : audit.devices()) {
                    if (device.group().isPresent() && device.group().getAsInt() == group.id()) {
                        ours.addAll(Objects.requireNonNull(device.reservedRegions(), device.address()::toString));
                    }
                }
                assertThat(ours)
                        .as("%s, group %d", capture.getFileName(), group.id())
                        .containsExactlyInAnyOrderElementsOf(
                                group.reservedRegions().orElseThrow().value());
                groups++;
                regions += ours.size();
            }
        }
        System.out.println("captures: " + regions + " reserved regions of " + groups + " groups compared");
        assertThat(groups).isGreaterThan(70);
    }

    // --- hosts by name ---

    @Test
    void theX99BoardsAudioIsTheOneToBlame() throws IOException {
        Path board = SharedData.path("data/machines/huananzhi-x99-qd4");
        Audit audit =
                Audits.of(board.resolve("lspci-nnvvvxxxx.txt"), board.resolve("dmesg.txt"), board.resolve("DMAR.dat"));
        assertThat(Audits.firstFive(audit))
                .contains("no IOMMU is in use", "1 of 79 devices makes its guest NONCOHERENT")
                .contains("0000:00:1b.0", "dmar0 has no snoop control")
                .contains("intel_iommu=on");
        assertThat(audit.devices().stream()
                        .filter(device -> device.guest() == Guest.NONCOHERENT)
                        .map(device -> device.address().toString()))
                .containsExactly("0000:00:1b.0");
        assertThat(audit.device(PciAddress.parse("05:00.0")).orElseThrow().noSnoopEnabled())
                .isEqualTo(Answer.YES);
    }

    @Test
    void aLaptopsGraphicsMakesItsGuestNotCoherent() throws IOException {
        Path log = file("dmesg.txt", """
                [    0.000000] Linux version 6.8.0-40-generic (buildd@x) #40
                [    0.140000] DMAR: DRHD base: 0x000000fed90000 flags: 0x0
                [    0.140000] DMAR: dmar0: reg_base_addr fed90000 ver 4:0 cap 1c0000c40660462 ecap 49e2ff0505e
                [    0.140000] DMAR: DRHD base: 0x000000fed91000 flags: 0x1
                [    0.140000] DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da
                [    0.150000] DMAR-IR: Enabled IRQ remapping in x2apic mode
                [    0.500000] DMAR: Intel(R) Virtualization Technology for Directed I/O
                """);
        Path table = SharedData.files("data/acpi", ".dat").stream()
                .filter(path -> path.getFileName().toString().contains("acer-aspire-a515-57g"))
                .findFirst()
                .orElseThrow();
        Path lspci = file("lspci.txt", """
                00:00.0 Host bridge: Intel Corporation Ice Lake-LP Processor Host Bridge
                00:02.0 VGA compatible controller: Intel Corporation Iris Plus Graphics G1
                \tKernel driver in use: i915
                00:1f.3 Audio device: Intel Corporation Ice Lake-LP Smart Sound Technology Audio Controller
                \tKernel driver in use: snd_hda_intel
                """);
        Audit audit = Audits.of(table, lspci, log);
        assertThat(Audits.firstFive(audit))
                .contains("1 of 3 devices makes its guest NONCOHERENT, the other 2 leave it COHERENT")
                .contains("0000:00:02.0", "VGA compatible controller", "dmar0 has no snoop control")
                .contains("the guest's WBINVD flushes the host's caches");
        AuditedDevice graphics = audit.device(PciAddress.parse("00:02.0")).orElseThrow();
        assertThat(graphics.noSnoopUse().orElseThrow().kind().name()).isEqualTo("USES");
        assertThat(graphics.hints()).anyMatch(hint -> hint.text().contains("part of the chipset"));
    }

    @Test
    void anAmdDesktopLeavesEveryGuestCoherent() throws IOException {
        Path board = SharedData.path("data/machines/msi-ms7721-a8-6500");
        Audit audit =
                Audits.of(board.resolve("IVRS.dat"), board.resolve("lspci-nnvvvxxxx.txt"), board.resolve("dmesg.txt"));
        assertThat(Audits.firstFive(audit))
                .contains("every device leaves its guest COHERENT", "ivhd0 can block no-snoop", "by the rules of 5.15");
        assertThat(audit.devices().stream().filter(device -> device.unit() != null))
                .isNotEmpty()
                .allMatch(device -> device.guest() == Guest.COHERENT);
    }

    /** Somebody asked a mailing list what 0 from VFIO_DMA_CC_IOMMU means, with nothing but these two numbers. */
    @Test
    void theUnitOfAXeonCanBlockNoSnoopAndZeroWasAskedTooEarly() throws IOException {
        Path log = file(
                "dmesg.txt", "[    0.2] DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da\n");
        Audit audit = Audits.of(log);
        assertThat(Audits.firstFive(audit))
                .contains("its unit can block no-snoop: guests are COHERENT")
                .contains("VFIO_DMA_CC_IOMMU 1 once the container has its IOMMU")
                .contains("always 0 before VFIO_SET_IOMMU");
        assertThat(String.join(" ", Audits.text(audit)).replaceAll(" +", " "))
                .contains("dmar1 walks its tables without snooping")
                .contains("readlink /sys/bus/pci/devices/BDF/iommu");
    }

    // --- releases ---

    @ParameterizedTest
    @CsvSource({
        "5.18, PER_MACHINE, NONCOHERENT",
        "5.19-posted, PER_MACHINE, NONCOHERENT",
        "5.19, PER_DOMAIN, COHERENT",
        "6.1, PER_DOMAIN, COHERENT",
        "6.2, PER_DEVICE, COHERENT",
        "7.1, PER_DEVICE, COHERENT"
    })
    void aDeviceBehindAnAbleUnitBesideOneThatIsNot(String release, CoherencyRule rule, Guest guest) throws IOException {
        Path board = SharedData.path("data/machines/huananzhi-x99-qd4");
        Audit audit = Audits.of(
                Optional.of(LinuxRelease.named(release)),
                List.of(),
                board.resolve("lspci-nnvvvxxxx.txt"),
                board.resolve("dmesg.txt"),
                board.resolve("DMAR.dat"));
        AuditedDevice nvme = audit.device(PciAddress.parse("02:00.0")).orElseThrow();
        assertThat(audit.rule()).isEqualTo(rule);
        assertThat(nvme.guest()).isEqualTo(guest);
        assertThat(nvme.hints().stream().anyMatch(hint -> hint.text().contains("Linux 5.19 or newer")))
                .isEqualTo(guest == Guest.NONCOHERENT);
        assertThat(audit.device(PciAddress.parse("00:1b.0")).orElseThrow().guest())
                .isEqualTo(Guest.NONCOHERENT);
    }

    @Test
    void aReleaseThatIsNotKnownIsAnsweredByTheNearestAndSaysSo() throws IOException {
        Path old = file("old.txt", "[    0.0] Linux version 5.4.0-1-amd64 (x)\n[    0.2] DMAR: IOMMU enabled\n");
        Audit audit = Audits.of(old);
        assertThat(audit.linux()).isEqualTo(LinuxRelease.named("5.15"));
        assertThat(audit.warnings()).first().asString().contains("5.4", "5.15");
        Path future = file("future.txt", "[    0.0] Linux version 9.9.1 (x)\n[    0.2] DMAR: IOMMU enabled\n");
        assertThat(Audits.of(future).linux()).isEqualTo(LinuxRelease.NEWEST);
    }

    @Test
    void v2TablesMakeAPromiseThatDoesNotHold() throws IOException {
        String lines = "[    0.0] Command line: root=/dev/sda1 amd_iommu=pgtbl_v2\n";
        Path log = file("v2.txt", "[    0.0] Linux version 6.19.0 (x)\n" + lines);
        Path table = SharedData.path("data/machines/msi-ms7721-a8-6500/IVRS.dat");
        Audit audit = Audits.of(log, table);
        assertThat(audit.falsePromises())
                .singleElement()
                .satisfies(promise -> assertThat(promise.text()).contains("amd_iommu=pgtbl_v2", "no FC bit"));
        assertThat(Audits.firstFive(audit)).contains("false promise");
        Path older = file("v2-old.txt", "[    0.0] Linux version 6.1.0 (x)\n" + lines);
        assertThat(Audits.of(older, table).falsePromises()).isEmpty();
    }

    @Test
    void aPromiseIsKeptWhereTheLastWordIsV1Tables() throws IOException {
        Path table = SharedData.path("data/machines/msi-ms7721-a8-6500/IVRS.dat");
        String line = "[    0.0] Linux version 6.19.0 (x)\n[    0.0] Command line: amd_iommu=";
        Path kept = file("v1-last.txt", line + "pgtbl_v2,force_isolation amd_iommu=pgtbl_v1\n");
        assertThat(Audits.of(kept, table).falsePromises()).isEmpty();
        Path broken = file("v2-last.txt", line + "pgtbl_v1 amd_iommu=pgtbl_v2\n");
        assertThat(Audits.of(broken, table).falsePromises()).hasSize(1);
    }
}
