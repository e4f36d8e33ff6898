// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.platform.support.TableFrames;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Mapping and unmapping: rules, errnos, entries in memory, and long random histories against a model. */
class HostPageTableTest {
    private static final long K4 = 1L << 12;
    private static final long M2 = 1L << 21;

    private final TestPlatform platform = new TestPlatform().withImage();
    private final AmdIommu iommu = platform.open();
    private final IommuDevice device =
            iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
    private final HostDomain domain = (HostDomain) iommu.allocate(DomainType.UNMANAGED, device);
    private final IotlbGather gather = new IotlbGather();

    private static void refuses(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Test
    void theSizesAreAllPowersOfTwoBut512Gigabytes() {
        assertThat(domain.pageSizes()).isEqualTo(0x000f_ff7f_ffff_f000L);
        assertThat(domain.apertureEnd()).isEqualTo(-1L);
        assertThat(domain.format()).isEqualTo("amd-host-v1");
    }

    @Test
    void aUnitWithFourLevelsHasAnApertureOf48Bits() {
        TestPlatform small = new TestPlatform();
        small.efr = 0x40;
        AmdIommu other = small.withImage().open();
        IommuDomain four = other.allocate(
                DomainType.DMA, other.probe(small.function(0, 1, 0, 0)).orElseThrow());
        assertThat(four.apertureEnd()).isEqualTo((1L << 48) - 1);
        assertThat(four.pageSizes()).isEqualTo(0x0000_ff7f_ffff_f000L);
        refuses(Errno.ERANGE, () -> four.map(1L << 48, 0, K4, 1, Prot.READ));
        refuses(Errno.ENXIO, () -> four.map(0, 0, 1L << 48, 1, Prot.READ));
        four.map((1L << 48) - K4, 0x5000, K4, 1, Prot.READ);
        assertThat(four.translate((1L << 48) - 1)).isEqualTo(0x5fff);
    }

    @Test
    void leavesHaveForceCoherentAndTheirPermissionsAndNothingElse() {
        domain.map(0x1000, 0x7000, K4, 1, Prot.READ | Prot.CACHE);
        domain.map(0x2000, 0x8000, K4, 1, Prot.WRITE);
        domain.map(0x200000, 0x400000, M2, 1, Prot.READ_WRITE | Prot.NOEXEC);
        domain.map(0x4000, 0x10000, 1L << 13, 1, Prot.READ_WRITE);
        assertThat(domain.table().leafAt(0x1000)).isEqualTo(0x3000_0000_0000_7001L);
        assertThat(domain.table().leafAt(0x2000)).isEqualTo(0x5000_0000_0000_8001L);
        assertThat(domain.table().leafAt(0x200000)).isEqualTo(0x7000_0000_0040_0001L);
        assertThat(domain.table().leafAt(0x4000)).isEqualTo(0x7000_0000_0001_0e01L);
        assertThat(domain.table().leafAt(0x5000)).isEqualTo(0x7000_0000_0001_0e01L);
    }

    @ParameterizedTest
    @ValueSource(ints = {12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 25, 29, 30, 31, 38, 40, 43, 47, 48, 49, 50, 51})
    void aPageOfEverySizeTranslatesAndGoesAsAWhole(int shift) {
        long size = 1L << shift;
        long physical = shift < 51 ? size : 0;
        domain.map(size, physical, size, 1, Prot.READ_WRITE);
        assertThat(domain.translate(size)).isEqualTo(physical);
        assertThat(domain.translate(2 * size - 1)).isEqualTo(physical + size - 1);
        assertThat(domain.translate(2 * size)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(size - 1)).isEqualTo(IommuDomain.UNMAPPED);
        if (shift > 12) {
            assertThat(domain.unmap(size + size / 2, size / 2, gather)).isZero();
            assertThat(gather.isEmpty()).isTrue();
        }
        assertThat(domain.unmap(size, K4, gather)).isEqualTo(size);
        assertThat(gather.start()).isEqualTo(size);
        assertThat(gather.end()).isEqualTo(2 * size - 1);
        assertThat(domain.translate(size)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(2 * size - 1)).isEqualTo(IommuDomain.UNMAPPED);
    }

    @Test
    void refusalsHaveLinuxErrnosAndChangeNothing() {
        domain.map(0x10000, 0x10000, K4, 1, Prot.READ);
        domain.map(0x400000, 0x400000, M2, 1, Prot.READ);
        long frames = platform.frames.inUse();
        refuses(Errno.EINVAL, () -> domain.map(0, 0, K4, 1, Prot.CACHE));
        refuses(Errno.EINVAL, () -> domain.map(0x800, 0, K4, 1, Prot.READ));
        refuses(Errno.EINVAL, () -> domain.map(0, 0x800, K4, 1, Prot.READ));
        refuses(Errno.EINVAL, () -> domain.map(0, 0, K4, 0, Prot.READ));
        refuses(Errno.ENXIO, () -> domain.map(0, 0, 0x3000, 1, Prot.READ));
        refuses(Errno.ENXIO, () -> domain.map(0, 0, 1L << 39, 1, Prot.READ));
        refuses(Errno.ENXIO, () -> domain.map(0, 0, 1L << 52, 1, Prot.READ));
        refuses(Errno.ERANGE, () -> domain.map(0, 1L << 52, K4, 1, Prot.READ));
        refuses(Errno.ERANGE, () -> domain.map(0, (1L << 52) - K4, K4, 2, Prot.READ));
        refuses(Errno.ERANGE, () -> domain.map(-K4, 0, K4, 2, Prot.READ));
        refuses(Errno.ERANGE, () -> domain.map(0, 0, K4, 1L << 60, Prot.READ));
        refuses(Errno.EADDRINUSE, () -> domain.map(0x10000, 0, K4, 1, Prot.READ));
        refuses(Errno.EADDRINUSE, () -> domain.map(0xf000, 0, K4, 3, Prot.READ));
        refuses(Errno.EADDRINUSE, () -> domain.map(0, 0, M2, 1, Prot.READ));
        refuses(Errno.EADDRINUSE, () -> domain.map(0x401000, 0, K4, 1, Prot.READ));
        refuses(Errno.EADDRINUSE, () -> domain.map(0x3ff000, 0, K4, 2, Prot.READ));
        assertThat(domain.translate(0xf000)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(0x3ff000)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(platform.frames.inUse()).isEqualTo(frames);
    }

    @Test
    void domainsWithoutTablesRefuseToMap() {
        IommuDomain identity = iommu.allocate(DomainType.IDENTITY, device);
        refuses(Errno.EINVAL, () -> identity.map(0, 0, K4, 1, Prot.READ));
        assertThat(identity.unmap(0, K4, gather)).isZero();
        assertThat(identity.translate(0x1234)).isEqualTo(0x1234);
        assertThat(identity.pageSizes()).isZero();
        assertThat(iommu.allocate(DomainType.BLOCKED, device).translate(0x1234)).isEqualTo(IommuDomain.UNMAPPED);
    }

    @Test
    void unmappingStopsAtAHoleAndIgnoresNonsense() {
        domain.map(0x1000, 0x1000, K4, 2, Prot.READ);
        domain.map(0x4000, 0x4000, K4, 1, Prot.READ);
        assertThat(domain.unmap(0x1000, 0x10000, gather)).isEqualTo(2 * K4);
        assertThat(domain.translate(0x4000)).isEqualTo(0x4000);
        assertThat(domain.unmap(0x1000, 0x1000, gather)).isZero();
        assertThat(domain.unmap(0x4800, 0x1000, gather)).isZero();
        assertThat(domain.unmap(0x4000, 0x800, gather)).isZero();
        assertThat(domain.unmap(0x4000, 0, gather)).isZero();
        assertThat(domain.unmap(1L << 40, K4, gather)).isZero();
        assertThat(domain.unmap(-K4, 2 * K4, gather)).isZero();
        assertThat(domain.translate(0x4000)).isEqualTo(0x4000);
    }

    @Test
    void anUnmapThatEndsInsideAReplicatedLeafRemovesAllOfIt() {
        domain.map(0, 0x100000, K4, 16, Prot.READ);
        domain.map(0x10000, 0x200000, 1L << 16, 1, Prot.READ);
        domain.map(0x20000, 0x300000, K4, 1, Prot.READ);
        assertThat(domain.unmap(0, 0x11000, gather)).isEqualTo(0x20000);
        assertThat(domain.translate(0x1f000)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(0x20000)).isEqualTo(0x300000);
    }

    @Test
    void anEmptyLowerTableGivesWayToALargeLeafAndIsFreedAfterTheUnitForgotIt() {
        domain.attach(device);
        domain.map(0x200000, 0x200000, K4, 512, Prot.READ);
        long frames = platform.frames.inUse();
        for (int i = 0; i < 512; i++) {
            assertThat(domain.unmap(0x200000 + i * K4, K4, gather)).isEqualTo(K4);
        }
        domain.sync(gather);
        assertThat(platform.frames.inUse()).isEqualTo(frames);
        platform.commands.clear();
        domain.map(0x200000, 0x600000, M2, 1, Prot.READ);
        assertThat(platform.frames.inUse()).isEqualTo(frames - 1);
        assertThat(platform.commands).containsExactly("pages 1 2ff003");
        assertThat(domain.translate(0x234567)).isEqualTo(0x634567);
    }

    @Test
    void tablesThatAnUnmapCoversAreFreedBySyncAndNotBefore() {
        domain.attach(device);
        long frames = platform.frames.inUse();
        domain.map(0x200000, 0, K4, 512, Prot.READ);
        assertThat(platform.frames.inUse()).isEqualTo(frames + 2);
        assertThat(domain.unmap(0x200000, M2, gather)).isEqualTo(M2);
        assertThat(gather.frameCount()).isEqualTo(1);
        assertThat(platform.frames.inUse()).isEqualTo(frames + 2);
        domain.sync(gather);
        assertThat(gather.isEmpty()).isTrue();
        assertThat(platform.frames.inUse()).isEqualTo(frames + 1);
    }

    @Test
    void moreTablesThanAGatherHoldsAreFreedOnTheWay() {
        domain.attach(device);
        int tables = 3 * IotlbGather.MAX_FRAMES;
        domain.map(0, 0, K4, 512L * tables, Prot.READ);
        platform.commands.clear();
        assertThat(domain.unmap(0, M2 * tables, gather)).isEqualTo(M2 * tables);
        assertThat(gather.start()).isZero();
        assertThat(gather.end()).isEqualTo(M2 * tables - 1);
        // Two full gathers went on the way, each after the unit forgot every page.
        assertThat(platform.commands).containsExactly("pages 1 7ffffffffffff003", "pages 1 7ffffffffffff003");
        domain.sync(gather);
        domain.detach(device);
        long rest = platform.frames.inUse();
        domain.close();
        assertThat(platform.frames.inUse()).isEqualTo(rest - 2);
    }

    @Test
    void theTableGrowsWhileEarlierMappingsStand() {
        domain.attach(device);
        domain.map(0x1000, 0x1000, K4, 1, Prot.READ);
        assertThat(domain.table().levels()).isEqualTo(3);
        assertThat(platform.unit.deviceTableWord(0x100, 0) >> 9 & 7).isEqualTo(3);
        platform.commands.clear();
        domain.map(1L << 39, 0x2000, K4, 1, Prot.READ);
        assertThat(domain.table().levels()).isEqualTo(4);
        assertThat(platform.commands).contains("devtab 0100");
        domain.map(-K4, 0x3000, K4, 1, Prot.READ);
        assertThat(domain.table().levels()).isEqualTo(6);
        assertThat(platform.unit.deviceTableWord(0x100, 0))
                .isEqualTo(0x6000_0000_0000_0c03L | domain.table().root());
        assertThat(domain.translate(0x1000)).isEqualTo(0x1000);
        assertThat(domain.translate(1L << 39)).isEqualTo(0x2000);
        assertThat(domain.translate(-1L)).isEqualTo(0x3fff);
        assertThat(domain.unmap(-K4, K4, gather)).isEqualTo(K4);
        assertThat(gather.end()).isEqualTo(-1L);
    }

    @Test
    void aTallerRootThatAUnitMayHaveSeenIsKeptWhenTheUnitDoesNotAnswer() {
        domain.attach(device);
        domain.map(0x1000, 0x1000, K4, 1, Prot.READ);
        long entry = platform.unit.deviceTableWord(0x100, 0);
        long frames = platform.frames.inUse();
        platform.stuck = true;

        refuses(Errno.ETIMEDOUT, () -> domain.map(1L << 50, 0, K4, 1, Prot.READ));

        assertThat(platform.unit.deviceTableWord(0x100, 0)).isEqualTo(entry);
        assertThat(domain.translate(0x1000)).isEqualTo(0x1000);
        assertThat(iommu.quarantinedFrames()).isEqualTo(2);
        assertThat(platform.frames.inUse()).isEqualTo(frames + 2);
    }

    @Test
    void aLargeLeafOverAnEmptyTableIsRefusedAsEioOnceTheUnitIsBroken() {
        domain.attach(device);
        domain.map(0, 0, K4, 1, Prot.READ);
        domain.unmap(0, K4, gather);
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> domain.sync(gather));

        refuses(Errno.EIO, () -> domain.map(0, 0, M2, 1, Prot.READ));

        assertThat(domain.translate(0)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(iommu.quarantinedFrames()).isEqualTo(1);
    }

    @Test
    void aThreadThatIsSecondWithATableUsesTheOtherOneAndKeepsItsOwnInStock() {
        InterposedMemory memory = new InterposedMemory(1L << 24);
        FramePool frames = new FramePool(0x10_0000, 0x40_0000);
        HostPageTable table =
                new HostPageTable(memory, new TableFrames(memory, frames), 3, 6, 64, HostPageTable.PAGE_SIZES);
        PageMapper mapper = new PageMapper(table, domain, domain::grow);
        memory.beforeNextCompareAndSet = () -> mapper.map(0x5000, 0x9000, K4, 1, Prot.READ);

        mapper.map(0x4000, 0x8000, K4, 1, Prot.READ);

        assertThat(table.translate(0x4000)).isEqualTo(0x8000);
        assertThat(table.translate(0x5000)).isEqualTo(0x9000);
        assertThat(frames.inUse()).as("one table of each level").isEqualTo(3);
        table.free(true);
        assertThat(frames.inUse()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void randomHistoriesAgreeWithAModel(int run) {
        long seed = Long.getLong("iommu4j.seed", 20261123L) + run;
        System.out.println("host page table against a model: seed " + seed);
        Random random = new Random(seed);
        TreeMap<Long, long[]> model = new TreeMap<>(Long::compareUnsigned);
        if (random.nextBoolean()) {
            domain.attach(device);
        }
        for (int step = 0; step < 4_000; step++) {
            String where = "seed " + seed + " step " + step;
            int shift = random.nextInt(5) == 0 ? 12 + random.nextInt(40) : 12 + random.nextInt(12);
            long size = 1L << shift;
            long window = random.nextInt(3) == 0 ? 1L << (30 + random.nextInt(34)) : 1L << 26;
            long iova = (random.nextLong() & (window - 1)) & -size;
            long physical = random.nextLong() & ((1L << 52) - 1) & -size;
            int count = 1 + random.nextInt(random.nextInt(4) == 0 ? 600 : 3);
            if (random.nextBoolean()) {
                Errno expected = expectedErrno(model, iova, physical, shift, count);
                Errno actual = null;
                try {
                    domain.map(iova, physical, size, count, Prot.READ);
                } catch (IommuException e) {
                    actual = e.errno();
                }
                assertThat(actual).as(where).isEqualTo(expected);
                for (int i = 0; expected == null && i < count; i++) {
                    model.put(iova + i * size, new long[] {size, physical + i * size});
                }
            } else {
                Map.Entry<Long, long[]> any = model.ceilingEntry(iova);
                long from = any == null || random.nextInt(4) == 0 ? iova : any.getKey();
                long length = size * count;
                long done = domain.unmap(from, length, gather);
                assertThat(done).as(where).isEqualTo(modelUnmap(model, from, length));
                if (random.nextInt(3) == 0) {
                    domain.sync(gather);
                }
            }
            probeModel(model, iova, where);
        }
        model.forEach((iova, page) -> {
            assertThat(domain.translate(iova)).isEqualTo(page[1]);
            assertThat(domain.translate(iova + page[0] - 1)).isEqualTo(page[1] + page[0] - 1);
            assertThat(domain.table().leafAt(iova) >>> 60).isEqualTo(3);
        });
        domain.sync(gather);
        if (!domain.attachments().isEmpty()) {
            domain.detach(device);
        }
        iommu.close();
        assertThat(platform.frames.inUse()).isZero();
    }

    private void probeModel(NavigableMap<Long, long[]> model, long iova, String where) {
        Map.Entry<Long, long[]> entry = model.floorEntry(iova);
        long expected = entry != null && Long.compareUnsigned(iova - entry.getKey(), entry.getValue()[0]) < 0
                ? entry.getValue()[1] + (iova - entry.getKey())
                : IommuDomain.UNMAPPED;
        assertThat(domain.translate(iova)).as(where).isEqualTo(expected);
    }

    private static Errno expectedErrno(
            NavigableMap<Long, long[]> model, long iova, long physical, int shift, int count) {
        if (shift == 39) {
            return Errno.ENXIO;
        }
        long length = (1L << shift) * count;
        long last = iova + length - 1;
        if (length >>> shift != count
                || Long.compareUnsigned(last, iova) < 0
                || Long.compareUnsigned(physical + length - 1, 1L << 52) >= 0
                || Long.compareUnsigned(physical + length - 1, physical) < 0) {
            return Errno.ERANGE;
        }
        Map.Entry<Long, long[]> before = model.floorEntry(last);
        boolean overlaps =
                before != null && Long.compareUnsigned(before.getKey() + before.getValue()[0] - 1, iova) >= 0;
        return overlaps ? Errno.EADDRINUSE : null;
    }

    private static long modelUnmap(NavigableMap<Long, long[]> model, long from, long length) {
        long last = from + length - 1;
        if (length == 0 || Long.compareUnsigned(last, from) < 0) {
            return 0;
        }
        long done = 0;
        while (Long.compareUnsigned(done, length) < 0) {
            long[] page = model.remove(from + done);
            if (page == null) {
                return done;
            }
            done += page[0];
        }
        return done;
    }

    @Test
    void threadsMapAndUnmapDisjointRangesWhileTheTableGrows() throws Exception {
        domain.attach(device);
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Void>> results = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            long base = 0x40_0000L * t;
            int far = 38 + t * 6;
            results.add(pool.submit((Callable<Void>) () -> {
                IotlbGather own = new IotlbGather();
                for (int round = 0; round < 200; round++) {
                    domain.map(base, base + round * K4, K4, 1000, Prot.READ);
                    if (round == 50) {
                        domain.map(1L << far, 0, K4, 1, Prot.READ);
                    }
                    for (int i = 0; i < 1000; i += 37) {
                        assertThat(domain.translate(base + i * K4)).isEqualTo(base + round * K4 + i * K4);
                    }
                    assertThat(domain.unmap(base, 1000 * K4, own)).isEqualTo(1000 * K4);
                    domain.sync(own);
                }
                return null;
            }));
        }
        for (Future<Void> result : results) {
            result.get();
        }
        pool.shutdown();
        assertThat(domain.table().levels()).isEqualTo(5);
        for (int t = 0; t < 4; t++) {
            assertThat(domain.translate(1L << (38 + t * 6))).isZero();
        }
        domain.detach(device);
        iommu.close();
        assertThat(platform.frames.inUse()).isZero();
    }
}
