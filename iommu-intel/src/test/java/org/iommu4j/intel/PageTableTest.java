// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.DirtyBitmap;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.intel.IntelRules.DirtyLeaves;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.platform.support.TableFrames;
import org.junit.jupiter.api.Test;

/** The walk of a page table, alone and with another thread that changes the table under it. */
class PageTableTest {
    private static final long K4 = 4096;
    private static final long M2 = 1L << 21;
    private static final long G1 = 1L << 30;
    private static final long READ_WRITE = 3;
    private static final long DIRTY = 0x200;

    /** More loads than any walk of 4 levels has. */
    private static final int LOADS = 12;

    private final HookedMemory memory = new HookedMemory();
    private final FramePool pool = new FramePool(0x100000, 0x700000);
    private final TableFrames frames = new TableFrames(memory, pool);
    private final PageTable table = new PageTable(memory, frames, TableFormat.SECOND_STAGE, 4, 48, K4 | M2 | G1, false);
    private final Retirement freed = new Retirement() {
        @Override
        public void retire(long chain, long first, long last) {
            frames.freeChain(chain);
        }

        @Override
        public void makeRoom(IotlbGather gather) {
            gather.reset();
        }
    };
    private final PageMapper mapper = new PageMapper(table, freed);
    private final PageUnmapper unmapper = new PageUnmapper(table, freed);

    @Test
    void aWalkEndsAtTheLevelOrAboveItAtAHoleOrALeaf() {
        mapper.map(5 * K4, 0x9000, K4, 1, READ_WRITE);
        mapper.map(G1, 2 * G1, G1, 1, READ_WRITE);
        long level3 = memory.load(table.root()) & ~0xfffL;
        long level2 = memory.load(level3) & ~0xfffL;
        long level1 = memory.load(level2) & ~0xfffL;

        assertPlace(5 * K4, 1, level1 + 5 * 8, 1);
        assertPlace(5 * K4, 2, level2, 2);
        assertPlace(5 * K4, 4, table.root(), 4);
        assertPlace(M2, 1, level2 + 8, 2);
        assertPlace(G1 + 7 * K4, 1, level3 + 8, 3);
        assertPlace((1L << 48) - K4, 1, table.root() + 511 * 8, 4);
    }

    private void assertPlace(long iova, int level, long entry, int reached) {
        long place = table.descend(iova, level, false);
        assertThat(PageTable.entryAt(place)).as("entry of 0x%x", iova).isEqualTo(entry);
        assertThat(PageTable.levelAt(place)).as("level of 0x%x", iova).isEqualTo(reached);
    }

    @Test
    void aTranslationDuringAChangeGivesTheOldOrTheNewPage() {
        boolean older = false;
        boolean newer = false;
        for (int load = 1; load <= LOADS; load++) {
            long region = load * G1;
            mapper.map(region, 0x40000000, M2, 1, READ_WRITE);
            memory.before(load, () -> {
                unmapper.unmap(region, M2, new IotlbGather());
                mapper.map(region, 0x7000000, K4, 16, READ_WRITE);
            });

            long found = table.translate(region + 3 * K4 + 0x123);

            assertThat(found).as("change before load %d", load).isIn(0x40003123L, 0x7003123L);
            older |= found == 0x40003123L;
            newer |= found == 0x7003123L;
            memory.run();
        }
        assertThat(older && newer).as("both were seen").isTrue();
    }

    @Test
    void aTranslationDuringTheFirstMappingNextToItFindsNothing() {
        for (int load = 1; load <= LOADS; load++) {
            long region = load * G1;
            memory.before(load, () -> mapper.map(region, 0x7000000, K4, 1, READ_WRITE));

            assertThat(table.translate(region + K4))
                    .as("mapped before load %d", load)
                    .isEqualTo(IommuDomain.UNMAPPED);
            memory.run();
        }
    }

    @Test
    void unmappingDuringTheFirstMappingNextToItFindsNothing() {
        for (int load = 1; load <= LOADS; load++) {
            long region = load * G1;
            memory.before(load, () -> mapper.map(region, 0x7000000, K4, 1, READ_WRITE));

            assertThat(unmapper.unmap(region + K4, K4, new IotlbGather()))
                    .as("mapped before load %d", load)
                    .isZero();
            memory.run();
            assertThat(table.translate(region)).isEqualTo(0x7000000);
        }
    }

    @Test
    void aDirtyPageIsFoundWhileSmallPagesTakeThePlaceOfALargeOne() {
        for (int load = 1; load <= LOADS; load++) {
            long region = load * G1;
            mapper.map(region, 0x40000000, M2, 1, READ_WRITE | DIRTY);
            memory.before(load, () -> {
                unmapper.unmap(region, M2, new IotlbGather());
                mapper.map(region, 0x7000000, K4, 16, READ_WRITE | DIRTY);
            });
            DirtyBitmap bitmap = new DirtyBitmap(region, K4, 512);

            table.readDirty(bitmap, false, new IotlbGather(), DirtyLeaves.OWN_PAGES);

            assertThat(bitmap.isMarked(region + 15 * K4))
                    .as("dirty before and after load %d", load)
                    .isTrue();
            memory.run();
        }
    }

    @Test
    void mappingBelowATableThatAnotherThreadLinksFirstUsesThatTable() {
        for (int load = 1; load <= LOADS; load++) {
            long region = load * G1;
            memory.before(load, () -> mapper.map(region, 0x7000000, K4, 1, READ_WRITE));

            mapper.map(region + K4, 0x8000000, K4, 1, READ_WRITE);

            memory.run();
            assertThat(table.translate(region))
                    .as("the other's page, load %d", load)
                    .isEqualTo(0x7000000);
            assertThat(table.translate(region + K4))
                    .as("the own page, load %d", load)
                    .isEqualTo(0x8000000);
        }
        assertThat(pool.inUse()).as("frames, of which none was lost").isEqualTo(table.countFrames());
    }

    /** Memory in which something happens before the n-th load. */
    private static final class HookedMemory implements SystemMemory {
        private final FlatMemory flat = new FlatMemory(0x800000);
        private int left;
        private Runnable then = () -> {};

        void before(int load, Runnable action) {
            left = load;
            then = action;
        }

        /** Runs what did not happen yet. */
        void run() {
            Runnable action = then;
            left = 0;
            then = () -> {};
            action.run();
        }

        @Override
        public long load(long physicalAddress) {
            if (left > 0 && --left == 0) {
                run();
            }
            return flat.load(physicalAddress);
        }

        @Override
        public void store(long physicalAddress, long value) {
            flat.store(physicalAddress, value);
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value) {
            return flat.compareAndSet(physicalAddress, expected, value);
        }

        @Override
        public void storeRun(long physicalAddress, long first, long increment, int count) {
            flat.storeRun(physicalAddress, first, increment, count);
        }

        @Override
        public int leadingClear(long physicalAddress, long mask, int count) {
            return flat.leadingClear(physicalAddress, mask, count);
        }

        @Override
        public int leadingSet(long physicalAddress, long mask, int count) {
            return flat.leadingSet(physicalAddress, mask, count);
        }

        @Override
        public void writeBack(long physicalAddress, long size) {
            flat.writeBack(physicalAddress, size);
        }
    }
}
