// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.EveryType.assertConstant;
import static org.iommu4j.tck.driver.EveryType.ofEveryType;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** What holds of a domain as such: its kind, sizes, aperture, threads. */
public abstract class DomainContract {
    /** Made by JUnit. */
    protected DomainContract() {}

    // Addresses and sizes.

    @Test
    @Promise("domain-1")
    void addressesAreUnsignedAndSizesAreBytes(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long end = domain.apertureEnd();
        // The upper half of the aperture is ordinary, also where its addresses are negative numbers.
        long high = end - (16 * page - 1);
        bench.map(domain, high, bench.scratch(), page, 4, READ_WRITE);
        bench.assertReaches(high + 3 * page, bench.scratch() + 3 * page);
        assertThat(domain.translate(high + 4 * page - 1)).isEqualTo(bench.scratch() + 4 * page - 1);
        assertThat(domain.translate(high + 4 * page)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(bench.unmap(domain, high + page, 2 * page)).isEqualTo(2 * page);
        bench.assertReaches(high, bench.scratch());
        bench.assertReaches(high + 3 * page, bench.scratch() + 3 * page);
        bench.assertBlocked(high + page);
        for (long beyond : new long[] {-page, Long.MIN_VALUE, Long.MIN_VALUE + bench.iova()}) {
            if (Long.compareUnsigned(beyond, end) > 0) {
                assertRefused(Errno.ERANGE, () -> domain.map(beyond, bench.scratch(), page, 1, READ_WRITE));
                assertThat(domain.unmap(beyond, page, new IotlbGather())).isZero();
                assertThat(domain.translate(beyond)).isEqualTo(IommuDomain.UNMAPPED);
            }
        }
        IotlbGather gather = new IotlbGather();
        assertThat(bench.unmap(domain, high, page, gather)).isEqualTo(page);
        assertThat(gather.start()).isEqualTo(high);
        assertThat(gather.end()).isEqualTo(high + page - 1);
        bench.sync(domain, gather);
        // A size in bytes: of 3 pages all are announced.
        bench.assertBlocked(bench.iova() + 2 * page);
        bench.mapOnly(domain, bench.iova(), bench.scratch(), page, 3, READ_WRITE);
        domain.syncMap(bench.iova(), 3 * page);
        bench.assertReaches(bench.iova() + 2 * page, bench.scratch() + 2 * page);
    }

    @Test
    @Promise("domain-4")
    void blockedRefusesAndIdentityPassesEveryRequest(Bench bench) {
        boolean identity = bench.traits().has(Ability.IDENTITY);
        long[] addresses = {bench.scratch(), bench.scratch() + bench.granule(), bench.scratch() + 8, bench.iova()};
        for (int round = 0; round < 2; round++) {
            for (IommuDevice device : List.of(bench.device(), bench.second())) {
                Requester who = device == bench.device() ? bench.requester() : bench.secondRequester();
                IommuDomain paging = bench.iommu().allocate(DomainType.UNMANAGED, device);
                bench.map(paging, bench.scratch(), bench.scratch() + bench.granule());
                bench.attach(paging, device);
                bench.assertReaches(who, bench.scratch(), bench.scratch() + bench.granule());

                IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, device);
                bench.attach(blocked, device);
                for (long address : addresses) {
                    bench.assertBlocked(who, address);
                }
                bench.assertBlocked(who, 0);
                if (identity) {
                    IommuDomain passing = bench.iommu().allocate(DomainType.IDENTITY, device);
                    bench.attach(passing, device);
                    for (long address : addresses) {
                        if (address != bench.iova()) {
                            bench.assertReaches(who, address, address);
                        }
                    }
                    long last = bench.subject().machine().memoryBytes() - 8;
                    bench.assertReaches(who, last, last);
                    bench.attach(blocked, device);
                    for (long address : addresses) {
                        bench.assertBlocked(who, address);
                    }
                    passing.close();
                }
                bench.detach(blocked, device);
                blocked.close();
                paging.close();
            }
        }
    }

    // State after refusals.

