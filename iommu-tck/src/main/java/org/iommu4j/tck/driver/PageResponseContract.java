// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Asker.NO_DOMAINS_PASID;
import static org.iommu4j.tck.driver.Asker.OTHER_PASID;
import static org.iommu4j.tck.driver.Asker.PASID;
import static org.iommu4j.tck.driver.Asker.UNEXPECTED_GROUP;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.iommu4j.Errno;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.Prot;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link PageRequests#take} and {@link PageRequests#respond}. */
@NeedsAbility(Ability.PAGE_REQUESTS)
public abstract class PageResponseContract {
    /** No queue has room for so many. */
    private static final int MOST_REQUESTS = 1 << 18;

    /** Made by JUnit. */
    protected PageResponseContract() {}

    // Taking.

    @Test
    @Promise("take-1")
    void wholeGroupsAreTakenOldestFirstAndOnce(Bench bench) {
        Asker asker = new Asker(bench);
        assertThat(asker.take()).isEmpty();
        assertThat(asker.endpoint.requestPages(true, asker.at(0) + 8, asker.at(1), asker.at(5)))
                .isTrue();
        PageRequestGroup three = asker.takeOne();
        assertThat(three.requester()).isEqualTo(bench.device().id());
        assertThat(three.pasid()).isEqualTo(PASID);
        assertThat(three.pages())
                .containsExactly(
                        new PageRequest(asker.at(0), false, true, false, false),
                        new PageRequest(asker.at(1), false, true, false, false),
                        new PageRequest(asker.at(5), false, true, false, false));
        assertThat(asker.take()).isEmpty();
        asker.ask(asker.endpoint, 6);
        asker.ask(asker.other, 7);
        bench.machine().runPending();
        asker.ask(asker.endpoint, 8);
        List<PageRequestGroup> groups = asker.take();
        assertThat(groups)
                .extracting(group -> group.pages().get(0).address())
                .containsExactly(asker.at(6), asker.at(7), asker.at(8));
        assertThat(groups.get(0).pages()).containsExactly(new PageRequest(asker.at(6), true, false, false, false));
        assertThat(groups).extracting(PageRequestGroup::index).doesNotHaveDuplicates();
        assertThat(asker.take()).isEmpty();
        asker.respond(three, PageResponse.SUCCESS);
        groups.forEach(group -> asker.respond(group, PageResponse.SUCCESS));
        assertThat(asker.take()).isEmpty();
        // Parts wait for their last: the order is that of the last ones.
        asker.post(PASID, 0, 300, false);
        asker.post(OTHER_PASID, 1, 300, false);
        assertThat(asker.take()).isEmpty();
        asker.post(PASID, 2, 301, true);
        asker.post(OTHER_PASID, 3, 300, true);
        asker.post(PASID, 4, 300, false);
        asker.post(PASID, 5, 300, true);
        List<PageRequestGroup> parts = asker.take();
        assertThat(parts).extracting(PageRequestGroup::index).containsExactly(301, 300, 300);
        assertThat(parts).extracting(PageRequestGroup::pasid).containsExactly(PASID, OTHER_PASID, PASID);
        assertThat(parts.get(1).pages()).extracting(PageRequest::address).containsExactly(asker.at(1), asker.at(3));
        assertThat(parts.get(2).pages())
                .extracting(PageRequest::address)
                .containsExactly(asker.at(0), asker.at(4), asker.at(5));
        // Many at once, and the queue goes round.
        for (int round = 0; round < 12; round++) {
            for (int i = 0; i < 200; i++) {
                asker.post(PASID, i, 100 + i, true);
            }
            assertThat(asker.take())
                    .extracting(group -> group.pages().get(0).address())
                    .containsExactlyElementsOf(
                            IntStream.range(0, 200).mapToObj(asker::at).toList());
        }
    }

