// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.witness.SharedData;
import org.iommu4j.workbench.decode.MemoryImage;
import org.iommu4j.workbench.decode.RegisterText;

/**
 * A unit's registers and the memory that it could reach, as Linux left them, with what others saw of its translations.
 */
final class LinuxDump {
    /** Tests share a dump, of which {@link DumpFabric} lets nobody change a page. */
    private static final Map<String, LinuxDump> DUMPS = new ConcurrentHashMap<>();

    /**
     * A translation that somebody else saw: QEMU's trace, or the guest's page map for a mapping that it asked VFIO for.
     *
     * @param permission what was asked for, {@code r}, {@code w} or {@code rw}; {@code -} where the source does not
     *     tell
     */
    record Expected(PciAddress device, long iova, long physicalAddress, String permission, String source) {
        boolean askedOfVfio() {
            return source.equals("guest-pagemap");
        }
    }

    /**
     * A leaf as whoever made the dump read it.
     *
     * @param permission {@code r}, {@code w} or {@code rw}
     */
    record Mapping(
            PciAddress device, long iova, long physicalAddress, long size, String permission, long entry, int level) {
        boolean permits(boolean write) {
            return permission.indexOf(write ? 'w' : 'r') >= 0;
        }
    }

    /** What is under test: whether it grants a read or a write of a page, having checked where that leads. */
    @FunctionalInterface
    interface Grants {
        boolean test(Expected row, boolean write);
    }

    private final String name;
    private final RegisterDump registers;
    private final MemoryImage memory;
    private final List<Expected> expected = new ArrayList<>();
    private final List<Mapping> mappings = new ArrayList<>();

    private LinuxDump(String name, Path directory) throws IOException {
        this.name = name;
        registers = RegisterText.read(directory.resolve("regs.txt"));
        memory = MemoryImage.open(directory.resolve("pages.bin.zst"), null, Long.MAX_VALUE);
        for (String[] row : rows(directory.resolve("expected.tsv"))) {
            expected.add(new Expected(PciAddress.parse(row[0]), hex(row[1]), hex(row[2]), row[3], row[4]));
        }
        for (String[] row : rows(directory.resolve("mappings.tsv"))) {
            mappings.add(new Mapping(
                    PciAddress.parse(row[0]),
                    hex(row[1]),
                    hex(row[2]),
                    hex(row[3]),
                    row[4],
                    hex(row[5]),
                    Integer.parseInt(row[6])));
        }
    }

    /** Reads a dump; skips the test when there is none. */
    static LinuxDump read(String name) {
        Path directory = SharedData.path("linux/dumps/" + name);
        return DUMPS.computeIfAbsent(name, unused -> {
            try {
                return new LinuxDump(name, directory);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    private static List<String[]> rows(Path file) throws IOException {
        List<String> lines = Files.readAllLines(file);
        return lines.stream().skip(1).map(line -> line.split("\t", -1)).toList();
    }

    private static long hex(String text) {
        return Long.parseUnsignedLong(text.substring(2), 16);
    }

    String name() {
        return name;
    }

    /** Returns the registers, as far as they were read. */
    RegisterDump registers() {
        return registers;
    }

    /** Returns the 64 bits of registers at an offset. */
    long register(int offset) {
        return registers
                .read64(offset)
                .orElseThrow(() -> new IllegalArgumentException(
                        "dump " + name + " has no register at 0x" + Integer.toHexString(offset)));
    }

    /** Returns the memory: the pages that were dumped. */
    MemoryImage memory() {
        return memory;
    }

    /** Loads a word of a page that was dumped. */
    long load(long physicalAddress) {
        if (!memory.isMemory(physicalAddress)) {
            throw new IllegalStateException("dump " + name + " has no page of 0x" + Long.toHexString(physicalAddress)
                    + ", so no table is there");
        }
        return memory.read(physicalAddress, true);
    }

    List<Expected> expected() {
        return expected;
    }

    List<Mapping> mappings() {
        return mappings;
    }

    /**
     * Checks each translation that somebody else saw: what was asked for is granted, and nothing besides.
     *
     * <p>Known about the dumps: Linux 6.1's Intel driver adds read to every write-only mapping, which 7.1 no longer
     * does; so what the guest asked to be write-only is readable on Intel, and on AMD it is not.
     */
    void checkExpected(Grants grants) {
        List<Expected> writeOnly = new ArrayList<>();
        List<Expected> readableAllTheSame = new ArrayList<>();
        for (Expected row : expected) {
            boolean reads = grants.test(row, false);
            boolean writes = grants.test(row, true);
            switch (row.permission()) {
                case "r" -> assertThat(reads && !writes).as("%s", row).isTrue();
                case "w" -> {
                    assertThat(writes).as("%s", row).isTrue();
                    writeOnly.add(row);
                    if (reads) {
                        readableAllTheSame.add(row);
                    }
                }
                case "rw" -> assertThat(reads && writes).as("%s", row).isTrue();
                case "-" -> assertThat(reads || writes).as("%s", row).isTrue();
                default -> throw new AssertionError("unknown permission in " + row);
            }
        }
        System.out.printf(
                "%s: %d rows of expected.tsv compared; of %d write-only ones %d are readable too%n",
                name, expected.size(), writeOnly.size(), readableAllTheSame.size());
        assertThat(expected).hasSizeGreaterThanOrEqualTo(265);
        assertThat(writeOnly).hasSize(67);
        assertThat(readableAllTheSame).isEqualTo(name.equals("amd") ? List.of() : writeOnly);
    }
}
