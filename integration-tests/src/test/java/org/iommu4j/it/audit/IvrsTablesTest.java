// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.audit.Audit;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** IVRS tables of real hosts are answered from as ACPICA's disassembler read them. */
class IvrsTablesTest {
    private static final Pattern LINE = Pattern.compile("\\[([0-9A-F]+)h.*?\\]\\s+([^:]+?) : (.*)");

    /** A block of a disassembled IVRS: of a unit (10, 11, 40) or of memory (20 to 22). */
    private static final class Block {
        private final int type;
        private final Map<String, Long> fields = new HashMap<>();
        private final List<long[]> entries = new ArrayList<>();

        private Block(int type) {
            this.type = type;
        }

        private long field(String name) {
            return fields.getOrDefault(name, 0L);
        }

        /** First and last requester of each range. */
        private List<int[]> ranges() {
            List<int[]> ranges = new ArrayList<>();
            int start = -1;
            for (long[] entry : entries) {
                int device = (int) entry[1];
                switch ((int) entry[0]) {
                    case 0x01 -> ranges.add(new int[] {0, 0xffff});
                    case 0x02, 0x42, 0x46 -> ranges.add(new int[] {device, device});
                    case 0x03, 0x43, 0x47 -> start = device;
                    case 0x04 -> {
                        if (start >= 0) {
                            ranges.add(new int[] {start, device});
                        }
                        start = -1;
                    }
                    default -> {}
                }
            }
            return ranges;
        }

        private boolean names(int requester) {
            return ranges().stream().anyMatch(range -> range[0] <= requester && requester <= range[1]);
        }
    }

    private record Table(Path file, FirmwareTables firmware, List<Block> blocks) {
        /** The units' blocks that Linux uses: those of the newest type that the first unit has. */
        List<Block> units() {
            List<Block> all = blocks.stream()
                    .filter(block -> block.type == 0x10 || block.type == 0x11 || block.type == 0x40)
                    .toList();
            Block first = all.get(0);
            int type = all.stream()
                    .filter(block -> block.field("DeviceId") == first.field("DeviceId")
                            && block.field("PCI Segment Group") == first.field("PCI Segment Group"))
                    .mapToInt(block -> block.type)
                    .max()
                    .orElseThrow();
            return all.stream().filter(block -> block.type == type).toList();
        }

        HostDescription describe(List<PciFunction> functions) {
            return IommuVendors.load()
                    .named("amd")
                    .describe(firmware, () -> functions, RegisterValues.UNKNOWN, LinuxRelease.NEWEST);
        }
    }

    private static List<Block> disassembled(Path file) throws IOException {
        List<Block> blocks = new ArrayList<>();
        for (String line : Files.readAllLines(file, StandardCharsets.ISO_8859_1)) {
            Matcher matcher = LINE.matcher(line);
            if (!matcher.matches() || !matcher.group(3).matches("[0-9A-F]+\\b.*")) {
                continue;
            }
            String name = matcher.group(2).strip();
            long value = Long.parseUnsignedLong(matcher.group(3).replaceAll("[^0-9A-F].*", ""), 16);
            if (name.equals("Subtable Type") && line.contains("Definition Block")) {
                blocks.add(new Block((int) value));
            } else if (!blocks.isEmpty()) {
                Block block = blocks.get(blocks.size() - 1);
                if (name.equals("Subtable Type")) {
                    block.entries.add(new long[] {value, 0});
                } else if (name.equals("Device ID")) {
                    block.entries.get(block.entries.size() - 1)[1] = value;
                } else if (block.entries.isEmpty()) {
                    block.fields.putIfAbsent(name, value);
                }
            }
        }
        return blocks;
    }

    private static List<Table> tables() throws IOException {
        List<Table> tables = new ArrayList<>();
        for (Path file : SharedData.files("data", ".dat")) {
            Path expected = file.resolveSibling(file.getFileName().toString().replace(".dat", ".expected"));
            byte[] bytes = Files.readAllBytes(file);
            if (bytes.length > 4
                    && new String(bytes, 0, 4, StandardCharsets.ISO_8859_1).equals("IVRS")
                    && Files.exists(expected)) {
                tables.add(new Table(
                        file,
                        signature -> signature.equals("IVRS") ? Optional.of(bytes) : Optional.empty(),
                        disassembled(expected)));
            }
        }
        return tables;
    }