    @Test
    @Promise("take-2")
    void takingWaitsForNothing(Bench whole) {
        long[] waits = new long[1];
        Bench bench = whole.on(context -> context.withWaiter((condition, ticks) -> {
            waits[0]++;
            return context.waiter().await(condition, ticks);
        }));
        Asker asker = new Asker(bench);
        long before = waits[0];
        assertThat(asker.requests.take()).isEmpty();
        asker.ask(asker.endpoint, 0);
        // On its way; comes with one of the calls, and no later than after the unit's work.
        List<PageRequestGroup> groups = new ArrayList<>(asker.requests.take());
        groups.addAll(asker.take());
        assertThat(groups).hasSize(1);
        assertThat(asker.requests.take()).isEmpty();
        assertThat(waits[0]).as("waits").isEqualTo(before);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("take-3")
    void takingTellsThatAnAnswerWasNotPassedOn(Bench whole) {
        Silence silence = new Silence();
        Asker asker = new Asker(whole.on(silence::in));
        assertThat(asker.with(NO_DOMAINS_PASID).requestPages(false, asker.at(0)))
                .isTrue();
        asker.bench.machine().runPending();
        silence.during(() -> assertRefused(NOT_COMPLETED, asker.requests::take));
    }

    // Answering.

    @Test
    @Promise("respond-1")
    void anAnswerReachesTheDeviceForItsGroup(Bench bench) {
        Asker asker = new Asker(bench);
        for (PageResponse response :
                new PageResponse[] {PageResponse.SUCCESS, PageResponse.INVALID, PageResponse.SUCCESS}) {
            asker.ask(asker.endpoint, 0);
            asker.ask(asker.endpoint, 1);
            asker.ask(asker.other, 0);
            List<PageRequestGroup> groups = asker.take();
            assertThat(groups).hasSize(3);
            // The second first: the device still waits for the others.
            asker.respond(groups.get(1), response);
            assertThat(asker.endpoint.lastPageResponse()).isEqualTo(response.code());
            asker.ask(asker.endpoint, 0);
            asker.ask(asker.other, 0);
            asker.ask(asker.endpoint, 1);
            PageRequestGroup again = asker.takeOne();
            assertThat(again.pages()).extracting(PageRequest::address).containsExactly(asker.at(1));
            asker.respond(groups.get(2), response);
            asker.ask(asker.endpoint, 0);
            asker.ask(asker.other, 0);
            PageRequestGroup third = asker.takeOne();
            assertThat(third.pasid()).isEqualTo(OTHER_PASID);
            asker.respond(groups.get(0), response);
            asker.respond(again, response);
            asker.respond(third, response);
            assertThat(asker.status() & UNEXPECTED_GROUP)
                    .as("answers to nothing")
                    .isZero();
        }
        asker.assertNothingIsOpen();
        asker.requests.enable();
        asker.ask(asker.endpoint, 0);
        asker.respond(asker.takeOne(), PageResponse.FAILURE);
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.FAILURE.code());
    }

    @Test
    @Promise("respond-1")
    void pagesThatAreAskedForTogetherAreReachedAfterOneAnswer(Bench bench) {
        Asker asker = new Asker(bench);
        assertThat(asker.endpoint.requestPages(true, asker.at(0), asker.at(1), asker.at(5)))
                .isTrue();
        PageRequestGroup group = asker.takeOne();
        for (int i : new int[] {0, 1, 5}) {
            bench.map(asker.domain, asker.at(i), bench.scratch() + i * asker.page, asker.page, 1, READ_WRITE);
        }
        asker.respond(group, PageResponse.SUCCESS);
        for (int i : new int[] {5, 1, 0}) {
            bench.assertReaches(new Requester.OnPci(asker.endpoint), asker.at(i), bench.scratch() + i * asker.page);
        }
        // What may read one asks again to write it.
        asker.ask(asker.endpoint, 9);
        PageRequestGroup toRead = asker.takeOne();
        bench.map(asker.domain, asker.at(9), bench.scratch(), asker.page, 1, Prot.READ | Prot.CACHE);
        asker.respond(toRead, PageResponse.SUCCESS);
        assertThat(asker.read(asker.endpoint, 9)).isEqualTo(RequestStatus.DONE);
        assertThat(asker.endpoint.write(asker.at(9), 12, false)).isFalse();
        PageRequestGroup toWrite = asker.takeOne();
        assertThat(toWrite.pages()).containsExactly(new PageRequest(asker.at(9), false, true, false, false));
        bench.unmap(asker.domain, asker.at(9), asker.page);
        bench.map(asker.domain, asker.at(9), bench.scratch());
        asker.respond(toWrite, PageResponse.SUCCESS);
        bench.assertReaches(new Requester.OnPci(asker.endpoint), asker.at(9), bench.scratch());
        assertThat(bench.iommu().takeFaults()).as("what waits is no fault").isEmpty();
        asker.assertNothingIsOpen();
    }

