// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PveshReaderTest {
    private static final String TABLE = """
            \u250c\u2500\u2500\u2500\u252c\u2500\u2500\u2500\u2510
            | class    | device | id           | iommugroup | vendor | device_name    | mdev | vendor_name |
            \u255e\u2550\u2550\u2550\u256a\u2550\u2550\u2550\u2561
            | 0x060400 | 0xa110 | 0000:00:1c.0 |          6 | 0x8086 | Port #1        |      | Maker       |
            \u251c\u2500\u2500\u2500\u253c\u2500\u2500\u2500\u2524
            | 0x020000 | 0x10d3 | 0000:04:00.0 |          7 | 0x8086 | Card           |    1 | Maker       |
            \u251c\u2500\u2500\u2500\u253c\u2500\u2500\u2500\u2524
            | 0x078000 | 0xa13a | 0000:00:16.0 |         -1 | 0x8086 |                |      | Maker       |
            \u2514\u2500\u2500\u2500\u2534\u2500\u2500\u2500\u2518
            """.replace('|', '\u2502');

    @TempDir
    private Path folder;

    private HostEvidence read(String text) throws IOException {
        return HostInputs.withInstalledVendors()
                .path(Files.writeString(folder.resolve("pci.txt"), text))
                .read();
    }

    static Stream<String> tables() {
        return Stream.of(
                TABLE,
                TABLE.replace('\u2502', '|').replaceAll("[\u2500-\u257f]", "-"),
                TABLE.replaceAll("(?m)^[^\u2502]*\n", ""),
                TABLE.replaceAll("(?m)^[^\u2502]*\n", "")
                        .replaceAll("(?m)^\u2502 ", "")
                        .replaceAll(" \u2502", ""));
    }

    @ParameterizedTest
    @MethodSource("tables")
    void rowsAreFunctions(String table) throws IOException {
        HostEvidence host = read(table);
        assertThat(host.functions()).hasSize(3);
        FunctionEvidence card = host.function(PciAddress.parse("04:00.0")).orElseThrow();
        assertThat(card.group().map(Fact::value)).contains(7);
        assertThat(card.classCode()).hasValue(0x0200);
        assertThat(card.vendorId()).hasValue(0x8086);
        assertThat(card.deviceId()).hasValue(0x10d3);
        assertThat(card.name()).contains("Maker Card");
        assertThat(host.function(PciAddress.parse("00:1c.0")).orElseThrow().bridge())
                .isEqualTo(Answer.YES);
        FunctionEvidence alone = host.function(PciAddress.parse("00:16.0")).orElseThrow();
        assertThat(alone.grouped()).isEqualTo(Answer.NO);
        assertThat(alone.name()).contains("Maker");
        assertThat(host.warnings()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[{\"class\":\"0x060400\",\"iommugroup\":6,\"id\":\"0000:00:1c.0\"}]",
                "[\n   {\n      \"class\" : \"0x060400\",\n      \"iommugroup\" : 6\n   }\n]\n"
            })
    void jsonIsRefusedByName(String json) {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> read(json))
                .withMessageContaining("pci.txt: is JSON of pvesh, which is not read, expected its table");
    }

    @Test
    void otherTextBehindTheTableIsNoRow() throws IOException {
        assertThat(read(TABLE + "\nand 0000:05:00.0 \u2502 too\n").functions()).hasSize(3);
    }
}
