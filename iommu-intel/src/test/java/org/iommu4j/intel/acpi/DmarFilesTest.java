// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** Tables of real machines against what ACPICA's disassembler says of them. */
class DmarFilesTest {
    private static final Pattern WITH_OFFSET = Pattern.compile("\\[([0-9A-F]+)h [0-9]+ [0-9A-F]+h\\]\\s+(.*?) : (.*)");
    private static final Pattern WITHOUT_OFFSET = Pattern.compile("\\s+(Size \\(pages, log2\\)) : (.*)");
    private static final Pattern COMMENT = Pattern.compile("\\s+\\[[^\\]]*\\]$");

    private static List<Path> tables() {
        return SharedData.files("data/acpi", ".dat").stream()
                .filter(file -> file.getFileName().toString().startsWith("dmar-"))
                .toList();
    }

    @Test
    void everyFieldThatTheDisassemblerPrintsIsReadTheSame() throws IOException {
        TreeMap<String, Integer> compared = new TreeMap<>();
        List<Path> tables = tables();
        for (Path file : tables) {
            byte[] bytes = Files.readAllBytes(file);
            Dmar dmar = DmarParser.parse(bytes);
            assertThat(dmar.checksumValid()).as(file.toString()).isTrue();
            List<DmarText.Line> expected = new ArrayList<>();
            Path text = file.resolveSibling(file.getFileName().toString().replace(".dat", ".expected"));
            for (String line : Files.readAllLines(text, StandardCharsets.ISO_8859_1)) {
                Matcher matcher = WITH_OFFSET.matcher(line);
                Matcher bare = WITHOUT_OFFSET.matcher(line);
                if (matcher.matches()) {
                    int offset = Integer.parseInt(matcher.group(1), 16);
                    String value = matcher.group(3).stripTrailing();
                    value = value.startsWith("\"")
                            ? value.substring(0, value.lastIndexOf('"') + 1)
                            : COMMENT.matcher(value).replaceFirst("");
                    if (matcher.group(2).equals("Reserved")) {
                        assertReserved(file, bytes, offset, value);
                    } else {
                        expected.add(new DmarText.Line(offset, matcher.group(2), value));
                    }
                    compared.merge(matcher.group(2), 1, Integer::sum);
                } else if (bare.matches()) {
                    expected.add(
                            new DmarText.Line(-1, bare.group(1), bare.group(2).stripTrailing()));
                    compared.merge(bare.group(1), 1, Integer::sum);
                }
            }
            assertThat(DmarText.of(bytes, dmar)).as(file.toString()).isEqualTo(expected);
            assertThat(dmar.warnings()).as(file.toString()).isEmpty();
        }
        System.out.println(tables.size() + " DMAR tables, fields compared: " + compared);
        assertThat(tables).hasSizeGreaterThan(100);
        assertThat(compared).containsKeys("Proximity Domain", "Device Name", "End Address (limit)", "PCI Path");
    }

    private static void assertReserved(Path file, byte[] bytes, int offset, String value) {
        // Reserved fields are not decoded; that they are where we think they are is checked on the bytes.
        String digits = value.replace(" ", "");
        for (int i = 0; i < digits.length() / 2; i++) {
            assertThat(bytes[offset + i]).as(file + " reserved at " + offset).isZero();
        }
        assertThat(digits).as(file.toString()).matches("0+");
    }

    @Test
    void mutantsAreRefusedOrReadAndNeverBreakTheParser() throws IOException {
        long seed = Long.getLong("iommu4j.seed", 20261123L);
        System.out.println("seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        int parsed = 0;
        int refused = 0;
        int reached = 0;
        int total = 0;
        for (Path file : tables()) {
            byte[] original = Files.readAllBytes(file);
            for (int i = 0; i < 400; i++) {
                byte[] mutant = original.clone();
                if (random.nextInt(3) == 0) {
                    mutant = Arrays.copyOf(mutant, random.nextInt(mutant.length));
                }
                for (int flips = random.nextInt(4); flips > 0 && mutant.length > 0; flips--) {
                    mutant[random.nextInt(mutant.length)] ^= (byte) (1 << random.nextInt(8));
                }
                if (i % 2 == 0 && mutant.length >= AcpiTable.HEADER_LENGTH) {
                    repair(mutant);
                }
                total++;
                try {
                    Dmar dmar = DmarParser.parse(mutant);
                    parsed++;
                    if (!dmar.structures().isEmpty()) {
                        reached++;
                    }
                } catch (MalformedTableException e) {
                    refused++;
                    Matcher offset = Pattern.compile("offset 0x([0-9a-f]+): ").matcher(e.getMessage());
                    assertThat(offset.find()).as(e.getMessage()).isTrue();
                    if (Integer.parseInt(offset.group(1), 16) >= 48) {
                        reached++;
                    }
                }
            }
        }
        System.out.println(
                total + " mutants: " + parsed + " read, " + refused + " refused, " + reached + " reached a structure");
        assertThat(reached).isGreaterThan(total / 5);
        assertThat(refused).isPositive();
    }

    private static void repair(byte[] table) {
        System.arraycopy(new byte[] {'D', 'M', 'A', 'R'}, 0, table, 0, 4);
        for (int i = 0; i < 4; i++) {
            table[4 + i] = (byte) (table.length >>> (8 * i));
        }
        table[9] = 0;
        int sum = 0;
        for (byte b : table) {
            sum += b;
        }
        table[9] = (byte) -sum;
    }
}
