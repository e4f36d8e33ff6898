// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Places.frame;
import static org.iommu4j.tck.driver.Places.page;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.Test;

/** What a driver does with its ports, those of {@link org.iommu4j.spi.VendorContext}. */
public abstract class PortContract {
    /** Made by JUnit. */
    protected PortContract() {}

    /** A driver's ordinary life: every call that changes something. */
    private static void live(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.attach(domain, bench.second());
        bench.map(domain, page(bench, 0), frame(bench, 0), bench.granule(), 600, Bench.READ_WRITE);
        bench.assertReaches(page(bench, 0), frame(bench, 0));
        bench.unmap(domain, page(bench, 0), 600 * bench.granule());
        bench.assertBlocked(page(bench, 0));
        bench.map(domain, page(bench, 1), frame(bench, 1));
        bench.assertReaches(page(bench, 1), frame(bench, 1));
        domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
        IommuDomain other = bench.iommu().allocate(DomainType.DMA, bench.device());
        bench.attach(other, bench.device());
        bench.map(other, page(bench, 0), frame(bench, 2));
        bench.assertReaches(page(bench, 0), frame(bench, 2));
        bench.iommu().takeFaults();
        bench.detach(other, bench.device());
        bench.detach(domain, bench.second());
        other.close();
        domain.close();
        bench.iommu().close();
        bench.iommu().takeFaults();
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }

    // Frames.

    /**
     * Frames come full of the words that a driver makes of a page that leads to one place: whatever it does not clear
     * leads there.
     */
    @Test
    @Promise("port-1")
    void aNewFrameIsClearedBeforeAUnitReadsIt(Bench given) {
        Subject subject = given.traits().snoopedWalks()
                ? given.subject().flat()
                : given.subject().cached();
        Set<Long> words = StoredWords.of(subject);
        int tried = 0;
        for (long word : words) {
            Bench bench = new Bench(subject.withPorts(context -> FilledFrames.in(context, word)));
            assertNothingButWhatIsMapped(bench);
            tried++;
        }
        assertThat(tried).isPositive();
    }

    private static void assertNothingButWhatIsMapped(Bench bench) {
        // What leads through several tables ends in the last of them, or in this page.
        for (int word = 0; word < 8; word++) {
            bench.store(bench.scratch() + word * 8L, 0x7777);
        }
        for (DeviceId id : bench.ids()) {
            assertAllBlocked(bench, Requester.of(bench.machine(), id), Long.MIN_VALUE);
        }
        assertOtherRequestersAreBlocked(bench);
        IommuDomain domain = bench.attached();
        assertAllBlocked(bench, bench.requester(), Long.MIN_VALUE);
        for (int page : new int[] {0, 511, 512}) {
            bench.map(domain, page(bench, page), frame(bench, 4));
            bench.assertReaches(page(bench, page), frame(bench, 4));
            assertAllBlocked(bench, bench.requester(), page(bench, page));
            bench.unmap(domain, page(bench, page), bench.granule());
            assertAllBlocked(bench, bench.requester(), Long.MIN_VALUE);
        }
        assertOtherRequestersAreBlocked(bench);
        IommuDomain second = bench.iommu().allocate(DomainType.DMA, bench.second());
        bench.attach(second, bench.second());
        assertAllBlocked(bench, bench.secondRequester(), Long.MIN_VALUE);
    }

    /** Asserts that nothing is reached at places that differ from the mapped ones in one bit, and far away. */
    private static void assertAllBlocked(Bench bench, Requester requester, long mapped) {
        long granule = bench.granule();
        long last = bench.traits().lastIova() & -granule;
        List<Long> places =
                new ArrayList<>(List.of(bench.traits().firstIova(), last, page(bench, 1), page(bench, 300)));
        for (long bit = granule; bit != 0 && Long.compareUnsigned(bit, last) < 0; bit <<= 1) {
            places.add(bench.iova() ^ bit);
            places.add(page(bench, 511) ^ bit);
        }
        for (long place : places) {
            if (place != mapped && !isInterrupt(bench, place) && Long.compareUnsigned(place, last) <= 0) {
                bench.assertBlocked(requester, place);
            }
        }
    }

    private static boolean isInterrupt(Bench bench, long iova) {
        return bench.subject()
                .machine()
                .interruptWindow()
                .map(window -> Long.compareUnsigned(iova - window.start(), window.size()) < 0)
                .orElse(false);
    }

