// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.riscv.Bench.FIRST;
import static org.iommu4j.riscv.Bench.FIRST_ID;
import static org.iommu4j.riscv.Bench.PAGE;
import static org.iommu4j.riscv.Bench.WRITABLE;

import java.util.Random;
import java.util.TreeMap;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Pages of every size against a walk by the manual. */
class PageTableTest {
    private static final long CAPABILITIES = 0x10 | 7 << 9 | 2L << 28;
    private static final long NAPOT = 1L << 16;
    private static final long IOVA = 1L << 48;

    private final Bench bench = new Bench("7.1", CAPABILITIES);
    private final IommuDomain domain = bench.attached(FIRST);
    private final IotlbGather gather = new IotlbGather();

    private long unmap(long iova, long size) {
        long unmapped = domain.unmap(iova, size, gather);
        domain.sync(gather);
        return unmapped;
    }

    private void assertMapped(long iova, long physicalAddress, long size) {
        for (long offset : new long[] {0, 8, size / 2, size - 1}) {
            assertThat(bench.walk(FIRST_ID, iova + offset)).isEqualTo(physicalAddress + offset | WRITABLE);
            assertThat(domain.translate(iova + offset)).isEqualTo(physicalAddress + offset);
        }
    }

    private void assertNotMapped(long iova) {
        assertThat(bench.walk(FIRST_ID, iova)).isEqualTo(-13);
        assertThat(domain.translate(iova)).isEqualTo(IommuDomain.UNMAPPED);
    }

    @ParameterizedTest
    @ValueSource(ints = {12, 16, 21, 30, 39, 48})
    void aPageOfEachSizeIsMappedFromItsFirstByteToItsLast(int shift) {
        long size = 1L << shift;
        long physicalAddress = (1L << 55) + size;
        domain.map(IOVA + size, physicalAddress, size, 2, Prot.READ_WRITE);
        assertMapped(IOVA + size, physicalAddress, size);
        assertMapped(IOVA + 2 * size, physicalAddress + size, size);
        assertNotMapped(IOVA + size - 1);
        assertNotMapped(IOVA + 3 * size);
        assertThat(unmap(IOVA + size, size)).isEqualTo(size);
        assertNotMapped(IOVA + 2 * size - 1);
        assertMapped(IOVA + 2 * size, physicalAddress + size, size);
        long tables = bench.frames.inUse();
        assertThat(unmap(IOVA + 2 * size, PAGE)).as("a page is not split").isEqualTo(size);
        assertNotMapped(IOVA + 2 * size);
        assertThat(bench.frames.inUse()).isLessThanOrEqualTo(tables);
    }

    @Test
    void a64KibPageIs16EqualEntriesThatCantBeSplit() {
        domain.map(IOVA, 0x12340000, NAPOT, 1, Prot.READ_WRITE | Prot.NOEXEC);
        for (long at = IOVA; at < IOVA + NAPOT; at += PAGE) {
            assertThat(bench.leaf(domain, at)).isEqualTo(1L << 63 | 0x12348L << 10 | 0xd7);
        }
        assertThat(unmap(IOVA + PAGE, PAGE)).isZero();
        assertMapped(IOVA, 0x12340000, NAPOT);
        assertThat(errnoOf(() -> domain.map(IOVA + PAGE, 0x90000, PAGE, 1, Prot.READ)))
                .isEqualTo(Errno.EADDRINUSE);
        assertThat(unmap(IOVA, PAGE)).isEqualTo(NAPOT);
        assertNotMapped(IOVA + NAPOT - 1);
    }

    @Test
    void runsOfSmallAnd64KibPagesAreUnmappedTogether() {
        domain.map(IOVA, 0x80000, PAGE, 16, Prot.READ_WRITE);
        domain.map(IOVA + NAPOT, 0x100000, NAPOT, 3, Prot.READ_WRITE);
        domain.map(IOVA + 4 * NAPOT, 0x80000, PAGE, 3, Prot.READ_WRITE);
        assertThat(unmap(IOVA + PAGE, 5 * NAPOT)).isEqualTo(4 * NAPOT + 2 * PAGE);
        assertMapped(IOVA, 0x80000, PAGE);
        assertNotMapped(IOVA + PAGE);
        assertNotMapped(IOVA + NAPOT);
    }

