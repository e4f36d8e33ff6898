// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Audit;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Register values of real units are decoded as other people's programs printed them. */
class RegisterPairsTest {
    private static final int SC_COLUMN = 8;

    /** Names that Linux prints for bits of EFR, with ours and the least value that it prints them for. */
    private static final Map<String, String> PRINTED = Map.of(
            "PreF", "EFR.PreFSup",
            "PPR", "EFR.PPRSup",
            "X2APIC", "EFR.XTSup",
            "NX", "EFR.NXSup",
            "GT", "EFR.GTSup",
            "[5]", "EFR.GAPPISup",
            "IA", "EFR.IASup",
            "GA", "EFR.GASup",
            "PC", "EFR.PCSup",
            "GA_vAPIC", "EFR.GAMSup");

    @TempDir
    private Path directory;

    private static UnitDescription describe(String vendor, String unit, Map<String, Long> registers) {
        TreeMap<String, ShownUnit> shown = new TreeMap<>();
        shown.put(unit, new ShownUnit(OptionalLong.empty(), registers));
        HostFacts facts =
                new HostFacts(signature -> Optional.empty(), List::of, RegisterValues.UNKNOWN, shown, Map.of());
        HostDescription host = IommuVendors.load().named(vendor).describe(facts, LinuxRelease.NEWEST);
        return host.units().get(0);
    }

    private static long number(String text) {
        return Long.parseUnsignedLong(text.substring(2), 16);
    }

    @Test
    void snoopControlOfEveryVtdUnitIsWhatTheDataSays() throws IOException {
        int compared = 0;
        for (String[] row : Audits.table("data/registers.tsv")) {
            if (!row[0].equals("intel-vtd") || !row[7].startsWith("0x")) {
                continue;
            }
            Map<String, Long> registers = new LinkedHashMap<>();
            if (row[6].startsWith("0x")) {
                registers.put("CAP", number(row[6]));
            }
            registers.put("ECAP", number(row[7]));
            UnitDescription unit = describe("intel", "dmar0", registers);
            assertThat(unit.abilities().blocksNoSnoop())
                    .as(String.join(" ", row))
                    .isEqualTo(Answer.of(row[SC_COLUMN].equals("1")));
            // The fields together are the register, so that none is decoded from a wrong place.
            registers.forEach((name, value) -> assertThat(unit.registers()).containsEntry(name, value));
            assertThat(unit.fields().get("ECAP.IRO")).isEqualTo(number(row[7]) >>> 8 & 0x3ff);
            assertThat(unit.fields().get("ECAP.C")).isEqualTo(number(row[7]) & 1);
            assertThat(unit.fields().get("ECAP.SMTS")).isEqualTo(number(row[7]) >>> 43 & 1);
            if (registers.containsKey("CAP")) {
                assertThat(unit.abilities().addressWidth()).isEqualTo((int) (number(row[6]) >>> 16 & 0x3f) + 1);
            }
            compared++;
        }
        System.out.println("register pairs: " + compared + " VT-d units compared");
        assertThat(compared).isGreaterThan(50);
    }

    @Test
    void featuresOfEveryAmdUnitAreWhatLinuxPrinted() throws IOException {
        int units = 0;
        int printed = 0;
        for (String[] row : Audits.table("data/registers.tsv")) {
            if (!row[0].startsWith("amd") || !row[6].startsWith("0x")) {
                continue;
            }
            Map<String, Long> registers = new LinkedHashMap<>(Map.of("EFR", number(row[6])));
            if (row[7].startsWith("0x")) {
                registers.put("EFR2", number(row[7]));
            }
            UnitDescription unit = describe("amd", "ivhd0", registers);
            assertThat(unit.abilities().blocksNoSnoop()).isEqualTo(Answer.YES);
            assertThat(unit.fields()).containsEntry("EFR.HATS", number(row[6]) >>> 10 & 3);
            if (!row[9].equals("-")) {
                List<String> names = List.of(row[9].split(" ", -1));
                PRINTED.forEach((name, field) -> assertThat(unit.fields().get(field) != 0)
                        .as(name + " of " + String.join(" ", row))
                        .isEqualTo(names.contains(name)));
                printed++;
            }
            units++;
        }
        System.out.println(
                "register pairs: " + units + " AMD-Vi units decoded, " + printed + " compared with what Linux printed");
        assertThat(printed).isGreaterThan(5);
    }

