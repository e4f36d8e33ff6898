// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Audit;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.workbench.audit.AuditText;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

/** What a unit answers, field by field. */
class FieldsTest {
    @TempDir
    private Path folder;

    private static Map<String, Long> fields(String vendor, String unit, String register, long value) {
        TreeMap<String, ShownUnit> shown = new TreeMap<>();
        shown.put(unit, new ShownUnit(OptionalLong.empty(), Map.of(register, value)));
        HostFacts facts =
                new HostFacts(signature -> Optional.empty(), List::of, RegisterValues.UNKNOWN, shown, Map.of());
        Map<String, Long> fields = new TreeMap<>();
        IommuVendors.load()
                .named(vendor)
                .describe(facts, LinuxRelease.NEWEST)
                .units()
                .get(0)
                .fields()
                .forEach((field, number) -> {
                    if (field.startsWith(register + ".")) {
                        fields.put(field, number);
                    }
                });
        return fields;
    }

    /** A register with one bit set has one field that is not 0, and no two bits say the same; others are reserved. */
    @ParameterizedTest
    @CsvSource({"intel, dmar0, CAP, 56", "intel, dmar0, ECAP, 47", "amd, ivhd0, EFR, 52"})
    void everyBitOfARegisterIsInOneFieldOrReserved(String vendor, String unit, String register, int least) {
        Map<String, Set<Long>> values = new HashMap<>();
        int named = 0;
        TreeSet<Integer> reserved = new TreeSet<>();
        Set<String> all = fields(vendor, unit, register, 0).keySet();
        for (int bit = 0; bit < 64; bit++) {
            Map<String, Long> fields = fields(vendor, unit, register, 1L << bit);
            assertThat(fields.keySet()).isEqualTo(all);
            fields.values().removeIf(value -> value == 0);
            assertThat(fields).as(register + " bit " + bit).hasSizeLessThan(2);
            if (fields.isEmpty()) {
                reserved.add(bit);
            }
            fields.forEach((field, value) -> {
                assertThat(Long.bitCount(value)).as(field).isEqualTo(1);
                assertThat(values.computeIfAbsent(field, unused -> new TreeSet<>())
                                .add(value))
                        .as(field + " twice")
                        .isTrue();
            });
            named += fields.size();
        }
        System.out.println(register + ": " + values.size() + " fields of " + named + " bits, reserved " + reserved);
        assertThat(values.keySet()).isEqualTo(all);
        assertThat(named).isGreaterThanOrEqualTo(least);
    }

    @Test
    void verboseTextPrintsEveryFieldWithTheManualsName() throws IOException {
        Path intel = Files.writeString(
                folder.resolve("intel.txt"),
                "[ 0.2] DMAR: dmar0: reg_base_addr fed90000 ver 5:0 cap 19ed008c40780c66 ecap 3ef9a6f050df\n");
        Path amd = Files.writeString(
                folder.resolve("amd.txt"),
                "[ 0.5] pci 0000:00:00.2: AMD-Vi: Extended features (0x246577efa2254afa, 0x10): PPR NX GT\n");
        Path table = Files.write(folder.resolve("IVRS.dat"), HandMadeTables.ivrs(0x246577efa2254afaL));
        int printed = 0;
        for (Audit audit : new Audit[] {Audits.of(intel), Audits.of(amd, table)}) {
            String verbose = new AuditText(Help.defaultColorScheme(Ansi.OFF), true, 100)
                    .of(audit)
                    .replaceAll("\\s+", " ");
            Map<String, Long> fields = audit.units().get(0).description().fields();
            assertThat(fields).hasSizeGreaterThan(20);
            for (Map.Entry<String, Long> field : fields.entrySet()) {
                String name = field.getKey().substring(field.getKey().indexOf('.') + 1);
                long value = field.getValue();
                assertThat(verbose)
                        .contains(" " + name + "=" + (value > 9 ? "0x" + Long.toHexString(value) : value) + " ");
                printed++;
            }
        }
        System.out.println("verbose text: " + printed + " fields printed");
    }
}