    @Test
    void aLargePageTakesThePlaceOfEmptyTables() {
        domain.map(IOVA, 0x80000, PAGE, 1, Prot.READ);
        long frames = bench.frames.inUse();
        unmap(IOVA, PAGE);
        assertThat(bench.frames.inUse())
                .as("a table of one page is not covered")
                .isEqualTo(frames);
        bench.unit.takeCommands();
        domain.map(IOVA, 1L << 30, 1L << 30, 1, Prot.READ_WRITE);
        assertThat(bench.unit.takeCommands()).containsExactly("VMA tag 1", "IOFENCE.C PR PW");
        assertMapped(IOVA, 1L << 30, 1L << 30);
        assertThat(bench.frames.inUse()).isEqualTo(frames - 2);
    }

    @Test
    void addressesBeyondTheTableAreRefused() {
        long last = domain.apertureEnd() + 1 - PAGE;
        assertThat(errnoOf(() -> domain.map(last, 0, PAGE, 2, Prot.READ))).isEqualTo(Errno.ERANGE);
        assertThat(errnoOf(() -> domain.map(-PAGE, 0, PAGE, 1, Prot.READ))).isEqualTo(Errno.ERANGE);
        assertThat(errnoOf(() -> domain.map(0, (1L << 56) - PAGE, PAGE, 2, Prot.READ)))
                .isEqualTo(Errno.ERANGE);
        assertThat(errnoOf(() -> domain.map(0, 0, PAGE, 0, Prot.READ))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(() -> domain.map(0, 0, PAGE, 1, Prot.NOEXEC))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(() -> domain.map(0, 0, 1 << 15, 1, Prot.READ))).isEqualTo(Errno.ENXIO);
        assertThat(errnoOf(() -> domain.map(PAGE, 0, NAPOT, 1, Prot.READ))).isEqualTo(Errno.EINVAL);
        assertThat(unmap(-PAGE, PAGE)).isZero();
        assertThat(unmap(last, 2 * PAGE)).isZero();
    }

    private static Errno errnoOf(Runnable action) {
        try {
            action.run();
            return null;
        } catch (IommuException e) {
            return e.errno();
        }
    }

    /** An oracle has a page's start, end and address by its start. */
    @Test
    void randomStepsLeaveWhatAnOracleHas() {
        long seed = Long.getLong("iommu4j.seed", 20261130L);
        Random random = new Random(seed);
        long window = 64L << 20;
        TreeMap<Long, long[]> pages = new TreeMap<>();
        for (int step = 0; step < 20_000; step++) {
            long size = new long[] {PAGE, PAGE, NAPOT, NAPOT, 2 << 20}[random.nextInt(5)];
            long iova = IOVA + (random.nextLong() & window - 1 & -size);
            if (random.nextInt(3) > 0) {
                long count = Math.min(1 + random.nextInt(40), (IOVA + window - iova) / size);
                long end = iova + count * size;
                var before = pages.lowerEntry(end);
                boolean free = before == null || before.getValue()[0] <= iova;
                long physicalAddress = random.nextLong() & (1L << 50) - 1 & -size;
                Errno errno = errnoOf(() -> domain.map(iova, physicalAddress, size, count, Prot.READ_WRITE));
                assertThat(errno).as("step %d, seed %d", step, seed).isEqualTo(free ? null : Errno.EADDRINUSE);
                for (long i = 0; free && i < count; i++) {
                    pages.put(iova + i * size, new long[] {iova + (i + 1) * size, physicalAddress + i * size});
                }
            } else {
                long length = (1 + random.nextInt(600)) * PAGE;
                long at = iova;
                while (at < iova + length && pages.containsKey(at)) {
                    at = pages.remove(at)[0];
                }
                assertThat(unmap(iova, length))
                        .as("step %d, seed %d", step, seed)
                        .isEqualTo(at - iova);
            }
            long probe = IOVA + (random.nextLong() & window - 1 & -8);
            var page = pages.floorEntry(probe);
            long expected = page == null || page.getValue()[0] <= probe
                    ? IommuDomain.UNMAPPED
                    : page.getValue()[1] + probe - page.getKey();
            assertThat(domain.translate(probe))
                    .as("step %d, seed %d", step, seed)
                    .isEqualTo(expected);
            assertThat(bench.walk(FIRST_ID, probe))
                    .as("step %d, seed %d", step, seed)
                    .isEqualTo(expected == IommuDomain.UNMAPPED ? -13 : expected | WRITABLE);
        }
        domain.detach(bench.device(FIRST));
        domain.close();
        bench.iommu.close();
        assertThat(bench.frames.inUse()).isZero();
    }
}
