// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import java.util.NavigableMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The page table through its domain, over flat memory; entries are hex as the manual gives them. */
class SecondStageTableTest {
    private static final long K4 = 4096;
    private static final long M2 = 1L << 21;
    private static final long G1 = 1L << 30;

    private final IotlbGather gather = new IotlbGather();

    private static IommuDomain domain(Bench bench) {
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, "0000:00:02.0");
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(domain.attach(device).attached()).isTrue();
        return domain;
    }

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    @Test
    void leavesAreTheOnesThatLinuxWrites() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_SC);
        IommuDomain domain = domain(bench);
        domain.map(0x1000, 0x123456000L, K4, 1, Prot.READ_WRITE | Prot.CACHE);
        domain.map(0x2000, 0x123456000L, K4, 1, Prot.READ);
        domain.map(0x3000, 0x123456000L, K4, 1, Prot.WRITE);
        domain.map(M2, 0x40000000L, M2, 1, Prot.READ_WRITE);
        domain.map(G1, 0x80000000L, G1, 1, Prot.READ_WRITE);

        assertThat(bench.leaf(0x10, 0x1000)).isEqualTo(0x123456003L);
        assertThat(bench.leaf(0x10, 0x2000)).isEqualTo(0x123456001L);
        assertThat(bench.leaf(0x10, 0x3000)).isEqualTo(0x123456002L);
        assertThat(bench.leaf(0x10, M2)).isEqualTo(0x40000083L);
        assertThat(bench.leaf(0x10, G1)).isEqualTo(0x80000083L);
    }

    @Test
    void leavesOfAnEnforcedDomainHaveTheSnoopBit() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_SC);
        IommuDomain domain = domain(bench);
        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        domain.map(0x1000, 0x5000, K4, 1, Prot.READ_WRITE | Prot.CACHE);
        domain.map(0x2000, 0x5000, K4, 1, Prot.READ);
        domain.map(M2, M2, M2, 1, Prot.READ_WRITE);

        assertThat(bench.leaf(0x10, 0x1000)).isEqualTo(0x5803);
        assertThat(bench.leaf(0x10, 0x2000)).isEqualTo(0x5801);
        assertThat(bench.leaf(0x10, M2)).isEqualTo(0x200883);
    }

    @Test
    void refusalsCarryTheErrnosOfTheContract() {
        Bench bench = Bench.single(Bench.CAP | 1L << 34, Bench.ECAP);
        IommuDomain domain = domain(bench);
        long before = bench.pool.inUse();
        assertThat(domain.pageSizes()).isEqualTo(K4 | M2);
        assertThat(domain.apertureEnd()).isEqualTo((1L << 48) - 1);

        assertErrno(Errno.EINVAL, () -> domain.map(0, 0, K4, 1, 0));
        assertErrno(Errno.EINVAL, () -> domain.map(0, 0, K4, 1, Prot.CACHE));
        assertErrno(Errno.EINVAL, () -> domain.map(0x800, 0, K4, 1, Prot.READ));
        assertErrno(Errno.EINVAL, () -> domain.map(0, 0x1000, M2, 1, Prot.READ));
        assertErrno(Errno.EINVAL, () -> domain.map(0, 0, K4, 0, Prot.READ));
        assertErrno(Errno.ENXIO, () -> domain.map(0, 0, G1, 1, Prot.READ));
        assertErrno(Errno.ENXIO, () -> domain.map(0, 0, 0x3000, 1, Prot.READ));
        assertErrno(Errno.ENXIO, () -> domain.map(0, 0, K4 | M2, 1, Prot.READ));
        assertErrno(Errno.ERANGE, () -> domain.map(1L << 48, 0, K4, 1, Prot.READ));
        assertErrno(Errno.ERANGE, () -> domain.map((1L << 48) - K4, 0, K4, 2, Prot.READ));
        assertErrno(Errno.ERANGE, () -> domain.map(-K4, 0, K4, 1, Prot.READ));
        assertErrno(Errno.ERANGE, () -> domain.map(0, 0, K4, Long.MAX_VALUE, Prot.READ));
        assertErrno(Errno.ERANGE, () -> domain.map(0, 1L << 52, K4, 1, Prot.READ));
        assertErrno(Errno.ERANGE, () -> domain.map(0, (1L << 52) - K4, K4, 2, Prot.READ));
        assertThat(bench.pool.inUse()).isEqualTo(before);

        domain.map((1L << 48) - K4, (1L << 52) - K4, K4, 1, Prot.READ);
        assertThat(domain.translate((1L << 48) - 1)).isEqualTo((1L << 52) - 1);
    }

    @Test
    void aRunThatMeetsAMappingChangesNothing() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        domain.map(M2 + 5 * K4, 0x7000, K4, 1, Prot.READ_WRITE);
        long before = bench.pool.inUse();

        assertErrno(Errno.EADDRINUSE, () -> domain.map(0, 0, K4, 1024, Prot.READ_WRITE));
        assertErrno(Errno.EADDRINUSE, () -> domain.map(M2, 0, M2, 1, Prot.READ_WRITE));
        assertErrno(Errno.EADDRINUSE, () -> domain.map(0, 0, G1, 1, Prot.READ_WRITE));

        assertThat(domain.translate(0)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(M2 + 4 * K4)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(M2 + 5 * K4 + 1)).isEqualTo(0x7001);
        assertThat(bench.pool.inUse()).isEqualTo(before);
    }

    @Test
    void anEmptyTableGivesWayToALargePageAndIsFreedAfterTheFlush() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        long before = bench.pool.inUse();
        // Unmapped page by page, the tables stay: no range contained them.
        domain.map(0, 0, K4, 2, Prot.READ_WRITE);
        domain.map(M2, 0, K4, 1, Prot.READ_WRITE);
        for (long iova : new long[] {0, K4, M2}) {
            assertThat(domain.unmap(iova, K4, gather)).isEqualTo(K4);
        }
        domain.sync(gather);
        assertThat(bench.pool.inUse()).isEqualTo(before + 4);
        bench.first().recording = true;

        domain.map(0, G1, G1, 1, Prot.READ_WRITE);

        assertThat(bench.pool.inUse()).isEqualTo(before + 1);
        // Domain 2, 2^18 pages from 0, drains, not leaves only.
        assertThat(bench.first().takeLog().get(0)).isEqualTo("200f2 12");
        assertThat(domain.translate(0x12345)).isEqualTo(G1 + 0x12345);
    }

    @Test
    void whenTheFlushForAReplacedTableFailsTheMappingIsTakenBack() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        domain.map(0, 0, K4, 1, Prot.READ_WRITE);
        assertThat(domain.unmap(0, K4, gather)).isEqualTo(K4);
        domain.sync(gather);
        long before = bench.pool.inUse();
        bench.first().frozen = true;

        assertErrno(Errno.ETIMEDOUT, () -> domain.map(0, M2, M2, 1, Prot.READ_WRITE));

        assertThat(domain.translate(0)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(bench.pool.inUse()).isEqualTo(before);
        assertThat(domain.iommu().quarantinedFrames()).isEqualTo(1);
    }

    @Test
    void unmappingCantSplitAPage() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        domain.map(M2, M2, M2, 2, Prot.READ_WRITE);

        assertThat(domain.unmap(M2 + K4, K4, gather)).isZero();
        assertThat(gather.isEmpty()).isTrue();
        assertThat(domain.unmap(M2, K4, gather)).isEqualTo(M2);
        assertThat(gather.start()).isEqualTo(M2);
        assertThat(gather.end()).isEqualTo(2 * M2 - 1);
        assertThat(domain.translate(2 * M2)).isEqualTo(2 * M2);
        assertThat(domain.unmap(2 * M2, M2 + 1, gather)).isZero();
        assertThat(domain.unmap(-K4, K4, gather)).isZero();
        assertThat(domain.unmap(0, 0, gather)).isZero();
    }

    @Test
    void unmappingStopsAtAHole() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        domain.map(0, 0, K4, 10, Prot.READ_WRITE);
        domain.map(11 * K4, 0, K4, 10, Prot.READ_WRITE);

        assertThat(domain.unmap(0, 21 * K4, gather)).isEqualTo(10 * K4);
        assertThat(domain.translate(11 * K4)).isZero();
    }

    @Test
    void tablesInsideAnUnmappedRangeAreFreedAfterTheFlushOnly() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        long before = bench.pool.inUse();
        domain.map(0, 0, K4, 512 * 200, Prot.READ_WRITE);
        assertThat(bench.pool.inUse()).isEqualTo(before + 202);

        assertThat(domain.unmap(0, 200 * M2, gather)).isEqualTo(200 * M2);

        // 200 tables do not fit the gather, it was synced on the way; what it holds now is not free yet.
        assertThat(gather.frameCount()).isPositive();
        assertThat(bench.pool.inUse()).isEqualTo(before + 2 + gather.frameCount());
        domain.sync(gather);
        assertThat(bench.pool.inUse()).isEqualTo(before + 2);
        domain.map(0, M2, M2, 200, Prot.READ_WRITE);
        assertThat(domain.translate(M2 + 5)).isEqualTo(2 * M2 + 5);
    }

    @Test
    void aFlushLetsCachedTablesStayOnlyWhenNoTableWasTakenOut() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        domain.map(0, 0, K4, 512, Prot.READ_WRITE);
        domain.map(M2 + K4, 0, K4, 1, Prot.READ_WRITE);
        bench.first().recording = true;

        domain.unmap(M2 + K4, K4, gather);
        domain.sync(gather);
        // One page with the hint (IH).
        assertThat(bench.first().takeLog().get(0)).isEqualTo("200f2 201040");
        domain.unmap(0, M2, gather);
        domain.sync(gather);
        // 512 pages without.
        assertThat(bench.first().takeLog().get(0)).isEqualTo("200f2 9");
    }

    @Test
    void unmappingGoesOnAndLosesNoFrameWhenTheUnitStopsAnsweringOnTheWay() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        domain.map(0, 0, K4, 512 * 200, Prot.READ_WRITE);
        long before = bench.pool.inUse();
        bench.first().frozen = true;

        assertThat(domain.unmap(0, 200 * M2, gather)).isEqualTo(200 * M2);
        assertThat(domain.translate(200 * M2 - 1)).isEqualTo(IommuDomain.UNMAPPED);
        assertErrno(Errno.EIO, () -> domain.sync(gather));
        assertThat(domain.iommu().quarantinedFrames()).isEqualTo(200);
        assertThat(bench.pool.inUse()).isEqualTo(before);
    }

    @Test
    void everyFailedAllocationLeavesNothingBehind() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_NONCOHERENT);
        IommuDomain domain = domain(bench);
        long before = bench.pool.inUse();
        int n = 0;
        do {
            bench.failures.arm(++n);
            try {
                domain.map(G1 - M2, 0, K4, 1024 + 7, Prot.READ_WRITE);
            } catch (IommuException e) {
                assertThat(e.errno()).isEqualTo(Errno.ENOMEM);
                assertThat(bench.pool.inUse()).isEqualTo(before);
                assertThat(domain.translate(G1 - M2)).isEqualTo(IommuDomain.UNMAPPED);
            }
        } while (bench.failures.fired());
        bench.failures.disarm();
        // Two tables of level 2, three of level 1 and one of level 3.
        assertThat(n).isEqualTo(7);
        assertThat(bench.pool.inUse()).isEqualTo(before + 6);
        assertThat(domain.translate(G1 + M2 + 6 * K4)).isEqualTo(2 * M2 + 6 * K4);
    }

    @ParameterizedTest
    @ValueSource(longs = {Bench.ECAP, Bench.ECAP_NONCOHERENT})
    void randomMappingsAgreeWithAModel(long ecap) {
        long seed = Long.getLong("iommu4j.seed", 20261123L);
        System.out.println("seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        Bench bench = Bench.single(Bench.CAP_LARGE, ecap);
        IommuDomain domain = domain(bench);
        long empty = bench.pool.inUse();
        // The model: start of each page -> size and target.
        TreeMap<Long, long[]> model = new TreeMap<>();
        int mapped = 0;
        int refused = 0;
        for (int i = 0; i < 20_000; i++) {
            long pageSize = new long[] {K4, K4, K4, M2, G1}[random.nextInt(5)];
            long iova = G1 + random.nextLong(4 * G1 / pageSize) * pageSize;
            if (pageSize == K4) {
                iova = G1 + random.nextLong(2048) * K4;
            } else if (pageSize == M2) {
                iova = G1 + random.nextLong(8) * M2;
            }
            long count = 1 + random.nextLong(pageSize == K4 ? 700 : 3);
            if (random.nextInt(5) < 3) {
                long target = random.nextLong(1L << 30) * G1 & ((1L << 51) - 1);
                boolean free = isFree(model, iova, count * pageSize);
                try {
                    domain.map(iova, target, pageSize, count, Prot.READ_WRITE);
                    assertThat(free).as("map %x", iova).isTrue();
                    mapped++;
                    for (long p = 0; p < count; p++) {
                        model.put(iova + p * pageSize, new long[] {pageSize, target + p * pageSize});
                    }
                } catch (IommuException e) {
                    assertThat(e.errno()).isEqualTo(Errno.EADDRINUSE);
                    assertThat(free).as("refused %x", iova).isFalse();
                    refused++;
                }
            } else {
                long size = count * pageSize;
                assertThat(domain.unmap(iova, size, gather))
                        .as("unmap %x", iova)
                        .isEqualTo(unmap(model, iova, size));
                if (random.nextInt(4) == 0) {
                    domain.sync(gather);
                }
            }
            for (int probe = 0; probe < 4; probe++) {
                long at = G1 + random.nextLong(probe < 2 ? 16 * M2 : 5 * G1);
                Map.Entry<Long, long[]> page = model.floorEntry(at);
                long expected = page == null || at - page.getKey() >= page.getValue()[0]
                        ? IommuDomain.UNMAPPED
                        : page.getValue()[1] + (at - page.getKey());
                assertThat(domain.translate(at)).as("translate %x", at).isEqualTo(expected);
            }
        }
        assertThat(mapped).isGreaterThan(500);
        assertThat(refused).isGreaterThan(500);
        for (Map.Entry<Long, long[]> page : new TreeMap<>(model).entrySet()) {
            assertThat(domain.unmap(page.getKey(), page.getValue()[0], gather)).isEqualTo(page.getValue()[0]);
        }
        domain.sync(gather);
        domain.detach(bench.probe(domain.iommu(), "0000:00:02.0"));
        domain.close();
        assertThat(bench.pool.inUse()).isEqualTo(empty - 1);
    }

    private static boolean isFree(NavigableMap<Long, long[]> model, long iova, long size) {
        Map.Entry<Long, long[]> below = model.floorEntry(iova);
        return (below == null || below.getKey() + below.getValue()[0] <= iova)
                && model.subMap(iova, iova + size).isEmpty();
    }

    private static long unmap(NavigableMap<Long, long[]> model, long iova, long size) {
        long at = iova;
        while (at < iova + size && model.containsKey(at)) {
            at += model.remove(at)[0];
        }
        return at - iova;
    }

    @Test
    void whatIsStoredIsWrittenBackWhereTheWalkDoesNotSnoop() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_NONCOHERENT);
        IommuDomain domain = domain(bench);
        bench.memory.recording = true;
        domain.map(0, 0x40000000, K4, 3, Prot.READ_WRITE);

        long table = bench.contextEntry(0x10)[0] & ~0xfffL;
        for (int level = 4; level > 1; level--) {
            assertThat(bench.memory.writtenBack).contains(table);
            long next = bench.flat.load(table) & 0xffffffffff000L;
            assertThat(bench.memory.writtenBack).contains(next, next + 4088);
            table = next;
        }
        assertThat(bench.memory.writtenBack).contains(table, table + 8, table + 16);

        bench.memory.writtenBack.clear();
        domain.unmap(K4, K4, gather);
        assertThat(bench.memory.writtenBack).containsExactly(table + 8);
    }

    @Test
    void nothingIsWrittenBackWhereTheWalkSnoops() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        IommuDomain domain = domain(bench);
        bench.memory.recording = true;
        domain.map(0, 0x40000000, K4, 3, Prot.READ_WRITE);
        domain.unmap(0, K4, gather);

        assertThat(bench.memory.writtenBack).isEmpty();
    }

    @Test
    void aTableOf3LevelsServesAUnitOf39Bits() {
        Bench bench = Bench.single(Bench.CAP_39, Bench.ECAP);
        IommuDomain domain = domain(bench);
        domain.map((1L << 39) - K4, 0x5000, K4, 1, Prot.READ);

        assertThat(domain.apertureEnd()).isEqualTo((1L << 39) - 1);
        assertThat(domain.pageSizes()).isEqualTo(K4);
        // AW 1, domain id 2.
        assertThat(bench.contextEntry(0x10)[1]).isEqualTo(0x201);
        assertThat(bench.leaf(0x10, (1L << 39) - K4)).isEqualTo(0x5001);
    }

    @Test
    void threadsMapAndUnmapDisjointRangesOfOneTable() throws InterruptedException {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_NONCOHERENT);
        IommuDomain domain = domain(bench);
        Thread[] threads = new Thread[4];
        Throwable[] failures = new Throwable[4];
        for (int t = 0; t < threads.length; t++) {
            int id = t;
            threads[t] = new Thread(() -> {
                IotlbGather mine = new IotlbGather();
                try {
                    for (int i = 0; i < 3_000; i++) {
                        // Neighbours share every table down to the last.
                        long iova = ((long) i * 4 + id) * 8 * K4;
                        domain.map(iova, iova + G1, K4, 8, Prot.READ_WRITE);
                        assertThat(domain.translate(iova + 7 * K4)).isEqualTo(iova + 7 * K4 + G1);
                        if (i % 3 == 0) {
                            assertThat(domain.unmap(iova, 8 * K4, mine)).isEqualTo(8 * K4);
                        }
                    }
                } catch (RuntimeException | AssertionError e) {
                    failures[id] = e;
                }
            });
            threads[t].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(failures).containsOnlyNulls();
        assertThat(domain.translate((2_999L * 4 + 3) * 8 * K4)).isEqualTo((2_999L * 4 + 3) * 8 * K4 + G1);
        assertThat(domain.translate(0)).isEqualTo(IommuDomain.UNMAPPED);
    }
}
