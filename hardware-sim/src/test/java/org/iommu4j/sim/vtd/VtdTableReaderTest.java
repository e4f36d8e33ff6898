// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.sim.spi.ProblemVisitor;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TableListing;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;

/** Reading the tables of a memory image, good and bad ones. */
class VtdTableReaderTest {
    private final Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();

    /** Writes down what it is told. */
    static final class Notes implements TableVisitor {
        final List<String> requesters = new ArrayList<>();
        final List<String> tables = new ArrayList<>();
        final List<String> mappings = new ArrayList<>();
        final List<String> problems = new ArrayList<>();

        @Override
        public void requester(int requesterId, int pasid, String translation, long root) {
            requesters.add(String.format("%04x/%d %s @%x", requesterId, pasid, translation, root));
        }

        @Override
        public void table(int level, long entryAddress, long entry, long iova) {
            tables.add(String.format("%d %x=%x %x", level, entryAddress, entry, iova));
        }

        @Override
        public void mapping(
                long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
            mappings.add(String.format(
                    "%x->%x+%x %s%s%s %x/%d",
                    iova,
                    physicalAddress,
                    size,
                    (prot & 1) != 0 ? "r" : "-",
                    (prot & 2) != 0 ? "w" : "-",
                    snoopForced ? "s" : "",
                    entry,
                    level));
        }

        @Override
        public void problem(String line) {
            problems.add(line);
        }
    }

    static TableReader reader(Bench bench, long cap, long ecap, long rtaddr) {
        Map<Integer, Long> words = new HashMap<>(Map.of(0, 0x10L, 8, cap, 0x10, ecap, 0x18, 1L << 63, 0x20, rtaddr));
        return new VtdUnitProvider()
                .reader(new RegisterDump(0xfed90000L, words), bench.fabric)
                .orElseThrow();
    }

    private Notes notes() {
        Notes notes = new Notes();
        reader(bench, Bench.CAP, Bench.ECAP_SC, Bench.ROOT).visit(notes);
        return notes;
    }

    @Test
    void listsRequestersTablesAndLeavesWithTheRightsOfTheWholeWalk() {
        bench.put(Bench.L3 + 8, Bench.L2 | 1); // reads only below
        bench.put(Bench.L2 + 16, 0x200000 | 0x881); // 2M, SNP
        bench.put(Bench.L4 + 24, Bench.L3 | 3); // the same tables again, elsewhere
        bench.put(Bench.L3 + 16, 0x4000_0000L | 0x83); // 1G
        bench.put(Bench.CONTEXT + 16, 9); // 02:00.1 passes through
        bench.put(Bench.CONTEXT + 24, 0x0602);
        Notes notes = notes();
        assertThat(notes.requesters)
                .containsExactly(
                        "0200/-1 second stage, 4 levels, domain 5 @3000",
                        "0201/-1 pass-through, domain 6 @ffffffffffffffff");
        assertThat(notes.mappings)
                .containsExactly(
                        "8040201000->100000+1000 r- 100003/1",
                        "8040400000->200000+200000 r-s 200881/2",
                        "8080000000->40000000+40000000 rw 40000083/3",
                        "18040201000->100000+1000 r- 100003/1",
                        "18040400000->200000+200000 r-s 200881/2",
                        "18080000000->40000000+40000000 rw 40000083/3");
        assertThat(notes.tables)
                .startsWith("4 3008=4003 8000000000", "3 4008=5001 8040000000", "2 5008=6003 8040200000")
                .hasSize(6);
        assertThat(notes.problems).isEmpty();
    }

    @Test
    void translatesLikeTheUnitAndNamesItsFaults() {
        TableReader reader = reader(bench, Bench.CAP, Bench.ECAP_SC, Bench.ROOT);
        assertThat(reader.describe()).isEqualTo("Intel VT-d, legacy mode, root table at 0x1000");
        assertThat(reader.translate(Bench.DEVICE, -1, Bench.IOVA + 5, RequestFlags.WRITE))
                .isEqualTo(Translation.to(Bench.PAGE + 5, false));
        long fault = reader.translate(Bench.DEVICE, -1, 0, RequestFlags.WRITE);
        assertThat(reader.faultReason(Translation.faultCode(fault))).isEqualTo("no write permission");
    }

    @Test
    void aTableInsideItselfIsReportedOnceAndNotFollowed() {
        for (int index = 0; index < 512; index++) {
            bench.put(Bench.L4 + index * 8L, Bench.L4 | 3);
        }
        assertThat(notes().problems).containsExactly("table at 0x3000 is inside itself, again at level 3");
    }

    @Test
    void aLoopFurtherDownDoesNotHideTheRest() {
        bench.put(Bench.L2 + 16, Bench.L3 | 3);
        Notes notes = notes();
        assertThat(notes.problems).containsExactly("table at 0x4000 is inside itself, again at level 1");
        assertThat(notes.mappings).hasSize(1);
    }

    @Test
    void aLoopIsNamedOnceForAllRequestersThatHaveIt() {
        bench.put(Bench.L2 + 16, Bench.L3 | 3);
        bench.put(Bench.CONTEXT + 16, Bench.L4 | 1);
        bench.put(Bench.CONTEXT + 24, 0x0602);
        Notes notes = notes();
        assertThat(notes.requesters).hasSize(2);
        assertThat(notes.mappings).hasSize(2);
        assertThat(notes.problems).containsExactly("table at 0x4000 is inside itself, again at level 1");
    }

