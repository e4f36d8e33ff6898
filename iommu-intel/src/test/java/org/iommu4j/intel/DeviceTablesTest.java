// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.intel.reg.ExtendedCapability;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Root, context and PASID tables over registers alone, without a unit; entries and descriptors are hex as the manual
 * has them.
 */
class DeviceTablesTest {
    private static final int NO_PASID = 0;
    private static final int DOMAIN = 2;

    /** A present context entry of legacy mode: its high word has 4 levels and the domain id. */
    private static final long[] LEGACY = {0x7777001, 2 | DOMAIN << 8};

    /** A present PASID entry of a first stage, tagged with the domain id. */
    private static final long[] FIRST_STAGE = {0x41, DOMAIN, 0x8888004};

    /** A present PASID entry of a second stage, tagged with the domain id. */
    private static final long[] SECOND_STAGE = {0x7777089, DOMAIN, 0};

    private final Bench bench = new Bench();

    /** What tables need, and nothing else of a unit. */
    private final class Floor {
        final RegistersDouble registers;
        final Capability cap;
        final UnitCommands commands;
        final UnitCaches caches;
        final TableMemory memory;
        private final long before;

        Floor(long capValue, long ecapValue, boolean scalable) {
            registers = bench.unit(0xfed90000L, capValue, ecapValue);
            cap = new Capability(capValue);
            ExtendedCapability ecap = new ExtendedCapability(ecapValue);
            commands = new UnitCommands("dmar0", registers, registers, cap.requiresWriteBufferFlush());
            FaultLog faults = new FaultLog("dmar0", 0, registers, cap);
            long frames = InvalidationQueue.allocate(bench.memory, bench.pool, ecap);
            before = bench.pool.inUse();
            InvalidationQueue queue =
                    new InvalidationQueue("dmar0", bench.memory, registers, registers, cap, ecap, frames);
            queue.program();
            commands.turn(DmarRegisters.QIE, true);
            caches = new UnitCaches("dmar0", cap, scalable, commands, registers, queue, faults);
            memory = new TableMemory(bench.memory, bench.pool, !ecap.coherentWalk());
            registers.recording = true;
        }

        LegacyTables legacy() {
            return legacy(IntelRules.of(LinuxRelease.NEWEST));
        }

        LegacyTables legacy(IntelRules rules) {
            return new LegacyTables("dmar0", cap.cachingMode(), rules.forgetsByOwnId(), memory, commands, caches);
        }

        ScalableTables scalable() {
            return new ScalableTables("dmar0", cap.cachingMode(), memory, commands, caches);
        }

        /** The requests since the last call, without waits. */
        List<String> requests() {
            return registers.takeLog().stream()
                    .filter(descriptor -> !descriptor.matches("[0-9a-f]*[0-9a-f]25 .*"))
                    .toList();
        }

        /** Returns how many frames were taken since the queue had its own. */
        long framesInUse() {
            return bench.pool.inUse() - before;
        }
    }

    private Requester requester(int maxPasids, boolean cacheInUse, int... ids) {
        bench.cachingFunction("0000:00:02.0", 8);
        DeviceTlb tlb =
                new DeviceTlb(bench.functions.get(bench.functions.size() - 1).config(), ids[0], cacheInUse);
        tlb.use(cacheInUse);
        return new Requester(ids, tlb, maxPasids, false);
    }

    private long[] words(long at, int count) {
        long[] words = new long[count];
        for (int i = 0; i < count; i++) {
            words[i] = bench.flat.load(at + i * 8L);
        }
        return words;
    }

    private long frame(long entry) {
        return bench.flat.load(entry) & ~0xfffL;
    }

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    // ---- legacy mode -----------------------------------------------------------------------------------------------

