// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.Guest;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ScopeEntry;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** Tables of real hosts are read as ACPICA's disassembler read them. */
class TablesTest {
    private static final Pattern LINE = Pattern.compile("\\[[0-9A-F]+h.*?\\]\\s+([^:]+?) : (.*)");

    /** Bytes of a device scope with one hop. */
    private static final int ONE_HOP = 8;

    /** A structure of a disassembled DMAR. */
    private static final class Structure {
        private final String kind;
        private final List<String> endpoints = new ArrayList<>();
        private int scopes;
        private int flags = -1;
        private int segment;
        private long base;
        private long limit;

        private Structure(String kind) {
            this.kind = kind;
        }
    }

    private static List<Structure> disassembled(Path file) throws IOException {
        List<Structure> structures = new ArrayList<>();
        int type = 0;
        int bus = 0;
        int length = 0;
        for (String line : Files.readAllLines(file, StandardCharsets.ISO_8859_1)) {
            Matcher matcher = LINE.matcher(line);
            if (!matcher.matches()) {
                continue;
            }
            String value = matcher.group(2).strip();
            Structure now = structures.isEmpty() ? null : structures.get(structures.size() - 1);
            switch (matcher.group(1).strip()) {
                case "Subtable Type" -> structures.add(new Structure(value.substring(0, 4)));
                case "Flags" -> {
                    if (now != null && now.flags < 0) {
                        now.flags = Integer.parseInt(value.substring(0, 2), 16);
                    }
                }
                case "PCI Segment Number" -> now.segment = Integer.parseInt(value, 16);
                case "Register Base Address", "Base Address" -> now.base = Long.parseUnsignedLong(value, 16);
                case "End Address (limit)" -> now.limit = Long.parseUnsignedLong(value, 16);
                case "Device Scope Type" -> {
                    type = Integer.parseInt(value.substring(0, 2), 16);
                    now.scopes++;
                }
                case "Entry Length" -> length = Integer.parseInt(value, 16);
                case "PCI Bus Number" -> bus = Integer.parseInt(value, 16);
                case "PCI Path" -> {
                    String[] hop = value.split(",", -1);
                    // Paths through bridges have more hops and lead nowhere in the functions made here.
                    if (type == 1 && length == ONE_HOP) {
                        now.endpoints.add(String.format(
                                "%04x:%02x:%02x.%x",
                                now.segment, bus, Integer.parseInt(hop[0], 16), Integer.parseInt(hop[1], 16)));
                    }
                    type = 0;
                }
                default -> {}
            }
        }
        return structures;
    }

    @Test
    void unitsScopesAndReservedRegionsOfEveryDmarAreTheDisassemblers() throws IOException {
        int tables = 0;
        int units = 0;
        int regions = 0;
        for (Path file : SharedData.files("data", ".dat")) {
            Path expected = file.resolveSibling(file.getFileName().toString().replace(".dat", ".expected"));
            byte[] bytes = Files.readAllBytes(file);
            if (bytes.length < 4
                    || !new String(bytes, 0, 4, StandardCharsets.ISO_8859_1).equals("DMAR")
                    || !Files.exists(expected)) {
                continue;
            }
            List<Structure> structures = disassembled(expected);
            TreeMap<PciAddress, PciFunction> functions = new TreeMap<>();
            for (Structure structure : structures) {
                for (String endpoint : structure.endpoints) {
                    FakeFunction function = new FakeFunction(endpoint, 0x020000);
                    functions.put(function.address(), function);
                }
            }
            FirmwareTables firmware = signature -> signature.equals("DMAR") ? Optional.of(bytes) : Optional.empty();
            HostDescription host = IommuVendors.load()
                    .named("intel")
                    .describe(
                            firmware,
                            () -> List.copyOf(functions.values()),
                            RegisterValues.UNKNOWN,
                            LinuxRelease.NEWEST);
            List<Structure> drhds =
                    structures.stream().filter(s -> s.kind.equals("0000")).toList();
            assertThat(host.units()).as(file.toString()).hasSize(drhds.size());
            for (int i = 0; i < drhds.size(); i++) {
                UnitDescription unit = host.units().get(i);
                Structure drhd = drhds.get(i);
                assertThat(unit.registerBase()).as(file.toString()).hasValue(drhd.base);
                assertThat(unit.segment()).hasValue(drhd.segment);
                assertThat(unit.includeAll()).isEqualTo(Answer.of((drhd.flags & 1) != 0));
                assertThat(unit.scope()).as(file.toString()).hasSize(drhd.scopes);
                assertThat(unit.scope().stream()
                                .filter(entry -> entry.kind() == ScopeEntry.Kind.FUNCTION)
                                .map(ScopeEntry::place)
                                .filter(place -> !place.contains("/"))
                                .filter(drhd.endpoints::contains))
                        .as(file.toString())
                        .hasSize((int) unit.scope().stream()
                                .filter(entry -> entry.kind() == ScopeEntry.Kind.FUNCTION
                                        && !entry.place().contains("/"))
                                .count());
                units++;
            }
            regions += reserved(file, structures, host);
            tables++;
        }
        System.out.println("DMAR tables: " + tables + " compared, " + units + " units, " + regions
                + " reserved regions of devices");
        assertThat(tables).isGreaterThan(100);
        assertThat(regions).isGreaterThan(100);
    }

