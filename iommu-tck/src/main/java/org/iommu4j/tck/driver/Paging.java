// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Requester;

/**
 * A device that asks, two threads that map and answer, and one that takes the PASID away and gives it back, all at
 * once.
 */
final class Paging {
    private static final int PAGES = 64;
    private static final int MOVES = 4;
    private static final int ANSWERS_PER_MOVE = 3;
    /** Nothing takes so long; whoever waits gives up then, and the test fails. */
    private static final long SECONDS = 30;

    private final Bench bench;
    private final IommuDomain domain;
    private final PageRequests requests;
    private final int pasid;
    private final long seed;
    private final AtomicInteger answered = new AtomicInteger();
    private final AtomicBoolean over = new AtomicBoolean();
    private final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);

    /** Takes a domain that the PASID is attached to, and requests that are enabled. */
    Paging(Bench bench, IommuDomain domain, PageRequests requests, int pasid) {
        this.bench = bench;
        this.domain = domain;
        this.requests = requests;
        this.pasid = pasid;
        this.seed = bench.random().nextLong();
    }

    void run() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            Future<Integer> reached = threads.submit(this::ask);
            Future<Integer> first = threads.submit(pager(1));
            Future<Integer> second = threads.submit(pager(2));
            Future<Integer> moves = threads.submit(this::move);
            assertThat(moves.get(2 * SECONDS, TimeUnit.SECONDS)).as("moves").isEqualTo(MOVES);
            assertThat(reached.get(2 * SECONDS, TimeUnit.SECONDS))
                    .as("pages reached")
                    .isPositive();
            assertThat(first.get(2 * SECONDS, TimeUnit.SECONDS) + second.get(2 * SECONDS, TimeUnit.SECONDS))
                    .as("groups answered")
                    .isGreaterThanOrEqualTo(MOVES * ANSWERS_PER_MOVE);
        } finally {
            over.set(true);
            threads.shutdownNow();
        }
    }

    private boolean goesOn() {
        return !over.get() && System.nanoTime() < deadline;
    }

    /** Reads pages, there or not, and returns how often it reached one. */
    private int ask() {
        Random random = new Random(seed);
        Requester requester = bench.requester().withPasid(pasid);
        int reached = 0;
        while (goesOn()) {
            int page = random.nextInt(PAGES);
            long value = requester.read(bench.iova() + page * bench.granule(), false);
            switch (requester.status()) {
                case DONE -> {
                    assertThat(value).as("page %d", page).isEqualTo(page + 1);
                    reached++;
                }
                case PAGE_AWAITED, TRANSLATION_FAULT -> {
                    // Somebody answers, or the PASID is away.
                }
                default -> throw new AssertionError(requester.status());
            }
        }
        return reached;
    }

    /** Maps what is asked for and takes other pages away; each pager has half of the pages to take away. */
    private Callable<Integer> pager(int number) {
        return () -> {
            Random random = new Random(seed + number);
            IotlbGather gather = new IotlbGather();
            int count = 0;
            while (goesOn()) {
                bench.machine().runPending();
                for (PageRequestGroup group : requests.take()) {
                    for (PageRequest request : group.pages()) {
                        provide(request.address() & -bench.granule());
                    }
                    count += answer(group) ? 1 : 0;
                }
                synchronized (this) {
                    long victim = bench.iova() + random.nextInt(PAGES) * bench.granule();
                    if (domain.translate(victim) != IommuDomain.UNMAPPED) {
                        domain.unmap(victim, bench.granule(), gather);
                        domain.sync(gather);
                    }
                }
            }
            return count;
        };
    }

    private synchronized void provide(long iova) {
        if (domain.translate(iova) == IommuDomain.UNMAPPED) {
            long at = bench.scratch() + (iova - bench.iova());
            bench.store(at, (iova - bench.iova()) / bench.granule() + 1);
            domain.map(iova, at, bench.granule(), 1, Bench.READ_WRITE);
            domain.syncMap(iova, bench.granule());
        }
    }

    private boolean answer(PageRequestGroup group) {
        try {
            requests.respond(group, PageResponse.SUCCESS);
            answered.incrementAndGet();
            return true;
        } catch (IommuException e) {
            assertThat(e.errno()).as("the driver was first").isEqualTo(Errno.EINVAL);
            return false;
        }
    }

    /** Detaches and attaches the PASID whenever some groups were answered. */
    private int move() {
        int rounds = 0;
        while (rounds < MOVES && goesOn()) {
            PasidContract.pasids(domain).detach(bench.device(), pasid);
            PasidContract.pasids(domain).attach(bench.device(), pasid);
            rounds++;
            int enough = answered.get() + ANSWERS_PER_MOVE;
            while (answered.get() < enough && goesOn()) {
                bench.machine().runPending();
            }
        }
        over.set(true);
        return rounds;
    }
}
