// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Traits.WhileOff;
import org.junit.jupiter.api.Test;

/** {@link Iommu#close}. */
public abstract class DriverClosingContract {
    /** Made by JUnit. */
    protected DriverClosingContract() {}

    private static Set<DomainType> types(Bench bench) {
        Set<DomainType> types = EnumSet.of(DomainType.UNMANAGED, DomainType.DMA, DomainType.BLOCKED);
        if (bench.traits().has(Ability.IDENTITY)) {
            types.add(DomainType.IDENTITY);
        }
        return types;
    }

    /** Leaves domains of every kind open, with mappings, some with what was detached from them. */
    private static List<IommuDomain> leaveOpen(Bench bench) {
        List<IommuDomain> open = new ArrayList<>();
        for (DomainType type : types(bench)) {
            open.add(bench.iommu().allocate(type, bench.device()));
            IommuDomain used = bench.iommu().allocate(type, bench.second());
            open.add(used);
            if (type.isPaging()) {
                bench.map(used, bench.iova(), bench.scratch(), bench.granule(), 600, Bench.READ_WRITE);
                bench.attach(used, bench.device());
                bench.assertReaches(bench.iova(), bench.scratch());
                bench.detach(used, bench.device());
            }
        }
        for (DomainFlag flag : DomainFlag.values()) {
            Errnos.of(() -> open.add(bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag))));
        }
        bench.traits().guestTables().ifPresent(tables -> {
            IommuDomain parent =
                    bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.NEST_PARENT));
            open.add(parent.nesting().orElseThrow().allocateNested(bench.device(), tables.table(bench.iova())));
        });
        return open;
    }

    private static void assertOff(Bench bench) {
        for (DeviceId id : bench.ids()) {
            Requester requester = Requester.of(bench.machine(), id);
            if (bench.traits().whileOff() == WhileOff.PASSES) {
                bench.assertReaches(requester, bench.scratch(), bench.scratch());
            } else {
                bench.assertBlocked(requester, bench.scratch());
            }
        }
    }

    @Test
    @Promise("driver-close-1")
    void closingFreesAllAndTurnsTranslationOff(Bench bench) {
        bench.iommu().close();
        assertThat(bench.framesInUse()).as("frames in use").isZero();
        assertOff(bench);

        Bench used = new Bench(bench.subject());
        List<IommuDomain> open = leaveOpen(used);
        assertThat(open).isNotEmpty();
        used.iommu().close();
        assertThat(used.framesInUse()).as("frames in use after open domains").isZero();
        assertThat(used.iommu().quarantinedFrames()).as("quarantined frames").isZero();
        assertOff(used);
    }

    /** Domains are left closed and open, in the order of their making and in the opposite one. */
    @Test
    @Promise("driver-close-1")
    void closingFreesWhatIsLeftInAnyOrder(Bench given) {
        for (int pattern = 0; pattern < 8; pattern++) {
            Bench bench = new Bench(given.subject().flat());
            List<IommuDomain> open = leaveOpen(bench);
            for (int i = 0; i < open.size(); i++) {
                int at = (pattern & 4) == 0 ? i : open.size() - 1 - i;
                if ((at & 1) == (pattern & 1) && (pattern & 2) != 0) {
                    open.get(at).close();
                }
            }
            if ((pattern & 1) != 0) {
                IotlbGather gather = new IotlbGather();
                IommuDomain left = bench.domain();
                bench.map(left, bench.iova(), bench.scratch(), bench.granule(), 600, Bench.READ_WRITE);
                left.unmap(bench.iova(), 600 * bench.granule(), gather);
                bench.sync(left, gather);
            }
            bench.iommu().close();
            assertThat(bench.framesInUse())
                    .as("frames in use, pattern %d", pattern)
                    .isZero();
            open.forEach(IommuDomain::close);
            assertThat(bench.framesInUse()).as("frames in use").isZero();
            assertOff(bench);
        }
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("driver-close-2")
    void everyFailureOfAPortWhileClosingIsCounted(Bench given) {
        for (long n = 1; ; n = NthFailure.next(n)) {
            var failures = new FailNth();
            Bench bench = new Bench(given.subject().flat().withPorts(context -> context.failing(failures)));
            leaveOpen(bench);
            failures.arm(n);
            bench.iommu().close();
            failures.disarm();
            assertThat(bench.framesInUse())
                    .as("frames in use after failure %d", n)
                    .isEqualTo(bench.iommu().quarantinedFrames());
            bench.iommu().close();
            assertThat(bench.framesInUse())
                    .as("frames in use when it is closed again")
                    .isEqualTo(bench.iommu().quarantinedFrames());
            if (!failures.fired()) {
                assertThat(bench.framesInUse())
                        .as("frames in use without a failure")
                        .isZero();
                return;
            }
        }
    }

    @Test
    @Promise("driver-close-3")
    void closingAgainDoesNothing(Bench bench) {
        leaveOpen(bench);
        bench.iommu().close();
        long digest = bench.machine().digest();
        for (int i = 0; i < 3; i++) {
            bench.iommu().close();
            assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
            assertThat(bench.framesInUse()).as("frames in use").isZero();
        }
        // Above all it does nothing to the next driver of the hardware.
        Iommu next = bench.subject().claimant().open(bench.subject().context(bench.machine()));
        long frames = bench.framesInUse();
        bench.machine().runPending();
        digest = bench.machine().digest();
        bench.iommu().close();
        assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        bench.assertBlocked(bench.scratch());
        next.close();
    }

    @Test
    @Promise("driver-close-4")
    void theDriversDomainsAreClosedWithIt(Bench bench) {
        List<IommuDomain> open = leaveOpen(bench);
        List<String> formats = open.stream().map(IommuDomain::format).toList();
        List<Long> sizes = open.stream().map(IommuDomain::pageSizes).toList();
        List<DomainType> types = open.stream().map(IommuDomain::type).toList();
        bench.iommu().close();
        long digest = bench.machine().digest();
        for (int i = 0; i < open.size(); i++) {
            IommuDomain domain = open.get(i);
            DomainClosingContract.operations(bench, domain).forEach((name, call) -> {
                bench.steps().note("%s of a domain of type %s of a closed driver", name, domain.type());
                assertRefused(Errno.ENODEV, call);
            });
            assertThat(domain.format()).isEqualTo(formats.get(i));
            assertThat(domain.pageSizes()).isEqualTo(sizes.get(i));
            assertThat(domain.type()).isEqualTo(types.get(i));
            assertThat(domain.iommu()).isSameAs(bench.iommu());
            domain.close();
        }
        assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }

    @Test
    @NeedsAbility({Ability.PAGE_REQUESTS, Ability.PCI_DEVICES})
    @Promise("driver-close-5")
    void devicesHaveStoppedAskingForPages(Bench bench) {
        PageRequests requests = bench.device().pageRequests().orElseThrow();
        // Page requests need translations, which are on while a device is in a domain.
        IommuDomain domain = bench.attached();
        requests.enable();
        bench.detach(domain, bench.device());
        bench.iommu().close();
        var endpoint = bench.machine().endpoint((PciAddress) bench.device().id());
        assertThat(endpoint.config().pageRequestsEnabled())
                .as("page requests are enabled")
                .isFalse();
        assertThat(endpoint.requestPages(false, bench.iova()))
                .as("the device asks")
                .isFalse();
        assertThat(requests.take()).isEmpty();
    }

    @Test
    @Promise("driver-close-6")
    void whatWouldChangeSomethingIsRefused(Bench bench) {
        Optional<PageRequests> requests = bench.device().pageRequests();
        bench.iommu().close();
        long digest = bench.machine().digest();
        for (PciFunction function : bench.machine().topology().functions()) {
            assertRefused(
                    Errno.ENODEV,
                    () -> bench.iommu().probe(function, function.address().requesterId()));
        }
        if (bench.traits().has(Ability.NAMED_DEVICES)) {
            bench.machine()
                    .namedDevices()
                    .forEach(name ->
                            assertRefused(Errno.ENODEV, () -> bench.iommu().probe(name)));
        }
        for (DomainType type : types(bench)) {
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, bench.device()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, bench.second(), Set.of()));
        }
        for (DomainFlag flag : DomainFlag.values()) {
            assertRefused(
                    Errno.ENODEV, () -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag)));
        }
        PageRequestGroup group =
                new PageRequestGroup(bench.device().id(), 1, 0, List.of(new PageRequest(0, true, false, false, false)));
        requests.ifPresent(asking -> {
            assertRefused(Errno.ENODEV, asking::enable);
            assertRefused(Errno.ENODEV, () -> asking.respond(group, PageResponse.SUCCESS));
        });
        assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }

    @Test
    @Promise("driver-close-7")
    void whatIsConstantOrWasCountedIsAnsweredOn(Bench bench) {
        Iommu iommu = bench.iommu();
        IommuDevice device = bench.device();
        List<Object> before = answers(bench);
        Optional<PageRequests> requests = device.pageRequests();
        for (int i = 0; i < 3; i++) {
            bench.requester().read(bench.iova() + i * bench.granule(), false);
        }
        iommu.close();
        for (int i = 0; i < 2; i++) {
            assertThat(answers(bench)).as("what a closed driver answers").isEqualTo(before);
            assertThat(iommu.faultOverflows()).isNotNegative();
            List<DmaFault> faults = iommu.takeFaults();
            if (i == 0 && bench.traits().has(Ability.FAULT_REPORTS)) {
                assertThat(faults).as("what was refused before").isNotEmpty();
                if (iommu.faultOverflows() == 0) {
                    assertThat(faults)
                            .extracting(fault -> fault.address() & -0x1000L)
                            .containsExactly(
                                    bench.iova(), bench.iova() + bench.granule(), bench.iova() + 2 * bench.granule());
                }
            } else {
                assertThat(faults).isEmpty();
            }
        }
        requests.ifPresent(asking -> {
            asking.disable();
            assertThat(asking.take()).isEmpty();
            assertThat(asking.overflows()).isZero();
        });
        assertThat(device.pageRequests().isPresent()).isEqualTo(requests.isPresent());
    }

    private static List<Object> answers(Bench bench) {
        Iommu iommu = bench.iommu();
        List<Object> all =
                new ArrayList<>(List.of(iommu.vendor(), iommu.release(), iommu.units(), iommu.quarantinedFrames()));
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            for (IommuCapability capability : IommuCapability.values()) {
                all.add(iommu.capable(device, capability));
            }
            all.add(device.id());
            all.add(device.reservedRegions());
            all.add(device.isolatedMsi());
            all.add(device.maxPasids());
            assertThat(device.iommu()).isSameAs(iommu);
        }
        return all;
    }

    @Test
    @Promise("driver-close-8")
    void theUnitsCanBeOpenedAgain(Bench bench) {
        IommuVendor vendor = bench.subject().claimant();
        leaveOpen(bench);
        bench.iommu().close();
        long frames = 0;
        for (int i = 0; i < 5; i++) {
            Iommu again = vendor.open(bench.subject().context(bench.machine()));
            for (DeviceId id : bench.ids()) {
                bench.assertBlocked(Requester.of(bench.machine(), id), bench.scratch());
            }
            IommuDevice device = probe(bench, again, bench.ids().get(0));
            IommuDomain domain = again.allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            // Nothing of an earlier driver's is left in a cache.
            bench.assertBlocked(bench.iova());
            bench.map(domain, bench.iova(), bench.scratch() + i * bench.granule());
            bench.assertReaches(bench.iova(), bench.scratch() + i * bench.granule());
            assertThat(frames == 0 || bench.framesInUse() == frames)
                    .as("frames in use are the same each time")
                    .isTrue();
            frames = bench.framesInUse();
            assertRefused(Errno.ENODEV, () -> again.allocate(DomainType.UNMANAGED, bench.device()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(DomainType.UNMANAGED, device));
            bench.detach(domain, device);
            again.close();
            assertThat(bench.framesInUse()).as("frames in use").isZero();
        }
        assertOff(bench);
    }

    private static IommuDevice probe(Bench bench, Iommu iommu, DeviceId id) {
        return (id instanceof PciAddress address
                        ? iommu.probe(bench.function(address), address.requesterId())
                        : iommu.probe((NamedDevice) id))
                .orElseThrow();
    }

    @Test
    @Promise("driver-close-9")
    void aDriverIsNotClosedWhileADeviceIsAttached(Bench bench) {
        for (DomainType type : types(bench)) {
            for (IommuDevice device : List.of(bench.device(), bench.second())) {
                Requester requester = Requester.of(bench.machine(), device.id());
                IommuDomain domain = bench.iommu().allocate(type, device);
                IommuDomain idle = bench.iommu().allocate(DomainType.UNMANAGED, device);
                bench.attach(domain, device);
                if (type.isPaging()) {
                    bench.map(domain, bench.iova(), bench.scratch());
                    bench.assertReaches(requester, bench.iova(), bench.scratch());
                }
                bench.machine().runPending();
                long frames = bench.framesInUse();
                long digest = bench.machine().digest();
                for (int i = 0; i < 2; i++) {
                    assertRefused(Errno.EBUSY, bench.iommu()::close);
                    assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
                    assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
                }
                if (type.isPaging()) {
                    bench.assertReaches(requester, bench.iova(), bench.scratch());
                    bench.map(domain, bench.iova() + bench.granule(), bench.scratch());
                    bench.assertReaches(requester, bench.iova() + bench.granule(), bench.scratch());
                    bench.unmap(domain, bench.iova(), bench.granule());
                    bench.assertBlocked(requester, bench.iova());
                }
                // The domains are as open as before, and so is the driver.
                bench.map(idle, bench.iova(), bench.scratch());
                bench.attach(idle, device);
                bench.assertReaches(requester, bench.iova(), bench.scratch());
                domain.close();
                assertRefused(Errno.EBUSY, bench.iommu()::close);
                bench.iommu().allocate(type, device).close();
                assertThat(bench.probe(device.id())).isSameAs(device);
                bench.detach(idle, device);
                idle.close();
            }
        }
        bench.iommu().close();
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }
}