    @Test
    void aContextTableIsMadeForEachBusOnceAndAllIsFreed() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP, false);
        LegacyTables tables = floor.legacy();
        tables.prepare(requester(0, false, 0x10, 0x11));
        tables.prepare(requester(0, false, 0x208));
        tables.prepare(requester(0, false, 0x12));

        assertThat(tables.countFrames()).as("root and two context tables").isEqualTo(3);
        assertThat(floor.framesInUse()).isEqualTo(3);
        assertThat(tables.rootPointer() & 0xfff).as("TTM is legacy mode").isZero();
        assertThat(bench.flat.load(tables.rootPointer()) & 0xfff).isEqualTo(1);
        assertThat(bench.flat.load(tables.rootPointer() + 16)).as("bus 1").isZero();
        assertThat(bench.flat.load(tables.rootPointer() + 32) & 0xfff).isEqualTo(1);
        tables.free();
        assertThat(floor.framesInUse()).isZero();
    }

    @Test
    void settingChangesTheEntryOfEachIdAndForgetsTheOldOneFirst() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP, false);
        LegacyTables tables = floor.legacy();
        Requester requester = requester(0, true, 0x10, 0x11);
        tables.prepare(requester);
        long contexts = frame(tables.rootPointer());

        tables.set(requester, NO_PASID, LEGACY, DOMAIN);
        assertThat(words(contexts + 0x10 * 16, 4)).containsExactly(LEGACY[0], LEGACY[1], LEGACY[0], LEGACY[1]);
        assertThat(floor.requests()).as("nothing was cached").isEmpty();

        tables.set(requester, NO_PASID, new long[] {0x9999001, 2 | 3 << 8}, 3);
        assertThat(words(contexts + 0x10 * 16, 2)).containsExactly(0x9999001, 0x302);
        assertThat(floor.requests())
                .as("context cache by id, IOTLB by the old domain, device TLB")
                .containsExactly("1000020031 0", "1100020031 0", "200e2 0", "1000050003 7ffffffffffff001");

        tables.clear(requester, NO_PASID);
        assertThat(words(contexts + 0x10 * 16, 4)).containsOnly(0);
        assertThat(floor.requests()).hasSize(4);
        tables.clear(requester, NO_PASID);
        assertThat(floor.requests()).as("nothing was present").isEmpty();
    }

    @Test
    void entriesOfSeveralDomainsAreForgottenByTheirOwnTags() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP, false);
        LegacyTables tables = floor.legacy();
        // Both also have the id of the bridge above them, whose entry is the later one's.
        Requester first = requester(0, false, 0x110, 0x100);
        Requester second = requester(0, false, 0x118, 0x100);
        tables.prepare(first);
        tables.prepare(second);
        tables.set(first, NO_PASID, LEGACY, DOMAIN);
        tables.set(second, NO_PASID, new long[] {0x9999001, 2 | 3 << 8}, 3);
        floor.requests();

        tables.clear(first, NO_PASID);

        assertThat(floor.requests())
                .as("context cache by id, then IOTLB, each with the entry's own domain")
                .containsExactly("11000020031 0", "10000030031 0", "200e2 0", "300e2 0");
    }

    @ParameterizedTest
    @CsvSource({
        "6.10, 10000020031 0",
        "6.11, 11000020031 0",
        "6.12.113, 11000020031 0",
        "6.12.114, 10000020031 0",
        "7.2, 11000020031 0",
        "7.2.6, 10000020031 0",
        "7.3, 10000020031 0"
    })
    void anEntryOfABridgesIdIsForgottenByTheDevicesOwnFrom611To72(String release, String forgotten) {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP, false);
        LegacyTables tables = floor.legacy(IntelRules.of(LinuxRelease.of(release)));
        Requester requester = requester(0, false, 0x110, 0x100);
        tables.prepare(requester);
        tables.set(requester, NO_PASID, LEGACY, DOMAIN);
        floor.requests();

        tables.clear(requester, NO_PASID);

        assertThat(floor.requests())
                .as("the own entry, the bridge's, and the translations of the domain")
                .containsExactly("11000020031 0", forgotten, "200e2 0");
    }

    @Test
    void cachingModeAndTheWriteBufferAreServedAfterAnEntryBecamePresent() {
        Floor caching = new Floor(Bench.CAP_CM, Bench.ECAP, false);
        LegacyTables tables = caching.legacy();
        Requester requester = requester(0, false, 0x10);
        tables.prepare(requester);
        tables.set(requester, NO_PASID, LEGACY, DOMAIN);
        assertThat(caching.requests())
                .as("not present is cached with domain id 0")
                .containsExactly("1000000031 0", "200e2 0");

        Floor buffered = new Floor(Bench.CAP_RWBF, Bench.ECAP, false);
        LegacyTables others = buffered.legacy();
        others.prepare(requester);
        others.set(requester, NO_PASID, LEGACY, DOMAIN);
        assertThat(buffered.requests()).containsExactly("WBF");
    }

    @Test
    void anEntryStandsAgainWhenTheUnitDoesNotForgetIt() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP, false);
        LegacyTables tables = floor.legacy();
        Requester requester = requester(0, false, 0x10, 0x11);
        tables.prepare(requester);
        tables.set(requester, NO_PASID, LEGACY, DOMAIN);
        long entry = frame(tables.rootPointer()) + 0x10 * 16;
        long[] both = {LEGACY[0], LEGACY[1], LEGACY[0], LEGACY[1]};
        floor.registers.frozen = true;

        assertErrno(Errno.ETIMEDOUT, () -> tables.set(requester, NO_PASID, new long[] {0x9999001, 0x302}, 3));
        assertThat(words(entry, 4)).containsExactly(both);
        assertErrno(Errno.EIO, () -> tables.set(requester, NO_PASID, new long[0], 0));
        assertThat(words(entry, 4)).as("a broken unit is not asked").containsExactly(both);
        assertErrno(Errno.EIO, () -> tables.clear(requester, NO_PASID));
        assertThat(words(entry, 4)).as("cleared all the same").containsOnly(0);
    }

    @Test
    void aBusWithoutMemoryForItsTableChangesNothing() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP, false);
        LegacyTables tables = floor.legacy();
        long[] taken = new long[1 << 16];
        int count = 0;
        try {
            while (true) {
                taken[count] = bench.pool.allocate(0);
                count++;
            }
        } catch (IommuException full) {
            assertThat(full.errno()).isEqualTo(Errno.ENOMEM);
        }

        assertErrno(Errno.ENOMEM, () -> tables.prepare(requester(0, false, 0x10)));

        assertThat(bench.flat.load(tables.rootPointer())).isZero();
        assertThat(tables.countFrames()).isEqualTo(1);
        for (int i = 0; i < count; i++) {
            bench.pool.free(taken[i], 0);
        }
        tables.prepare(requester(0, false, 0x10));
        assertThat(bench.flat.load(tables.rootPointer()) & 1).isEqualTo(1);
    }

    @Test
    void whatIsStoredIsWrittenBackWhereTheUnitDoesNotSnoop() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_NONCOHERENT, false);
        bench.memory.recording = true;
        LegacyTables tables = floor.legacy();
        Requester requester = requester(0, false, 0x10);
        tables.prepare(requester);
        assertThat(bench.memory.writtenBack).contains(tables.rootPointer(), frame(tables.rootPointer()));

        bench.memory.writtenBack.clear();
        tables.set(requester, NO_PASID, LEGACY, DOMAIN);
        long entry = frame(tables.rootPointer()) + 0x10 * 16;
        assertThat(bench.memory.writtenBack)
                .as("the high word first: the low word has P")
                .containsExactly(entry + 8, entry);

        bench.memory.writtenBack.clear();
        tables.clear(requester, NO_PASID);
        assertThat(bench.memory.writtenBack).as("P goes first").containsExactly(entry, entry + 8);
    }

    @Test
    void anEntryThatTheUnitMaySeeIsTakenBackByWayOfNotPresent() {
        Floor floor = new Floor(Bench.CAP_CM, Bench.ECAP_NONCOHERENT, false);
        LegacyTables tables = floor.legacy();
        Requester requester = requester(0, false, 0x10, 0x11);
        tables.prepare(requester);
        long entry = frame(tables.rootPointer()) + 0x10 * 16;
        bench.memory.recording = true;
        floor.registers.frozen = true;

        assertErrno(Errno.ETIMEDOUT, () -> tables.set(requester, NO_PASID, LEGACY, DOMAIN));

        assertThat(words(entry, 4)).containsOnly(0);
        assertThat(bench.memory.writtenBack)
                .as("made present, then not present, then its old words")
                .containsExactly(
                        entry + 8,
                        entry,
                        entry + 24,
                        entry + 16,
                        entry,
                        entry + 8,
                        entry,
                        entry + 16,
                        entry + 24,
                        entry + 16);
    }

    // ---- scalable mode ---------------------------------------------------------------------------------------------

    @Test
    void preparingLeadsEachIdToThePasidDirectory() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_SCALABLE, true);
        ScalableTables tables = floor.scalable();
        Requester requester = requester(256, true, 0x10, 0x90);
        tables.prepare(requester);

        long root = tables.rootPointer() & ~0xfffL;
        assertThat(tables.rootPointer() & 0xfff).as("TTM is scalable mode").isEqualTo(0x400);
        long directory = requester.pasidTable().directory();
        // Present, DTE, PASIDE, PDTS 2: 512 entries.
        long expected = directory | 0x40d;
        assertThat(words(frame(root) + 0x10 * 32, 4)).containsExactly(expected, 0, 0, 0);
        assertThat(words(frame(root + 8) + 0x10 * 32, 4))
                .as("devices 16 to 31 have the upper table")
                .containsExactly(expected, 0, 0, 0);
        assertThat(tables.countFrames())
                .as("root, two halves, directory, table")
                .isEqualTo(5);
        tables.free();
        assertThat(floor.framesInUse()).isZero();
    }

    @Test
    void ofTwoRequestersWithOneIdTheFirstKeepsIt() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_SCALABLE, true);
        ScalableTables tables = floor.scalable();
        Requester first = requester(0, false, 0x10);
        tables.prepare(first);
        tables.prepare(requester(0, false, 0x10));

        long entry = frame(tables.rootPointer() & ~0xfffL) + 0x10 * 32;
        assertThat(frame(entry)).isEqualTo(first.pasidTable().directory());
    }

    @Test
    void aPasidEntryIsForgottenByTheTagsOfItsStage() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_SCALABLE, true);
        ScalableTables tables = floor.scalable();
        Requester requester = requester(256, false, 0x10);
        tables.prepare(requester);

        tables.set(requester, 70, FIRST_STAGE, DOMAIN);
        long entry = requester.pasidTable().entry(70);
        assertThat(words(entry, 8)).containsExactly(0x41, DOMAIN, 0x8888004, 0, 0, 0, 0, 0);
        assertThat(floor.requests()).isEmpty();
        tables.set(requester, 70, SECOND_STAGE, DOMAIN);
        assertThat(words(entry, 8)).containsExactly(0x7777089, DOMAIN, 0, 0, 0, 0, 0, 0);
        assertThat(floor.requests())
                .as("PASID cache, then what is tagged with the PASID")
                .containsExactly("4600020017 0", "4600020026 0");
        tables.clear(requester, 70);
        assertThat(words(entry, 8)).containsOnly(0);
        assertThat(floor.requests())
                .as("PASID cache, then what is tagged with the domain id")
                .containsExactly("4600020017 0", "200e2 0");
    }

    @Test
    void bitsOfAnEntryChangeWhileItIsTheDomainsOwn() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_SCALABLE, true);
        ScalableTables tables = floor.scalable();
        Requester requester = requester(0, false, 0x10);
        tables.prepare(requester);
        tables.set(requester, NO_PASID, SECOND_STAGE, DOMAIN);
        long entry = requester.pasidTable().entry(NO_PASID);

        tables.change(requester, NO_PASID, DOMAIN, 0, 0x200, true);
        assertThat(bench.flat.load(entry)).isEqualTo(SECOND_STAGE[0] | 0x200);
        assertThat(floor.requests()).hasSize(2);
        tables.change(requester, NO_PASID, DOMAIN, 0, 0x200, true);
        assertThat(floor.requests()).as("nothing changed").isEmpty();
        tables.change(requester, NO_PASID, 3, 0, 0x200, false);
        assertThat(bench.flat.load(entry)).as("of another domain").isEqualTo(SECOND_STAGE[0] | 0x200);

        floor.registers.frozen = true;
        assertErrno(Errno.ETIMEDOUT, () -> tables.change(requester, NO_PASID, DOMAIN, 0, 0x200, false));
        assertThat(bench.flat.load(entry)).as("the old bits stand again").isEqualTo(SECOND_STAGE[0] | 0x200);
        assertErrno(Errno.EIO, () -> tables.takeBack(requester, NO_PASID, DOMAIN, 0, 0x200, false));
        assertThat(bench.flat.load(entry))
                .as("taken back though the unit is broken")
                .isEqualTo(SECOND_STAGE[0]);
    }

    @Test
    void inCachingModeThePasidCacheForgetsThatNothingWasThere() {
        Floor floor = new Floor(Bench.CAP_CM, Bench.ECAP_SCALABLE, true);
        ScalableTables tables = floor.scalable();
        Requester requester = requester(0, false, 0x10);
        tables.prepare(requester);
        assertThat(floor.requests()).as("context entry").containsExactly("1000000031 0");

        tables.set(requester, NO_PASID, SECOND_STAGE, DOMAIN);

        assertThat(floor.requests()).containsExactly("20017 0", "20026 0");
    }

    @Test
    void theWriteBufferIsFlushedAfterEntriesOfScalableModeBecamePresent() {
        Floor floor = new Floor(Bench.CAP_RWBF, Bench.ECAP_SCALABLE, true);
        ScalableTables tables = floor.scalable();
        Requester requester = requester(0, false, 0x10);
        tables.prepare(requester);
        assertThat(floor.requests()).as("context entry").containsExactly("WBF");

        tables.set(requester, NO_PASID, SECOND_STAGE, DOMAIN);

        assertThat(floor.requests()).as("PASID entry").containsExactly("WBF");
    }

    @Test
    void aPasidEntryBecomesPresentLastAndNotPresentFirst() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_SCALABLE & ~1L, true);
        ScalableTables tables = floor.scalable();
        Requester requester = requester(0, false, 0x10);
        tables.prepare(requester);
        bench.memory.recording = true;

        tables.set(requester, NO_PASID, FIRST_STAGE, DOMAIN);
        long entry = requester.pasidTable().entry(NO_PASID);
        assertThat(bench.memory.writtenBack).containsExactly(entry + 16, entry + 8, entry);

        bench.memory.writtenBack.clear();
        tables.clear(requester, NO_PASID);
        assertThat(bench.memory.writtenBack.get(0)).isEqualTo(entry);
        assertThat(bench.memory.writtenBack).hasSize(8);
    }

    // ---- PASID tables ----------------------------------------------------------------------------------------------

    @Test
    void aDirectoryHasAnEntryForEach64PasidsAndOneFrameAtLeast() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_SCALABLE, true);
        for (int[] each : new int[][] {{0, 512, 1}, {256, 512, 1}, {1 << 16, 1024, 2}, {1 << 20, 16384, 32}}) {
            PasidTable table = new PasidTable(floor.memory, each[0]);
            assertThat(table.directoryEntries()).as("of %d PASIDs", each[0]).isEqualTo(each[1]);
            assertThat(floor.framesInUse()).as("directory and first table").isEqualTo(each[2] + 1);
            table.free();
            assertThat(floor.framesInUse()).isZero();
        }
    }

    @Test
    void aTableOf64EntriesIsMadeForTheFirstOfThem() {
        Floor floor = new Floor(Bench.CAP, Bench.ECAP_SCALABLE, true);
        PasidTable table = new PasidTable(floor.memory, 1 << 20);
        long before = floor.framesInUse();

        long entry = table.prepare((1 << 20) - 1);

        assertThat(floor.framesInUse()).isEqualTo(before + 1);
        assertThat(entry & 0xfff).isEqualTo(63 * 64);
        assertThat(bench.flat.load(table.directory() + 16383 * 8)).isEqualTo((entry & ~0xfffL) | 1);
        assertThat(table.prepare((1 << 20) - 64)).isEqualTo(entry & ~0xfffL);
        assertThat(floor.framesInUse()).as("the same table").isEqualTo(before + 1);
        table.free();
        assertThat(floor.framesInUse()).isZero();
    }
}
