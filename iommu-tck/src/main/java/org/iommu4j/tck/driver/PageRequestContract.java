// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Asker.NO_DOMAINS_PASID;
import static org.iommu4j.tck.driver.Asker.OTHER_PASID;
import static org.iommu4j.tck.driver.Asker.PASID;
import static org.iommu4j.tck.driver.Asker.STOPPED;
import static org.iommu4j.tck.driver.Homes.attach;
import static org.iommu4j.tck.driver.Homes.detach;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
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
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link PageRequests#enable} and {@link PageRequests#disable}, and what is handed out in between. */
@NeedsAbility(Ability.PAGE_REQUESTS)
public abstract class PageRequestContract {
    /** Made by JUnit. */
    protected PageRequestContract() {}

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
        IommuDomain next = Homes.domain(bench);
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
        IommuDomain domain = Homes.domain(bench);
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
        Silence silence = new Silence();
        Asker asker = new Asker(whole.on(silence::in));
        asker.ask(asker.endpoint, 0);
        PageRequestGroup group = asker.takeOne();
        silence.during(() -> assertRefused(NOT_COMPLETED, asker.requests::disable));
        assertThat(asker.endpoint.requestPages(false, asker.at(1))).isFalse();
        assertThat(asker.other.requestPages(false, asker.at(1))).isFalse();
        assertThat(asker.take()).isEmpty();
        asker.requests.disable();
        assertThat(group.pasid()).isEqualTo(PASID);
    }
}
