// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import java.util.List;
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
import org.iommu4j.IotlbGather;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
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
    private static final long SECONDS = 10;

    private final Bench bench;
    private final IommuDomain domain;
    private final PageRequests requests;
    private final int pasid;
    private final long seed;
    private final AtomicInteger answered = new AtomicInteger();
    private final AtomicInteger reached = new AtomicInteger();
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
            Future<Integer> asker = threads.submit(ending(this::ask));
            Future<Integer> first = threads.submit(ending(pager(1)));
            Future<Integer> second = threads.submit(ending(pager(2)));
            Future<Integer> moves = threads.submit(ending(this::move));
            for (Future<Integer> each : List.of(asker, first, second)) {
                each.get(2 * SECONDS, TimeUnit.SECONDS);
            }
            assertThat(moves.get(2 * SECONDS, TimeUnit.SECONDS)).as("moves").isEqualTo(MOVES);
            assertThat(reached).as("pages reached").hasPositiveValue();
            assertThat(first.get(2 * SECONDS, TimeUnit.SECONDS) + second.get(2 * SECONDS, TimeUnit.SECONDS))
                    .as("groups answered")
                    .isGreaterThanOrEqualTo(MOVES * ANSWERS_PER_MOVE);
        } finally {
            over.set(true);
            threads.shutdownNow();
        }
        assertNothingIsAwaited();
    }

    /** Answers what is left; then the device asks anew for each page that is not there, one at least. */
    private void assertNothingIsAwaited() {
        bench.machine().runPending();
        requests.take().forEach(this::answer);
        takeAway(bench.iova(), new IotlbGather());
        Requester requester = bench.requester().withPasid(pasid);
        for (int page = 0; page < PAGES; page++) {
            requester.read(bench.iova() + page * bench.granule(), false);
            if (requester.status() == RequestStatus.PAGE_AWAITED) {
                bench.machine().runPending();
                List<PageRequestGroup> groups = requests.take();
                assertThat(groups)
                        .as("requests for page %d, of which none is open", page)
                        .hasSize(1);
                provide(bench.iova() + page * bench.granule());
                assertThat(answer(groups.get(0))).isTrue();
                assertThat(answer(groups.get(0))).as("answered once more").isFalse();
                assertThat(requester.read(bench.iova() + page * bench.granule(), false))
                        .as("page %d", page)
                        .isEqualTo(page + 1);
            }
        }
    }

    /** Has all others end as well when one fails. */
    private Callable<Integer> ending(Callable<Integer> work) {
        return () -> {
            boolean done = false;
            try {
                int result = work.call();
                done = true;
                return result;
            } finally {
                if (!done) {
                    over.set(true);
                }
            }
        };
    }

    private boolean goesOn() {
        return !over.get() && System.nanoTime() < deadline;
    }

    /** Reads pages, there or not, and returns how many reads it made. */
    private int ask() {
        Random random = new Random(seed);
        Requester requester = bench.requester().withPasid(pasid);
        int reads = 0;
        while (goesOn()) {
            int page = random.nextInt(PAGES);
            reads++;
            long value = requester.read(bench.iova() + page * bench.granule(), false);
            switch (requester.status()) {
                case DONE -> {
                    assertThat(value).as("page %d", page).isEqualTo(page + 1);
                    reached.incrementAndGet();
                }
                case PAGE_AWAITED, TRANSLATION_FAULT -> {
                    // Somebody answers, or the PASID is away.
                }
                default -> throw new AssertionError(requester.status());
            }
        }
        return reads;
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
                    takeAway(bench.iova() + random.nextInt(PAGES) * bench.granule(), gather);
                }
            }
            return count;
        };
    }

    private void takeAway(long iova, IotlbGather gather) {
        if (domain.translate(iova) != IommuDomain.UNMAPPED) {
            domain.unmap(iova, bench.granule(), gather);
            domain.sync(gather);
        }
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
        // It is refused where the driver was first.
        boolean done = Errnos.isDone(EnumSet.of(Errno.EINVAL), () -> requests.respond(group, PageResponse.SUCCESS));
        if (done) {
            answered.incrementAndGet();
        }
        return done;
    }

    /**
     * Detaches and attaches the PASID whenever some groups were answered, and ends when the device reached a page too:
     * a slow machine's threads may take each page away before the device comes back for it.
     */
    private int move() {
        int rounds = 0;
        while (rounds < MOVES && goesOn()) {
            Homes.pasids(domain).detach(bench.device(), pasid);
            Homes.pasids(domain).attach(bench.device(), pasid);
            rounds++;
            int enough = answered.get() + ANSWERS_PER_MOVE;
            while (answered.get() < enough && goesOn()) {
                bench.machine().runPending();
            }
        }
        while (reached.get() == 0 && goesOn()) {
            bench.machine().runPending();
        }
        over.set(true);
        return rounds;
    }
}
