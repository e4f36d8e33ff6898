// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.Prot;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Page requests, driver and silicon together: a device asks, software maps or does not, and the device goes on. */
class PageRequestsOnSiliconTest {
    private static final long PAGE = 4096;
    private static final int PASID = 5;
    private static final int OTHER_PASID = 70;

    /** PRI status at 0x126 of the device's configuration space: Stopped. */
    private static final int STOPPED = 0x100;

    private static final int PRI_STATUS = 0x126;

    enum Vendor {
        INTEL {
            @Override
            Configuration configuration() {
                Configuration all = ScalableMachines.withDevices(
                        ScalableMachines.of(
                                "page requests", ScalableMachines.CAP, ScalableMachines.EVERYTHING | 1L << 29),
                        true);
                return with(all, Machines.withPageRequests(all.machine()));
            }
        },
        AMD {
            @Override
            Configuration configuration() {
                return amd(AMD_EFR | AUTO_RESPONSE);
            }
        };

        abstract Configuration configuration();

        /** Entries of the queue or log that the driver makes, less the one that stays free. */
        int capacity() {
            return this == INTEL ? 2047 : 511;
        }
    }

    /** PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup, HASup, EPHSup, HDSup. */
    private static final long AMD_EFR =
            AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 7L << 48 | 1L << 52;

    private static final long AUTO_RESPONSE = 1L << 41;

    private static Configuration amd(long efr) {
        return AmdConfigurations.of(
                "page requests", Machines.withPageRequests(AmdViUnitProvider.machine("amd-pages", efr, 0)));
    }

    private static Configuration with(Configuration configuration, MachineDescription machine) {
        return new Configuration(
                configuration.name(),
                machine,
                configuration.caches(),
                configuration.coherentWalk(),
                configuration.cachesNotPresent(),
                configuration.enforcement(),
                configuration.leaves());
    }

    /** A device with one PASID in a domain, that may ask. */
    private static final class Asker {
        final Bench bench;
        final IommuDomain domain;
        final Endpoint endpoint;
        final PageRequests requests;

        Asker(Bench bench) {
            this.bench = bench;
            this.domain = allocate(bench);
            // AMD-Vi has PASIDs beside such a domain, VT-d beside any.
            bench.attach(domain, bench.device());
            attach(bench, domain, PASID);
            endpoint = bench.withPasid(PASID);
            requests = bench.device().pageRequests().orElseThrow();
            requests.enable();
        }

        RequestStatus read(long iova) {
            endpoint.read(iova, false);
            return endpoint.lastStatus();
        }

        List<PageRequestGroup> take() {
            bench.machine().runPending();
            return requests.take();
        }

        PageRequestGroup takeOne() {
            List<PageRequestGroup> groups = take();
            assertThat(groups).hasSize(1);
            return groups.get(0);
        }

        boolean stopped() {
            return (endpoint.config().read(PRI_STATUS, 2) & STOPPED) != 0;
        }
    }

