// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.RegisterValues;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostInputsTest {
    private static final PciAddress GRAPHICS = PciAddress.parse("00:02.0");

    @TempDir
    private Path folder;

    private Path file(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    private static byte[] table() {
        byte[] table = new byte[48];
        table[0] = 'D';
        table[1] = 'M';
        table[2] = 'A';
        table[3] = 'R';
        table[4] = 48;
        table[36] = 38;
        return table;
    }

    private static String asText(byte[] table) {
        StringBuilder text = new StringBuilder("DMAR @ 0x0000000000000000\n");
        for (int at = 0; at < table.length; at += 16) {
            text.append(String.format("    %04X:", at));
            for (int i = at; i < Math.min(at + 16, table.length); i++) {
                text.append(String.format(" %02X", table[i]));
            }
            text.append("  DMAR............\n");
        }
        return text.append('\n').toString();
    }

    @Test
    void inputsAreToldApartByWhatIsInThem() throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(Files.write(folder.resolve("a"), table()))
                .path(file("b", "00:02.0 VGA compatible controller: Maker Graphics\n\tIOMMU group: 1\n"))
                .path(file("c", "[ 0.0] Linux version 6.1.0 (d@d) #1\n"))
                .path(file(
                        "d",
                        "IOMMU Group 1:\n\t00:02.0 VGA compatible controller [0300]: Maker Graphics [8086:1616]\n"))
                .read();
        assertThat(host.inputs()).hasSize(4);
        assertThat(host.tables()).containsOnlyKeys("DMAR");
        assertThat(host.function(GRAPHICS).orElseThrow().group().orElseThrow().value())
                .isEqualTo(1);
        assertThat(host.linux().orElseThrow()).hasToString("6.1");
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aTableIsTheSameAsBytesAndAsText() throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(file("acpidump.txt", asText(table())))
                .path(Files.write(folder.resolve("DMAR"), table()))
                .read();
        assertThat(host.tables().get("DMAR")).isEqualTo(table());
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aTableIsReadFromTheRawDataOfADisassembly() throws IOException {
        String raw = asText(table()).replace("DMAR @ 0x0000000000000000\n", "").replace("  DMAR", "  // DMAR");
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(file(
                        "dmar.dsl",
                        "/*\n * Disassembly of dmar.dat\n */\n\n"
                                + "[000h 0000   4]                    Signature : \"DMAR\"    [DMA Remapping table]\n"
                                + "[004h 0004   4]                 Table Length : 00000030\n\n"
                                + "Raw Table Data: Length 48 (0x30)\n\n" + raw))
                .read();
        assertThat(host.tables()).containsOnlyKeys("DMAR");
        assertThat(host.tables().get("DMAR")).isEqualTo(table());
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aTableInTextOfWhichALineIsMissingIsLeftOut() throws IOException {
        Path cut = file("acpidump.txt", asText(table()).replaceFirst("(?m)^ *0010:.*\n", ""));
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().path(cut))
                .withMessageContaining("acpidump.txt: holds no complete ACPI table");
    }

    @Test
    void contradictionsAreNamedWithBothSources() throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(file("lspci.txt", "00:02.0 VGA compatible controller: Maker Graphics\n\tIOMMU group: 1\n"))
                .path(file("groups.txt", "IOMMU Group 2 00:02.0 VGA compatible controller [0300]: Maker\n"))
                .path(file("one.log", "Linux version 6.1.0 (d@d) #1\n"))
                .path(file("two.log", "Linux version 6.8.0 (d@d) #1\n"))
                .read();
        assertThat(host.contradictions())
                .containsExactly(
                        "kernel release is '6.1.0' in one.log and '6.8.0' in two.log: treated as unknown",
                        "group of 0000:00:02.0 is 1 in lspci.txt and 2 in groups.txt: treated as unknown");
        assertThat(host.warnings()).isEqualTo(host.contradictions());
        assertThat(host.linux()).isEmpty();
        assertThat(host.function(GRAPHICS).orElseThrow().group()).isEmpty();
        assertThat(host.groups())
                .as("which functions are in 1 and 2 is not known")
                .isEmpty();
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
    }

    @Test
    void theRunningHostIsACapture() throws IOException {
        Files.createDirectories(folder.resolve("sys/bus"));
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().live(folder).path(folder))
                .withMessageContaining("this host and " + folder + " are two captures");
    }

    @Test
    void aUnitIsFoundByItsBaseOrWhereThatIsNotKnownByItsName() {
        Source log = new Source("dmesg.txt", Rank.LOG);
        RegisterValues registers = HostEvidence.builder("host")
                .register("ivhd0", "EFR", 1, log)
                .unit("ivhd1", 0xfeb9_0000L, log)
                .register("ivhd1", "EFR", 2, log)
                .build()
                .registers();

        assertThat(registers.value("ivhd0", OptionalLong.empty(), "EFR")).hasValue(1);
        assertThat(registers.value("ivhd0", OptionalLong.of(0xfeb8_0000L), "EFR"))
                .as("a table has the base")
                .hasValue(1);
        assertThat(registers.value("ivhd0", OptionalLong.of(0xfeb9_0000L), "EFR"))
                .as("the base decides")
                .hasValue(2);
        assertThat(registers.value("ivhd1", OptionalLong.empty(), "EFR")).hasValue(2);
        assertThat(registers.value("ivhd1", OptionalLong.of(0xfeba_0000L), "EFR"))
                .as("a namesake elsewhere")
                .isEmpty();
        assertThat(registers.value("", OptionalLong.empty(), "EFR")).isEmpty();
    }

    @Test
    void whatIsSaidOfAllUnitsDoesNotSettleWhatInputsSayOfOne() {
        EvidenceBuilder host = HostEvidence.builder("host");
        Source log = new Source("dmesg.txt", Rank.LOG);
        host.unit("ivhd0", 0xfeb8_0000L, log).registerOfAllUnits("EFR", 1, log);
        assertThat(host.build().registers().value("ivhd0", OptionalLong.of(0xfeb8_0000L), "EFR"))
                .hasValue(1);
        host.register("ivhd0", "EFR", 2, log).register("ivhd0", "EFR", 3, log);
        assertThat(host.build().registers().value("ivhd0", OptionalLong.of(0xfeb8_0000L), "EFR"))
                .isEmpty();
    }

    @Test
    void tablesOfOneRankThatDifferAreNone() throws IOException {
        byte[] other = table();
        other[36] = 45;
        Path one = Files.write(folder.resolve("one"), table());
        Path two = Files.write(folder.resolve("two"), other);
        HostEvidence host =
                HostInputs.withInstalledVendors().path(one).path(two).read();
        assertThat(host.tables()).isEmpty();
        assertThat(host.contradictions())
                .singleElement()
                .asString()
                .matches("table DMAR is 48 bytes with CRC-32 \\w{8} in one and 48 bytes .* in two: treated as unknown");
    }

    /** Two listings of one rank differ about a bridge's buses: where the functions behind it are is not known. */
    @Test
    void configurationSpaceThatDiffersInWhatDecidesIsUnknown() throws IOException {
        String bridge = """
                00:1c.0 PCI bridge [0604]: Maker Port [8086:1234]
                \tFlags: bus master
                \tBus: primary=00, secondary=%s, subordinate=%s, sec-latency=0
                """;
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(file("one.txt", bridge.formatted("01", "01")))
                .path(file("two.txt", bridge.formatted("02", "02")))
                .read();
        FunctionEvidence port = host.function(PciAddress.parse("00:1c.0")).orElseThrow();
        assertThat(port.knowledge()).isEqualTo(ConfigKnowledge.NONE);
        assertThat(host.contradictions())
                .singleElement()
                .asString()
                .contains("header of 0000:00:1c.0 is that of a bridge to buses 01-01 in one.txt and", "02-02 in two");
    }

    @Test
    void aHostIsCalledByItsFileOrByTheDirectoryOfAllItsFiles() throws IOException {
        Path directory = Files.createDirectory(folder.resolve("host7"));
        Path log = Files.writeString(directory.resolve("dmesg.txt"), "Linux version 6.1.0 (d@d) #1\n");
        Path listing = Files.writeString(directory.resolve("lspci.txt"), "00:02.0 VGA compatible controller: Maker\n");
        Path elsewhere = file("groups.txt", "IOMMU Group 2 00:02.0 VGA compatible controller [0300]: Maker\n");
        assertThat(HostInputs.withInstalledVendors().path(log).read().name()).isEqualTo("dmesg.txt");
        assertThat(HostInputs.withInstalledVendors()
                        .path(log)
                        .path(listing)
                        .read()
                        .name())
                .isEqualTo("host7");
        assertThat(HostInputs.withInstalledVendors()
                        .path(log)
                        .path(listing)
                        .path(elsewhere)
                        .read()
                        .name())
                .isEqualTo("dmesg.txt and 2 more");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "IOMMU Group 1 00:02.0 VGA compatible controller [0300]: Maker Graphics [8086:1616]\n",
                "IOMMU group 1 00:02.0 VGA compatible controller [0300]: Maker Graphics [8086:1616] (rev 09)\n",
                "IOMMU Group 1:\n\t00:02.0 VGA compatible controller [0300]: Maker Graphics [8086:1616]\n",
                "Group 1:\t[8086:1616] [R] 00:02.0  VGA compatible controller [0300]: Maker Graphics [8086:1616]\n",
                "### Group 1 ###\n    00:02.0 VGA compatible controller: Maker Graphics\n",
                "IOMMU_GROUP_1\n[RESET]\t0000:00:02.0 VGA compatible controller: Maker Graphics\n",
                "/sys/kernel/iommu_groups/1/devices/0000:00:02.0\n",
                "lrwxrwxrwx 1 root root 0 Jan 1 00:00 /sys/kernel/iommu_groups/1/devices/0000:00:02.0 -> "
                        + "../../../../x\n",
                "IOMMU: dmar0\n  IOMMU Group: 1\n    Group Device: 0000:00:02.0 - VGA compatible controller [0300]: "
                        + "Maker\n"
            })
    void groupsAreReadAsPeoplePrintThem(String listing) throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(file("groups.txt", listing))
                .read();
        assertThat(host.groups().keySet()).containsExactly(1);
        assertThat(host.groups().get(1).members()).containsExactly(GRAPHICS);
        assertThat(host.functions()).hasSize(1);
    }

    @Test
    void aHeadingOfAUnitTellsTheUnit() throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(file(
                        "tree.txt", "IOMMU: dmar12\n  IOMMU Group: 24\n    Group Device: 0000:15:00.4 - Peripheral\n"))
                .read();
        assertThat(host.functions().get(0).unit().orElseThrow().value()).isEqualTo("dmar12");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "hello\n",
                "GET / HTTP/1.1\n",
                "DMAR\n",
                "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>"
            })
    void whatIsNothingKnownIsRefusedInOneLine(String text) throws IOException {
        Path file = file("x", text);
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().path(file))
                .withMessageContaining("is of no known kind, expected a directory or tar")
                .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n"));
    }

    @Test
    void aFileThatIsTooBigIsRefusedAndNotRead() throws IOException {
        Path big = folder.resolve("big.log");
        try (RandomAccessFile file = new RandomAccessFile(big.toFile(), "rw")) {
            file.setLength(TextLines.MAX_BYTES + 1L);
        }
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().dmesg(big))
                .withMessageContaining("big.log: is too big, expected at most 32 MiB");
    }

    @Test
    void aDirectoryWithoutASysTreeAndAnAbsentFileAreRefused() {
        for (Path path : new Path[] {folder, folder.resolve("absent")}) {
            assertThatExceptionOfType(InputException.class)
                    .isThrownBy(() -> HostInputs.withInstalledVendors().path(path))
                    .withMessageStartingWith(path.toString());
        }
    }
}
