// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.dma;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.dma.CoherentBuffer;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.dma.DmaOptions;
import org.iommu4j.dma.ScatterList;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Many threads map and unmap in one domain while another lets time pass: no address is given to two, and nothing leaks.
 *
 * <p>{@code iommu4j.dma.seconds} makes it longer.
 */
class DmaThreadsTest {
    private static final long PAGE = DmaBench.PAGE;
    private static final int THREADS = 4;
    private static final int ROUNDS = 1200;
    private static final long NANOS = TimeUnit.SECONDS.toNanos(Integer.getInteger("iommu4j.dma.seconds", 0));

    /** For each page below 4 GiB, which thread has it: its number plus one. */
    private final AtomicLongArray owners = new AtomicLongArray(1 << 20);

    @ParameterizedTest
    @CsvSource({"intel-sc, DMA", "intel-sc, DMA_FQ", "amd, DMA_FQ", "riscv, DMA_FQ"})
    void noAddressIsGivenToTwo(String machine, DefaultDomainPolicy policy) throws Exception {
        DmaBench bench = DmaBench.flat(machine, "7.3", policy, DmaOptions.DEFAULT.withCpus(2));
        DmaDevice device = bench.dma.bind(DmaBench.GPU);
        long seed = Long.getLong("iommu4j.seed", 20261201L);
        ExecutorService pool = Executors.newFixedThreadPool(THREADS + 1);
        List<Future<?>> all = new ArrayList<>();
        long end = System.nanoTime() + NANOS;
        for (int thread = 0; thread < THREADS; thread++) {
            long mark = thread + 1L;
            long buffer = bench.buffer(6);
            all.add(pool.submit(() -> {
                Random random = new Random(seed + mark);
                for (int round = 0; round < ROUNDS || System.nanoTime() < end; round++) {
                    use(device, random, buffer, mark);
                }
            }));
        }
        Future<?> clock = pool.submit(() -> {
            while (!Thread.currentThread().isInterrupted()) {
                bench.dma.advance(1);
                Thread.onSpinWait();
            }
        });
        try {
            for (Future<?> each : all) {
                each.get();
            }
        } finally {
            clock.cancel(true);
            pool.shutdown();
            assertThat(pool.awaitTermination(1, TimeUnit.MINUTES)).isTrue();
        }
        assertThat(device.mappings()).as("seed %d", seed).isZero();
        bench.dma.advance(10);
        assertThat(bench.dma.waitingForFlush()).as("seed %d", seed).isZero();
        long last = device.mapPage(bench.buffer(0), DmaDirection.TO_DEVICE);
        assertThat(last).as("all addresses are free").isEqualTo(highest(machine));
        device.unmap(last, PAGE, DmaDirection.TO_DEVICE);
        device.close();
        bench.close();
        assertThat(bench.machine.frames().inUse()).isZero();
        assertThat(bench.iommu.quarantinedFrames()).isZero();
    }

    /** The highest address of a fresh domain, whatever is reserved below 4 GiB. */
    private static long highest(String machine) {
        DmaBench fresh = DmaBench.flat(machine, "7.3", DefaultDomainPolicy.DMA);
        return fresh.dma.bind(DmaBench.GPU).mapPage(fresh.buffer(0), DmaDirection.TO_DEVICE);
    }

    private void use(DmaDevice device, Random random, long buffer, long mark) {
        switch (random.nextInt(4)) {
            case 0 -> {
                ScatterList list =
                        new ScatterList().add(buffer + 0x4000, 0x2000).add(buffer, 0x800);
                device.mapScatter(list, DmaDirection.TO_DEVICE);
                long start = list.dmaAddress(0);
                take(start, 3, mark);
                give(start, 3, mark);
                device.unmapScatter(list, DmaDirection.TO_DEVICE);
            }
            case 1 -> {
                CoherentBuffer coherent = device.allocateCoherent(2 * PAGE);
                take(coherent.dmaAddress(), 2, mark);
                give(coherent.dmaAddress(), 2, mark);
                device.freeCoherent(coherent);
            }
            default -> {
                int pages = 1 + random.nextInt(5);
                long iova = device.map(buffer, pages * PAGE, DmaDirection.BIDIRECTIONAL);
                take(iova, pages, mark);
                Thread.onSpinWait();
                give(iova, pages, mark);
                device.unmap(iova, pages * PAGE, DmaDirection.BIDIRECTIONAL);
            }
        }
    }

    private void take(long iova, int pages, long mark) {
        for (int i = 0; i < pages; i++) {
            assertThat(owners.compareAndExchange((int) (iova / PAGE) + i, 0, mark))
                    .isZero();
        }
    }

    private void give(long iova, int pages, long mark) {
        for (int i = 0; i < pages; i++) {
            assertThat(owners.compareAndExchange((int) (iova / PAGE) + i, mark, 0))
                    .isEqualTo(mark);
        }
    }
}