    private static int reserved(Path file, List<Structure> structures, HostDescription host) {
        int compared = 0;
        for (Structure rmrr : structures) {
            if (!rmrr.kind.equals("0001") || Long.compareUnsigned(rmrr.base, rmrr.limit) > 0) {
                continue;
            }
            for (String endpoint : rmrr.endpoints) {
                DeviceDescription device = host.devices().stream()
                        .filter(candidate -> candidate.id().toString().equals(endpoint))
                        .findFirst()
                        .orElseThrow();
                if (device.translated() != Answer.YES) {
                    continue;
                }
                assertThat(device.reservedRegions()).as(file + " " + endpoint).anySatisfy(region -> {
                    assertThat(region.type()).isEqualTo(ReservedRegion.Type.DIRECT);
                    assertThat(Long.compareUnsigned(region.start(), rmrr.base)).isNotPositive();
                    assertThat(Long.compareUnsigned(region.end(), rmrr.limit)).isNotNegative();
                });
                compared++;
            }
        }
        return compared;
    }

    @Test
    void everyTableAloneGivesUnitsOrAClearRefusal() throws IOException {
        int answered = 0;
        int refused = 0;
        for (Path file : SharedData.files("data", ".dat")) {
            try {
                Audit audit = Audits.of(file);
                assertThat(audit.devices()).isEmpty();
                assertThat(audit.warnings()).anyMatch(warning -> warning.contains("no PCI function"));
                assertThat(Audits.text(audit)).allMatch(line -> line.length() <= 100);
                answered++;
            } catch (InputException e) {
                assertThat(e.getMessage())
                        .contains(file.getFileName().toString())
                        .doesNotContain("\n");
                refused++;
            }
        }
        System.out.println("tables alone: " + answered + " answered, " + refused + " refused");
        assertThat(answered).isGreaterThan(150);
    }

    @Test
    void theTableOfAServerWithTenUnitsTellsUnitsAndScopesAndNoMore() throws IOException {
        Path file = SharedData.files("data/acpi", ".dat").stream()
                .filter(path -> path.getFileName().toString().contains("10-drhd"))
                .findFirst()
                .orElseThrow();
        Audit audit = Audits.of(file);
        assertThat(Audits.firstFive(audit))
                .contains(
                        "10 units in its table",
                        "their devices, and whether",
                        "are UNKNOWN",
                        "unknown whether no-snoop can be blocked");
        assertThat(audit.units()).hasSize(10).allSatisfy(unit -> {
            assertThat(unit.description().abilities().blocksNoSnoop()).isEqualTo(Answer.UNKNOWN);
            assertThat(unit.description().registerBase()).isPresent();
        });
        assertThat(audit.units().get(9).description().includeAll()).isEqualTo(Answer.YES);
        assertThat(audit.overall()).isEqualTo(Guest.UNKNOWN);
    }
}
