// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.PasidContract.attach;
import static org.iommu4j.tck.driver.PasidContract.detach;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.Prot;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PriCapability;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link PageRequests}. */
@NeedsAbility(Ability.PAGE_REQUESTS)
public abstract class PageRequestContract {
    private static final EnumSet<Errno> NOT_COMPLETED = EnumSet.of(Errno.ETIMEDOUT, Errno.EIO);
    private static final int PASID = 5;
    private static final int OTHER_PASID = 70;

    /** Attached to nothing. */
    private static final int NO_DOMAINS_PASID = 71;

    /** PRI status. */
    private static final int STOPPED = 1 << 8;

    private static final int UNEXPECTED_GROUP = 1 << 1;

    /** No queue has room for so many. */
    private static final int MOST_REQUESTS = 1 << 18;

    /** Made by JUnit. */
    protected PageRequestContract() {}

    /** A device with two PASIDs in a domain, that may ask. */
    private static final class Asker {
        final Bench bench;
        final long page;
        final IommuDomain domain;
        final Endpoint endpoint;
        final Endpoint other;
        final PageRequests requests;

        Asker(Bench bench) {
            this.bench = bench;
            page = bench.granule();
            domain = PasidContract.domain(bench);
            bench.attach(domain, bench.device());
            attach(bench, domain, PASID);
            attach(bench, domain, OTHER_PASID);
            endpoint = with(PASID);
            other = with(OTHER_PASID);
            requests = bench.device().pageRequests().orElseThrow();
            bench.steps().note("enable()");
            requests.enable();
        }

        Endpoint with(int pasid) {
            Endpoint endpoint =
                    bench.machine().endpoint((PciAddress) bench.device().id()).fork();
            endpoint.usePasid(pasid);
            return endpoint;
        }

        long at(int number) {
            return bench.iova() + number * page;
        }

        RequestStatus read(Endpoint who, int number) {
            bench.steps().note("device reads at 0x%x", at(number));
            who.read(at(number), false);
            return who.lastStatus();
        }

        /** Has the device ask for a page. */
        void ask(Endpoint who, int number) {
            assertThat(read(who, number)).isEqualTo(RequestStatus.PAGE_AWAITED);
        }

        List<PageRequestGroup> take() {
            bench.machine().runPending();
            List<PageRequestGroup> groups = requests.take();
            bench.steps().note("take() = %s", groups);
            return groups;
        }

        PageRequestGroup takeOne() {
            List<PageRequestGroup> groups = take();
            assertThat(groups).hasSize(1);
            return groups.get(0);
        }

        void respond(PageRequestGroup group, PageResponse response) {
            bench.steps().note("respond(%s, %s)", group, response);
            requests.respond(group, response);
        }

        /** As of a device that does not keep to its credit. */
        void post(int pasid, int number, int index, boolean last) {
            unit().requestPage(
                            endpoint.sourceId(),
                            pasid,
                            at(number),
                            RequestFlags.READ | (last ? RequestFlags.LAST : 0),
                            index);
        }

        TranslationUnit unit() {
            String name = bench.subject().machine().functions().stream()
                    .filter(function -> function.address().equals(bench.device().id()))
                    .findFirst()
                    .orElseThrow()
                    .unit()
                    .orElseThrow();
            return bench.machine().unit(name);
        }

        int status() {
            return PriCapability.of(endpoint.config()).orElseThrow().status();
        }

        void assertStopped() {
            assertThat(status() & STOPPED).as("all are answered").isNotZero();
            assertThat(status() & UNEXPECTED_GROUP).as("answers to nothing").isZero();
        }

        /** Asserts that all that the device had asked for was answered: it stops, and asks again when it may. */
        void assertNothingIsOpen() {
            requests.disable();
            assertStopped();
        }

        void assertAnswered(PageRequestGroup group) {
            for (PageResponse response : PageResponse.values()) {
                assertRefused(Errno.EINVAL, () -> requests.respond(group, response));
            }
        }
    }

    // What is handed out.

