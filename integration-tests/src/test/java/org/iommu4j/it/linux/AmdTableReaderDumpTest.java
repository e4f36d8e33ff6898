// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.iommu4j.Prot;
import org.iommu4j.it.linux.LinuxDump.Mapping;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;

/** The AMD-Vi silicon's own reading of what Linux left lists exactly what a plain walker found there. */
class AmdTableReaderDumpTest {
    private static final int[] REGISTERS = {0x0, 0x8, 0x10, 0x18, 0x20, 0x28, 0x30};

    private final LinuxDump dump = LinuxDump.read("amd");

    private TableReader reader() {
        Map<Integer, Long> words = new TreeMap<>();
        for (int offset : REGISTERS) {
            words.put(offset, dump.register(offset));
        }
        return new AmdViUnitProvider()
                .reader(new RegisterDump(dump.registerBase(), words), new Pages(dump))
                .orElseThrow();
    }

    /** The pages that were dumped, and no others. */
    private record Pages(LinuxDump dump) implements Fabric {
        @Override
        public boolean isMemory(long physicalAddress) {
            return dump.has(physicalAddress);
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            return dump.has(physicalAddress) ? dump.load(physicalAddress) : -1L;
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            throw new AssertionError("a reader writes to its image");
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            throw new AssertionError("a reader writes to its image");
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            throw new AssertionError("a reader writes to its image");
        }
    }

    /** The mappings as the rows have them. */
    private static final class Rows implements TableVisitor {
        final List<Mapping> mappings = new ArrayList<>();
        final List<String> problems = new ArrayList<>();
        private int requesterId;

        @Override
        public void requester(int requesterId, int pasid, String translation, long root) {
            this.requesterId = requesterId;
        }

        @Override
        public void table(int level, long entryAddress, long entry, long iova) {
            // the rows have mappings only
        }

        @Override
        public void mapping(
                long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
            String permission = ((prot & Prot.READ) != 0 ? "r" : "") + ((prot & Prot.WRITE) != 0 ? "w" : "");
            assertThat(snoopForced).as("FC in 0x%x", entry).isEqualTo((entry & 1L << 60) != 0);
            mappings.add(
                    new Mapping(PciAddress.of(0, requesterId), iova, physicalAddress, size, permission, entry, level));
        }

        @Override
        public void problem(String line) {
            problems.add(line);
        }
    }

    @Test
    void theMappingsListedAreExactlyThoseThatLinuxMade() {
        Rows rows = new Rows();
        TableReader reader = reader();
        reader.visit(rows);

        System.out.printf("%s: %d mappings listed%n", reader.describe(), rows.mappings.size());
        assertThat(rows.problems).isEmpty();
        assertThat(rows.mappings).containsExactlyInAnyOrderElementsOf(dump.mappings());
        assertThat(dump.mappings()).hasSizeGreaterThan(400);
    }

    @Test
    void whatWasWitnessedTranslatesTheSame() {
        TableReader reader = reader();
        for (LinuxDump.Expected row : dump.expected()) {
            int requesterId = row.device().requesterId();
            long read = reader.translate(requesterId, TableVisitor.NO_PASID, row.iova(), false);
            long write = reader.translate(requesterId, TableVisitor.NO_PASID, row.iova(), true);
            assertThat(Translation.address(Translation.isFault(read) ? write : read))
                    .as("%s", row)
                    .isEqualTo(row.physicalAddress());
        }
        assertThat(dump.expected()).hasSizeGreaterThanOrEqualTo(265);
    }
}
