// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SortedMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestDomain;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.Test;

/**
 * Threads map and unmap while groups come and go.
 *
 * <p>Each makes a number of rounds, or with {@code -Diommu4j.stressSeconds=60} as many as it can in that time.
 */
class ContainerStressTest {
    private static final int THREADS = 3;
    private static final int ROUNDS = 400;

    private final long seconds = Long.getLong("iommu4j.stressSeconds", 0);
    private final long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);

    private boolean goesOn(int round) {
        return seconds == 0 ? round < ROUNDS : System.nanoTime() - end < 0;
    }

    @Test
    void mappingsStayTheSameInEveryDomainWhileGroupsComeAndGo() throws Exception {
        TestHost host = new TestHost();
        TestDevice stays = host.add("00:05.0");
        TestDevice comes = host.add("00:06.0");
        comes.snoopControl = false;
        TestProcess process = new TestProcess().place(0x10_0000, 0x100_0000, 256, true);
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, stays);
        VfioGroup group = host.openGroupOf(comes);
        ExecutorService threads = Executors.newFixedThreadPool(THREADS + 1);
        try {
            List<Future<?>> running = new ArrayList<>();
            for (int thread = 0; thread < THREADS; thread++) {
                long window = thread * 0x100_0000L;
                Random random = new Random(thread);
                running.add(threads.submit(() -> {
                    for (int round = 0; goesOn(round); round++) {
                        long size = (1 + random.nextInt(16)) * 4096L;
                        container.map(window, 0x10_0000, size, VfioContainer.MAP_WRITE);
                        container.map(window + size, 0x12_0000, 0x1000, VfioContainer.MAP_READ);
                        assertThat(container.unmap(window, size, 0)).isEqualTo(size);
                        assertThat(container.unmap(window + size, 0x1000, 0)).isEqualTo(0x1000);
                    }
                    container.map(window, 0x10_0000, 0x8000, VfioContainer.MAP_READ);
                }));
            }
            running.add(threads.submit(() -> {
                for (int round = 0; goesOn(round); round++) {
                    group.setContainer(container);
                    assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU))
                            .isZero();
                    group.unsetContainer();
                    assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU))
                            .isEqualTo(1);
                }
                group.setContainer(container);
            }));
            for (Future<?> future : running) {
                future.get(seconds + 60, TimeUnit.SECONDS);
            }
        } finally {
            threads.shutdownNow();
        }

        SortedMap<Long, String> first = ((TestDomain) container.domains().get(0).domain()).pages();
        assertThat(first).hasSize(THREADS * 8);
        assertThat(((TestDomain) container.domains().get(1).domain()).pages()).isEqualTo(first);
        assertThat(process.pinned()).isEqualTo(THREADS * 8L);
        assertThat(process.charged()).isEqualTo(THREADS * 8L);
    }
}