    @Test
    void unitsOfEveryTableAloneAreTheDisassemblers() throws IOException {
        int units = 0;
        int images = 0;
        List<Table> tables = tables();
        for (Table table : tables) {
            Audit audit = Audits.of(table.file());
            List<Block> expected = table.units();
            assertThat(audit.units()).as(table.file().toString()).hasSize(expected.size());
            for (int i = 0; i < expected.size(); i++) {
                UnitDescription unit = audit.units().get(i).description();
                Block block = expected.get(i);
                assertThat(unit.id()).isEqualTo("ivhd" + i);
                assertThat(unit.registerBase()).as(table.file().toString()).hasValue(block.field("Base Address"));
                assertThat(unit.segment()).hasValue((int) block.field("PCI Segment Group"));
                if (block.type != 0x10) {
                    assertThat(unit.registers())
                            .as(table.file().toString())
                            .containsEntry("EFR", block.field("EFR Image"));
                    assertThat(unit.fields()).containsEntry("EFR.HATS", block.field("EFR Image") >>> 10 & 3);
                    images++;
                }
                assertThat(unit.abilities().blocksNoSnoop()).isEqualTo(Answer.YES);
                units++;
            }
        }
        System.out.println(
                "IVRS tables: " + tables.size() + " compared, " + units + " units, " + images + " images of EFR");
        assertThat(tables).hasSizeGreaterThan(60);
        assertThat(images).isGreaterThan(50);
    }

    /** Asked are the first and the last requester of each range of each block, and those beside them. */
    @Test
    void theUnitOfEveryRequesterIsTheLastBlockThatNamesIt() throws IOException {
        int compared = 0;
        int none = 0;
        for (Table table : tables()) {
            List<Block> units = table.units();
            TreeMap<PciAddress, PciFunction> functions = new TreeMap<>();
            for (Block block : units) {
                int segment = (int) block.field("PCI Segment Group");
                for (int[] range : block.ranges()) {
                    for (int requester : new int[] {range[0] - 1, range[0], range[1], range[1] + 1}) {
                        if (requester >= 0 && requester <= 0xffff) {
                            PciAddress address = PciAddress.of(segment, requester);
                            functions.put(address, new FakeFunction(address, 0x020000));
                        }
                    }
                }
            }
            for (DeviceDescription device :
                    table.describe(List.copyOf(functions.values())).devices()) {
                PciAddress address = (PciAddress) device.id();
                String expected = null;
                boolean unitItself = false;
                for (int i = 0; i < units.size(); i++) {
                    Block block = units.get(i);
                    if (block.field("PCI Segment Group") == address.segment()) {
                        unitItself |= block.field("DeviceId") == address.requesterId();
                        expected = block.names(address.requesterId()) ? "ivhd" + i : expected;
                    }
                }
                assertThat(device.unit()).as(table.file() + " " + address).isEqualTo(unitItself ? null : expected);
                compared++;
                none += device.unit() == null ? 1 : 0;
            }
        }
        System.out.println("IVRS requesters: " + compared + " compared, " + none + " of them without a unit");
        assertThat(compared).isGreaterThan(500);
        assertThat(none).isGreaterThan(50);
    }

    @Test
    void memoryOfEveryTableIsReservedForItsRequesters() throws IOException {
        int unity = 0;
        int excluded = 0;
        for (Table table : tables()) {
            for (Block memory : table.blocks()) {
                if (memory.type < 0x20 || memory.type > 0x22 || memory.field("Memory Length") == 0) {
                    continue;
                }
                List<Block> units = table.units();
                int requester = memory.type == 0x20 ? units.get(0).ranges().get(0)[0] : (int) memory.field("DeviceId");
                if (units.stream().noneMatch(unit -> unit.names(requester))) {
                    continue;
                }
                PciAddress address = PciAddress.of(0, requester);
                DeviceDescription device = table.describe(List.of(new FakeFunction(address, 0x020000)))
                        .devices()
                        .get(0);
                int flags = (int) memory.field("Flags (decoded below)");
                boolean exclusion = (flags & 8) != 0;
                // Linux (init_unity_map_range) maps both kinds, exclusion ranges with every right, and rounds both up
                // to whole pages.
                int prot = exclusion ? Prot.READ_WRITE : flags >> 1 & 3;
                long first = (memory.field("Start Address") + 4095) & -4096;
                long last = first + ((memory.field("Memory Length") + 4095) & -4096) - 1;
                assertThat(device.reservedRegions())
                        .as(table.file() + " " + address)
                        .anySatisfy(region -> {
                            assertThat(region.type()).isEqualTo(ReservedRegion.Type.DIRECT);
                            assertThat(region.prot()).isEqualTo(prot);
                            assertThat(Long.compareUnsigned(region.start(), first))
                                    .isNotPositive();
                            assertThat(Long.compareUnsigned(region.end(), last)).isNotNegative();
                        });
                unity += exclusion ? 0 : 1;
                excluded += exclusion ? 1 : 0;
            }
        }
        System.out.println("IVRS memory: " + unity + " unity and " + excluded + " exclusion blocks compared");
        assertThat(unity + excluded).isGreaterThanOrEqualTo(5);
    }
}
