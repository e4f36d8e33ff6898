// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.junit.jupiter.api.Test;

class FramePoolTest {
    @Test
    void contiguousFramesAreAlignedToTheirSize() {
        FramePool pool = new FramePool(0x3000, 64 * 4096);
        assertThat(pool.allocate(0)).isEqualTo(0x3000);
        assertThat(pool.allocate(2)).isEqualTo(0x4000);
        assertThat(pool.allocate(3)).isEqualTo(0x8000);
        assertThat(pool.allocate(0)).isEqualTo(0x10000);
        assertThat(pool.inUse()).isEqualTo(14);
    }

    @Test
    void anEmptyPoolSaysEnomem() {
        FramePool pool = new FramePool(0, 2 * 4096);
        pool.allocate(0);
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(() -> pool.allocate(1))
                .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.ENOMEM));
        assertThat(pool.allocate(0)).isEqualTo(0x1000);
    }

    @Test
    void freeingTwiceOrElsewhereIsABug() {
        FramePool pool = new FramePool(0x10000, 16 * 4096);
        long frame = pool.allocate(0);
        pool.free(frame, 0);
        assertThatIllegalStateException().isThrownBy(() -> pool.free(frame, 0)).withMessageContaining("free already");
        assertThatIllegalStateException()
                .isThrownBy(() -> pool.free(0, 0))
                .withMessageContaining("no frame of this pool");
    }

    @Test
    void whatIsFreedIsABlockOfItsOrderThatIsGivenOut() {
        FramePool pool = new FramePool(0x10000, 16 * 4096);
        long block = pool.allocate(2);
        long single = pool.allocate(0);
        for (int order : new int[] {-1, 11, 31, 32, 63, Integer.MIN_VALUE}) {
            assertThatIllegalStateException()
                    .isThrownBy(() -> pool.free(block, order))
                    .withMessageContaining("order " + order);
        }
        for (long address : new long[] {0, block - 4096, block + 1, 0x20000, -4096, Long.MIN_VALUE, Long.MAX_VALUE}) {
            assertThatIllegalStateException().as("0x%x", address).isThrownBy(() -> pool.free(address, 0));
        }
        assertThatIllegalStateException().as("misaligned").isThrownBy(() -> pool.free(block + 4096, 1));
        assertThatIllegalStateException().as("beyond the end").isThrownBy(() -> pool.free(0x1c000, 3));
        assertThatIllegalStateException().as("half of it is free").isThrownBy(() -> pool.free(single, 1));
        assertThat(pool.inUse()).isEqualTo(5);
        pool.free(block + 2 * 4096, 1);
        pool.free(block, 0);
        pool.free(block + 4096, 0);
        pool.free(single, 0);
        assertThat(pool.inUse()).isZero();
        assertThat(pool.allocate(4)).isEqualTo(0x10000);
    }

    /** Counts the frames that a search walks over. */
    private static final class Counted extends BitSet {
        private static final long serialVersionUID = 1;
        private long walked;

        @Override
        public int nextClearBit(int from) {
            int found = super.nextClearBit(from);
            walked += found - from;
            return found;
        }
    }

    @Test
    void aLargeBlockBehindAGapDoesNotMakeLaterSearchesLong() {
        int count = 1 << 15;
        Counted used = new Counted();
        FramePool pool = new FramePool(0x1000, 4096L * (count + 2048), used);
        pool.allocate(9);
        for (int i = 0; i < count; i++) {
            pool.allocate(0);
        }
        assertThat(pool.inUse()).isEqualTo(count + 512);
        assertThat(used.walked).as("once over the block, no step a frame").isLessThan(2 * 1024);
    }

    @Test
    void nothingIsGivenOutTwiceAndEverythingComesBack() {
        long seed = Long.getLong("seed", 3);
        Random random = new Random(seed);
        FramePool pool = new FramePool(0x5000, 300 * 4096);
        List<long[]> held = new ArrayList<>();
        Set<Long> frames = new HashSet<>();
        for (int i = 0; i < 20_000; i++) {
            if (random.nextBoolean() && held.size() < 40) {
                int order = random.nextInt(4);
                long address;
                try {
                    address = pool.allocate(order);
                } catch (IommuException e) {
                    assertThat(e.errno()).isEqualTo(Errno.ENOMEM);
                    continue;
                }
                assertThat(address % (4096L << order)).as("seed %d", seed).isZero();
                for (int k = 0; k < 1 << order; k++) {
                    assertThat(frames.add(address + k * 4096L))
                            .as("seed %d", seed)
                            .isTrue();
                }
                held.add(new long[] {address, order});
            } else if (!held.isEmpty()) {
                long[] gone = held.remove(random.nextInt(held.size()));
                pool.free(gone[0], (int) gone[1]);
                for (int k = 0; k < 1 << gone[1]; k++) {
                    frames.remove(gone[0] + k * 4096L);
                }
            }
            assertThat(pool.inUse()).isEqualTo(frames.size());
        }
    }
}
