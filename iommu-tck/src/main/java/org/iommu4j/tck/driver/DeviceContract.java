// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.HardwareInfo;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PasidCapability;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PriCapability;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDevice}. */
public abstract class DeviceContract {
    private static final int MAX_PASIDS = 1 << 20;

    /** Made by JUnit. */
    protected DeviceContract() {}

    @Test
    @Promise("device-1")
    void aFunctionHasOneDeviceOfEachDriver(Bench bench) {
        Bench other = new Bench(bench.subject());
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            for (DeviceId another : bench.ids()) {
                assertThat(bench.probe(another) == device)
                        .as("the device of %s is that of %s", another, id)
                        .isEqualTo(another.equals(id));
            }
            assertThat(other.probe(id)).as("the other driver's device").isNotSameAs(device);
            assertThat(device.iommu()).isSameAs(bench.iommu());
            assertThat(other.probe(id).iommu()).isSameAs(other.iommu());
        }
    }

    @Test
    @Promise("device-id-1")
    void aDeviceHasTheIdThatItWasProbedBy(Bench bench) {
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            assertThat(device.id()).isEqualTo(id);
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            assertThat(device.id()).as("attached").isEqualTo(id);
            bench.detach(domain, device);
            domain.close();
        }
        bench.iommu().close();
        assertThat(bench.device().id()).as("closed").isEqualTo(bench.ids().get(0));
        assertThat(bench.second().id()).as("closed").isEqualTo(bench.ids().get(1));
    }

    @Test
    @Promise("device-iommu-1")
    void aDeviceNamesTheDriverThatProbedIt(Bench bench) {
        Bench other = new Bench(bench.subject());
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            assertThat(device.iommu()).isSameAs(bench.iommu()).isNotSameAs(other.iommu());
        }
        IommuDomain domain = bench.attached();
        assertThat(bench.device().iommu()).isSameAs(domain.iommu()).isSameAs(bench.iommu());
        assertThat(other.device().iommu()).isSameAs(other.iommu());
        bench.detach(domain, bench.device());
        bench.iommu().close();
        assertThat(bench.device().iommu()).as("closed").isSameAs(bench.iommu());
    }

    @Test
    @Promise("reserved-1")
    void reservedRegionsAreSortedAndMerged(Bench bench) {
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            List<ReservedRegion> regions = device.reservedRegions();
            for (int i = 0; i < regions.size(); i++) {
                ReservedRegion region = regions.get(i);
                assertThat(region.start() & 0xfff).as("start of %s", region).isZero();
                if (i > 0) {
                    assertThat(Long.compareUnsigned(regions.get(i - 1).start(), region.start()))
                            .as("%s before %s", regions.get(i - 1), region)
                            .isNotPositive();
                }
                for (int j = 0; j < i; j++) {
                    ReservedRegion before = regions.get(j);
                    assertThat(before.type() == region.type()
                                    && before.prot() == region.prot()
                                    && before.overlaps(region.start(), region.end()))
                            .as("%s and %s are one", before, region)
                            .isFalse();
                }
            }
            assertThat(device.reservedRegions()).as("asked again").isEqualTo(regions);
            assertThat(bench.probe(id).reservedRegions()).as("probed again").isEqualTo(regions);
            Described.of(bench)
                    .device(id)
                    .map(DeviceDescription::reservedRegions)
                    .ifPresent(described -> assertThat(regions)
                            .as("regions of %s, and what is said of them without opening", id)
                            .isEqualTo(described));
        }
        List<ReservedRegion> regions = bench.device().reservedRegions();
        IommuDomain domain = bench.attached();
        assertThat(bench.device().reservedRegions()).as("attached").isEqualTo(regions);
        bench.map(domain, bench.iova(), bench.scratch());
        assertThat(bench.device().reservedRegions()).as("attached").isEqualTo(regions);
    }

    @Test
    @NeedsAbility(Ability.DIRECT_REGIONS)
    @Promise("reserved-1")
    void whatFirmwareHasMappedOneToOneIsAmongTheRegions(Bench bench) {
        Map<DeviceId, List<ReservedRegion>> expected = bench.traits().directRegions();
        Set<DeviceId> ids = new LinkedHashSet<>(bench.ids());
        ids.addAll(expected.keySet());
        for (DeviceId id : ids) {
            assertThat(bench.probe(id).reservedRegions().stream()
                            .filter(region -> region.type().mapped()))
                    .as("direct regions of %s", id)
                    .isEqualTo(expected.getOrDefault(id, List.of()));
        }
    }

    /** What firmware demands is one to one can be mapped so, and the device then has those rights and no others. */
    @Test
    @NeedsAbility(Ability.DIRECT_REGIONS)
    @Promise({"reserved-1", "map-5"})
    void whatIsToBeMappedOneToOneCanBe(Bench bench) {
        for (DeviceId id : bench.traits().directRegions().keySet()) {
            IommuDevice device = bench.probe(id);
            Requester requester = Requester.of(bench.machine(), id);
            IommuDomain domain = bench.iommu().allocate(DomainType.DMA, device);
            bench.attach(domain, device);
            for (ReservedRegion region : device.reservedRegions()) {
                if (region.type().mapped()) {
                    assertCanBeMapped(bench, domain, requester, region);
                }
            }
        }
    }

    private static void assertCanBeMapped(Bench bench, IommuDomain domain, Requester requester, ReservedRegion region) {
        long memory = bench.subject().machine().memoryBytes();
        long size = region.end() - region.start() + 1;
        assertThat(Long.compareUnsigned(region.end(), memory))
                .as("%s is in memory", region)
                .isNegative();
        assertThat((region.start() | size) & (bench.granule() - 1))
                .as("%s is aligned", region)
                .isZero();
        bench.assertBlocked(requester, region.start());
        bench.map(domain, region.start(), region.start(), bench.granule(), size / bench.granule(), region.prot());
        for (long address : new long[] {region.start(), region.end() & -Long.BYTES}) {
            bench.store(address, 0x1234);
            boolean reads = requester.read(address, false) == 0x1234;
            boolean writes = requester.write(address, 0x5678, false);
            assertThat(bench.load(address)).as("what is at 0x%x", address).isEqualTo(writes ? 0x5678 : 0x1234);
            assertThat(writes).as("writes of %s", region).isEqualTo((region.prot() & Prot.WRITE) != 0);
            if ((region.prot() & Prot.READ) != 0 || bench.traits().has(Ability.WRITE_ONLY)) {
                assertThat(reads).as("reads of %s", region).isEqualTo((region.prot() & Prot.READ) != 0);
            }
        }
        bench.assertBlocked(requester, region.end() + 1);
    }

    @Test
    @Promise("isolated-msi-1")
    void isolatedInterruptsAreWhatIsSaidWithoutOpening(Bench bench) {
        Described described = Described.of(bench);
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            boolean isolated = device.isolatedMsi();
            described
                    .device(id)
                    .flatMap(description -> Described.known(description.isolatedInterrupts()))
                    .ifPresent(said -> assertThat(isolated).as("%s", id).isEqualTo(said));
            assertThat(device.isolatedMsi()).as("asked again").isEqualTo(isolated);
        }
        boolean isolated = bench.device().isolatedMsi();
        IommuDomain domain = bench.attached();
        assertThat(bench.device().isolatedMsi()).as("attached").isEqualTo(isolated);
        bench.detach(domain, bench.device());
        bench.iommu().close();
        assertThat(bench.device().isolatedMsi()).as("closed").isEqualTo(isolated);
    }

    @Test
    @Promise("max-pasids-1")
    void pasidsAreAPowerOfTwoThatDeviceAndUnitKnow(Bench bench) {
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            int pasids = device.maxPasids();
            assertThat(pasids).isBetween(0, MAX_PASIDS);
            assertThat(Integer.bitCount(pasids))
                    .as("%d is a power of two", pasids)
                    .isLessThanOrEqualTo(1);
            if (id instanceof PciAddress address) {
                int known = PasidCapability.of(bench.function(address).config())
                        .map(capability -> 1 << capability.width())
                        .orElse(0);
                assertThat(pasids).as("PASIDs of %s", id).isLessThanOrEqualTo(known);
            }
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.map(domain, bench.iova(), bench.scratch());
            bench.attach(domain, device);
            assertThat(device.maxPasids()).as("attached").isEqualTo(pasids);
            assertPasidIsRefused(bench, id, 1);
            if (pasids > 0) {
                assertPasidIsRefused(bench, id, pasids - 1);
            }
            bench.detach(domain, device);
            domain.close();
            assertThat(device.maxPasids()).as("detached").isEqualTo(pasids);
        }
        assertThat(bench.device().maxPasids() > 0 || !bench.traits().has(Ability.PASID))
                .as("the first device has PASIDs")
                .isTrue();
    }

    /** With PASIDs it is refused because it is not attached, without because there is none. */
    private static void assertPasidIsRefused(Bench bench, DeviceId id, int pasid) {
        if (id instanceof PciAddress address) {
            TranslationUnit unit = bench.unitOf(id);
            long answer = unit.translate(
                    unit.spec().sourceId(address.segment(), address.requesterId()),
                    pasid,
                    bench.iova(),
                    RequestFlags.READ);
            assertThat(Translation.isFault(answer))
                    .as("a request with PASID %d is refused", pasid)
                    .isTrue();
        }
    }

    @Test
    @NeedsAbility(Ability.PASID)
    @Promise("max-pasids-1")
    void theLastPasidCanBeAttached(Bench bench) {
        int last = bench.device().maxPasids() - 1;
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.PASID));
        bench.attach(domain, bench.device());
        assertThat(domain.pasidAttachment()
                        .orElseThrow()
                        .attach(bench.device(), last)
                        .attached())
                .isTrue();
        bench.map(domain, bench.iova(), bench.scratch());
        Requester requester = bench.requester().withPasid(last);
        bench.assertReaches(requester, bench.iova(), bench.scratch());
        domain.pasidAttachment().orElseThrow().detach(bench.device(), last);
        bench.assertBlocked(requester, bench.iova());
    }

    @Test
    @Promise("hardware-info-1")
    void whatIsToldOfTheUnitDoesNotChange(Bench bench) {
        HardwareInfo told = bench.device().hardwareInfo();
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
        bench.attach(domain, bench.device());
        assertThat(bench.device().hardwareInfo()).isEqualTo(told);
        bench.detach(domain, bench.device());
        assertThat(bench.device().hardwareInfo()).isEqualTo(told);
    }

    @Test
    @Promise("virtual-unit-1")
    void theUnitOfGuestsIsOneOfTheDriversAndDoesNotChange(Bench bench) {
        Optional<String> unit = bench.device().virtualIommuUnit();
        unit.ifPresent(name -> assertThat(bench.iommu().units()).contains(name));
        assertThat(bench.device().virtualIommuUnit()).isEqualTo(unit);
    }

    @Test
    @Promise("page-requests-of-device-1")
    void pageRequestsAreThereForTheDevicesLifeOrNever(Bench bench) {
        assertThat(bench.device().pageRequests().isPresent())
                .as("the first device can request pages")
                .isEqualTo(bench.traits().has(Ability.PAGE_REQUESTS));
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            Optional<PageRequests> requests = device.pageRequests();
            assertSame(device, requests, "asked again");
            if (id instanceof PciAddress address) {
                ConfigSpace config = bench.function(address).config();
                assertThat(requests.isPresent() && (PriCapability.of(config).isEmpty() || device.maxPasids() == 0))
                        .as("%s requests pages and can't", id)
                        .isFalse();
            }
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            assertSame(device, requests, "attached");
            bench.detach(domain, device);
            assertSame(device, requests, "detached");
            domain.close();
        }
        Optional<PageRequests> requests = bench.device().pageRequests();
        bench.iommu().close();
        assertSame(bench.device(), requests, "closed");
    }

    private static void assertSame(IommuDevice device, Optional<PageRequests> requests, String when) {
        assertThat(device.pageRequests().orElse(null)).as(when).isSameAs(requests.orElse(null));
    }

    /**
     * What is said of a device without opening its driver is what the opened driver does. A description need not have
     * devices that are not on PCI.
     */
    @Test
    @Promise({"device-iommu-1", "reserved-1", "isolated-msi-1"})
    void aDeviceIsBehindTheUnitThatIsSaidWithoutOpening(Bench bench) {
        Described described = Described.of(bench);
        for (DeviceId id : bench.ids()) {
            bench.probe(id);
            Optional<DeviceDescription> said = described.device(id);
            if (said.isEmpty() && id instanceof NamedDevice) {
                continue;
            }
            DeviceDescription device = said.orElseThrow(() -> new AssertionError("nothing is said of " + id));
            assertThat(device.unit())
                    .as("the unit of %s", id)
                    .isEqualTo(bench.unitOf(id).spec().name());
            if (bench.traits().has(Ability.FAULT_REPORTS)) {
                bench.iommu().takeFaults();
                bench.assertBlocked(Requester.of(bench.machine(), id), bench.iova());
                assertThat(bench.iommu().takeFaults())
                        .extracting(DmaFault::unit)
                        .as("the unit that reports %s", id)
                        .isNotEmpty()
                        .containsOnly(device.unit());
            }
        }
    }
}
