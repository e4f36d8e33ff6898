// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.FC;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.IW;
import static org.iommu4j.sim.amdvi.TestBed.OTHER_DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TableReaderTest {
    private static final Map<Integer, Long> REGISTERS = Map.of(
            0x0,
            TestBed.DEVICE_TABLE | 0x1f,
            0x8,
            0x0800000000200000L,
            0x10,
            0x0800000000300000L,
            0x18,
            0x0400000000001005L); // GCR3TRPMode too

    private final TestBed bed = new TestBed();
    private final RecordingVisitor visitor = new RecordingVisitor();

    private TableReader reader() {
        return reader(REGISTERS);
    }

    private TableReader reader(Map<Integer, Long> words) {
        return new AmdViUnitProvider()
                .reader(new RegisterDump(0xfeb80000L, words), bed.fabric)
                .orElseThrow();
    }

    private List<String> listed(int requesterId) {
        return listed(requesterId, REGISTERS.get(0x18));
    }

    private List<String> listed(int requesterId, long control) {
        Map<Integer, Long> words = new HashMap<>(REGISTERS);
        words.put(0x18, control);
        reader(words).visit(requesterId, visitor);
        return visitor.lines;
    }

    @Test
    void aUnitIsDescribedInOneLine() {
        assertThat(reader().describe())
                .isEqualTo("AMD-Vi unit, device table of 4096 entries at 0x100000, translation on");
    }

    @Test
    void allRequestersAreListedInOrderWithTheirTablesAndMappings() {
        bed.entry(0xff, IR_IW | 3, 7);
        bed.entry(0x100, IR | 3, 8);
        bed.entry(0x101, 3, 9);
        bed.attach(DEVICE, 3);
        bed.map(0x40205000L, 3, 1, IR_IW | FC | 0x6000 | 1);
        bed.entry(OTHER_DEVICE, IR_IW | 0x2L, 9); // V 0

        reader().visit(visitor);

        assertThat(visitor.lines)
                .containsExactly(
                        "00ff pasid -1: identity, domain 7, root ffffffffffffffff",
                        "0100 pasid -1: identity, read only, domain 8, root ffffffffffffffff",
                        "0101 pasid -1: blocked, domain 9, root ffffffffffffffff",
                        "0110 pasid -1: host tables, 3 levels, domain 5, root 400000",
                        "table level 3 at 400008: 6000000000401401 for 40000000",
                        "table level 2 at 401008: 6000000000402201 for 40200000",
                        "map 40205000 to 6000 size 1000 READ|WRITE forced 7000000000006001 level 1");
    }

    @Test
    void rightsAreThoseThatTheWholeWalkLeaves() {
        bed.entry(DEVICE, IR_IW | ROOT | 2 << 9 | 3, 5);
        bed.memory.store(ROOT, IR | 0x401000 | 1 << 9 | 1);
        bed.memory.store(0x401000, IR_IW | 0x6000 | 1);
        bed.memory.store(0x401008, IW | 0x7000 | 1);

        assertThat(listed(DEVICE))
                .endsWith(
                        "map 0 to 6000 size 1000 READ 6000000000006001 level 1",
                        "map 1000 to 7000 size 1000 none 4000000000007001 level 1");
    }

    @Test
    void theEntriesOfALargePageAreOneMapping() {
        bed.attach(DEVICE, 1);
        for (int i = 0; i < 16; i++) {
            bed.memory.store(ROOT + 0x80 + i * 8L, IR_IW | 0x87000L | 7 << 9 | 1 | (i == 3 ? 0x60 : 0));
        }

        assertThat(listed(DEVICE))
                .hasSize(2)
                .endsWith("map 10000 to 80000 size 10000 READ|WRITE 6000000000087e01 level 1");
    }

    @Test
    void entriesOfALargePageThatDifferAreAProblemEach() {
        bed.attach(DEVICE, 1);
        bed.memory.store(ROOT, IR_IW | 0x80000L | 7 << 9 | 1); // 8K, of which one entry is there
        bed.memory.store(ROOT + 24, IR_IW | 0x80000L | 7 << 9 | 1);

        assertThat(listed(DEVICE))
                .contains(
                        "map 0 to 80000 size 1000 READ|WRITE 6000000000080e01 level 1",
                        "map 3000 to 81000 size 1000 READ|WRITE 6000000000080e01 level 1")
                .filteredOn(line -> line.contains("differs from others of its 2 entries"))
                .hasSize(2);
    }

    @Test
    void aDirectoryMaySkipLevels() {
        bed.attach(DEVICE, 4);
        bed.memory.store(ROOT + 5 * 8, IR_IW | 0x403000L | 1 << 9 | 1);
        bed.memory.store(0x403000 + 7 * 8, IR_IW | 0x9000L | 1);

        assertThat(listed(DEVICE)).endsWith("map 28000007000 to 9000 size 1000 READ|WRITE 6000000000009001 level 1");
    }

    @ParameterizedTest
    @CsvSource({
        "2, 0x7010000000402401, has reserved bits set", // FC in a directory
        "1, 0x6010000000006001, has reserved bits set",
        "2, 0x6000000000402401, 'points to level 2, expected a lower one'",
        "1, 0x60000000000ffe01, has a size that its level can't map",
        "2, 0x6000000100000201, '0x100000000, outside the memory'"
    })
    void whatCantBeFollowedIsAProblem(int level, long entry, String problem) {
        bed.attach(DEVICE, 2);
        bed.map(0x5000, 2, level, entry);

        assertThat(listed(DEVICE)).last().asString().startsWith("problem: ").contains(problem);
    }

    @Test
    void anIllegalDeviceTableEntryIsAProblem() {
        bed.entry(DEVICE, IR_IW | ROOT | 7 << 9 | 3, 5);

        assertThat(listed(DEVICE))
                .containsExactly(
                        "0110 pasid -1: illegal entry, domain 5, root ffffffffffffffff",
                        "problem: the device table entry of requester 0x110 at 0x102200 asks for levels that this unit"
                                + " lacks: DTE 0x0000000000000000_0000000000000000_0000000000000005_6000000000400e03"
                                + " V=1 TV=1 Mode=7 HostPtRootPtr=0x400 IR=1 IW=1 DomainID=5");
    }

    @Test
    void aTableInTwoPlacesIsListedInBothAndWhatIsWrongInItOnce() {
        bed.attach(DEVICE, 2);
        bed.memory.store(ROOT, IR_IW | 0x401000 | 1 << 9 | 1);
        bed.memory.store(ROOT + 16, IR_IW | 0x401000 | 1 << 9 | 1);
        bed.memory.store(0x401008, IR_IW | 0x6000 | 1);
        bed.memory.store(0x401010, IR_IW | 0x7000 | 3 << 9 | 1); // a directory to a higher level

        assertThat(listed(DEVICE))
                .containsExactly(
                        "0110 pasid -1: host tables, 2 levels, domain 5, root 400000",
                        "table level 2 at 400000: 6000000000401201 for 0",
                        "map 1000 to 6000 size 1000 READ|WRITE 6000000000006001 level 1",
                        "problem: the level 1 entry at 0x401010 for IOVA 0x2000 points to level 3, expected a lower"
                                + " one: PDE 0x6000000000007601 PR=1 NextLevel=3 Address=7 IR=1 IW=1",
                        "table level 2 at 400010: 6000000000401201 for 400000",
                        "map 401000 to 6000 size 1000 READ|WRITE 6000000000006001 level 1");
    }

    @Test
    void aTableInsideItselfIsNamedOnceForAllRequestersAndNotFollowed() {
        for (int device : new int[] {DEVICE, OTHER_DEVICE}) {
            bed.attach(device, 3);
        }
        for (int i = 0; i < 512; i++) {
            bed.memory.store(ROOT + i * 8L, IR_IW | ROOT | 2 << 9 | 1);
        }

        reader().visit(visitor);

        assertThat(visitor.lines)
                .filteredOn(line -> line.startsWith("problem"))
                .containsExactly("problem: the level 2 table for IOVA 0x0 is at 0x400000, inside itself");
    }

    /** Each of six tables has the next one 512 times, and the last but one the first. */
    @Test
    void tablesThatUnfoldWithoutEndEndWithOneProblem() {
        bed.attach(DEVICE, 6);
        for (int level = 6; level > 1; level--) {
            long table = ROOT + (6 - level) * 0x1000L;
            long next = level == 2 ? ROOT : table + 0x1000;
            for (int i = 0; i < 512; i++) {
                bed.memory.store(table + i * 8L, IR_IW | next | (level - 1L) << 9 | 1);
            }
        }
        bed.fabric.reads = 0;
        ProblemVisitor problems = new ProblemVisitor();

        assertTimeoutPreemptively(Duration.ofMinutes(2), () -> reader().visit(problems));

        assertThat(problems.problems)
                .containsExactly(
                        "the level 1 table for IOVA 0x0 is at 0x400000, inside itself",
                        "more than 67108864 words read besides new tables, so these are damaged or in very many places;"
                                + " the rest is left out");
        assertThat(bed.fabric.reads).isBetween(TableListing.MOST_WORDS, TableListing.MOST_WORDS + 5 * 512);
    }

    @Test
    void requestsAreTranslatedAsByTheUnitAndTheImageStaysAsItIs() {
        bed.attach(DEVICE, 3);
        bed.map(0x40205000L, 3, 1, IR | FC | 0x6000 | 1);
        TableReader reader = reader();
        bed.fabric.recording = true;

        assertThat(reader.translate(DEVICE, TableVisitor.NO_PASID, 0x40205123L, RequestFlags.READ))
                .isEqualTo(Translation.to(0x6123, true));
        long refused = reader.translate(DEVICE, TableVisitor.NO_PASID, 0x40205123L, RequestFlags.WRITE);
        assertThat(reader.faultReason(Translation.faultCode(refused))).isEqualTo("IO_PAGE_FAULT");
        assertThat(bed.fabric.accesses).allMatch(access -> access.startsWith("read"));
    }

    @Test
    void theTablesOfPasidsAreListedAfterTheRequestersOwn() {
        bed.entry(DEVICE, IR_IW | GuestBed.GV | 1L << 56 | 3, (GuestBed.GCR3 >> 15) << 16 | 5);
        bed.memory.store(GuestBed.GCR3 + 8, GuestBed.GCR3 + 0x1000 | 1);
        bed.memory.store(GuestBed.GCR3 + 0x1000 + 3 * 8, GuestBed.GUEST_ROOT | 1);
        bed.memory.store(GuestBed.GUEST_ROOT + 256 * 8, GuestBed.GUEST_ROOT + 0x1000 | 7);
        bed.memory.store(GuestBed.GUEST_ROOT + 0x1000, GuestBed.GUEST_ROOT + 0x2000 | 5);
        bed.memory.store(GuestBed.GUEST_ROOT + 0x2000 + 8, 0x400087);

        assertThat(listed(DEVICE))
                .containsExactly(
                        "0110 pasid -1: identity, domain 5, root ffffffffffffffff",
                        "0110 pasid 515: guest tables, 4 levels, domain 5, root 700000",
                        "table level 4 at 700800: 701007 for ffff800000000000",
                        "table level 3 at 701000: 702005 for ffff800000000000",
                        "map ffff800000200000 to 400000 size 200000 READ 400087 level 2");
        assertThat(reader().translate(DEVICE, 515, 0xffff800000212345L, RequestFlags.READ))
                .isEqualTo(Translation.to(0x412345, false));
    }

    @Test
    void tablesOfPasidZeroAreTheRequestersOwnWhereItsEntrySaysSo() {
        bed.entry(DEVICE, IR_IW | GuestBed.GV | GuestBed.GIOV | 3, (GuestBed.GCR3 >> 15) << 16 | 5);
        bed.memory.store(GuestBed.GCR3, GuestBed.GUEST_ROOT | 1);
        bed.memory.store(GuestBed.GCR3 + 16, GuestBed.GUEST_ROOT | 3);

        assertThat(listed(DEVICE))
                .containsExactly(
                        "0110 pasid -1: guest tables of PASID 0, 4 levels, domain 5, root 700000",
                        "problem: the GCR3 entry at 0x600010 for PASID 2 has reserved bits set: GCR3 entry"
                                + " 0x0000000000700003 V=1 Address=0x700 reserved[0]=0x2");
    }

    @Test
    void aGuestsPageOverHostTablesIsListedInTheHostsPieces() {
        bed.entry(DEVICE, IR_IW | GuestBed.GV | ROOT | 3 << 9 | 3, (GuestBed.GCR3 >> 15) << 16 | 5);
        bed.map(0x600000, 3, 2, IR_IW | 0x1600000L | 1); // the GCR3 table and the tables, 2M each, 16M up
        bed.map(0x200000, 3, 1, IR | FC | 0x3000000L | 1);
        bed.memory.store(0x1600000, 0x601001);
        bed.memory.store(0x1601000, 0x602007);
        bed.memory.store(0x1602000, 0x603007);
        bed.memory.store(0x1603000, 0x604007);
        bed.memory.store(0x1604000, 0x200007);
        bed.memory.store(0x1604008, 0x201007);

        assertThat(listed(DEVICE))
                .contains(
                        "0110 pasid 0: guest tables, 4 levels over host tables, domain 5, root 1601000",
                        "map 0 to 3000000 size 1000 READ forced 200007 level 1")
                .last()
                .asString()
                .isEqualTo("problem: the guest's page for address 0x1000 is at its physical address 0x201000, which the"
                        + " host tables do not map");
        visitor.lines.clear();
        bed.memory.store(0x600008, 0x601001);
        assertThat(listed(DEVICE, 0x1005L))
                .as("without GCR3TRPMode the GCR3 table is the system's")
                .contains("0110 pasid 1: guest tables, 4 levels over host tables, domain 5, root 1601000");
    }

    @Test
    void guestTablesThatContainThemselvesAreNamedOnceForAllPasids() {
        bed.entry(DEVICE, IR_IW | GuestBed.GV | 3, (GuestBed.GCR3 >> 15) << 16 | 5);
        for (int i = 0; i < 512; i++) {
            bed.memory.store(GuestBed.GCR3 + i * 8L, GuestBed.GUEST_ROOT | 1);
            bed.memory.store(GuestBed.GUEST_ROOT + i * 8L, GuestBed.GUEST_ROOT | 7);
        }

        assertThat(listed(DEVICE))
                .filteredOn(line -> line.startsWith("problem"))
                .containsExactly("problem: the level 3 guest table for address 0x0 is at 0x700000, inside itself");
        assertThat(visitor.lines)
                .filteredOn(line -> line.contains("guest tables"))
                .hasSize(512);
    }

    @Test
    void aRequesterBeyondTheTableOrWithoutEntryIsNotListed() {
        assertThat(listed(0x1000)).isEmpty();
        assertThat(listed(DEVICE)).isEmpty();
    }

    @Test
    void registersOfAnotherKindAreNotRecognised() {
        Map<Integer, Long> intel = Map.of(0x0, 0x10L, 0x8, 0xd2008c40660462L, 0x10, 0xf050daL);
        assertThat(new AmdViUnitProvider().reader(new RegisterDump(0xfed90000L, intel), bed.fabric))
                .isEmpty();
        assertThat(new AmdViUnitProvider().reader(new RegisterDump(0, Map.of(0x0, 0x10001fL)), bed.fabric))
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "0x0, 0x0800000000200000, DevTabBar 0x0000000000000000 was never written",
        "0x10061f, 0x0800000000200000, 'reserved[0]=0x600: expected reserved bits of 0'",
        "0x10000001f, 0x0800000000200000, and the address of a device table in the memory",
        "0x10001f, 0x0300000000200000, 'Len=3: length 3 is reserved, expected 8 to 15'"
    })
    void registersThatMakeNoSenseAreRefused(long deviceTable, long commands, String message) {
        Map<Integer, Long> words = Map.of(0x0, deviceTable, 0x8, commands, 0x10, 0x0800000000300000L);
        assertThatThrownBy(() -> reader(words))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }

    @Test
    void theWordWithTheDeviceTableIsNeeded() {
        assertThatThrownBy(() -> reader(Map.of(0x8, 0x0800000000200000L)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("lack the word at offset 0x0, DevTabBar");
    }
}