    @Test
    @Promise("respond-2")
    void anEqualGroupIsAnother(Bench bench) {
        Asker asker = new Asker(bench);
        asker.ask(asker.endpoint, 0);
        PageRequestGroup group = asker.takeOne();
        PageRequestGroup equal = new PageRequestGroup(group.requester(), group.pasid(), group.index(), group.pages());
        assertThat(equal).isEqualTo(group);
        assertRefused(Errno.EINVAL, () -> asker.requests.respond(equal, PageResponse.SUCCESS));
        assertThat(asker.read(asker.endpoint, 0)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(asker.take()).as("still awaited").isEmpty();
        asker.respond(group, PageResponse.SUCCESS);
        assertRefused(Errno.EINVAL, () -> asker.requests.respond(equal, PageResponse.SUCCESS));
        // The device uses the index again, for the same page.
        asker.post(PASID, 3, 400, true);
        PageRequestGroup first = asker.takeOne();
        asker.post(PASID, 3, 400, true);
        PageRequestGroup second = asker.takeOne();
        assertThat(second).isEqualTo(first).isNotSameAs(first);
        asker.respond(second, PageResponse.SUCCESS);
        asker.assertAnswered(second);
        asker.respond(first, PageResponse.SUCCESS);
        asker.assertAnswered(first);
    }

    @Test
    @Promise("respond-3")
    void aGroupIsAnsweredOnce(Bench bench) {
        Asker asker = new Asker(bench);
        List<PageRequestGroup> answered = new ArrayList<>();
        for (PageResponse response :
                new PageResponse[] {PageResponse.SUCCESS, PageResponse.INVALID, PageResponse.FAILURE}) {
            asker.ask(asker.endpoint, 0);
            PageRequestGroup group = asker.takeOne();
            asker.respond(group, response);
            answered.add(group);
            answered.forEach(asker::assertAnswered);
            assertThat(asker.endpoint.lastPageResponse()).isEqualTo(response.code());
        }
        asker.requests.disable();
        answered.forEach(asker::assertAnswered);
        assertThat(asker.status() & UNEXPECTED_GROUP).as("answers to nothing").isZero();
        asker.requests.enable();
        asker.ask(asker.endpoint, 2);
        PageRequestGroup late = asker.takeOne();
        answered.forEach(asker::assertAnswered);
        asker.respond(late, PageResponse.SUCCESS);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("respond-5")
    void anAnswerThatIsNotPassedOnIsTold(Bench whole) {
        Silence silence = new Silence();
        Asker asker = new Asker(whole.on(silence::in));
        asker.ask(asker.endpoint, 0);
        PageRequestGroup group = asker.takeOne();
        silence.during(() -> assertRefused(NOT_COMPLETED, () -> asker.requests.respond(group, PageResponse.SUCCESS)));
        new EachFailure(whole).of(NOT_COMPLETED, bench -> {
            Asker other = new Asker(bench);
            other.ask(other.endpoint, 0);
            PageRequestGroup taken = other.takeOne();
            return new EachFailure.Attempt() {
                @Override
                public void run() {
                    other.respond(taken, PageResponse.SUCCESS);
                }

                @Override
                public void assertDone() {
                    assertThat(other.endpoint.lastPageResponse()).isEqualTo(PageResponse.SUCCESS.code());
                }

                @Override
                public void assertFailed(Errno errno) {
                    assertThat(errno).isIn(NOT_COMPLETED);
                }

                @Override
                public void leave() {
                    Errnos.of(other.requests::disable);
                    for (int pasid : new int[] {PASID, OTHER_PASID}) {
                        Errnos.of(() -> Homes.detach(bench, other.domain, pasid));
                    }
                    Detaching.quietly(other.domain, bench);
                }
            };
        });
    }

    /** Has the unit get requests until it has no more room. */
    private static void overflow(Asker asker) {
        long before = asker.requests.overflows();
        for (int count = 256; count <= MOST_REQUESTS; count *= 2) {
            for (int i = 0; i < count; i++) {
                asker.post(PASID, i % 100, 100 + i % 300, true);
            }
            asker.take();
            if (asker.requests.overflows() != before) {
                return;
            }
        }
        throw new AssertionError(MOST_REQUESTS + " page requests at once found room");
    }

    // Overflows.

    @Test
    @Promise("overflows-1")
    void overflowsAreCounted(Bench bench) {
        Asker asker = new Asker(bench);
        assertThat(asker.requests.overflows()).isZero();
        asker.ask(asker.endpoint, 0);
        asker.respond(asker.takeOne(), PageResponse.SUCCESS);
        assertThat(asker.requests.overflows()).isZero();
        for (int times = 1; times <= 3; times++) {
            overflow(asker);
            assertThat(asker.requests.overflows()).isEqualTo(times);
            asker.take();
            assertThat(asker.requests.overflows()).isEqualTo(times);
            asker.post(PASID, 3, 450, true);
            assertThat(asker.takeOne().index()).isEqualTo(450);
            assertThat(asker.requests.overflows()).isEqualTo(times);
        }
        asker.requests.disable();
        assertThat(asker.requests.overflows()).isEqualTo(3);
        asker.requests.enable();
        assertThat(asker.requests.overflows()).isEqualTo(3);
    }

    @Test
    @Promise("overflows-2")
    void partsOfGroupsAreForgottenAtAnOverflow(Bench bench) {
        Asker asker = new Asker(bench);
        for (int round = 0; round < 2; round++) {
            asker.post(PASID, 1, 500, false);
            asker.post(OTHER_PASID, 2, 501, false);
            overflow(asker);
            asker.post(PASID, 3, 500, true);
            asker.post(OTHER_PASID, 4, 501, true);
            List<PageRequestGroup> groups = asker.take();
            assertThat(groups).extracting(PageRequestGroup::index).containsExactly(500, 501);
            assertThat(groups.get(0).pages()).extracting(PageRequest::address).containsExactly(asker.at(3));
            assertThat(groups.get(1).pages()).extracting(PageRequest::address).containsExactly(asker.at(4));
            // Later ones are whole again.
            asker.post(PASID, 5, 502, false);
            asker.post(PASID, 6, 502, true);
            assertThat(asker.takeOne().pages()).hasSize(2);
        }
    }
}