    /** Requester ids of no device of the machine are blocked too. */
    private static void assertOtherRequestersAreBlocked(Bench bench) {
        for (DeviceId id : bench.ids()) {
            if (!(id instanceof PciAddress address)) {
                continue;
            }
            TranslationUnit unit = bench.unitOf(id);
            for (int bit = 0; bit < 16; bit++) {
                int other = address.requesterId() ^ 1 << bit;
                if (bench.subject().machine().functions().stream()
                        .anyMatch(function -> function.address().segment() == address.segment()
                                && function.address().requesterId() == other)) {
                    continue;
                }
                long answer = unit.translate(
                        unit.spec().sourceId(address.segment(), other),
                        TranslationUnit.NO_PASID,
                        bench.iova(),
                        RequestFlags.READ);
                assertThat(Translation.isFault(answer))
                        .as("a request as 0x%x is refused", other)
                        .isTrue();
            }
        }
        bench.iommu().takeFaults();
    }

    // Write-backs.

    /** With CPU caches, and a unit that looks past them, each store that is not written back is one it misses. */
    @Test
    @Promise("port-2")
    void aUnitThatDoesNotSnoopReadsWhatWasStored(Bench given) {
        Bench bench = new Bench(given.subject().cached());
        for (int round = 0; round < 2; round++) {
            IommuDomain domain = bench.attached();
            bench.attach(domain, bench.second());
            // Far apart, so that no store's write-back covers another's.
            long stride = bench.granule() << 9;
            for (int i = 0; i < 4; i++) {
                long iova = bench.iova() + i * stride;
                bench.map(domain, iova, frame(bench, i));
                bench.assertReaches(iova, frame(bench, i));
                bench.assertReaches(bench.secondRequester(), iova, frame(bench, i));
                bench.map(domain, iova + 64 * bench.granule(), frame(bench, i + 1));
                bench.assertReaches(iova + 64 * bench.granule(), frame(bench, i + 1));
            }
            for (int i = 3; i >= 0; i--) {
                long iova = bench.iova() + i * stride;
                bench.unmap(domain, iova, bench.granule());
                bench.assertBlocked(iova);
                bench.assertBlocked(bench.secondRequester(), iova);
                bench.map(domain, iova, frame(bench, 8 + i));
                bench.assertReaches(iova, frame(bench, 8 + i));
            }
            for (int count : new int[] {1, 3, 7, 8, 9, 63, 512, 700}) {
                long iova = bench.iova() + 16 * stride;
                bench.map(domain, iova, frame(bench, 0), bench.granule(), count, Bench.READ_WRITE);
                for (int i : new int[] {0, count / 2, count - 1}) {
                    bench.assertReaches(iova + i * bench.granule(), frame(bench, i));
                }
                bench.unmap(domain, iova, count * bench.granule());
                for (int i : new int[] {0, count / 2, count - 1}) {
                    bench.assertBlocked(iova + i * bench.granule());
                }
            }
            largePages(bench, domain);
            IommuDomain next = bench.iommu().allocate(DomainType.DMA, bench.device());
            bench.map(next, page(bench, 0), frame(bench, 5));
            bench.attach(next, bench.device());
            bench.assertReaches(page(bench, 0), frame(bench, 5));
            bench.assertBlocked(page(bench, 64));
            bench.attach(domain, bench.device());
            bench.assertReaches(page(bench, 64), frame(bench, 1));
            bench.detach(domain, bench.device());
            bench.assertBlocked(page(bench, 64));
            bench.assertReaches(bench.secondRequester(), page(bench, 64), frame(bench, 1));
            bench.detach(domain, bench.second());
            bench.assertBlocked(bench.secondRequester(), page(bench, 64));
            next.close();
            domain.close();
        }
        bench.iommu().close();
    }

    private static void largePages(Bench bench, IommuDomain domain) {
        long iova = bench.iova() + (1L << 31);
        for (long size = bench.granule() << 1; size > 0 && size <= bench.scratch() / 2; size <<= 1) {
            if ((domain.pageSizes() & size) == 0) {
                continue;
            }
            // Over a table that was there, and became empty.
            bench.map(domain, iova, frame(bench, 3));
            bench.assertReaches(iova, frame(bench, 3));
            bench.unmap(domain, iova, bench.granule());
            bench.map(domain, iova, bench.scratch(), size, 1, Bench.READ_WRITE);
            bench.assertReaches(iova + size - 8, bench.scratch() + size - 8);
            bench.unmap(domain, iova, size);
            bench.assertBlocked(iova);
            bench.assertBlocked(iova + size - 8);
        }
    }

    // Waits and registers.

