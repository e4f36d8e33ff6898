// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class IovaAllocatorTest {
    private static final long TOP = (1L << 36) - 1;

    @Test
    void rangesComeFromTheTopDown() {
        IovaAllocator allocator = new IovaAllocator(0, TOP);

        assertThat(allocator.allocate(1, TOP)).isEqualTo(TOP);
        assertThat(allocator.allocate(1, TOP)).isEqualTo(TOP - 1);
        assertThat(allocator.allocate(1, 0xfffff)).isEqualTo(0xfffff);
        assertThat(allocator.given()).isEqualTo(3);
    }

    @Test
    void aSmallRangeTakesThePowerOfTwoThatHoldsIt() {
        IovaAllocator allocator = new IovaAllocator(0, 0xff);

        assertThat(allocator.allocate(3, 0xff)).isEqualTo(0xfc);
        assertThat(allocator.allocate(1, 0xff)).isEqualTo(0xfb);
        assertThat(allocator.allocate(17, 0xff)).isEqualTo(0xc0);
        allocator.retire(0xfc, 3);
        allocator.free(0xfc, 3);
        assertThat(allocator.allocate(4, 0xff)).isEqualTo(0xfc);
    }

    @Test
    void aLargeRangeIsAlignedToThePowerOfTwoThatHoldsItAndTheGapIsUsed() {
        IovaAllocator allocator = new IovaAllocator(0, 0xff);

        assertThat(allocator.allocate(33, 0xff)).isEqualTo(0xc0);
        assertThat(allocator.allocate(1, 0xff)).isEqualTo(0xff);
        assertThat(allocator.allocate(8, 0xff)).isEqualTo(0xf0);
    }

    @Test
    void pageZeroIsNeverGivenOut() {
        IovaAllocator allocator = new IovaAllocator(0, 3);

        assertThat(allocator.allocate(1, 3)).isEqualTo(3);
        assertThat(allocator.allocate(1, 3)).isEqualTo(2);
        assertThat(allocator.allocate(1, 3)).isEqualTo(1);
        assertThat(allocator.allocate(1, 3)).isEqualTo(IovaAllocator.NONE);
        assertThat(new IovaAllocator(0, 0).allocate(1, 0)).isEqualTo(IovaAllocator.NONE);
        assertThat(new IovaAllocator(0, -1).allocate(1, TOP)).isEqualTo(IovaAllocator.NONE);
    }

    @Test
    void noPageBelowTheFirstIsGivenOut() {
        IovaAllocator allocator = new IovaAllocator(6, 8);

        assertThat(allocator.allocate(2, 7)).isEqualTo(6);
        assertThat(allocator.allocate(1, 7)).isEqualTo(IovaAllocator.NONE);
        assertThat(allocator.allocate(1, 8)).isEqualTo(8);
        assertThat(new IovaAllocator(6, 8).allocate(1, 5)).isEqualTo(IovaAllocator.NONE);
        assertThat(new IovaAllocator(6, 5).allocate(1, 5)).isEqualTo(IovaAllocator.NONE);
    }

    @Test
    void reservedPagesAreNeverGivenOut() {
        IovaAllocator allocator = new IovaAllocator(0, 0xf);
        allocator.reserve(0, 2);
        allocator.reserve(5, 6);
        allocator.reserve(6, 9);
        allocator.reserve(0xe, 0x1000);
        allocator.reserve(0x2000, 0x3000);

        List<Long> given = new ArrayList<>();
        for (long page = allocator.allocate(1, 0xff); page != IovaAllocator.NONE; page = allocator.allocate(1, 0xff)) {
            given.add(page);
        }

        assertThat(given).containsExactly(0xdL, 0xcL, 0xbL, 0xaL, 4L, 3L);
    }

    @Test
    void pagesAreReservedBeforeUseOnly() {
        IovaAllocator allocator = new IovaAllocator(0, 0xf);
        allocator.allocate(1, 0xf);

        assertThatThrownBy(() -> allocator.reserve(1, 1)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void whatWasNotGivenOutCantBeRetiredNorFreedTwice() {
        IovaAllocator allocator = new IovaAllocator(0, 0xff);
        long page = allocator.allocate(4, 0xff);

        assertThat(allocator.isGiven(page, 4)).isTrue();
        assertThat(allocator.isGiven(page, 3)).isFalse();
        assertThat(allocator.isGiven(page + 1, 3)).isFalse();
        assertThatThrownBy(() -> allocator.retire(page, 3)).isInstanceOf(IllegalStateException.class);
        allocator.retire(page, 4);
        assertThatThrownBy(() -> allocator.retire(page, 4)).isInstanceOf(IllegalStateException.class);
        allocator.free(page, 4);
        assertThatThrownBy(() -> allocator.free(page, 4)).isInstanceOf(IllegalStateException.class);
        assertThat(allocator.withheld()).isZero();
    }

    @Test
    void aRetiredRangeIsNotGivenOutUntilItIsFreed() {
        IovaAllocator allocator = new IovaAllocator(0, 0xff);
        long page = allocator.allocate(1, 0xff);
        allocator.retire(page, 1);

        assertThat(allocator.allocate(1, 0xff)).isEqualTo(page - 1);
        assertThat(allocator.withheld()).isEqualTo(1);
        allocator.free(page, 1);
        assertThat(allocator.allocate(1, 0xff)).isEqualTo(page);
    }

    @Test
    void randomUseAgreesWithABitPerPage() {
        long seed = Long.getLong("iommu4j.seed", 20261123L);
        Random random = new Random(seed);
        for (int round = 0; round < 40; round++) {
            agreesWithModel(random, 64 + random.nextInt(2000), "seed " + seed + " round " + round);
        }
    }

    private static void agreesWithModel(Random random, int pages, String where) {
        IovaAllocator allocator = new IovaAllocator(0, pages - 1);
        BitSet used = new BitSet(pages);
        used.set(0);
        for (int i = 0; i < 3; i++) {
            int from = random.nextInt(pages);
            int to = from + random.nextInt(1 + pages / 20);
            allocator.reserve(from, to);
            used.set(from, Math.min(to + 1, pages));
        }
        List<long[]> live = new ArrayList<>();
        for (int step = 0; step < 1500; step++) {
            if (random.nextInt(5) < 3) {
                int length = 1 + random.nextInt(random.nextInt(8) == 0 ? 100 : 6);
                int limit = random.nextInt(4) == 0 ? random.nextInt(pages) : pages - 1;
                long expected = highest(used, length, limit);
                assertThat(allocator.allocate(length, limit)).as(where).isEqualTo(expected);
                if (expected >= 0) {
                    used.set((int) expected, (int) expected + taken(length));
                    live.add(new long[] {expected, length});
                }
            } else if (!live.isEmpty()) {
                long[] range = live.remove(random.nextInt(live.size()));
                allocator.retire(range[0], range[1]);
                allocator.free(range[0], range[1]);
                used.clear((int) range[0], (int) range[0] + taken((int) range[1]));
            }
            assertThat(allocator.given()).as(where).isEqualTo(live.size());
        }
    }

    private static int taken(int length) {
        int power = 1;
        while (power < length) {
            power *= 2;
        }
        return length < 32 ? power : length;
    }

    private static long highest(BitSet used, int length, int limit) {
        int alignment = 1;
        while (alignment < length) {
            alignment *= 2;
        }
        int taken = taken(length);
        for (int start = (limit + 1 - taken) / alignment * alignment;
                limit + 1 >= taken && start >= 0;
                start -= alignment) {
            int next = used.nextSetBit(start);
            if (next < 0 || next >= start + taken) {
                return start;
            }
        }
        return IovaAllocator.NONE;
    }
}