    @Test
    @Promise("domain-5")
    void refusedCallsLeaveTheDomainAndItsDevicesAsTheyWere(Bench bench) {
        Bench stranger = bench.on(ports -> ports);
        IommuDomain domain = bench.attached();
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(other, bench.second());
        IommuDomain closed = bench.domain();
        closed.close();
        long page = bench.granule();
        bench.map(domain, bench.iova(), bench.scratch(), page, 4, READ_WRITE);
        bench.map(domain, bench.iova() + 4 * page, bench.scratch(), page, 1, Prot.READ);
        bench.map(other, bench.iova(), bench.scratch() + 8 * page, page, 2, READ_WRITE);
        Map<String, ThrowingCallable> calls = new LinkedHashMap<>();
        calls.put("map over", () -> domain.map(bench.iova() + 3 * page, 0, page, 1, READ_WRITE));
        calls.put("map into", () -> domain.map(bench.iova() - 2 * page, bench.scratch(), page, 3, READ_WRITE));
        calls.put("map nothing", () -> domain.map(bench.iova() + 8 * page, bench.scratch(), page, 0, READ_WRITE));
        calls.put("map without rights", () -> domain.map(bench.iova() + 8 * page, bench.scratch(), page, 1, 0));
        calls.put("map misaligned", () -> domain.map(bench.iova() + 8 * page + 8, 0, page, 1, READ_WRITE));
        calls.put("map beyond", () -> domain.map(bench.iova() + 8 * page, 0, page, Long.MAX_VALUE >>> 13, READ_WRITE));
        calls.put("map half pages", () -> domain.map(bench.iova() + 8 * page, 0, page / 2, 1, READ_WRITE));
        calls.put("attach a stranger's device", () -> domain.attach(stranger.device()));
        calls.put("detach a stranger's device", () -> domain.detach(stranger.device()));
        calls.put("detach another domain's device", () -> domain.detach(bench.second()));
        calls.put("detach from the other domain", () -> other.detach(bench.device()));
        calls.put("attach to a closed domain", () -> closed.attach(bench.device()));
        calls.put("detach from a closed domain", () -> closed.detach(bench.device()));
        calls.put("map in a closed domain", () -> closed.map(bench.iova(), bench.scratch(), page, 1, READ_WRITE));
        calls.put("close", domain::close);
        calls.put("close the other", other::close);
        calls.put("close the driver", bench.iommu()::close);
        long frames = bench.framesInUse();
        calls.forEach((name, call) -> {
            bench.steps().note("%s, which is refused", name);
            assertThat(Errnos.of(call)).as(name).isPresent();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            assertThat(domain.translate(bench.iova() - page)).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(bench.iova() + 8 * page)).isEqualTo(IommuDomain.UNMAPPED);
            for (int i = 0; i < 4; i++) {
                assertThat(domain.translate(bench.iova() + i * page)).isEqualTo(bench.scratch() + i * page);
                bench.assertReaches(bench.iova() + i * page, bench.scratch() + i * page);
            }
            assertThat(bench.requester().write(bench.iova() + 4 * page, 1, false))
                    .isFalse();
            bench.assertReaches(bench.secondRequester(), bench.iova(), bench.scratch() + 8 * page);
            bench.assertBlocked(bench.secondRequester(), bench.iova() + 2 * page);
            bench.assertBlocked(bench.iova() + 8 * page);
            bench.assertBlocked(bench.iova() - page);
        });
        // Both go on as if nothing had been asked.
        bench.map(domain, bench.iova() + 8 * page, bench.scratch() + 9 * page);
        bench.assertReaches(bench.iova() + 8 * page, bench.scratch() + 9 * page);
        assertThat(bench.unmap(domain, bench.iova(), 5 * page)).isEqualTo(5 * page);
        bench.detach(domain, bench.device());
        domain.close();
        bench.detach(other, bench.second());
        other.close();
    }

    // Constants.

    @Test
    @Promise({"type-1", "domain-iommu-1"})
    void aDomainKnowsItsTypeAndItsDriver(Bench bench) {
        for (IommuDomain domain : ofEveryType(bench)) {
            assertThat(domain.iommu()).isSameAs(bench.iommu());
            assertConstant(bench, domain);
            assertThat(domain.iommu()).isSameAs(bench.iommu());
        }
        for (DomainType type : List.of(DomainType.DMA, DomainType.BLOCKED, DomainType.UNMANAGED, DomainType.DMA)) {
            assertThat(bench.iommu().allocate(type, bench.device()).type()).isEqualTo(type);
            assertThat(bench.iommu().allocate(type, bench.second()).type()).isEqualTo(type);
        }
        if (bench.traits().has(Ability.IDENTITY)) {
            assertThat(bench.iommu()
                            .allocate(DomainType.IDENTITY, bench.device())
                            .type())
                    .isEqualTo(DomainType.IDENTITY);
        }
    }

    @Test
    @Promise("domain-iommu-1")
    void aDomainNamesItsOwnDriverBesideAnotherMachines(Bench bench) {
        Bench other = bench.on(ports -> ports);
        IommuDomain here = bench.domain();
        IommuDomain there = other.domain();
        assertThat(here.iommu()).isSameAs(bench.iommu()).isNotSameAs(other.iommu());
        assertThat(there.iommu()).isSameAs(other.iommu());
        here.close();
        assertThat(here.iommu()).isSameAs(bench.iommu());
        assertThat(bench.domain().iommu()).isSameAs(bench.iommu());
    }

    @Test
    @Promise("format-1")
    void aDomainNamesItsFormat(Bench bench) {
        for (IommuDomain domain : ofEveryType(bench)) {
            assertThat(domain.format()).isNotBlank().isEqualTo(domain.format());
            assertConstant(bench, domain);
        }
    }

    private static boolean haveTheSameOps(Bench bench, IommuDomain one, IommuDomain other) {
        return one.format().equals(other.format())
                || (bench.iommu().sharesOps()
                        && one.type().isPaging()
                        && other.type().isPaging());
    }

    @Test
    @Promise("format-2")
    void aDeviceFitsADomainOfItsDomainsFormatOrIsIncompatibleAndNeverEnodev(Bench bench) {
        List<IommuDomain> domains = new ArrayList<>();
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            for (DomainType type : List.of(DomainType.UNMANAGED, DomainType.DMA, DomainType.BLOCKED)) {
                domains.add(bench.iommu().allocate(type, device));
                domains.add(bench.iommu().allocate(type, device));
            }
        }
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            for (IommuDomain home : domains) {
                boolean isHome = home.attach(device).attached();
                for (IommuDomain other : domains) {
                    if (isHome && haveTheSameOps(bench, home, other)) {
                        bench.steps().note("attach(%s) to a domain with its ops", device.id());
                        Throwable thrown = catchThrowable(
                                () -> assertThat(other.attach(device)).isNotNull());
                        assertThat(thrown).as("attaching to %s", other.format()).isNull();
                        assertThat(home.attach(device).attached()).isTrue();
                    }
                }
                if (isHome) {
                    bench.detach(home, device);
                }
            }
        }
    }

    // Sizes and aperture.

    @Test
    @Promise({"page-sizes-1", "page-sizes-2"})
    void pagesOfTheNamedSizesAndNoOthersCanBeMapped(Bench bench) {
        IommuDomain domain = bench.attached();
        assertThat(Long.lowestOneBit(domain.pageSizes()))
                .as("the smallest page")
                .isEqualTo(bench.granule());
        for (int bit = 0; bit < 63; bit++) {
            long size = 1L << bit;
            if ((domain.pageSizes() & size) == 0) {
                assertRefused(Errno.ENXIO, () -> domain.map(0, 0, size, 1, READ_WRITE));
                continue;
            }
            Spot spot = Spot.of(bench, domain, size);
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);
            bench.assertReaches(spot.iova() + spot.offset(), bench.scratch());
            long end = spot.offset() + spot.reachable(bench, size) - 8;
            bench.assertReaches(spot.iova() + end, spot.physicalAddress() + end);
            assertThat(domain.translate(spot.iova() + size - 1)).isEqualTo(spot.physicalAddress() + size - 1);
            assertThat(domain.translate(spot.iova() + size)).isEqualTo(IommuDomain.UNMAPPED);
            // One page, which goes as a whole.
            assertThat(bench.unmap(domain, spot.iova(), bench.granule())).isEqualTo(size);
        }
        assertThat(domain.pageSizes()).isPositive();
    }

    @Test
    @Promise({"page-sizes-2", "aperture-2"})
    void sizesAndStartAreConstantAndZeroUnlessPaging(Bench bench) {
        for (IommuDomain domain : ofEveryType(bench)) {
            if (domain.type().isPaging()) {
                assertThat(domain.pageSizes()).isNotZero();
                assertThat(domain.apertureStart()).isEqualTo(bench.traits().firstIova());
            } else {
                assertThat(domain.pageSizes()).isZero();
                assertThat(domain.apertureStart()).isZero();
            }
            assertConstant(bench, domain);
        }
    }

    @Test
    @Promise({"aperture-1", "aperture-2"})
    void theFirstPageCanBeMappedAndNoneBelow(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long first = domain.apertureStart();
        assertThat(first).isEqualTo(bench.traits().firstIova());
        assertThat(first & (page - 1)).as("bits below the page").isZero();
        bench.map(domain, first, bench.scratch());

        assertThat(domain.translate(first)).isEqualTo(bench.scratch());
        assertThat(domain.translate(first + page - 1)).isEqualTo(bench.scratch() + page - 1);
        bench.assertReaches(first, bench.scratch());
        bench.assertBlocked(first + page);
        if (first != 0) {
            assertRefused(Errno.ERANGE, () -> domain.map(first - page, bench.scratch(), page, 1, READ_WRITE));
            assertRefused(Errno.ERANGE, () -> domain.map(first - page, bench.scratch(), page, 2, READ_WRITE));
            assertThat(domain.unmap(first - page, 2 * page, new IotlbGather())).isZero();
            assertThat(domain.translate(first - 1)).isEqualTo(IommuDomain.UNMAPPED);
            bench.assertReaches(first, bench.scratch());
        }
        assertThat(bench.unmap(domain, first, page)).isEqualTo(page);
        bench.assertBlocked(first);
    }

    @Test
    @Promise({"aperture-3", "aperture-5"})
    void theLastPageCanBeMappedAndNoneAbove(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long end = domain.apertureEnd();
        assertThat(end).isEqualTo(bench.traits().lastIova());
        long last = end - (page - 1);
        bench.map(domain, last, bench.scratch());

        assertThat(domain.translate(end)).isEqualTo(bench.scratch() + page - 1);
        bench.assertReaches(last, bench.scratch());
        bench.assertReaches(last + page - 8, bench.scratch() + page - 8);
        assertThat(domain.unmap(last, 2 * page, new IotlbGather())).isZero();
        bench.assertReaches(last, bench.scratch());
        if (end != -1L) {
            assertRefused(Errno.ERANGE, () -> domain.map(end + 1, bench.scratch(), page, 1, READ_WRITE));
            bench.assertBlocked(end + 1);
            assertThat(domain.translate(end + 1)).isEqualTo(IommuDomain.UNMAPPED);
        }
        assertThat(bench.unmap(domain, last, page)).isEqualTo(page);
        bench.assertBlocked(last);
        assertThat(domain.apertureEnd()).isEqualTo(end);
        for (IommuDomain each : ofEveryType(bench)) {
            assertConstant(bench, each);
        }
    }

    // Threads and bytes.

    @Test
    @Promise("domain-2")
    void threadsInDisjointRangesDoNotDisturbEachOther(Bench bench) throws Exception {
        // A machine with caches belongs to one thread at a time.
        Bench flat = bench.subject().caches() ? new Bench(bench.subject().flat()) : bench;
        DisjointThreads.run(flat, flat.attached());
    }

    @Test
    @Promise("domain-2")
    void twoOperationsThatShareTablesWorkInEveryOrderOfTheirAccesses(Bench bench) {
        new TableInterleavings(bench).all();
    }

    @Test
    @Promise("domain-3")
    void mappingUnmappingTranslatingAndSyncingAllocateNothing(Bench bench) {
        HotPaths.assertAllocateNothing(bench, bench.attached());
    }

    @Test
    @Promise("domain-5")
    void aDomainThatStaysOpenChangesNoOther(Bench bench) {
        IommuDomain busy = bench.attached();
        IommuDomain other = bench.domain();
        bench.map(other, bench.iova(), bench.scratch());
        assertRefused(Errno.EBUSY, busy::close);
        assertThat(other.translate(bench.iova())).isEqualTo(bench.scratch());
        bench.attach(other, bench.device());
        bench.assertReaches(bench.iova(), bench.scratch());
    }
}
