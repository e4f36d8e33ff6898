// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.Test;

/** {@link Iommu} as such: how it opens, what it says of itself and of devices. */
public abstract class DriverContract {
    /** Made by JUnit. */
    protected DriverContract() {}

    // After opening.

    @Test
    @Promise("driver-1")
    void everyDeviceIsBlockedAfterOpening(Bench probed) {
        assertBlockedEverywhere(probed, probed.device().id());
        assertBlockedEverywhere(probed, probed.second().id());
        Bench bench = Bench.unprobed(probed.subject());
        for (DeviceId id : bench.ids()) {
            assertBlockedEverywhere(bench, id);
        }
        bench.device();
        bench.second();
        for (DeviceId id : bench.ids()) {
            bench.probe(id);
            assertBlockedEverywhere(bench, id);
        }
        IommuDomain domain = bench.domain();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertBlocked(bench.iova());
        bench.attach(domain, bench.device());
        bench.assertReaches(bench.iova(), bench.scratch());
        for (DeviceId id : bench.ids().subList(1, bench.ids().size())) {
            assertBlockedEverywhere(bench, id);
        }
    }

    private static void assertBlockedEverywhere(Bench bench, DeviceId id) {
        Requester requester = Requester.of(bench.machine(), id);
        bench.store(bench.scratch(), 0x1234);
        bench.store(bench.granule(), 0x1234);
        for (long address : new long[] {0, bench.granule(), bench.scratch(), bench.iova()}) {
            bench.assertBlocked(requester, address);
        }
        assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(0x1234);
    }

    @Test
    @Promise("driver-2")
    void aUnitHasOneDriverAtATime(Bench bench) {
        IommuVendor vendor = bench.subject().claimant();
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        long frames = bench.framesInUse();

        for (int i = 0; i < 3; i++) {
            assertRefused(Errno.EBUSY, () -> vendor.open(bench.subject().context(bench.machine())));
        }

        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.unmap(domain, bench.iova(), bench.granule());
        bench.assertBlocked(bench.iova());
        bench.detach(domain, bench.device());
        bench.iommu().close();
        vendor.open(bench.subject().context(bench.machine())).close();
    }

    @Test
    @Promise("driver-3")
    void threadsUseADriverAtOnce(Bench ignored) {
        Bench bench = new Bench(ignored.subject().flat());
        Iommu iommu = bench.iommu();
        long before = bench.framesInUse();
        Set<IommuDevice> found = new Together(4).all(thread -> {
            DeviceId id = bench.ids().get(thread % 2);
            IommuDevice device = bench.probe(id);
            for (int i = 0; i < 60; i++) {
                assertThat(bench.probe(id)).isSameAs(device);
                iommu.capable(device, IommuCapability.CACHE_COHERENCY);
                iommu.takeFaults();
                IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
                domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
                domain.syncMap(bench.iova(), bench.granule());
                if (thread < 2) {
                    assertThat(domain.attach(device).attached()).isTrue();
                    domain.detach(device);
                }
                domain.close();
            }
            return device;
        });
        assertThat(found).containsExactlyInAnyOrder(bench.device(), bench.second());
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        iommu.close();
        assertThat(bench.framesInUse()).isZero();
    }

    /** Threads that probe a function for the first time, all at once, get one device. */
    @Test
    @Promise({"driver-3", "probe-1"})
    void threadsThatProbeAtOnceGetOneDevice(Bench ignored) {
        for (int round = 0; round < 20; round++) {
            Bench bench = Bench.unprobed(ignored.subject().flat());
            assertThat(new Together(4).all(thread -> bench.probe(bench.ids().get(0))))
                    .hasSize(1);
        }
    }

    // What it says of itself.

    @Test
    @Promise("driver-vendor-1")
    void theVendorsNameIsTheOneThatTheVendorHas(Bench bench) {
        String name = bench.subject().claimant().name();
        assertThat(bench.iommu().vendor()).isEqualTo(name);
        bench.attached();
        assertThat(bench.iommu().vendor()).isEqualTo(name);
    }

    @Test
    @Promise("driver-release-1")
    void theReleaseIsTheOneThatItWasOpenedUnder(Bench bench) {
        assertThat(bench.iommu().release()).isEqualTo(bench.subject().release());
        IommuVendor vendor = bench.subject().claimant();
        for (LinuxRelease release : LinuxRelease.known()) {
            if (!vendor.supports(release)
                    || !vendor.claims(bench.subject().machine().firmware(), release)) {
                continue;
            }
            Subject other = bench.subject().flat().under(release);
            Iommu iommu = vendor.open(other.context(other.build()));
            assertThat(iommu.release()).isEqualTo(release);
            iommu.close();
            assertThat(iommu.release()).as("when it is closed").isEqualTo(release);
        }
    }