    @Test
    @Promise("port-3")
    void itWaitsByTheWaiterAlone(Bench given) {
        PortWatch watch = new PortWatch();
        Bench bench = given.on(watch::in);
        watch.start();
        // A thread that sleeps, waits for a monitor's notice or joins another notices that it was interrupted.
        Thread.currentThread().interrupt();
        try {
            live(bench);
        } finally {
            assertThat(Thread.interrupted())
                    .as("the thread's interruption, which a sleep takes away, is still there")
                    .isTrue();
        }
        watch.assertNoPolling();
        watch.assertWaitsEnd();
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("port-3")
    void aUnitThatNeverAnswersIsWaitedForByTheWaiterAlone(Bench given) {
        PortWatch watch = new PortWatch();
        Bench bench = given.on(watch::in);
        IommuDomain domain = bench.attached();
        bench.map(domain, page(bench, 0), frame(bench, 0));
        bench.assertReaches(page(bench, 0), frame(bench, 0));
        IotlbGather gather = bench.unmapOnly(domain, page(bench, 0), bench.granule());
        watch.start();
        watch.timeOut(true);
        Thread.currentThread().interrupt();
        try {
            assertRefused(Errno.ETIMEDOUT, () -> domain.sync(gather));
            assertRefused(NOT_COMPLETED, () -> domain.detach(bench.device()));
            domain.close();
            bench.iommu().takeFaults();
            bench.iommu().close();
        } finally {
            assertThat(Thread.interrupted()).as("the thread's interruption").isTrue();
        }
        watch.assertNoPolling();
        watch.assertWaitsEnd();
        assertThat(watch.waits()).as("waits").isPositive();
    }

    @Test
    @Promise("port-4")
    void itTouchesRegistersInsideItsWindowsOnly(Bench given) {
        PortWatch watch = new PortWatch();
        Bench bench = given.on(watch::in);
        live(bench);
        for (DeviceId id : bench.ids()) {
            Errnos.of(() -> bench.probe(id));
        }
        bench.iommu().close();
        watch.assertInsideWindows();
        assertThat(watch.openWindows()).as("windows that were not released").isZero();
    }

    /** From the n-th read on, registers read all ones: hardware that was pulled out. */
    @Test
    @Promise("port-4")
    void noWaitIsEndlessWhereRegistersReadAllOnes(Bench given) {
        for (long n = 0; n < 400; n = n < 24 ? n + 1 : n + n / 4) {
            PortWatch watch = new PortWatch();
            watch.goneAfter(n);
            Subject subject = given.subject().flat().withPorts(watch::in);
            Machine machine = subject.build();
            Iommu[] iommu = new Iommu[1];
            Optional<Errno> opened =
                    Errnos.of(() -> iommu[0] = subject.claimant().open(subject.context(machine)));
            if (opened.isPresent()) {
                assertThat(opened.get()).as("opening").isIn(Errno.ENODEV, Errno.ETIMEDOUT, Errno.EIO);
                continue;
            }
            useGone(given, iommu[0], machine);
            watch.assertInsideWindows();
            if (!watch.isGone()) {
                return;
            }
            assertThat(machine.frames().inUse()).as("frames in use").isEqualTo(iommu[0].quarantinedFrames());
        }
    }

    private static void useGone(Bench names, Iommu iommu, Machine machine) {
        DeviceId id = names.ids().get(0);
        IommuDevice[] device = new IommuDevice[1];
        IommuDomain[] domain = new IommuDomain[1];
        List<Runnable> life = List.of(
                () -> device[0] = (id instanceof PciAddress address
                                ? iommu.probe(
                                        machine.topology().function(address).orElseThrow(), address.requesterId())
                                : iommu.probe((NamedDevice) id))
                        .orElseThrow(),
                () -> domain[0] = iommu.allocate(DomainType.UNMANAGED, device[0]),
                () -> domain[0].attach(device[0]),
                () -> domain[0].map(names.iova(), names.scratch(), names.granule(), 1, Bench.READ_WRITE),
                () -> domain[0].syncMap(names.iova(), names.granule()),
                () -> {
                    IotlbGather gather = new IotlbGather();
                    domain[0].unmap(names.iova(), names.granule(), gather);
                    domain[0].sync(gather);
                },
                iommu::takeFaults,
                () -> iommu.capable(device[0], IommuCapability.CACHE_COHERENCY),
                () -> domain[0].detach(device[0]),
                () -> domain[0].close(),
                iommu::close,
                iommu::takeFaults);
        for (Runnable step : life) {
            if ((device[0] == null && step != life.get(0)) || (domain[0] == null && life.indexOf(step) > 1)) {
                continue;
            }
            Optional<Errno> errno = Errnos.of(step::run);
            errno.ifPresent(
                    refusal -> assertThat(refusal).isIn(Errno.ETIMEDOUT, Errno.EIO, Errno.ENODEV, Errno.EINVAL));
        }
        iommu.close();
    }
}
