// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.sim.pcie.Endpoint;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A device that asks, somebody who maps and answers, and somebody who takes the PASID away and gives it back, all at
 * once.
 */
class ConcurrentPageRequestsTest {
    private static final long PAGE = 4096;
    private static final int PASID = 5;
    private static final int PAGES = 64;
    private static final int MOVES = 12;
    private static final int ANSWERS_PER_MOVE = 3;
    /** Nothing takes so long; whoever waits gives up then, and the test fails. */
    private static final long SECONDS = 30;

    private static final int PRI_STATUS = 0x126;
    private static final int STOPPED = 0x100;

    @ParameterizedTest
    @EnumSource
    void whoeverComesInBetweenNothingIsLeftUnanswered(PageRequestsOnSiliconTest.Vendor vendor) throws Exception {
        Bench bench = new Bench(vendor.configuration().flat());
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.PASID));
        bench.attach(domain, bench.device());
        domain.pasidAttachment().orElseThrow().attach(bench.device(), PASID);
        PageRequests requests = bench.device().pageRequests().orElseThrow();
        requests.enable();
        Progress progress = new Progress(
                new AtomicInteger(), new AtomicBoolean(), System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS));
        ExecutorService threads = Executors.newFixedThreadPool(3);
        List<Future<Integer>> results = new ArrayList<>();
        results.add(threads.submit(new Device(bench, progress)));
        results.add(threads.submit(new Pager(bench, domain, requests, progress)));
        results.add(threads.submit(new Mover(bench, domain, progress)));
        threads.shutdown();
        List<Integer> rounds = new ArrayList<>();
        for (Future<Integer> result : results) {
            rounds.add(result.get(60, TimeUnit.SECONDS));
        }
        assertThat(rounds.get(0)).as("pages reached").isPositive();
        assertThat(rounds.get(1)).as("groups answered").isGreaterThanOrEqualTo(MOVES * ANSWERS_PER_MOVE);
        assertThat(rounds.get(2)).as("moves").isEqualTo(MOVES);
        requests.disable();
        assertThat(bench.endpoint().config().read(PRI_STATUS, 2) & STOPPED)
                .as("all are answered")
                .isNotZero();
        assertThat(bench.iommu().quarantinedFrames()).isZero();
    }

    /** How far all are, and whether the moves are over. */
    private record Progress(AtomicInteger answered, AtomicBoolean over, long deadline) {
        boolean goesOn() {
            return !over.get() && System.nanoTime() < deadline;
        }
    }

    /** Reads pages, there or not, and returns how often it reached one. */
    private record Device(Bench bench, Progress progress) implements Callable<Integer> {
        @Override
        public Integer call() {
            Random random = new Random(5);
            Endpoint endpoint = bench.withPasid(PASID);
            int reached = 0;
            while (progress.goesOn()) {
                int page = random.nextInt(PAGES);
                long value = endpoint.read(IOVA + page * PAGE, false);
                switch (endpoint.lastStatus()) {
                    case DONE -> {
                        assertThat(value).as("seed 5, page %d", page).isEqualTo(page + 1);
                        reached++;
                    }
                    case PAGE_AWAITED, TRANSLATION_FAULT -> {
                        // Somebody answers, or the PASID is away.
                    }
                    default -> throw new AssertionError("seed 5: " + endpoint.lastStatus());
                }
            }
            return reached;
        }
    }

    /** Maps what is asked for, takes other pages away, and returns how many groups it answered itself. */
    private record Pager(Bench bench, IommuDomain domain, PageRequests requests, Progress progress)
            implements Callable<Integer> {
        @Override
        public Integer call() {
            Random random = new Random(6);
            while (progress.goesOn()) {
                bench.machine().runPending();
                for (PageRequestGroup group : requests.take()) {
                    for (PageRequest request : group.pages()) {
                        provide(request.address());
                    }
                    answer(group);
                }
                long victim = IOVA + random.nextInt(PAGES) * PAGE;
                if (domain.translate(victim) != IommuDomain.UNMAPPED) {
                    bench.unmap(domain, victim, PAGE);
                }
            }
            return progress.answered.get();
        }

        private void provide(long iova) {
            if (domain.translate(iova) == IommuDomain.UNMAPPED) {
                bench.store(SCRATCH + (iova - IOVA), (iova - IOVA) / PAGE + 1);
                bench.map(domain, iova, SCRATCH + (iova - IOVA));
            }
        }

        private void answer(PageRequestGroup group) {
            try {
                requests.respond(group, PageResponse.SUCCESS);
                progress.answered.incrementAndGet();
            } catch (IommuException e) {
                assertThat(e.errno()).as("the driver was first").isEqualTo(Errno.EINVAL);
            }
        }
    }

    /** Detaches and attaches the PASID whenever some groups were answered. */
    private record Mover(Bench bench, IommuDomain domain, Progress progress) implements Callable<Integer> {
        @Override
        public Integer call() {
            int rounds = 0;
            while (rounds < MOVES && progress.goesOn()) {
                domain.pasidAttachment().orElseThrow().detach(bench.device(), PASID);
                domain.pasidAttachment().orElseThrow().attach(bench.device(), PASID);
                rounds++;
                int enough = progress.answered.get() + ANSWERS_PER_MOVE;
                while (progress.answered.get() < enough && progress.goesOn()) {
                    bench.machine().runPending();
                }
            }
            progress.over.set(true);
            return rounds;
        }
    }
}
