// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.platform.support.TableFrames;
import org.junit.jupiter.api.Test;

/** What a unit finds that walks past the CPU caches: only what was written back is in DRAM. */
class NonCoherentWalkTest {
    private static final long K4 = 4096;
    private static final long M2 = 1L << 21;
    private static final long G1 = 1L << 30;
    private static final long READ_WRITE = 3;
    private static final long FIRST_STAGE_LEAF = 0x67;

    private final WriteBackMemory memory = new WriteBackMemory();
    private final FramePool frames = new FramePool(0x100000, 0x700000);
    private final IotlbGather gather = new IotlbGather();
    private long present = 3;
    private final TableFrames tableFrames = new TableFrames(memory, frames);
    private PageTable table = table(TableFormat.SECOND_STAGE);

    private PageTable table(TableFormat format) {
        return new PageTable(memory, tableFrames, format, 4, 47, K4 | M2 | G1, true);
    }

    private PageMapper mapper() {
        return new PageMapper(table, new Forgetful());
    }

    /** Frees at once, as after an invalidation. */
    private final class Forgetful implements Retirement {
        @Override
        public void retire(long chain, long first, long last) {
            tableFrames.freeChain(chain);
        }

        @Override
        public void makeRoom(IotlbGather full) {
            freeGathered();
        }
    }

    private void freeGathered() {
        for (int i = 0; i < gather.frameCount(); i++) {
            frames.free(gather.frame(i), gather.order(i));
        }
        gather.reset();
    }

    /** Translates by what is in DRAM, with the manual's bit numbers. */
    private long walk(long iova) {
        long at = table.root();
        for (int shift = 39; ; shift -= 9) {
            long entry = memory.dram.load(at + (iova >>> shift & 0x1ff) * 8);
            if ((entry & present) == 0) {
                return IommuDomain.UNMAPPED;
            }
            if (shift == 12 || (entry & 0x80) != 0) {
                long offset = (1L << shift) - 1;
                return (entry & 0x000ffffffffff000L & ~offset) | (iova & offset);
            }
            at = entry & 0x000ffffffffff000L;
        }
    }

    @Test
    void aWalkPastTheCachesFindsWhatTheDriverMappedAndNothingElse() {
        compareWalks(READ_WRITE);
    }

    @Test
    void soItDoesInAFirstStage() {
        table = table(TableFormat.FIRST_STAGE);
        present = 1;
        compareWalks(FIRST_STAGE_LEAF);
    }

    private void compareWalks(long leaf) {
        long seed = Long.getLong("iommu4j.seed", 20261123L);
        System.out.println("seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        int found = 0;
        for (int i = 0; i < 5_000; i++) {
            boolean large = random.nextInt(4) == 0;
            long pageSize = large ? M2 : K4;
            long iova = G1 - 2 * M2 + random.nextLong(large ? 4 : 2048) * pageSize;
            long count = 1 + random.nextLong(large ? 2 : 700);
            if (random.nextBoolean()) {
                new PageUnmapper(table, new Forgetful()).unmap(iova, count * pageSize, gather);
                freeGathered();
            } else {
                try {
                    mapper().map(iova, random.nextLong(1L << 20) * M2, pageSize, count, leaf);
                } catch (IommuException refused) {
                    assertThat(refused.errno()).isEqualTo(Errno.EADDRINUSE);
                }
            }
            for (int probe = 0; probe < 20; probe++) {
                long at = probe == 0 ? iova : G1 - 2 * M2 + random.nextLong(5 * M2);
                assertThat(walk(at)).as("step %d, %x", i, at).isEqualTo(table.translate(at));
                found += table.translate(at) == IommuDomain.UNMAPPED ? 0 : 1;
            }
        }
        assertThat(found).isGreaterThan(10_000);
    }

    @Test
    void whoeverMapsBelowATableThatAnotherThreadJustLinkedMakesTheLinkVisibleItself() {
        // The first write-back of the root's entry, by the thread that linked the table, is late: another maps first.
        long rootEntry = table.root();
        memory.before = rootEntry;
        memory.then = () -> {
            mapper().map(0x5000, 0x9000, K4, 1, READ_WRITE);
            assertThat(walk(0x5000)).as("mapped by the second thread").isEqualTo(0x9000);
        };

        mapper().map(0x4000, 0x8000, K4, 1, READ_WRITE);

        assertThat(memory.before).as("the link was written back").isZero();
        assertThat(walk(0x4000)).isEqualTo(0x8000);
    }

    /** Memory behind caches that write back only when told to. DRAM starts full of entries that look present. */
    private static final class WriteBackMemory implements SystemMemory {
        private final FlatMemory caches = new FlatMemory(0x800000);
        final FlatMemory dram = new FlatMemory(0x800000);
        /** The address whose next write-back {@link #then} comes before; 0 is none. */
        long before;

        Runnable then = () -> {};

        WriteBackMemory() {
            for (long at = 0; at < dram.size(); at += 8) {
                dram.store(at, 0xa5a5a5a5a5a5a5a7L);
                caches.store(at, 0xa5a5a5a5a5a5a5a7L);
            }
        }

        @Override
        public long load(long physicalAddress) {
            return caches.load(physicalAddress);
        }

        @Override
        public void store(long physicalAddress, long value) {
            caches.store(physicalAddress, value);
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value) {
            return caches.compareAndSet(physicalAddress, expected, value);
        }

        @Override
        public void storeRun(long physicalAddress, long first, long increment, int count) {
            caches.storeRun(physicalAddress, first, increment, count);
        }

        @Override
        public int leadingClear(long physicalAddress, long mask, int count) {
            return caches.leadingClear(physicalAddress, mask, count);
        }

        @Override
        public int leadingSet(long physicalAddress, long mask, int count) {
            return caches.leadingSet(physicalAddress, mask, count);
        }

        @Override
        public void writeBack(long physicalAddress, long size) {
            if (before != 0 && physicalAddress == before) {
                before = 0;
                then.run();
            }
            for (long line = physicalAddress & -64; line < physicalAddress + size; line += 64) {
                for (long at = line; at < line + 64; at += 8) {
                    dram.store(at, caches.load(at));
                }
            }
        }
    }
}
