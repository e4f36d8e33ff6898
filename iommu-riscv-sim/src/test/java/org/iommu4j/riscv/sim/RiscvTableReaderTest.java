// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.iommu4j.riscv.sim.Bench.CODE;
import static org.iommu4j.riscv.sim.Bench.DEVICE;
import static org.iommu4j.riscv.sim.Bench.NO_PASID;
import static org.iommu4j.riscv.sim.Bench.PAGE;
import static org.iommu4j.riscv.sim.Bench.PDTV;
import static org.iommu4j.riscv.sim.Bench.READ;
import static org.iommu4j.riscv.sim.Bench.SADE;
import static org.iommu4j.riscv.sim.Bench.SV39;
import static org.iommu4j.riscv.sim.Bench.V;
import static org.iommu4j.riscv.sim.Bench.WRITE;
import static org.iommu4j.riscv.sim.Bench.leaf;
import static org.iommu4j.riscv.sim.Bench.ppn;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.junit.jupiter.api.Test;

/** The reader of tables in an image. */
class RiscvTableReaderTest {
    private final Bench bench = Bench.full().on();
    private final List<String> seen = new ArrayList<>();

    /** Writes down requesters, mappings and problems. */
    private final TableVisitor visitor = new TableVisitor() {
        @Override
        public void requester(int sourceId, int pasid, String translation, long root) {
            seen.add(String.format("%x/%d: %s", sourceId, pasid, translation));
        }

        @Override
        public void table(int level, long entryAddress, long entry, long iova) {}

        @Override
        public void mapping(
                long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
            seen.add(String.format("  %x -> %x, %x, %d, level %d", iova, physicalAddress, size, prot, level));
        }

        @Override
        public void problem(String line) {
            seen.add("! " + line);
        }
    };

    private Map<Integer, Long> registers() {
        Map<Integer, Long> words = new TreeMap<>();
        for (int offset = 0; offset < 96; offset += 8) {
            words.put(offset, bench.unit.readRegister64(offset));
        }
        return words;
    }

    private TableReader reader() {
        return new RiscvSilicon()
                .reader(new RegisterDump(0, registers()), bench.memory)
                .orElseThrow();
    }

    private List<String> visit() {
        seen.clear();
        reader().visit(visitor);
        return seen;
    }

    @Test
    void pagesOfAllSizesAreListedInOrderWithWhatARequestGets() {
        long root = bench.newPage();
        bench.device(DEVICE, V, 0, 5 << 12, SV39 | ppn(root));
        bench.device(DEVICE + 1, V);
        bench.map(root, 3, -0x1000, 0, leaf(0x7000, PAGE));
        bench.map(root, 3, 0x20_0000, 1, leaf(0x4060_0000, PAGE & ~Pte.W));
        bench.map(root, 3, 0x5000, 0, leaf(0x9000, PAGE & ~Pte.U));
        for (long page = 0; page < 16; page++) {
            bench.map(root, 3, 0x1_0000 + page * 0x1000, 0, 1L << 63 | leaf(0x5_8000, PAGE));
            bench.map(root, 3, 0x3_0000 + page * 0x1000, 0, page == 3 ? 0 : 1L << 63 | leaf(0x5_8000, PAGE));
        }
        assertThat(visit())
                .startsWith(
                        "10108/-1: first stage, 3 levels, PSCID 5",
                        "  10000 -> 50000, 10000, 3, level 1",
                        "  30000 -> 50000, 1000, 3, level 1",
                        "  31000 -> 51000, 1000, 3, level 1",
                        "  32000 -> 52000, 1000, 3, level 1",
                        "  34000 -> 54000, 1000, 3, level 1")
                .endsWith(
                        "  3f000 -> 5f000, 1000, 3, level 1",
                        "  200000 -> 40600000, 200000, 1, level 2",
                        "  fffffffffffff000 -> 7000, 1000, 3, level 1",
                        "10109/-1: identity")
                .noneMatch(line -> line.startsWith("!"));
        assertThat(reader().describe()).isEqualTo("RISC-V IOMMU, device directory of 3 levels at 0x10000");
        seen.clear();
        reader().visit(DEVICE + 1, visitor);
        assertThat(seen).containsExactly("10109/-1: identity");
    }