    private static IommuDomain allocate(Bench bench) {
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.PASID));
    }

    private static void attach(Bench bench, IommuDomain domain, int pasid) {
        assertThat(domain.pasidAttachment().orElseThrow().attach(bench.device(), pasid))
                .isEqualTo(AttachResult.ATTACHED);
    }

    private static void detach(Bench bench, IommuDomain domain, int pasid) {
        domain.pasidAttachment().orElseThrow().detach(bench.device(), pasid);
    }

    private static Asker asker(Vendor vendor) {
        return new Asker(new Bench(vendor.configuration()));
    }

    private static void assertAnsweredAlready(PageRequests requests, PageRequestGroup group) {
        assertThatThrownBy(() -> requests.respond(group, PageResponse.SUCCESS))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
    }

    @ParameterizedTest
    @EnumSource
    void aDeviceReachesAPageThatWasMappedBecauseItAsked(Vendor vendor) {
        Asker asker = asker(vendor);
        assertThat(asker.read(IOVA + 0x128)).isEqualTo(RequestStatus.PAGE_AWAITED);
        PageRequestGroup group = asker.takeOne();
        assertThat(group.requester()).isEqualTo(Bench.DEVICE);
        assertThat(group.pasid()).isEqualTo(PASID);
        assertThat(group.pages()).containsExactly(new PageRequest(IOVA, true, false, false, false));
        assertThat(asker.read(IOVA)).as("not yet").isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(asker.take()).as("asked once").isEmpty();

        asker.bench.map(asker.domain, IOVA, SCRATCH, PAGE, 1, Prot.READ | Prot.CACHE);
        asker.requests.respond(group, PageResponse.SUCCESS);
        asker.bench.store(SCRATCH, 11);
        assertThat(asker.endpoint.read(IOVA, false)).isEqualTo(11);

        // It may read, and asks again to write.
        assertThat(asker.endpoint.write(IOVA, 12, false)).isFalse();
        PageRequestGroup second = asker.takeOne();
        assertThat(second.pages()).containsExactly(new PageRequest(IOVA, false, true, false, false));
        asker.bench.unmap(asker.domain, IOVA, PAGE);
        asker.bench.map(asker.domain, IOVA, SCRATCH);
        asker.requests.respond(second, PageResponse.SUCCESS);
        asker.bench.assertReaches(asker.endpoint, IOVA, SCRATCH);
        assertThat(asker.bench.iommu().takeFaults()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void pagesThatAreAskedForTogetherAreAnsweredTogether(Vendor vendor) {
        Asker asker = asker(vendor);
        assertThat(asker.endpoint.requestPages(true, IOVA, IOVA + PAGE, IOVA + 5 * PAGE))
                .isTrue();
        PageRequestGroup group = asker.takeOne();
        assertThat(group.pages()).extracting(PageRequest::address).containsExactly(IOVA, IOVA + PAGE, IOVA + 5 * PAGE);
        for (PageRequest page : group.pages()) {
            asker.bench.map(asker.domain, page.address(), SCRATCH + (page.address() - IOVA), PAGE, 1, READ_WRITE);
        }
        asker.requests.respond(group, PageResponse.SUCCESS);
        asker.bench.assertReaches(asker.endpoint, IOVA + 5 * PAGE, SCRATCH + 5 * PAGE);
        asker.bench.assertReaches(asker.endpoint, IOVA + PAGE, SCRATCH + PAGE);
    }

    @ParameterizedTest
    @EnumSource
    void anAnswerReachesTheDevice(Vendor vendor) {
        Asker asker = asker(vendor);
        asker.read(IOVA);
        PageRequestGroup group = asker.takeOne();
        asker.requests.respond(group, PageResponse.INVALID);
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(1);
        assertAnsweredAlready(asker.requests, group);
        assertThat(asker.read(IOVA)).as("it may ask again").isEqualTo(RequestStatus.PAGE_AWAITED);

        asker.requests.respond(asker.takeOne(), PageResponse.FAILURE);
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(15);
        asker.read(IOVA);
        assertThat(asker.take()).as("a failure stops the interface").isEmpty();
        asker.requests.disable();
        assertThat(asker.stopped()).isTrue();
        asker.requests.enable();
        asker.read(IOVA);
        assertThat(asker.take()).hasSize(1);
    }

    @ParameterizedTest
    @EnumSource
    void aDeviceThatMayNotAskIsRefusedAsBefore(Vendor vendor) {
        Asker asker = asker(vendor);
        asker.requests.disable();
        assertThat(asker.read(IOVA)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(asker.endpoint.requestPages(false, IOVA)).isFalse();
        assertThat(asker.take()).isEmpty();
        assertThat(asker.bench.second().pageRequests()).as("without PRI").isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void requestsWithoutPasidOrWithOneOfNobodyAreAnsweredAsInvalid(Vendor vendor) {
        Asker asker = asker(vendor);
        asker.endpoint.usePasid(TranslationUnit.NO_PASID);
        assertThat(asker.read(IOVA)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(asker.take()).isEmpty();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(1);

        asker.endpoint.usePasid(PASID);
        asker.read(IOVA);
        asker.requests.respond(asker.takeOne(), PageResponse.SUCCESS);
        assertThat(asker.endpoint.lastPageResponse()).isZero();
        asker.endpoint.usePasid(OTHER_PASID);
        assertThat(asker.endpoint.requestPages(false, IOVA, IOVA + PAGE)).isTrue();
        assertThat(asker.take()).isEmpty();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(1);
        asker.requests.disable();
        assertThat(asker.stopped()).as("nothing is left unanswered").isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void theFirstRequestsSurviveAnOverflowAndLaterOnesAreMadeAgain(Vendor vendor) {
        Asker asker = asker(vendor);
        TranslationUnit unit = asker.bench.machine().units().get(0);
        // As of a device that does not keep to its credit, under indices that the real one does not reach, and whose
        // last group misses its last request.
        for (int i = 0; i < vendor.capacity(); i++) {
            boolean last = i < vendor.capacity() - 1;
            unit.requestPage(
                    Bench.DEVICE.requesterId(),
                    PASID,
                    IOVA + i * PAGE,
                    RequestFlags.READ | (last ? RequestFlags.LAST : 0),
                    last ? 100 + i % 400 : 500);
        }
        long late = IOVA + (1L << 30);
        assertThat(asker.read(late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        asker.bench.machine().runPending();
        assertThat(asker.endpoint.lastPageResponse())
                .as("the unit itself has it ask again")
                .isZero();
        assertThat(asker.requests.overflows()).as("not read yet").isZero();

        assertThat(asker.take()).hasSize(vendor.capacity() - 1);
        assertThat(asker.requests.overflows()).isEqualTo(1);
        unit.requestPage(Bench.DEVICE.requesterId(), PASID, IOVA, RequestFlags.READ | RequestFlags.LAST, 500);
        assertThat(asker.takeOne().pages()).as("the part before was forgotten").hasSize(1);

        assertThat(asker.read(late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        PageRequestGroup again = asker.takeOne();
        asker.bench.map(asker.domain, late, SCRATCH);
        asker.requests.respond(again, PageResponse.SUCCESS);
        asker.bench.assertReaches(asker.endpoint, late, SCRATCH);
        assertThat(asker.requests.overflows()).isEqualTo(1);
    }

    @Test
    void withoutAutomaticResponsesALostRequestIsAwaitedUntilTheInterfaceIsReset() {
        Asker asker = new Asker(new Bench(amd(AMD_EFR)));
        TranslationUnit unit = asker.bench.machine().units().get(0);
        for (int i = 0; i < Vendor.AMD.capacity(); i++) {
            unit.requestPage(
                    Bench.DEVICE.requesterId(),
                    PASID,
                    IOVA + i * PAGE,
                    RequestFlags.READ | RequestFlags.LAST,
                    100 + i % 400);
        }
        long late = IOVA + (1L << 30);
        assertThat(asker.read(late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(asker.take()).hasSize(Vendor.AMD.capacity());
        assertThat(asker.requests.overflows()).isEqualTo(1);
        assertThat(asker.read(late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(asker.take()).isEmpty();
        asker.requests.disable();
        assertThat(asker.stopped()).isFalse();
        asker.requests.enable();
        assertThat(asker.read(late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(asker.take()).hasSize(1);
    }

    @ParameterizedTest
    @EnumSource
    void whatIsOpenIsAnsweredAsInvalidWhenThePasidIsDetached(Vendor vendor) {
        Asker asker = asker(vendor);
        attach(asker.bench, asker.domain, OTHER_PASID);
        Endpoint other = asker.bench.withPasid(OTHER_PASID);
        other.read(IOVA, false);
        asker.read(IOVA);
        List<PageRequestGroup> taken = new ArrayList<>(asker.take());
        assertThat(taken).extracting(PageRequestGroup::pasid).containsExactly(OTHER_PASID, PASID);
        // One that nobody took, and one that the unit has not even looked at.
        asker.read(IOVA + PAGE);
        asker.bench.machine().runPending();
        asker.read(IOVA + 2 * PAGE);

        detach(asker.bench, asker.domain, PASID);
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(1);
        assertAnsweredAlready(asker.requests, taken.get(1));
        assertThat(asker.take()).isEmpty();
        // Of the other PASID nothing is changed.
        asker.requests.respond(taken.get(0), PageResponse.SUCCESS);
        assertThat(asker.endpoint.lastPageResponse()).isZero();
        asker.requests.disable();
        assertThat(asker.stopped()).as("all are answered").isTrue();
    }

    @Test
    void aDriverThatDoesNotDrainLeavesARequestUnanswered() {
        Asker asker = new Asker(new Bench(Vendor.INTEL.configuration(), ForgetfulMemory::withoutVtdPageRequestDrain));
        asker.read(IOVA);
        asker.requests.disable();
        assertThat(asker.stopped()).as("still waiting").isFalse();
    }

    @ParameterizedTest
    @EnumSource
    void aPasidThatMovesTakesNoRequestWithIt(Vendor vendor) {
        Asker asker = asker(vendor);
        IommuDomain next = allocate(asker.bench);
        asker.bench.map(next, IOVA, SCRATCH);
        asker.read(IOVA);
        PageRequestGroup taken = asker.takeOne();
        attach(asker.bench, next, PASID);
        assertAnsweredAlready(asker.requests, taken);
        asker.bench.assertReaches(asker.endpoint, IOVA, SCRATCH);
        asker.read(IOVA + PAGE);
        asker.requests.respond(asker.takeOne(), PageResponse.INVALID);
    }

    @ParameterizedTest
    @EnumSource
    void aDeviceThatIsBlockedAsksForNothingAndLeavesNothingBehind(Vendor vendor) {
        Asker asker = asker(vendor);
        asker.read(IOVA);
        detach(asker.bench, asker.domain, PASID);
        asker.domain.detach(asker.bench.device());
        assertThat(asker.read(IOVA)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(asker.take()).isEmpty();
        asker.bench.attach(asker.domain, asker.bench.device());
        attach(asker.bench, asker.domain, PASID);
        assertThat(asker.read(IOVA)).as("still wanted").isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(asker.take()).hasSize(1);

        detach(asker.bench, asker.domain, PASID);
        asker.domain.detach(asker.bench.device());
        asker.domain.close();
        asker.bench.iommu().close();
        assertThat(asker.bench.framesInUse()).isZero();
        assertThat(asker.stopped()).isTrue();
    }
}
