// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import com.github.luben.zstd.ZstdInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.platform.FlatMemory;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.SystemMemory;
import org.junit.jupiter.api.Assumptions;

/**
 * A unit's registers and the memory that it could reach, as Linux left them, with what others saw of its translations.
 *
 * <p>{@code pages.bin.zst} is a series of 8 bytes of physical address and 4096 bytes of contents, little-endian.
 */
final class LinuxDump {
    private static final int PAGE = SystemMemory.FRAME_SIZE;

    /** More than any address of the dumps: what {@link FlatMemory} takes without fuss. */
    private static final long MEMORY = 1L << 36;

    /** Tests share a dump, of which {@link DumpFabric} lets nobody change a page. */
    private static final Map<String, LinuxDump> DUMPS = new ConcurrentHashMap<>();

    private static final Pattern REGISTERS = Pattern.compile("([0-9a-f]{16}): 0x([0-9a-f]{16}) 0x([0-9a-f]{16})");

    /**
     * A translation that somebody else saw: QEMU's trace, or the guest's page map for a mapping that it asked VFIO for.
     *
     * @param permission what was asked for, {@code r}, {@code w} or {@code rw}; {@code -} where the source does not tell
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

    private final String name;
    private final long registerBase;
    private final Map<Integer, Long> registers;
    private final FlatMemory memory = new FlatMemory(MEMORY);
    private final Set<Long> pages = new HashSet<>();
    private final List<Expected> expected = new ArrayList<>();
    private final List<Mapping> mappings = new ArrayList<>();

    private LinuxDump(String name, Path directory) throws IOException {
        this.name = name;
        Map<Long, Long> byAddress = readRegisters(directory.resolve("regs.txt"));
        registerBase = byAddress.keySet().iterator().next();
        registers = new TreeMap<>();
        byAddress.forEach((address, value) -> registers.put((int) (address - registerBase), value));
        readPages(directory.resolve("pages.bin.zst"));
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
        String shared = System.getProperty("iommu4j.shared", "");
        Path directory = Path.of(shared, "linux", "dumps", name);
        Assumptions.assumeTrue(
                !shared.isEmpty() && Files.isDirectory(directory),
                () -> "no memory dump of Linux in " + directory + " (system property iommu4j.shared)");
        return DUMPS.computeIfAbsent(name, unused -> {
            try {
                return new LinuxDump(name, directory);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    private static Map<Long, Long> readRegisters(Path file) throws IOException {
        Map<Long, Long> registers = new TreeMap<>();
        for (String line : Files.readAllLines(file)) {
            Matcher matcher = REGISTERS.matcher(line.strip());
            if (matcher.matches()) {
                long address = Long.parseUnsignedLong(matcher.group(1), 16);
                registers.put(address, Long.parseUnsignedLong(matcher.group(2), 16));
                registers.put(address + 8, Long.parseUnsignedLong(matcher.group(3), 16));
            }
        }
        return registers;
    }

    private void readPages(Path file) throws IOException {
        try (InputStream in = new ZstdInputStream(Files.newInputStream(file))) {
            ByteBuffer bytes = ByteBuffer.wrap(in.readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
            while (bytes.hasRemaining()) {
                long page = bytes.getLong();
                if (page % PAGE != 0 || !pages.add(page)) {
                    throw new IOException(file + " has a page at 0x" + Long.toHexString(page)
                            + ", expected multiples of 4096, each once");
                }
                for (int offset = 0; offset < PAGE; offset += 8) {
                    memory.store(page + offset, bytes.getLong());
                }
            }
        }
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

    long registerBase() {
        return registerBase;
    }

    /** Returns the 64 bits of registers at an offset. */
    long register(int offset) {
        Long value = registers.get(offset);
        if (value == null) {
            throw new IllegalArgumentException("dump " + name + " has no register at 0x" + Integer.toHexString(offset));
        }
        return value;
    }

    /** Returns whether the page of an address was dumped. */
    boolean has(long physicalAddress) {
        return pages.contains(physicalAddress & -PAGE);
    }

    /** Loads a word of a page that was dumped. */
    long load(long physicalAddress) {
        if (!has(physicalAddress)) {
            throw new IllegalStateException("dump " + name + " has no page of 0x" + Long.toHexString(physicalAddress)
                    + ", so no table is there");
        }
        return memory.load(physicalAddress);
    }

    /** Returns the memory itself, which has zeros where nothing was dumped. */
    FlatMemory memory() {
        return memory;
    }

    List<Expected> expected() {
        return expected;
    }

    List<Mapping> mappings() {
        return mappings;
    }
}
