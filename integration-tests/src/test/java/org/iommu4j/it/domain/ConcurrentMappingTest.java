// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;
import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.CAP_5_LEVELS;
import static org.iommu4j.it.domain.ScalableMachines.COHERENT;
import static org.iommu4j.it.domain.ScalableMachines.ECAP;
import static org.iommu4j.it.domain.ScalableMachines.EVERYTHING;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;
import static org.iommu4j.it.domain.ScalableMachines.SECOND_STAGE;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.sim.pcie.Endpoint;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Two threads map, unmap and let a device work in one domain, each in ranges of its own that share tables with the
 * other's. Each thread compares all with its own model, by its own requester and by a walk by hand.
 */
class ConcurrentMappingTest {
    private static final long PAGE = 4096;
    /** A quarter of a last-level table each: every table has pages of both threads. */
    private static final int SHARE = 128;

    private static final int TABLES = 6;

    /**
     * How long each configuration is worked on: {@code -Diommu4j.concurrent.millis=60000} for more than a first look.
     */
    private static final long MILLISECONDS = Long.getLong("iommu4j.concurrent.millis", 700);

    static List<Configuration> configurations() {
        long first = ECAP | FIRST_STAGE;
        long second = ECAP | SECOND_STAGE;
        Configuration pasids = ScalableMachines.of("PASIDs", CAP, EVERYTHING);
        return List.of(
                DomainConfigurations.smallest().flat(),
                IntelDomainContractTest.configurations().get(0).flat(),
                IntelDomainContractTest.configurations().get(5).flat(),
                ScalableMachines.of("second stage", CAP, second).flat(),
                ScalableMachines.of("second stage, non-coherent walk", CAP, second & ~COHERENT)
                        .flat(),
                ScalableMachines.of("first stage", CAP, first).flat(),
                ScalableMachines.of("first stage, non-coherent walk", CAP, first & ~COHERENT)
                        .flat(),
                ScalableMachines.of("first stage of 5 levels", CAP_5_LEVELS, first)
                        .flat(),
                ScalableMachines.withDevices(pasids, true).flat(),
                AmdDomainContractTest.configurations().get(0).flat(),
                AmdDomainContractTest.configurations().get(4).flat(),
                AmdGuestDomainContractTest.of("guest tables", 4).flat(),
                AmdGuestDomainContractTest.withPasids(true).flat());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void twoThreadsInDisjointRangesDoNotDisturbEachOther(Configuration configuration) throws Exception {
        Bench bench = new Bench(configuration);
        IommuDomain domain = bench.attached();
        long frames = bench.framesInUse();
        ExecutorService threads = Executors.newFixedThreadPool(2);
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(MILLISECONDS);
        List<Future<Long>> results = new ArrayList<>();
        for (int thread = 0; thread < 2; thread++) {
            Worker worker = new Worker(bench, domain, thread, deadline);
            results.add(threads.submit(worker));
        }
        threads.shutdown();
        for (Future<Long> result : results) {
            assertThat(result.get(MILLISECONDS + 60_000, TimeUnit.MILLISECONDS))
                    .as("rounds")
                    .isGreaterThan(50);
        }
        domain.detach(bench.device());
        domain.close();
        assertThat(bench.framesInUse()).as("frames in use").isLessThan(frames);
    }

    private record Worker(Bench bench, IommuDomain domain, int thread, long deadline) implements Callable<Long> {
        @Override
        public Long call() {
            long seed = 77L + thread;
            Random random = new Random(seed);
            Endpoint endpoint = bench.endpoint().fork();
            IotlbGather gather = new IotlbGather();
            boolean[] mapped = new boolean[TABLES * SHARE];
            long rounds = 0;
            while (System.nanoTime() < deadline) {
                int from = random.nextInt(TABLES * SHARE);
                int count = Math.min(1 + random.nextInt(60), SHARE - from % SHARE);
                int first = from;
                while (first < from + count && mapped[first]) {
                    first++;
                }
                if (first > from) {
                    // What is mapped here from the start on goes.
                    long size = (first - from) * PAGE;
                    assertThat(domain.unmap(iova(from), size, gather)).isEqualTo(size);
                    domain.sync(gather);
                } else {
                    while (first < from + count && !mapped[first]) {
                        first++;
                    }
                    domain.map(iova(from), physical(from), PAGE, first - from, READ_WRITE);
                    domain.syncMap(iova(from), (first - from) * PAGE);
                }
                for (int page = from; page < first; page++) {
                    mapped[page] = !mapped[page];
                    check(endpoint, page, mapped[page], seed);
                }
                check(endpoint, random.nextInt(mapped.length), mapped, seed);
                rounds++;
            }
            for (int page = 0; page < mapped.length; page++) {
                check(endpoint, page, mapped, seed);
            }
            return rounds;
        }

        private void check(Endpoint endpoint, int page, boolean[] mapped, long seed) {
            check(endpoint, page, mapped[page], seed);
        }

        private void check(Endpoint endpoint, int page, boolean isMapped, long seed) {
            LeafFormat.Leaf leaf = bench.walk(iova(page));
            assertThat(leaf.present()).as("seed %d, page %d", seed, page).isEqualTo(isMapped);
            assertThat(domain.translate(iova(page))).isEqualTo(isMapped ? physical(page) : IommuDomain.UNMAPPED);
            if (isMapped) {
                assertThat(leaf.physicalAddress()).isEqualTo(physical(page));
                bench.assertReaches(endpoint, iova(page), physical(page));
            } else {
                bench.assertRefused(endpoint, iova(page));
            }
        }

        private long iova(int page) {
            return IOVA + (page / SHARE * 512L + thread * 256L + page % SHARE) * PAGE;
        }

        private long physical(int page) {
            return SCRATCH + (thread * TABLES * SHARE + page) * PAGE;
        }
    }
}
