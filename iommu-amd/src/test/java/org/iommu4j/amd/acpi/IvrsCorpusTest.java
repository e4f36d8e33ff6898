// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** Real tables against the decoding that ACPICA's disassembler prints, field by field, and mutants of them. */
class IvrsCorpusTest {
    private static final Pattern FIELD = Pattern.compile("^\\[([0-9A-F]+)h [0-9]+ ([0-9A-F]+)h\\] +(.*?) : (.*)$");
    private static final Pattern BIT = Pattern.compile("^ {10,}(.*?) : ([0-9A-F]+)$");

    private static List<Path> tables() {
        return SharedData.files("data/acpi", ".dat").stream()
                .filter(file -> file.getFileName().toString().startsWith("ivrs-"))
                .toList();
    }

    @Test
    void everyFieldOfEveryTableIsWhatTheDisassemblerPrints() throws IOException {
        int compared = 0;
        List<Path> tables = tables();
        for (Path file : tables) {
            compared += compare(file);
        }
        System.out.println("IVRS: " + tables.size() + " tables, " + compared + " fields compared");
        assertThat(tables).isNotEmpty();
        assertThat(compared).isGreaterThan(100 * tables.size());
    }

    private static int compare(Path file) throws IOException {
        Ivrs ivrs = Ivrs.parse(Files.readAllBytes(file));
        Map<Integer, Object> structures = new LinkedHashMap<>();
        for (Ivhd ivhd : ivrs.ivhds()) {
            structures.put(ivhd.offset(), ivhd);
            ivhd.entries().forEach(entry -> structures.put(entry.offset(), entry));
        }
        ivrs.ivmds().forEach(ivmd -> structures.put(ivmd.offset(), ivmd));
        Set<Integer> seen = new HashSet<>();
        Object current = ivrs;
        int compared = 0;
        Path expectations = Path.of(file.toString().replaceAll("\\.dat$", ".expected"));
        for (String line : Files.readAllLines(expectations, StandardCharsets.ISO_8859_1)) {
            if (line.startsWith("Raw Table Data")) {
                break;
            }
            Matcher field = FIELD.matcher(line);
            Matcher bit = BIT.matcher(line);
            String name;
            String expected;
            int offset = -1;
            if (field.matches()) {
                offset = Integer.parseInt(field.group(1), 16);
                name = field.group(3).strip();
                expected = field.group(4)
                        .replaceAll("/\\*.*", "")
                        .replaceAll("\\[.*", "")
                        .strip();
                if (name.equals("Subtable Type")) {
                    assertThat(structures).as("%s: %s", file, line).containsKey(offset);
                    current = structures.get(offset);
                    seen.add(offset);
                }
            } else if (bit.matches()) {
                name = bit.group(1).strip();
                expected = bit.group(2);
            } else {
                continue;
            }
            Object actual = value(ivrs, current, name, offset);
            if (expected.startsWith("\"")) {
                assertThat(actual.toString().stripTrailing())
                        .as("%s: %s", file.getFileName(), line)
                        .isEqualTo(expected.substring(1, expected.length() - 1).stripTrailing());
            } else {
                assertThat(((Number) actual).longValue())
                        .as("%s: %s", file.getFileName(), line)
                        .isEqualTo(Long.parseUnsignedLong(expected, 16));
            }
            compared++;
        }
        assertThat(seen).as("structures of %s", file.getFileName()).isEqualTo(structures.keySet());
        return compared;
    }

    private static Object value(Ivrs ivrs, Object structure, String name, int offset) {
        if (structure instanceof Ivhd ivhd) {
            return value(ivhd, name);
        }
        if (structure instanceof Ivmd ivmd) {
            return value(ivmd, name);
        }
        if (structure instanceof DeviceEntry entry) {
            return value(ivrs, entry, name, offset);
        }
        AcpiTable table = ivrs.table();
        return switch (name) {
            case "Signature" -> table.signature();
            case "Table Length" -> table.length();
            case "Revision" -> table.u8(8);
            case "Checksum" -> table.u8(9);
            case "Oem ID" -> table.text(10, 6);
            case "Oem Table ID" -> table.text(16, 8);
            case "Oem Revision" -> table.u32(24);
            case "Asl Compiler ID" -> table.text(28, 4);
            case "Asl Compiler Revision" -> table.u32(32);
            case "Virtualization Info" -> ivrs.ivInfo();
            case "Reserved" -> table.u64(40);
            default -> fail("header field " + name);
        };
    }

    private static Object value(Ivhd ivhd, String name) {
        return switch (name) {
            case "Subtable Type" -> ivhd.type();
            case "Flags (decoded below)" -> ivhd.flags();
            case "HtTunEn" -> ivhd.flags() & 1;
            case "PassPW" -> ivhd.flags() >> 1 & 1;
            case "ResPassPW" -> ivhd.flags() >> 2 & 1;
            case "Isoc Control" -> ivhd.flags() >> 3 & 1;
            case "Iotlb Support" -> ivhd.flags() >> 4 & 1;
            case "Coherent" -> ivhd.flags() >> 5 & 1;
            case "Prefetch Support" -> ivhd.flags() >> 6 & 1;
            case "PPR Support" -> ivhd.flags() >> 7 & 1;
            case "Length" -> ivhd.length();
            case "DeviceId" -> ivhd.deviceId();
            case "Capability Offset" -> ivhd.capabilityOffset();
            case "Base Address" -> ivhd.base();
            case "PCI Segment Group" -> ivhd.segment();
            case "Virtualization Info" -> ivhd.info();
            case "Feature Reporting", "Attributes" -> ivhd.features();
            case "EFR Image" -> ivhd.efrImage();
            case "Reserved" -> ivhd.efr2Image();
            default -> fail("IVHD field " + name);
        };
    }

