// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.Random;
import org.iommu4j.platform.SystemMemory;
import org.junit.jupiter.api.Test;

/** What every adapter of {@link SystemMemory} does; extend it and give memory of at least 1 MiB. */
abstract class SystemMemoryContract {
    abstract SystemMemory memory();

    @Test
    void memoryThatWasNeverStoredToReadsAsZero() {
        SystemMemory memory = memory();
        assertThat(memory.load(0x3008)).isZero();
        assertThat(memory.leadingClear(0x3000, -1L, 512)).isEqualTo(512);
        assertThat(memory.leadingSet(0x3000, -1L, 512)).isZero();
    }

    @Test
    void aRunStoresAnArithmeticSeriesAndNothingElse() {
        SystemMemory memory = memory();
        memory.storeRun(0x1010, 0x8000_0000_0000_0803L, 0x1000, 3);
        assertThat(new long[] {
                    memory.load(0x1008),
                    memory.load(0x1010),
                    memory.load(0x1018),
                    memory.load(0x1020),
                    memory.load(0x1028)
                })
                .containsExactly(0, 0x8000_0000_0000_0803L, 0x8000_0000_0000_1803L, 0x8000_0000_0000_2803L, 0);
    }

    @Test
    void runsAreCountedUpToTheFirstWordThatDiffers() {
        SystemMemory memory = memory();
        memory.storeRun(0x2000, 1, 0, 10);
        memory.store(0x2000 + 10 * 8, 4);
        assertThat(memory.leadingSet(0x2000, 3, 512)).isEqualTo(10);
        assertThat(memory.leadingSet(0x2000, 3, 7)).isEqualTo(7);
        assertThat(memory.leadingSet(0x2000, 7, 512)).isEqualTo(11);
        assertThat(memory.leadingClear(0x2000 + 10 * 8, 3, 5)).isEqualTo(5);
        assertThat(memory.leadingClear(0x2000, 1, 5)).isZero();
    }

    @Test
    void compareAndSetChangesOnlyTheExpectedValue() {
        SystemMemory memory = memory();
        memory.store(0x4000, 5);
        assertThat(memory.compareAndSet(0x4000, 4, 9)).isFalse();
        assertThat(memory.load(0x4000)).isEqualTo(5);
        assertThat(memory.compareAndSet(0x4000, 5, 9)).isTrue();
        assertThat(memory.load(0x4000)).isEqualTo(9);
    }

    @Test
    void addressesOutsideMemoryAndRunsThatLeaveAFrameAreBugs() {
        SystemMemory memory = memory();
        assertThatIllegalStateException().isThrownBy(() -> memory.load(-8)).withMessageContaining("0xfffffffffffffff8");
        assertThatIllegalStateException().isThrownBy(() -> memory.store(1L << 52, 1));
        assertThatIllegalStateException().isThrownBy(() -> memory.load(0x1004));
        assertThatIllegalStateException().isThrownBy(() -> memory.storeRun(0x1ff8, 0, 0, 2));
        assertThatIllegalStateException().isThrownBy(() -> memory.storeRun(0x1ff8, 0, 0, Integer.MAX_VALUE));
        assertThatIllegalStateException().isThrownBy(() -> memory.leadingClear(0x1ff8, 1, Integer.MAX_VALUE));
        assertThatIllegalStateException().isThrownBy(() -> memory.leadingClear(0x1000, 1, 0));
    }

    @Test
    void randomStoresAndRunsReadBackAsAnArrayWould() {
        long seed = Long.getLong("seed", 7);
        Random random = new Random(seed);
        SystemMemory memory = memory();
        long[] model = new long[4 * 512];
        for (int i = 0; i < 20_000; i++) {
            int word = random.nextInt(model.length);
            int run = 1 + random.nextInt(512 - word % 512);
            long value = random.nextInt(4);
            if (random.nextInt(8) == 0) {
                memory.storeRun(word * 8L, value, 1, run);
                for (int k = 0; k < run; k++) {
                    model[word + k] = value + k;
                }
            } else {
                memory.store(word * 8L, value);
                model[word] = value;
            }
            int probe = random.nextInt(model.length);
            int count = 1 + random.nextInt(512 - probe % 512);
            int clear = 0;
            while (clear < count && (model[probe + clear] & 1) == 0) {
                clear++;
            }
            assertThat(memory.load(probe * 8L)).as("seed %d step %d", seed, i).isEqualTo(model[probe]);
            assertThat(memory.leadingClear(probe * 8L, 1, count))
                    .as("seed %d step %d", seed, i)
                    .isEqualTo(clear);
        }
    }
}
