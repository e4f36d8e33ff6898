// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.iommu4j.platform.SystemMemory;
import org.junit.jupiter.api.Test;

class FlatMemoryTest extends SystemMemoryContract {
    @Override
    SystemMemory memory() {
        return new FlatMemory(1 << 20);
    }

    @Test
    void sizesThatAreNoWholeFramesAreRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> new FlatMemory(4095));
        assertThatIllegalArgumentException().isThrownBy(() -> new FlatMemory(0));
    }

    @Test
    void threadsThatTouchOneFrameAtOnceLoseNoStore() throws Exception {
        int threads = 4;
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            for (int round = 0; round < 200; round++) {
                FlatMemory memory = new FlatMemory(1 << 22);
                CyclicBarrier start = new CyclicBarrier(threads);
                Future<?>[] done = new Future<?>[threads];
                for (int t = 0; t < threads; t++) {
                    long address = 0x20_0000 + t * 8L;
                    done[t] = pool.submit(() -> {
                        start.await();
                        memory.store(address, address);
                        return null;
                    });
                }
                for (Future<?> future : done) {
                    future.get();
                }
                for (int t = 0; t < threads; t++) {
                    assertThat(memory.load(0x20_0000 + t * 8L)).isEqualTo(0x20_0000 + t * 8L);
                }
            }
        } finally {
            pool.shutdownNow();
        }
    }

    @Test
    void aBigMemoryCostsWhatIsTouched() {
        FlatMemory memory = new FlatMemory(1L << 36);
        memory.store((1L << 36) - 8, 1);
        assertThat(memory.load((1L << 36) - 8)).isOne();
    }

    @Test
    void aResetForgetsEverythingAndTheHashIsOfTheContents() {
        FlatMemory memory = new FlatMemory(0x40_0000);
        long empty = memory.contentHash();
        memory.store(0x20_0008, 5);
        memory.store(0x3f_fff8, 6);
        long two = memory.contentHash();
        assertThat(two).isNotEqualTo(empty);
        memory.store(0x1000, 0);
        assertThat(memory.contentHash()).isEqualTo(two);
        memory.store(0x20_0008, 6);
        memory.store(0x3f_fff8, 5);
        assertThat(memory.contentHash()).isNotEqualTo(two);
        memory.reset();
        assertThat(memory.contentHash()).isEqualTo(empty);
        assertThat(memory.load(0x20_0008)).isZero();
    }
}