    @Test
    @Promise("shares-ops-1")
    void whetherFormatsHaveTheSameOpsIsAnsweredAlikeAlways(Bench bench) {
        Iommu iommu = bench.iommu();
        boolean shares = iommu.sharesOps();
        IommuDomain domain = bench.attached();
        assertThat(iommu.sharesOps()).as("attached").isEqualTo(shares);
        bench.detach(domain, bench.device());
        domain.close();
        iommu.close();
        assertThat(iommu.sharesOps()).as("closed").isEqualTo(shares);
    }

    @Test
    @Promise("units-1")
    void unitsAreNamedInTheOrderOfTheTable(Bench bench) {
        List<String> units = Bench.unprobed(bench.subject()).iommu().units();
        assertThat(bench.iommu().units()).as("with devices").isEqualTo(units);
        assertThat(units).doesNotHaveDuplicates().isEqualTo(names(Described.of(bench)));
        Set<String> needed = new LinkedHashSet<>();
        bench.ids().forEach(id -> needed.add(bench.unitOf(id).spec().name()));
        assertThat(units).containsAll(needed);
        assertThat(bench.machine().units().stream()
                        .map(unit -> unit.spec().name())
                        .filter(units::contains)
                        .toList())
                .as("the machine's units that it has, which the subject lists in the table's order")
                .isEqualTo(units);
        IommuDomain domain = bench.attached();
        assertThat(bench.iommu().units()).as("while a device is attached").isEqualTo(units);
        bench.detach(domain, bench.device());
        bench.iommu().close();
        assertThat(bench.iommu().units()).as("when it is closed").isEqualTo(units);
    }

    private static List<String> names(Described described) {
        return described.host().units().stream().map(unit -> unit.id()).toList();
    }

    // What devices can do.

    @Test
    @Promise("capable-1")
    void whatADeviceCanDoStaysForItsLife(Bench bench) {
        Map<IommuCapability, Boolean> first = capabilities(bench, bench.device());
        Map<IommuCapability, Boolean> second = capabilities(bench, bench.second());
        IommuDomain domain = bench.attached();
        assertThat(capabilities(bench, bench.device())).as("attached").isEqualTo(first);
        domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
        bench.map(domain, bench.iova(), bench.scratch());
        assertThat(capabilities(bench, bench.device())).as("asked").isEqualTo(first);
        boolean shared = domain.attach(bench.second()).attached();
        assertThat(capabilities(bench, bench.second())).as("attached").isEqualTo(second);
        if (shared) {
            bench.detach(domain, bench.second());
        }
        bench.detach(domain, bench.device());
        assertThat(capabilities(bench, bench.device())).as("detached").isEqualTo(first);
        domain.close();
        bench.iommu().close();
        assertThat(capabilities(bench, bench.device())).as("closed").isEqualTo(first);
        assertThat(capabilities(bench, bench.second())).as("closed").isEqualTo(second);

        Bench again = new Bench(bench.subject());
        assertThat(capabilities(again, again.second())).as("on a like machine").isEqualTo(second);
        assertThat(capabilities(again, again.device())).as("on a like machine").isEqualTo(first);
        assertThat(first.get(IommuCapability.DIRTY_TRACKING))
                .as("written pages are recorded")
                .isEqualTo(bench.traits().has(Ability.DIRTY_TRACKING));
    }

    @Test
    @Promise("capability-source-1")
    void theSourceOfThePredictionNamesDeclaredRules(Bench bench) {
        Described.assertDeclared(bench, bench.iommu().enforcementCapabilitySource());
    }

    private static Map<IommuCapability, Boolean> capabilities(Bench bench, IommuDevice device) {
        Map<IommuCapability, Boolean> all = new EnumMap<>(IommuCapability.class);
        for (IommuCapability capability : IommuCapability.values()) {
            all.put(capability, bench.iommu().capable(device, capability));
            assertThat(bench.iommu().capable(device, capability)).isEqualTo(all.get(capability));
        }
        return all;
    }

    @Test
    @Promise("capable-2")
    void anotherDriversDeviceIsNotAskedAbout(Bench bench) {
        Bench other = new Bench(bench.subject());
        for (IommuCapability capability : IommuCapability.values()) {
            for (IommuDevice stranger : List.of(other.device(), other.second())) {
                assertRefused(Errno.ENODEV, () -> bench.iommu().capable(stranger, capability));
            }
        }
    }
}