    @Test
    @Promise("page-requests-1")
    void onlyRequestsOfAttachedPasidsAreHandedOut(Bench bench) {
        Asker asker = new Asker(bench);
        asker.ask(asker.with(TranslationUnit.NO_PASID), 0);
        assertThat(asker.take()).isEmpty();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
        asker.ask(asker.endpoint, 0);
        asker.respond(asker.takeOne(), PageResponse.SUCCESS);
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.SUCCESS.code());
        Endpoint nobody = asker.with(NO_DOMAINS_PASID);
        assertThat(nobody.requestPages(false, asker.at(0), asker.at(1), asker.at(2)))
                .isTrue();
        assertThat(asker.take()).isEmpty();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
        // Between those that are handed out.
        asker.ask(asker.endpoint, 3);
        assertThat(nobody.requestPages(false, asker.at(4))).isTrue();
        asker.ask(asker.other, 5);
        asker.ask(asker.with(TranslationUnit.NO_PASID), 6);
        List<PageRequestGroup> groups = asker.take();
        assertThat(groups).extracting(PageRequestGroup::pasid).containsExactly(PASID, OTHER_PASID);
        groups.forEach(group -> asker.respond(group, PageResponse.SUCCESS));
        // A PASID that was attached, and one that comes to be.
        detach(bench, asker.domain, OTHER_PASID);
        assertThat(asker.other.requestPages(false, asker.at(7))).isTrue();
        assertThat(asker.take()).isEmpty();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
        attach(bench, asker.domain, NO_DOMAINS_PASID);
        asker.ask(nobody, 8);
        asker.respond(asker.takeOne(), PageResponse.SUCCESS);
        asker.assertNothingIsOpen();
    }

    @Test
    @Promise({"page-requests-2", "respond-3"})
    void whatIsOpenIsAnsweredAsInvalidWhenThePasidIsDetached(Bench bench) {
        Asker asker = new Asker(bench);
        asker.ask(asker.other, 0);
        asker.ask(asker.endpoint, 0);
        List<PageRequestGroup> taken = new ArrayList<>(asker.take());
        assertThat(taken).extracting(PageRequestGroup::pasid).containsExactly(OTHER_PASID, PASID);
        // One that nobody took, and one that the unit has not even looked at.
        asker.ask(asker.endpoint, 1);
        bench.machine().runPending();
        asker.ask(asker.endpoint, 2);
        detach(bench, asker.domain, PASID);
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
        asker.assertAnswered(taken.get(1));
        assertThat(asker.take()).isEmpty();
        // Of the other PASID nothing is changed.
        asker.respond(taken.get(0), PageResponse.SUCCESS);
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.SUCCESS.code());
        // Back again, it asks anew for all three.
        attach(bench, asker.domain, PASID);
        for (int i = 0; i < 3; i++) {
            asker.ask(asker.endpoint, i);
        }
        assertThat(asker.take()).hasSize(3);
        // A device that is blocked asks for nothing, and when it is back it asks anew.
        detach(bench, asker.domain, PASID);
        detach(bench, asker.domain, OTHER_PASID);
        bench.detach(asker.domain, bench.device());
        assertThat(asker.read(asker.endpoint, 0)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(asker.take()).isEmpty();
        bench.attach(asker.domain, bench.device());
        attach(bench, asker.domain, PASID);
        asker.ask(asker.endpoint, 0);
        assertThat(asker.take()).hasSize(1);
        asker.assertNothingIsOpen();
    }

    @Test
    @Promise("page-requests-2")
    void aPasidThatMovesTakesNoRequestWithIt(Bench bench) {
        Asker asker = new Asker(bench);
        IommuDomain next = PasidContract.domain(bench);
        bench.map(next, asker.at(0), bench.scratch());
        asker.ask(asker.endpoint, 0);
        PageRequestGroup taken = asker.takeOne();
        asker.ask(asker.endpoint, 1);
        bench.machine().runPending();
        asker.ask(asker.other, 3);
        attach(bench, next, PASID);
        asker.assertAnswered(taken);
        assertThat(asker.take()).extracting(PageRequestGroup::pasid).containsExactly(OTHER_PASID);
        bench.assertReaches(new Requester.OnPci(asker.endpoint), asker.at(0), bench.scratch());
        asker.ask(asker.endpoint, 1);
        asker.respond(asker.takeOne(), PageResponse.INVALID);
        // Where it is already it stays, with its requests.
        asker.ask(asker.endpoint, 1);
        PageRequestGroup kept = asker.takeOne();
        attach(bench, next, PASID);
        asker.respond(kept, PageResponse.SUCCESS);
        asker.assertNothingIsOpen();
    }

    @Test
    @Promise({"page-requests-2", "disable-1"})
    void whatIsOpenIsAnsweredAsInvalidWhenTheDeviceIsStopped(Bench bench) {
        Asker asker = new Asker(bench);
        asker.ask(asker.endpoint, 0);
        asker.ask(asker.other, 0);
        List<PageRequestGroup> taken = asker.take();
        assertThat(taken).hasSize(2);
        asker.ask(asker.endpoint, 1);
        bench.machine().runPending();
        asker.ask(asker.other, 2);
        asker.requests.disable();
        asker.assertStopped();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
        taken.forEach(asker::assertAnswered);
        assertThat(asker.take()).isEmpty();
        asker.requests.enable();
        taken.forEach(asker::assertAnswered);
        assertThat(asker.take()).isEmpty();
        asker.ask(asker.endpoint, 0);
        asker.respond(asker.takeOne(), PageResponse.SUCCESS);
    }

    @Test
    @Promise("page-requests-3")
    void whoeverComesInBetweenNothingIsLeftUnanswered(Bench whole) throws Exception {
        Bench bench = new Bench(whole.subject().flat());
        IommuDomain domain = PasidContract.domain(bench);
        bench.attach(domain, bench.device());
        attach(bench, domain, PASID);
        PageRequests requests = bench.device().pageRequests().orElseThrow();
        requests.enable();
        new Paging(bench, domain, requests, PASID).run();
        requests.disable();
        assertThat(PriCapability.of(bench.machine()
                                        .endpoint((PciAddress) bench.device().id())
                                        .config())
                                .orElseThrow()
                                .status()
                        & STOPPED)
                .as("all are answered")
                .isNotZero();
    }

    // Starting and stopping.

    @Test
    @Promise("enable-1")
    void onlyADeviceThatMayAsksAndASecondTimeChangesNothing(Bench bench) {
        Asker asker = new Asker(bench);
        asker.ask(asker.endpoint, 0);
        PageRequestGroup group = asker.takeOne();
        asker.ask(asker.endpoint, 1);
        asker.requests.enable();
        asker.requests.enable();
        assertThat(asker.read(asker.endpoint, 0)).isEqualTo(RequestStatus.PAGE_AWAITED);
        PageRequestGroup second = asker.takeOne();
        assertThat(second.pages()).extracting(PageRequest::address).containsExactly(asker.at(1));
        asker.respond(group, PageResponse.SUCCESS);
        asker.respond(second, PageResponse.SUCCESS);
        // One stop undoes any number of starts.
        asker.requests.disable();
        assertThat(asker.read(asker.endpoint, 0)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(asker.endpoint.requestPages(false, asker.at(0))).isFalse();
        asker.requests.enable();
        asker.ask(asker.endpoint, 0);
        // Mapped because it was asked for, and reached.
        bench.map(asker.domain, asker.at(0), bench.scratch(), asker.page, 1, Prot.READ | Prot.CACHE);
        asker.respond(asker.takeOne(), PageResponse.SUCCESS);
        bench.store(bench.scratch(), 11);
        assertThat(asker.endpoint.read(asker.at(0), false)).isEqualTo(11);
        // A failure stops the interface until it is enabled again.
        asker.ask(asker.endpoint, 4);
        asker.respond(asker.takeOne(), PageResponse.FAILURE);
        asker.read(asker.endpoint, 4);
        assertThat(asker.take()).isEmpty();
        asker.requests.disable();
        asker.requests.enable();
        asker.ask(asker.endpoint, 4);
        assertThat(asker.take()).hasSize(1);
    }

    @Test
    @Promise({"enable-2", "enable-1"})
    void aDeviceThatHasNotStoppedIsBusy(Bench bench) {
        Machine machine = bench.subject().build();
        VendorContext context = bench.subject().context(machine);
        Iommu iommu = bench.subject().claimant().open(context);
        PciAddress address = (PciAddress) bench.device().id();
        StubbornFunction function =
                new StubbornFunction(machine.topology().function(address).orElseThrow());
        IommuDevice device = iommu.probe(function, address.requesterId()).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
        assertThat(domain.attach(device).attached()).isTrue();
        PageRequests requests = device.pageRequests().orElseThrow();
        Endpoint endpoint = machine.endpoint(address);
        for (int round = 0; round < 2; round++) {
            requests.enable();
            assertThat(endpoint.requestPages(false, bench.iova())).isTrue();
            requests.disable();
            function.busy(true);
            for (int i = 0; i < 2; i++) {
                assertRefused(Errno.EBUSY, requests::enable);
                assertThat(endpoint.requestPages(false, bench.iova())).isFalse();
            }
            function.busy(false);
        }
        requests.enable();
        assertThat(endpoint.requestPages(false, bench.iova())).isTrue();
    }

    @Test
    @Promise({"enable-3", "respond-4"})
    void aClosedDriverLetsNobodyAsk(Bench bench) {
        Asker asker = new Asker(bench);
        asker.ask(asker.endpoint, 0);
        PageRequestGroup group = asker.takeOne();
        detach(bench, asker.domain, PASID);
        detach(bench, asker.domain, OTHER_PASID);
        asker.domain.detach(bench.device());
        asker.domain.close();
        bench.iommu().close();
        assertRefused(Errno.ENODEV, asker.requests::enable);
        assertRefused(Errno.ENODEV, () -> asker.requests.respond(group, PageResponse.SUCCESS));
        assertThat(asker.endpoint.requestPages(false, asker.at(0))).isFalse();
        asker.assertStopped();
        // Also where it was never enabled.
        Bench other = new Bench(bench.subject());
        PageRequests never = other.device().pageRequests().orElseThrow();
        other.iommu().close();
        assertRefused(Errno.ENODEV, never::enable);
    }

    @Test
    @Promise("disable-1")
    void aStoppedDeviceAsksNoMoreAndASecondTimeChangesNothing(Bench bench) {
        PageRequests never = bench.device().pageRequests().orElseThrow();
        never.disable();
        Asker asker = new Asker(bench);
        for (int round = 0; round < 2; round++) {
            asker.ask(asker.endpoint, round);
            asker.respond(asker.takeOne(), PageResponse.INVALID);
            asker.requests.disable();
            asker.requests.disable();
            asker.assertStopped();
            assertThat(asker.read(asker.endpoint, 0)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
            assertThat(asker.read(asker.other, 0)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
            assertThat(asker.endpoint.requestPages(true, asker.at(0), asker.at(1)))
                    .isFalse();
            assertThat(asker.take()).isEmpty();
            bench.map(asker.domain, asker.at(9), bench.scratch());
            bench.assertReaches(new Requester.OnPci(asker.endpoint), asker.at(9), bench.scratch());
            bench.unmap(asker.domain, asker.at(9), asker.page);
            asker.requests.enable();
        }
        asker.ask(asker.endpoint, 3);
        assertThat(asker.take()).hasSize(1);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("disable-2")
    void whereTheUnitDoesNotAnswerTheDeviceIsStoppedAllTheSame(Bench whole) {
        Ports.Silencer unit = new Ports.Silencer();
        Asker asker = new Asker(whole.on(unit::apply));
        asker.ask(asker.endpoint, 0);
        PageRequestGroup group = asker.takeOne();
        unit.during(() -> assertRefused(NOT_COMPLETED, asker.requests::disable));
        assertThat(asker.endpoint.requestPages(false, asker.at(1))).isFalse();
        assertThat(asker.other.requestPages(false, asker.at(1))).isFalse();
        assertThat(asker.take()).isEmpty();
        asker.requests.disable();
        assertThat(group.pasid()).isEqualTo(PASID);
    }

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
        Bench bench = whole.on(context -> new VendorContext(
                context.memory(),
                context.frames(),
                context.registers(),
                (condition, ticks) -> {
                    waits[0]++;
                    return context.waiter().await(condition, ticks);
                },
                context.firmware(),
                context.topology(),
                context.bootOptions(),
                context.release()));
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
        Ports.Silencer unit = new Ports.Silencer();
        Asker asker = new Asker(whole.on(unit::apply));
        assertThat(asker.with(NO_DOMAINS_PASID).requestPages(false, asker.at(0)))
                .isTrue();
        asker.bench.machine().runPending();
        unit.during(() -> assertRefused(NOT_COMPLETED, asker.requests::take));
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
        Ports.Silencer unit = new Ports.Silencer();
        Asker asker = new Asker(whole.on(unit::apply));
        asker.ask(asker.endpoint, 0);
        PageRequestGroup group = asker.takeOne();
        unit.during(() -> assertRefused(NOT_COMPLETED, () -> asker.requests.respond(group, PageResponse.SUCCESS)));
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
                        Errnos.of(() -> PasidContract.detach(bench, other.domain, pasid));
                    }
                    Detaching.quietly(other.domain, bench);
                }
            };
        });
    }

    // Overflows.

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