    private static Object value(Ivmd ivmd, String name) {
        return switch (name) {
            case "Subtable Type" -> ivmd.type();
            case "Flags (decoded below)" -> ivmd.flags();
            case "Unity" -> ivmd.unity() ? 1 : 0;
            case "Readable" -> ivmd.flags() >> 1 & 1;
            case "Writeable" -> ivmd.flags() >> 2 & 1;
            case "Exclusion Range" -> ivmd.exclusion() ? 1 : 0;
            case "Length" -> ivmd.length();
            case "DeviceId" -> ivmd.deviceId();
            case "Auxiliary Data" -> ivmd.auxiliary();
            case "Reserved" -> ivmd.reserved();
            case "Start Address" -> ivmd.start();
            case "Memory Length" -> ivmd.size();
            default -> fail("IVMD field " + name);
        };
    }

    private static Object value(Ivrs ivrs, DeviceEntry entry, String name, int offset) {
        return switch (name) {
            case "Subtable Type" -> entry.type();
            case "Device ID" -> entry.deviceId();
            case "Data Setting (decoded below)" -> entry.dataSetting();
            case "INITPass" -> entry.dataSetting() & 1;
            case "EIntPass" -> entry.dataSetting() >> 1 & 1;
            case "NMIPass" -> entry.dataSetting() >> 2 & 1;
            case "System MGMT" -> entry.dataSetting() >> 4 & 3;
            case "LINT0 Pass" -> entry.dataSetting() >> 6 & 1;
            case "LINT1 Pass" -> entry.dataSetting() >> 7 & 1;
            case "Reserved" ->
                offset < 0 ? entry.dataSetting() >> 3 & 1 : ivrs.table().u8(offset);
            case "Source Used Device ID" -> entry.sourceDeviceId();
            case "Handle" -> entry.handle();
            case "Variety" -> entry.variety();
            case "Extended Data" -> entry.extended();
            case "ACPI HID" -> entry.name().hardwareId();
            case "ACPI CID" -> entry.name().compatibleId();
            case "UID Format" -> entry.name().uidFormat();
            case "UID Length" -> entry.name().uidLength();
            case "UID" -> entry.name().uid();
            default -> fail("device entry field " + name);
        };
    }

    @Test
    void mutantsAreReadOrRefusedWithTheirOffsetAndNothingElse() throws IOException {
        long seed = Long.getLong("iommu4j.seed", 20261123L);
        System.out.println("IVRS mutants: seed " + seed);
        Random random = new Random(seed);
        List<Path> tables = tables();
        int refused = 0;
        int parsed = 0;
        int reachedBlock = 0;
        int mutants = 0;
        for (Path file : tables) {
            byte[] original = Files.readAllBytes(file);
            for (int i = 0; i < 300; i++) {
                byte[] mutant = mutate(original, random);
                mutants++;
                try {
                    Ivrs ivrs = Ivrs.parse(mutant);
                    List<String> warnings = new ArrayList<>();
                    ivrs.ivhds().forEach(ivhd -> ivhd.ranges(warnings));
                    parsed++;
                    reachedBlock++;
                } catch (MalformedTableException e) {
                    refused++;
                    Matcher where = Pattern.compile("IVRS at offset 0x([0-9a-f]+): .*expected.*|.*ends behind.*")
                            .matcher(e.getMessage());
                    assertThat(where.matches())
                            .as("seed %d, %s: %s", seed, file.getFileName(), e.getMessage())
                            .isTrue();
                    if (where.group(1) != null && Integer.parseInt(where.group(1), 16) >= 48) {
                        reachedBlock++;
                    }
                } catch (RuntimeException e) {
                    throw new AssertionError("seed " + seed + ", " + file.getFileName() + " mutant " + i, e);
                }
            }
        }
        System.out.printf(
                "IVRS mutants: %d, parsed %d, refused %d, reached a block %d%n",
                mutants, parsed, refused, reachedBlock);
        assertThat(reachedBlock).isGreaterThan(mutants / 5);
        assertThat(refused).isGreaterThan(mutants / 20);
    }

    private static byte[] mutate(byte[] original, Random random) {
        byte[] mutant = original.clone();
        if (random.nextInt(4) == 0) {
            mutant = Arrays.copyOf(original, random.nextInt(original.length));
        }
        int flips = random.nextInt(8) + (mutant.length == original.length ? 1 : 0);
        for (int i = 0; i < flips && mutant.length > 0; i++) {
            mutant[random.nextInt(mutant.length)] ^= (byte) (1 << random.nextInt(8));
        }
        if (random.nextBoolean() && mutant.length >= AcpiTable.HEADER_LENGTH) {
            System.arraycopy(original, 0, mutant, 0, 4);
            mutant[4] = (byte) mutant.length;
            mutant[5] = (byte) (mutant.length >> 8);
            mutant[6] = (byte) (mutant.length >> 16);
            mutant[7] = 0;
            mutant[9] = 0;
            int sum = 0;
            for (byte b : mutant) {
                sum += b;
            }
            mutant[9] = (byte) -sum;
        }
        return mutant;
    }
}
