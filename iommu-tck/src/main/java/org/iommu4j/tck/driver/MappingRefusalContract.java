// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#map}: what is refused. */
public abstract class MappingRefusalContract {
    /** Made by JUnit. */
    protected MappingRefusalContract() {}

    /** Asserts that a call is refused and that nothing has changed. */
    private static void assertRefusedAndUnchanged(
            Bench bench,
            Errno errno,
            IommuDomain domain,
            long iova,
            long physicalAddress,
            long pageSize,
            long count,
            int prot) {
        bench.steps()
                .note(
                        "map(0x%x, 0x%x, 0x%x x %d, %s), which is refused",
                        iova, physicalAddress, pageSize, count, Prot.toString(prot));
        long frames = bench.framesInUse();
        long before = domain.translate(iova);
        assertRefused(errno, () -> domain.map(iova, physicalAddress, pageSize, count, prot));
        assertThat(domain.translate(iova)).isEqualTo(before);
        assertThat(domain.translate(iova + pageSize)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    @Test
    @Promise("map-7")
    void aRunWithoutRightsMisalignedOrWithoutPagesIsRefusedWithEinval(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        long page = bench.granule();
        long free = bench.iova() + 16 * page;
        for (int prot : new int[] {0, Prot.CACHE}) {
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch(), page, 1, prot);
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch(), page, 4, prot);
        }
        for (long off : new long[] {1, 8, 2048, page / 2, page - 1}) {
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free + off, bench.scratch(), page, 1, READ_WRITE);
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch() + off, page, 1, READ_WRITE);
            assertRefusedAndUnchanged(
                    bench, Errno.EINVAL, domain, free + off, bench.scratch() + off, page, 1, READ_WRITE);
        }
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            if (size != page && spot.iova() == bench.iova() && size <= 1L << 30) {
                for (long off : new long[] {page, size / 2, size - page}) {
                    long iova = bench.iova() + size;
                    assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, iova + off, 0, size, 1, READ_WRITE);
                    assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, iova, off, size, 1, READ_WRITE);
                }
            }
        }
        for (long none : new long[] {0, -1, Long.MIN_VALUE}) {
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch(), page, none, READ_WRITE);
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.assertBlocked(free);
    }

    @Test
    @Promise("map-7")
    void aDomainWithoutTablesRefusesToMapWithEinval(Bench bench) {
        List<DomainType> types = new ArrayList<>(List.of(DomainType.BLOCKED));
        if (bench.traits().has(Ability.IDENTITY)) {
            types.add(DomainType.IDENTITY);
        }
        for (DomainType type : types) {
            IommuDomain domain = bench.iommu().allocate(type, bench.device());
            for (int round = 0; round < 2; round++) {
                assertRefused(
                        Errno.EINVAL, () -> domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, READ_WRITE));
                assertRefused(Errno.EINVAL, () -> domain.map(0, 0, bench.granule(), 1, Prot.READ));
                bench.attach(domain, bench.device());
            }
            bench.detach(domain, bench.device());
            domain.close();
        }
    }

    @Test
    @Promise("map-2")
    void ofARunThatLeavesTheApertureNothingIsMapped(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long last = domain.apertureEnd() - (page - 1);
        for (int inside : new int[] {1, 2, 5}) {
            long first = last - (inside - 1) * page;
            assertRefused(Errno.ERANGE, () -> domain.map(first, bench.scratch(), page, inside + 1, READ_WRITE));
            for (int i = 0; i < inside; i++) {
                assertThat(domain.translate(first + i * page)).isEqualTo(IommuDomain.UNMAPPED);
            }
            bench.assertBlocked(first);
            bench.assertBlocked(last);
        }
    }

    @Test
    @Promise("map-5")
    void whatElseIsAskedOfAPageTakesNoRightAway(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        int[] hints = {0, Prot.CACHE, Prot.NOEXEC, Prot.MMIO, Prot.PRIV, Prot.CACHE | Prot.NOEXEC | Prot.PRIV};
        for (int i = 0; i < hints.length; i++) {
            long iova = bench.iova() + 2L * i * page;
            bench.map(domain, iova, bench.scratch() + i * page, page, 1, Prot.READ_WRITE | hints[i]);
            assertThat(bench.requester().write(iova, 1, false)).isTrue();
            bench.requester().read(iova, false);
            assertThat(bench.requester().status()).isEqualTo(RequestStatus.DONE);
            if ((hints[i] & Prot.CACHE) != 0) {
                bench.assertReaches(iova, bench.scratch() + i * page);
            }
            bench.map(domain, iova + page, bench.scratch() + i * page, page, 1, Prot.READ | hints[i]);
            assertThat(bench.requester().write(iova + page, 1, false)).isFalse();
        }
    }

    @Test
    @Promise("map-8")
    void aPageSizeThatTheDomainDoesNotHaveIsRefusedWithEnxio(Bench bench) {
        IommuDomain domain = bench.attached();
        for (int bit = 0; bit < 63; bit++) {
            long size = 1L << bit;
            if ((domain.pageSizes() & size) == 0) {
                assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, size, 1, READ_WRITE);
            }
        }
        // No bit at all, and the highest, which no power of two of a signed number reaches.
        for (long size : new long[] {0, Long.MIN_VALUE, -1}) {
            assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, size, 1, READ_WRITE);
        }
        for (long size : bench.pageSizes(domain)) {
            // Not one page: three, or one and a half, of those that there are.
            for (long odd : new long[] {3 * size, size + size / 2}) {
                assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, odd, 1, READ_WRITE);
            }
        }
        long all = domain.pageSizes();
        if (Long.bitCount(all) > 1) {
            assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, all, 1, READ_WRITE);
        }
    }

    @Test
    @Promise("map-9")
    void aRunThatLeavesTheApertureOrTheTablesAddressesIsRefusedWithErange(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long start = domain.apertureStart();
        long end = domain.apertureEnd();
        long last = end - (page - 1);
        long free = bench.iova();
        long physical = bench.scratch();
        assertOutOfRange(bench, domain, last, physical, page, 2);
        assertOutOfRange(bench, domain, last - page, physical, page, 3);
        assertOutOfRange(bench, domain, last, physical, page, 1L << 40);
        if (end != -1L) {
            assertOutOfRange(bench, domain, end + 1, physical, page, 1);
            assertOutOfRange(bench, domain, -page, physical, page, 1);
            assertOutOfRange(bench, domain, Long.MIN_VALUE, physical, page, 1);
        }
        // The run wraps around the address space, once or to where it began.
        assertOutOfRange(bench, domain, -page & end, physical, page, 2);
        long allPages = 1L << (Long.SIZE - Long.numberOfTrailingZeros(page));
        assertOutOfRange(bench, domain, free, 0, page, allPages);
        assertOutOfRange(bench, domain, free, 0, page, allPages + 1);
        assertOutOfRange(bench, domain, free, 0, page, Long.MAX_VALUE);
        if (start != 0) {
            assertOutOfRange(bench, domain, start - page, physical, page, 1);
            assertOutOfRange(bench, domain, start - page, physical, page, 2);
            assertOutOfRange(bench, domain, 0, physical, page, 1);
        }
        int bits = bench.traits().physicalBits();
        if (bits < 64) {
            long limit = 1L << bits;
            assertOutOfRange(bench, domain, free, limit, page, 1);
            assertOutOfRange(bench, domain, free, limit - page, page, 2);
            assertOutOfRange(bench, domain, free, limit - 3 * page, page, 4);
            assertOutOfRange(bench, domain, free, -page, page, 1);
            assertOutOfRange(bench, domain, free, Long.MIN_VALUE, page, 1);
            for (long size : bench.pageSizes(domain)) {
                if (Long.compareUnsigned(size, limit) < 0 && (free & (size - 1)) == 0) {
                    assertOutOfRange(bench, domain, free, limit, size, 1);
                    assertOutOfRange(bench, domain, free, limit - size, size, 2);
                }
            }
            bench.map(domain, free, limit - page, page, 1, READ_WRITE);
            assertThat(domain.translate(free))
                    .as("the last page of the table's")
                    .isEqualTo(limit - page);
        }
        for (long size : bench.pageSizes(domain)) {
            if (size != page && Long.compareUnsigned(end - (size - 1), free + size) > 0) {
                assertOutOfRange(bench, domain, end - (size - 1), 0, size, 2);
            }
        }
    }

    private static void assertOutOfRange(
            Bench bench, IommuDomain domain, long iova, long physicalAddress, long size, long count) {
        assertRefusedAndUnchanged(bench, Errno.ERANGE, domain, iova, physicalAddress, size, count, READ_WRITE);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("map-12")
    void aLargePageIsTakenBackWhenTheUnitDoesNotConfirmThatItForgotTheTable(Bench whole) {
        Silence silence = new Silence();
        Bench bench = whole.on(silence::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            if (size == page || spot.iova() != bench.iova() || size > 1L << 30) {
                continue;
            }
            bench.map(domain, spot.iova() + size - page, bench.scratch());
            bench.map(domain, spot.iova() + size, bench.scratch());
            bench.assertReaches(spot.iova() + size - page, bench.scratch());
            assertThat(bench.unmap(domain, spot.iova() + size - page, page)).isEqualTo(page);
            long frames = bench.framesInUse();
            if (framesOf(bench, domain, spot, size) >= frames) {
                // In this format such a page has its words in the table of smaller ones: nothing is to be forgotten.
                assertThat(bench.unmap(domain, spot.iova() + size, page)).isEqualTo(page);
                continue;
            }
            bench.map(domain, spot.iova() + size - page, bench.scratch());
            assertThat(bench.unmap(domain, spot.iova() + size - page, page)).isEqualTo(page);
            frames = bench.framesInUse();
            silence.during(() -> assertRefused(
                    NOT_COMPLETED, () -> domain.map(spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE)));

            assertThat(domain.translate(spot.iova())).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(spot.iova() + size - 1)).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(spot.iova() + size)).isEqualTo(bench.scratch());
            assertThat(bench.iommu().quarantinedFrames())
                    .as("quarantined frames")
                    .isPositive();
            assertThat(bench.framesInUse()).as("frames that are kept").isEqualTo(frames);
            assertThat(domain.unmap(spot.iova(), size, new IotlbGather()))
                    .as("what is left of it")
                    .isZero();
            return;
        }
    }

    /** Maps a large page over empty tables, unmaps it again, and returns how many frames were in use meanwhile. */
    private static long framesOf(Bench bench, IommuDomain domain, Spot spot, long size) {
        bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);
        long frames = bench.framesInUse();
        assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
        return frames;
    }
}