    /** As a log prints them, so that the words of the log are read too. */
    @Test
    void everyVtdUnitOfALogIsInTheAuditWithAllThatWasPrinted() throws IOException {
        Map<String, List<String[]>> machines = new TreeMap<>();
        for (String[] row : Audits.table("data/registers.tsv")) {
            if (row[0].equals("intel-vtd") && row[6].startsWith("0x") && row[7].startsWith("0x")) {
                machines.computeIfAbsent(row[1], unused -> new ArrayList<>()).add(row);
            }
        }
        int units = 0;
        int inconsistent = 0;
        for (Map.Entry<String, List<String[]>> machine : machines.entrySet()) {
            StringBuilder log = new StringBuilder("[    0.000000] Linux version 6.1.0-9-amd64 (x@y) #1\n");
            for (String[] row : machine.getValue()) {
                log.append(String.format(
                        "[    0.2] DMAR: dmar%s: reg_base_addr %s ver %s cap %s ecap %s%n",
                        row[2], row[3], row[5], row[6].substring(2), row[7].substring(2)));
            }
            Path file = Files.writeString(directory.resolve(machine.getKey() + ".txt"), log);
            HostEvidence evidence = HostInputs.withInstalledVendors().path(file).read();
            Audit audit = Audits.of(file);
            Set<Answer> answers = new HashSet<>();
            for (String[] row : machine.getValue()) {
                String[] version = row[5].split(":", -1);
                UnitDescription unit = audit.unit("dmar" + row[2]).orElseThrow().description();
                assertThat(unit.registerBase()).hasValue(Long.parseLong(row[3], 16));
                assertThat(evidence.registers().value("dmar" + row[2], unit.registerBase(), "VER"))
                        .hasValue(Long.parseLong(version[0]) << 4 | Long.parseLong(version[1]));
                assertThat(unit.registers())
                        .containsEntry("CAP", number(row[6]))
                        .containsEntry("ECAP", number(row[7]));
                answers.add(unit.abilities().blocksNoSnoop());
                units++;
            }
            // Linux itself compared the units of some of these machines.
            if (machine.getValue().stream().anyMatch(row -> row[9].contains("sc_support inconsistent"))) {
                assertThat(answers).contains(Answer.YES, Answer.NO);
                inconsistent++;
            }
        }
        System.out.println("logs: " + machines.size() + " machines, " + units + " units with base and three registers"
                + " compared, " + inconsistent + " that Linux calls inconsistent");
        assertThat(units).isGreaterThan(50);
        assertThat(inconsistent).isPositive();
    }

    @Test
    void imagesOfEfrAreThoseOfTheirTables() throws IOException {
        Map<String, Path> tables = new HashMap<>();
        for (String[] row : Audits.table("data/index.tsv")) {
            if (row[1].equals("acpi-ivrs")) {
                tables.put(row[2], SharedData.path("data/" + row[0]));
            }
        }
        int compared = 0;
        for (String[] row : Audits.table("data/registers.tsv")) {
            Path table = tables.get(row[10]);
            if (row[0].equals("amd-ivhd-efr-image") && table != null) {
                assertThat(Audits.of(table).units())
                        .as(String.join(" ", row))
                        .anySatisfy(unit -> assertThat(unit.description().registers())
                                .containsEntry("EFR", number(row[6]))
                                .containsEntry("EFR2", number(row[7])));
                compared++;
            }
        }
        System.out.println("images of EFR: " + compared + " compared with their tables' audits");
        assertThat(compared).isGreaterThan(50);
    }

    /** The unit of an integrated GPU may be able only in scalable mode: then a release of before 5.19 is not sure. */
    @ParameterizedTest
    @CsvSource({"f050da, 5.18, YES", "f0505a, 5.18, NO", "f0505a, 7.1, NO", "12ca9a00f0ef5e, 5.18, UNKNOWN"})
    void oneUnitOfAMachineAnswersUnder(String ecap, String release, Answer expected) {
        TreeMap<String, ShownUnit> shown = new TreeMap<>();
        shown.put("dmar0", new ShownUnit(OptionalLong.empty(), Map.of("ECAP", Long.parseUnsignedLong(ecap, 16))));
        shown.put("dmar1", new ShownUnit(OptionalLong.empty(), Map.of("ECAP", 0xf050daL)));
        FakeFunction function = new FakeFunction("0000:00:02.0", 0x030000);
        HostFacts facts = new HostFacts(
                signature -> Optional.empty(),
                () -> List.of(function),
                RegisterValues.UNKNOWN,
                shown,
                Map.of(function.address(), "dmar0"));
        HostDescription host = IommuVendors.load().named("intel").describe(facts, LinuxRelease.named(release));
        assertThat(host.devices()).singleElement().satisfies(device -> {
            assertThat(device.enforceCacheCoherency()).isEqualTo(expected);
            assertThat(device.unit()).isEqualTo("dmar0");
            assertThat(device.reservedRegions()).isNull();
            assertThat(device.reasons()).isNotEmpty();
        });
    }
}
