// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.MappingContract.attachSecond;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongUnaryOperator;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Traits;
import org.junit.jupiter.api.Test;

/** What holds of a domain as such: its kind, sizes, aperture, translations, threads, its closing. */
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
            assertThat(catchThrowable(call)).as(name).isInstanceOf(IommuException.class);
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

    /** Returns what a domain says of itself, which is constant for its life. */
    private static List<Object> constants(IommuDomain domain) {
        return List.of(
                domain.type(),
                domain.iommu(),
                domain.format(),
                domain.pageSizes(),
                domain.apertureStart(),
                domain.apertureEnd(),
                domain.cacheCoherencyEnforcement().isPresent(),
                domain.dirtyTracking().isPresent(),
                domain.pasidAttachment().isPresent(),
                domain.nesting().isPresent(),
                domain.guestInvalidation().isPresent());
    }

    /** Leads a domain through all of its life, and asks it at each turn. */
    private static void assertConstant(Bench bench, IommuDomain domain) {
        List<Object> constants = constants(domain);
        ask(bench, domain, constants, "asked again");
        IommuDomain second = bench.iommu().allocate(domain.type(), bench.second());
        ask(bench, domain, constants, "another domain is made");
        bench.attach(domain, bench.device());
        ask(bench, domain, constants, "a device is attached");
        if (domain.type().isPaging()) {
            bench.map(domain, bench.iova(), bench.scratch());
            ask(bench, domain, constants, "a page is mapped");
            bench.map(domain, domain.apertureEnd() - bench.granule() + 1, bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
            ask(bench, domain, constants, "the last page is mapped");
            assertRefused(
                    Errno.EADDRINUSE, () -> domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, READ_WRITE));
            ask(bench, domain, constants, "a page is refused");
        }
        attachSecond(bench, domain);
        ask(bench, domain, constants, "a second device is attached");
        domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
        ask(bench, domain, constants, "no-snoop is to be blocked");
        if (domain.type().isPaging()) {
            bench.unmap(domain, bench.iova(), bench.granule());
            ask(bench, domain, constants, "a page is unmapped");
        }
        assertRefused(Errno.EBUSY, domain::close);
        ask(bench, domain, constants, "closing is refused");
        bench.detach(domain, bench.device());
        ask(bench, domain, constants, "a device is detached");
        bench.attach(domain, bench.device());
        bench.detach(domain, bench.device());
        detachSecond(bench, domain);
        ask(bench, domain, constants, "the last device is detached");
        domain.close();
        ask(bench, domain, constants, "the domain is closed");
        domain.close();
        second.close();
        ask(bench, domain, constants, "all is closed");
    }

    /** Takes the second device out, if it is in. */
    private static void detachSecond(Bench bench, IommuDomain domain) {
        try {
            bench.detach(domain, bench.second());
        } catch (IommuException e) {
            assertThat(e.errno()).isEqualTo(Errno.EINVAL);
        }
    }

    private static void ask(Bench bench, IommuDomain domain, List<Object> constants, String when) {
        bench.steps().note("%s", when);
        assertThat(constants(domain))
                .as("what the domain says of itself when %s", when)
                .isEqualTo(constants);
    }

    private static List<IommuDomain> ofEveryType(Bench bench) {
        List<IommuDomain> all = new ArrayList<>();
        for (DomainType type : DomainType.values()) {
            if (type != DomainType.NESTED
                    && (type != DomainType.IDENTITY || bench.traits().has(Ability.IDENTITY))) {
                bench.steps().note("allocate(%s)", type);
                all.add(bench.iommu().allocate(type, bench.device()));
            }
        }
        return all;
    }

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
        Bytes.assertHotPathsAllocateNothing(bench, bench.attached());
    }

    // Translations.

    @Test
    @Promise({"translate-1", "translate-2"})
    void everyByteOfAPageIsTranslated(Bench bench) {
        IommuDomain domain = bench.attached();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);
            for (long page : new long[] {0, size / 2 & -bench.granule(), size - bench.granule()}) {
                for (long at : new long[] {0, 1, 7, 8, 63, 255, 2047, 4095, bench.granule() - 1}) {
                    assertThat(domain.translate(spot.iova() + page + at))
                            .as("byte 0x%x of a page of 0x%x", page + at, size)
                            .isEqualTo(spot.physicalAddress() + page + at);
                }
            }
            assertThat(domain.translate(spot.iova() + size)).isEqualTo(IommuDomain.UNMAPPED);
            if (spot.iova() != 0) {
                assertThat(domain.translate(spot.iova() - 1)).isEqualTo(IommuDomain.UNMAPPED);
            }
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
            assertThat(domain.translate(spot.iova())).isEqualTo(IommuDomain.UNMAPPED);
        }
        // What is mapped elsewhere is found there.
        for (int i = 0; i < 3; i++) {
            bench.map(domain, bench.iova(), bench.scratch() + i * bench.granule());
            assertThat(domain.translate(bench.iova() + 9)).isEqualTo(bench.scratch() + i * bench.granule() + 9);
            bench.assertReaches(bench.iova(), bench.scratch() + i * bench.granule());
            assertThat(bench.unmap(domain, bench.iova(), bench.granule())).isEqualTo(bench.granule());
            assertThat(domain.translate(bench.iova() + 9)).isEqualTo(IommuDomain.UNMAPPED);
        }
        // Rights make no difference: the page is mapped.
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 1, Prot.READ);
        bench.map(domain, bench.iova() + bench.granule(), bench.scratch(), bench.granule(), 1, Prot.WRITE);
        assertThat(domain.translate(bench.iova() + 5)).isEqualTo(bench.scratch() + 5);
        assertThat(domain.translate(bench.iova() + bench.granule() + 5)).isEqualTo(bench.scratch() + 5);
    }

    @Test
    @Promise("translate-2")
    void translationsAgreeWithTheHardwareForEveryAddress(Bench bench) {
        IommuDomain domain = bench.attached();
        Random random = bench.random();
        long page = bench.granule();
        List<Long> sizes = bench.pageSizes(domain).stream()
                .filter(size -> size <= 32 * bench.tableSpan() || size <= 1L << 30)
                .toList();
        TreeSet<Long> looked = new TreeSet<>();
        for (long at = page; at != 0; at <<= 1) {
            looked.add(at);
            looked.add(at - 8);
            looked.add(at + bench.iova());
        }
        looked.addAll(List.of(0L, -8L, domain.apertureEnd() - 7, domain.apertureEnd() + 1, domain.apertureStart()));
        for (int step = 0; step < 60; step++) {
            long size = sizes.get(random.nextInt(sizes.size()));
            long place = random.nextInt(4) == 0
                    ? random.nextLong() & domain.apertureEnd() & -size
                    : bench.iova() + (random.nextLong() & 15 * bench.tableSpan() / 4 & -size);
            long physical = bench.scratch() & -size;
            try {
                bench.mapOnly(domain, place, physical, size, 1, READ_WRITE);
                domain.syncMap(place, size);
            } catch (IommuException e) {
                assertThat(e.errno()).isIn(Errno.EADDRINUSE, Errno.ERANGE);
            }
            if (step % 5 == 4) {
                bench.unmap(domain, place, page);
            }
            long offset = bench.scratch() - physical;
            looked.addAll(List.of(place, place - 8, place + size - 8, place + size, place + offset));
        }
        assertAgreement(bench, domain, looked);
        bench.detach(domain, bench.device());
        looked.forEach(iova -> assertWalked(bench, iova, IommuDomain.UNMAPPED));
    }

    /** Asks the vendor's second witness, where there is one. */
    private static void assertWalked(Bench bench, long iova, long expected) {
        LongUnaryOperator memory = bench.traits().snoopedWalks() ? bench::load : bench.machine()::peekDram;
        TranslationUnitSpec unit = bench.unitOf(bench.device().id()).spec();
        RegisterWindow registers = bench.machine().registers().map(unit.registerBase(), unit.registerSize());
        bench.traits()
                .walk()
                .ifPresent(walk -> assertThat(
                                walk.translate(registers, memory, bench.device().id(), iova))
                        .as("what the vendor's own walk finds at 0x%x", iova)
                        .isEqualTo(expected));
    }

    /** Asks driver, silicon and the vendor's second witness for each address. */
    static void assertAgreement(Bench bench, IommuDomain domain, Iterable<Long> iovas) {
        long token = 0x0c0f_fee0_0000L;
        for (long iova : iovas) {
            long translated = domain.translate(iova);
            String at = "0x" + Long.toHexString(iova);
            for (int i = 1; i < 8; i += 3) {
                assertThat(domain.translate(iova + i))
                        .as("byte %d at %s", i, at)
                        .isEqualTo(translated == IommuDomain.UNMAPPED ? IommuDomain.UNMAPPED : translated + i);
            }
            assertWalked(bench, iova, translated);
            boolean inScratch = translated >= bench.scratch()
                    && translated < bench.subject().machine().memoryBytes();
            if (inScratch) {
                bench.store(translated, ++token);
            }
            bench.steps().note("device reads at %s", at);
            long read = bench.requester().read(iova, false);
            assertThat(bench.requester().status() == RequestStatus.TRANSLATION_FAULT)
                    .as("a read at %s is refused by the unit, where the driver says 0x%x", at, translated)
                    .isEqualTo(translated == IommuDomain.UNMAPPED);
            if (inScratch) {
                assertThat(read).as("what the device reads at %s", at).isEqualTo(token);
            }
        }
    }

    @Test
    @Promise("translate-3")
    void identityTranslatesToItselfAndBlockedToNothing(Bench bench) {
        long[] addresses = {
            0,
            1,
            bench.scratch(),
            bench.scratch() + 5,
            bench.iova(),
            bench.iova() + 7,
            1L << 40,
            (1L << 52) | 3,
            Long.MIN_VALUE,
            -2
        };
        IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, bench.device());
        for (int round = 0; round < 2; round++) {
            for (long address : addresses) {
                assertThat(blocked.translate(address)).isEqualTo(IommuDomain.UNMAPPED);
            }
            bench.attach(blocked, bench.device());
        }
        if (bench.traits().has(Ability.IDENTITY)) {
            IommuDomain identity = bench.iommu().allocate(DomainType.IDENTITY, bench.device());
            for (int round = 0; round < 2; round++) {
                for (long address : addresses) {
                    assertThat(identity.translate(address)).isEqualTo(address);
                }
                bench.attach(identity, bench.device());
            }
        }
    }

    @Test
    @Promise("translate-2")
    void whatIsBeyondTheApertureIsNoOtherNameOfWhatIsInIt(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        for (int bit = bench.traits().addressBits(); bit < Long.SIZE; bit++) {
            assertThat(domain.translate(bench.iova() | (1L << bit)))
                    .as("with bit %d", bit)
                    .isEqualTo(IommuDomain.UNMAPPED);
        }
    }

    @Test
    @Promise("translate-1")
    void everyBitOfAPhysicalAddressIsKept(Bench bench) {
        IommuDomain domain = bench.domain();
        for (int bit = Long.numberOfTrailingZeros(bench.granule());
                bit < bench.traits().physicalBits();
                bit++) {
            domain.map(bench.iova(), 1L << bit, bench.granule(), 1, Bench.READ_WRITE);
            assertThat(domain.translate(bench.iova() + 5)).as("bit %d", bit).isEqualTo((1L << bit) | 5);
            bench.unmap(domain, bench.iova(), bench.granule());
        }
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

    @Test
    @Promise("close-1")
    void whateverADomainMappedOrWasAskedItsFramesComeBack(Bench bench) {
        bench.domain().close();
        long before = bench.framesInUse();
        for (int round = 0; round < 3; round++) {
            IommuDomain domain = bench.attached();
            for (long size : bench.pageSizes(domain)) {
                Spot spot = Spot.of(bench, domain, size);
                domain.map(spot.iova(), spot.physicalAddress(), size, 1, Bench.READ_WRITE);
                bench.unmap(domain, spot.iova(), size);
                domain.map(spot.iova(), spot.physicalAddress(), size, 1, Bench.READ_WRITE);
                bench.unmap(domain, spot.iova(), size);
            }
            domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
            bench.map(domain, bench.iova(), bench.scratch());
            bench.detach(domain, bench.device());
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use, round %d", round).isEqualTo(before);
        }
    }

    @Test
    @Promise("translate-4")
    void aClosedDomainTranslatesNothing(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        List<IommuDomain> all = ofEveryType(bench);
        all.add(domain);
        for (IommuDomain each : all) {
            each.close();
            for (int round = 0; round < 2; round++) {
                assertRefused(Errno.ENODEV, () -> each.translate(bench.iova()));
                assertRefused(Errno.ENODEV, () -> each.translate(0));
                assertRefused(Errno.ENODEV, () -> each.translate(-1));
            }
        }
    }

    // Capabilities.

    @Test
    @Promise("enforcement-1")
    void whetherNoSnoopCanBeControlledIsConstant(Bench bench) {
        for (IommuDomain domain : List.of(bench.domain(), bench.iommu().allocate(DomainType.DMA, bench.second()))) {
            assertThat(domain.cacheCoherencyEnforcement().isPresent())
                    .isEqualTo(bench.traits().enforcement() != Traits.Enforcement.ABSENT);
        }
        ofEveryType(bench).forEach(domain -> assertConstant(bench, domain));
    }

    @Test
    @Promise("dirty-tracking-1")
    void whetherWrittenPagesAreRecordedIsConstant(Bench bench) {
        if (bench.traits().has(Ability.DIRTY_TRACKING)) {
            IommuDomain domain = flagged(bench, DomainFlag.DIRTY_TRACKING);
            assertThat(domain.dirtyTracking()).isPresent();
            assertConstant(bench, domain);
        }
        for (IommuDomain domain : ofEveryType(bench)) {
            if (!domain.type().isPaging() || !bench.traits().has(Ability.DIRTY_TRACKING)) {
                assertThat(domain.dirtyTracking()).isEmpty();
            }
            assertConstant(bench, domain);
        }
    }

    @Test
    @Promise("pasid-attachment-1")
    void whetherPasidsCanBeAttachedIsConstant(Bench bench) {
        if (bench.traits().has(Ability.PASID)) {
            IommuDomain domain = flagged(bench, DomainFlag.PASID);
            assertThat(domain.pasidAttachment()).isPresent();
            assertConstant(bench, domain);
        }
        for (IommuDomain domain : ofEveryType(bench)) {
            assertConstant(bench, domain);
        }
    }

    @Test
    @Promise("nesting-1")
    void whetherADomainCanBeAParentIsConstant(Bench bench) {
        if (bench.traits().has(Ability.NESTING)) {
            IommuDomain domain = flagged(bench, DomainFlag.NEST_PARENT);
            assertThat(domain.nesting()).isPresent();
            assertConstant(bench, domain);
        }
        for (IommuDomain domain : ofEveryType(bench)) {
            if (!domain.type().isPaging() || !bench.traits().has(Ability.NESTING)) {
                assertThat(domain.nesting()).isEmpty();
            }
            assertConstant(bench, domain);
        }
    }

    @Test
    @Promise("guest-invalidation-1")
    void aDomainThatIsNotNestedPassesOnNoGuestsInvalidations(Bench bench) {
        List<IommuDomain> all = ofEveryType(bench);
        if (bench.traits().has(Ability.NESTING)) {
            all.add(flagged(bench, DomainFlag.NEST_PARENT));
        }
        for (IommuDomain domain : all) {
            assertThat(domain.guestInvalidation()).isEmpty();
            assertConstant(bench, domain);
            assertThat(domain.guestInvalidation()).isEmpty();
        }
    }

    private static IommuDomain flagged(Bench bench, DomainFlag flag) {
        bench.steps().note("allocate(UNMANAGED, %s)", flag);
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag));
    }

    // Closing.

    @Test
    @Promise("close-1")
    void allThatADomainTookCanBeTakenAgain(Bench bench) {
        long page = bench.granule();
        long span = bench.tableSpan();
        long before = bench.framesInUse();
        for (int round = 0; round < 40; round++) {
            IommuDomain domain = bench.attached();
            Requester other = attachSecond(bench, domain);
            for (int i = 0; i < 1 + round % 3; i++) {
                bench.map(domain, bench.iova() + i * span - page, bench.scratch(), page, 2, READ_WRITE);
            }
            bench.map(domain, domain.apertureStart(), bench.scratch());
            bench.map(domain, domain.apertureEnd() - page + 1, bench.scratch());
            bench.assertReaches(other, bench.iova(), bench.scratch() + page);
            if (round % 2 == 0) {
                bench.unmap(domain, bench.iova(), page);
            }
            bench.detach(domain, bench.device());
            detachSecond(bench, domain);
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        }
        for (int round = 0; round < 40; round++) {
            ofEveryType(bench).forEach(IommuDomain::close);
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        }
        bench.assertBlocked(bench.iova());
        bench.assertBlocked(bench.secondRequester(), bench.iova());
    }

    @Test
    @Promise({"close-2", "close-5"})
    void aDomainWithADeviceStaysOpen(Bench bench) {
        for (IommuDomain domain : ofEveryType(bench)) {
            boolean paging = domain.type().isPaging();
            if (paging) {
                bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 3, READ_WRITE);
            }
            bench.attach(domain, bench.device());
            Requester other = attachSecond(bench, domain);
            for (int devices = 2; devices > 0; devices--) {
                long frames = bench.framesInUse();
                assertRefused(Errno.EBUSY, domain::close);
                assertRefused(Errno.EBUSY, domain::close);
                assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
                if (paging) {
                    assertThat(domain.translate(bench.iova())).isEqualTo(bench.scratch());
                    bench.assertReaches(bench.iova() + 2 * bench.granule(), bench.scratch() + 2 * bench.granule());
                    if (devices == 2) {
                        bench.assertReaches(other, bench.iova(), bench.scratch());
                    }
                } else if (domain.type() == DomainType.IDENTITY) {
                    bench.assertReaches(bench.scratch(), bench.scratch());
                }
                detachSecond(bench, domain);
            }
            if (paging) {
                bench.map(domain, bench.iova() + 3 * bench.granule(), bench.scratch());
                bench.assertReaches(bench.iova() + 3 * bench.granule(), bench.scratch());
            }
            bench.detach(domain, bench.device());
            domain.close();
        }
    }

    @Test
    @NeedsAbility(Ability.PASID)
    @Promise("close-5")
    void aDomainWithAPasidStaysOpen(Bench bench) {
        IommuDomain domain = flagged(bench, DomainFlag.PASID);
        bench.map(domain, bench.iova(), bench.scratch());
        // Some units want the device to have a domain of its own first.
        IommuDomain own = flagged(bench, DomainFlag.PASID);
        bench.attach(own, bench.device());
        domain.pasidAttachment().orElseThrow().attach(bench.device(), 1);
        Requester tagged = bench.requester().withPasid(1);
        bench.assertReaches(tagged, bench.iova(), bench.scratch());
        assertRefused(Errno.EBUSY, domain::close);
        bench.assertReaches(tagged, bench.iova(), bench.scratch());
        domain.pasidAttachment().orElseThrow().detach(bench.device(), 1);
        domain.close();
        bench.assertBlocked(tagged, bench.iova());
    }

    @Test
    @Promise("close-3")
    void closingAgainDoesNothing(Bench bench) {
        long page = bench.granule();
        for (IommuDomain domain : ofEveryType(bench)) {
            if (domain.type().isPaging()) {
                bench.map(domain, bench.iova(), bench.scratch(), page, 3, READ_WRITE);
            }
            domain.close();
            long empty = bench.framesInUse();
            domain.close();
            // Whoever has the frames now keeps them.
            IommuDomain next = bench.attached();
            bench.map(next, bench.iova(), bench.scratch(), page, 3, READ_WRITE);
            long frames = bench.framesInUse();
            domain.close();
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            for (int i = 0; i < 3; i++) {
                bench.assertReaches(bench.iova() + i * page, bench.scratch() + i * page);
            }
            bench.map(next, bench.iova() + bench.tableSpan(), bench.scratch());
            bench.assertReaches(bench.iova() + bench.tableSpan(), bench.scratch());
            bench.detach(next, bench.device());
            next.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(empty);
        }
    }

    @Test
    @Promise("close-4")
    void aClosedDomainRefusesWithEnodevWhatWouldDoSomething(Bench bench) {
        List<IommuDomain> all = ofEveryType(bench);
        for (DomainFlag flag : flags(bench)) {
            all.add(flagged(bench, flag));
        }
        for (IommuDomain domain : all) {
            List<Object> constants = constants(domain);
            Map<String, ThrowingCallable> calls = operations(bench, domain);
            domain.close();
            long frames = bench.framesInUse();
            calls.forEach((name, call) -> {
                bench.steps().note("%s of a closed domain of type %s", name, domain.type());
                assertRefused(Errno.ENODEV, call);
            });
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            assertThat(constants(domain)).isEqualTo(constants);
            bench.assertBlocked(bench.iova());
        }
    }

    private static List<DomainFlag> flags(Bench bench) {
        List<DomainFlag> flags = new ArrayList<>();
        Map.of(
                        Ability.PASID, DomainFlag.PASID,
                        Ability.DIRTY_TRACKING, DomainFlag.DIRTY_TRACKING,
                        Ability.NESTING, DomainFlag.NEST_PARENT)
                .forEach((ability, flag) -> {
                    if (bench.traits().has(ability)) {
                        flags.add(flag);
                    }
                });
        return flags;
    }

    /** Returns all that can be asked of a domain and does something, or looks into its tables. */
    private static Map<String, ThrowingCallable> operations(Bench bench, IommuDomain domain) {
        long page = bench.granule();
        IommuDevice device = bench.device();
        Map<String, ThrowingCallable> all = new LinkedHashMap<>();
        IotlbGather full = new IotlbGather();
        full.addRange(bench.iova(), bench.iova() + page - 1);
        all.put("attach", () -> domain.attach(device));
        all.put("attach of the second", () -> domain.attach(bench.second()));
        all.put("detach", () -> domain.detach(device));
        all.put("map", () -> domain.map(bench.iova(), bench.scratch(), page, 1, Prot.READ_WRITE));
        all.put("syncMap", () -> domain.syncMap(bench.iova(), page));
        all.put("syncMap of nothing", () -> domain.syncMap(0, 0));
        all.put("unmap", () -> domain.unmap(bench.iova(), page, new IotlbGather()));
        all.put("sync", () -> domain.sync(full));
        all.put("sync of nothing", () -> domain.sync(new IotlbGather()));
        all.put("translate", () -> domain.translate(bench.iova()));
        domain.cacheCoherencyEnforcement().ifPresent(control -> all.put("enforce", control::enforce));
        domain.dirtyTracking().ifPresent(tracking -> {
            all.put("setDirtyTracking", () -> tracking.setDirtyTracking(true));
            all.put("setDirtyTracking to what it is", () -> tracking.setDirtyTracking(false));
            all.put(
                    "readAndClearDirty",
                    () -> tracking.readAndClearDirty(new DirtyBitmap(bench.iova(), page, 1), true));
        });
        domain.pasidAttachment().ifPresent(pasids -> {
            all.put("attach of a PASID", () -> pasids.attach(device, 1));
            all.put("detach of a PASID", () -> pasids.detach(device, 1));
        });
        return all;
    }
}