    @Test
    void aSecondStageDividesPagesAndAProcessIsARequester() {
        long guest = bench.guestTables();
        long root = bench.newPage();
        long directory = bench.newPage();
        bench.device(DEVICE, V | PDTV, SV39 | 7L << 44 | ppn(guest), 0, 1L << 60 | ppn(directory));
        bench.memory.poke(directory + 9 * 16, 1 | 6 << 12);
        bench.memory.poke(directory + 9 * 16 + 8, SV39 | ppn(root));
        bench.map(root, 3, 0x20_0000, 1, leaf(0x6000_0000, PAGE));
        bench.map(guest, 3, 0x6000_1000, 0, leaf(0x9_0000_0000L, PAGE));
        assertThat(visit())
                .containsExactly(
                        "10108/-1: second stage, 3 levels, GSCID 7",
                        "  0 -> 0, 40000000, 3, level 3",
                        "  60001000 -> 900000000, 1000, 3, level 1",
                        "10108/9: first stage, 3 levels, PSCID 6; second stage, 3 levels, GSCID 7",
                        "! the page at " + "0x" + Long.toHexString(leafAt(root)) + " for IOVA 0x200000: read guest-page"
                                + " fault",
                        "  201000 -> 900000000, 1000, 3, level 2");
    }

    private long leafAt(long root) {
        return (bench.memory.peek(root) >>> 10 << 12) + 8;
    }

    @Test
    void whatIsDamagedIsNamedOnceAndEnds() {
        long root = bench.newPage();
        bench.device(DEVICE, V, 0, 0, SV39 | ppn(root));
        bench.map(root, 3, 0x5000, 0, 1L << 58 | leaf(0x9000, PAGE));
        bench.memory.poke(root + 8, leaf(root, 1));
        bench.memory.poke(root + 16, leaf(1L << 55, 1) & ~(1L << 54));
        bench.device(DEVICE + 2, V | 1 << 12);
        assertThat(visit()).filteredOn(line -> line.startsWith("!")).hasSize(3).doesNotHaveDuplicates();
        assertThat(seen).anyMatch(line -> line.contains("inside itself"));
    }

    @Test
    void translationsAreTheUnitsAndTheImageStays() {
        long seed = Long.getLong("iommu4j.seed", 11);
        Random random = new Random(seed);
        long root = bench.newPage();
        bench.device(DEVICE, V | SADE, 0, 0, SV39 | ppn(root));
        for (int i = 0; i < 64; i++) {
            long flags = random.nextInt(4) == 0 ? random.nextInt(256) : CODE & ~(Pte.A | Pte.D);
            long page = (random.nextInt() & 0xffff_ffffL) << 12;
            bench.map(root, 3, random.nextInt(64) << 12, 0, leaf(page, flags));
        }
        TableReader reader = reader();
        for (long page = 0; page < 64; page++) {
            bench.memory.forget();
            long read = reader.translate(DEVICE, NO_PASID, page << 12, READ);
            long write = reader.translate(DEVICE, NO_PASID, page << 12, WRITE);
            assertThat(bench.memory.updated).isEmpty();
            assertThat(bench.memory.stored).isEmpty();
            assertThat(bench.unit.translate(DEVICE, NO_PASID, page << 12, READ))
                    .as("seed %d", seed)
                    .isEqualTo(read);
            assertThat(bench.unit.translate(DEVICE, NO_PASID, page << 12, WRITE))
                    .as("seed %d", seed)
                    .isEqualTo(write);
        }
        assertThat(reader.faultReason(13)).isEqualTo("read page fault");
    }

    @Test
    void whatIsNoUnitHasNoReaderAndWhatIsMissingIsNamed() {
        RiscvSilicon silicon = new RiscvSilicon();
        assertThat(silicon.reader(new RegisterDump(0, Map.of()), bench.memory)).isEmpty();
        assertThat(silicon.reader(new RegisterDump(0, Map.of(0, -1L)), bench.memory))
                .isEmpty();
        assertThat(silicon.reader(new RegisterDump(0, Map.of(0, 0x10L, 8, 0L)), bench.memory))
                .isEmpty();
        Map<Integer, Long> words = registers();
        words.remove(16);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> silicon.reader(new RegisterDump(0, words), bench.memory))
                .withMessageContaining("0x10");
        words.put(16, 7L);
        assertThatIllegalArgumentException().isThrownBy(() -> silicon.reader(new RegisterDump(0, words), bench.memory));
        words.put(16, 1L);
        TableReader bare =
                silicon.reader(new RegisterDump(0, words), bench.memory).orElseThrow();
        bare.visit(visitor);
        assertThat(seen).isEmpty();
        assertThat(bare.describe()).isEqualTo("RISC-V IOMMU, bare: everything passes");
        assertThat(bare.translate(1, NO_PASID, 0x5000, READ)).isEqualTo(0x5000);
    }
}
