// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.ArrayList;
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