    /**
     * Five frames: all 256 functions of a bus have tables of which each has the next one 512 times, and the last the
     * first.
     */
    @Test
    void tablesThatUnfoldWithoutEndEndWithOneProblem() {
        for (int function = 0; function < 256; function++) {
            bench.put(Bench.CONTEXTS + function * 16L, Bench.L4 | 1);
            bench.put(Bench.CONTEXTS + function * 16L + 8, 0x0502);
        }
        for (int index = 0; index < 512; index++) {
            bench.put(Bench.L4 + index * 8L, Bench.L3 | 3);
            bench.put(Bench.L3 + index * 8L, Bench.L2 | 3);
            bench.put(Bench.L2 + index * 8L, Bench.L4 | 3);
        }
        TableReader reader = reader(bench, Bench.CAP, Bench.ECAP_SC, Bench.ROOT);
        ProblemVisitor problems = new ProblemVisitor();
        bench.fabric.reads = 0;
        assertTimeoutPreemptively(Duration.ofMinutes(2), () -> reader.visit(problems));
        assertThat(problems.problems)
                .containsExactly(
                        "table at 0x3000 is inside itself, again at level 1",
                        "more than 67108864 words read besides new tables, so these are damaged or in very many places;"
                                + " the rest is left out");
        assertThat(bench.fabric.reads).isBetween(TableListing.MOST_WORDS, TableListing.MOST_WORDS + 3 * 512);

        problems.problems.clear();
        reader.visit(0x0300, problems);
        assertThat(problems.problems).as("another visit begins anew").isEmpty();
    }

    @Test
    void tablesAndEntriesThatMakeNoSenseAreReported() {
        bench.put(Bench.L2 + 16, 0x4000_0000L | 3);
        bench.put(Bench.L3 + 16, 0x1000 | 0x83);
        bench.put(Bench.CONTEXT + 16, 0x11);
        bench.put(Bench.ROOT, 3);
        bench.put(Bench.ROOT + 16, 0x4000_0001L);
        assertThat(notes().problems)
                .containsExactly(
                        "bus 0x0: reserved bits in the root entry",
                        "bus 0x1: context table is no memory",
                        "table of level 1 at 0x40000000 is no memory",
                        "entry 0x1083 of level 3 at 0x4010 has reserved bits",
                        "requester 02:00.1: reserved bits in the context entry");
    }

    @Test
    void aRootTableOutsideMemoryIsOneProblem() {
        Notes notes = new Notes();
        reader(bench, Bench.CAP, Bench.ECAP_SC, 0x4000_0000L).visit(notes);
        assertThat(notes.problems).containsExactly("root table at 0x40000000 is no memory");
    }

    @Test
    void tellsOthersRegistersFromItsOwnAndRefusesNonsense() {
        VtdUnitProvider provider = new VtdUnitProvider();
        for (long first : new long[] {0, -1L, 0x1234005L, 1L << 32 | 0x10}) {
            assertThat(provider.reader(new RegisterDump(0, Map.of(0, first, 8, Bench.CAP)), bench.fabric))
                    .isEmpty();
        }
        assertThatThrownBy(() -> provider.reader(
                        new RegisterDump(0xfed90000L, Map.of(0, 0x10L, 8, Bench.CAP, 0x10, Bench.ECAP_SC)),
                        bench.fabric))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("VT-d registers at 0xfed90000 lack RTADDR at offset 0x20");
        assertThatThrownBy(() -> reader(bench, 0, Bench.ECAP_SC, Bench.ROOT))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("SAGAW 0x0");
    }

    @Test
    void readsScalableModeWithItsPasids() {
        ScalableBench scalable = new ScalableBench().secondStage();
        scalable.put(Bench.L1 + 8, Bench.PAGE | 0x803);
        scalable.put(0xb000 + 511 * 8, Bench.L3 | 7); // first stage, the upper half
        scalable.pasid(3, ScalableBench.FIRST, 6 | ScalableBench.PWSNP | ScalableBench.PGSNP, 0xb000);
        scalable.put(Bench.L3 + 8, Bench.L2 | 7);
        scalable.put(Bench.L2 + 8, Bench.L1 | 5);
        scalable.put(Bench.L1 + 8, Bench.PAGE | 7);
        scalable.pasid(4, ScalableBench.PASS, 1, 0);
        scalable.pasid(5, 1 << 5 | 1, 1, 0);
        Notes notes = new Notes();
        TableReader reader = reader(scalable.bench, ScalableBench.CAP, ScalableBench.ECAP, Bench.ROOT | 0x400);
        reader.visit(notes);
        assertThat(reader.describe()).isEqualTo("Intel VT-d, scalable mode, root table at 0x1000");
        assertThat(notes.requesters)
                .containsExactly(
                        "0200/-1 second stage, 4 levels, domain 5, device TLB @3000",
                        "0200/3 first stage, 4 levels, domain 6, device TLB, snooped @b000",
                        "0200/4 pass-through, domain 1, device TLB @ffffffffffffffff");
        assertThat(notes.mappings)
                .containsExactly("8040201000->100000+1000 r- 100007/1", "ffffff8040201000->100000+1000 r-s 100007/1");
        assertThat(notes.problems)
                .containsExactly("requester 02:00.0, PASID 5: reserved bits in the PASID table entry");
        assertThat(reader.translate(Bench.DEVICE, 3, 0xffffff8040201000L, RequestFlags.READ))
                .isEqualTo(Translation.to(Bench.PAGE, true));
        assertThat(scalable.get(0xb000 + 511 * 8)).as("nothing is written").isEqualTo(Bench.L3 | 7);
    }
}
