// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.it.domain.Bench.DEVICE;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.trace.Trace;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every vendor's domains promise, seen from four sides: the driver's own answers, the device's DMA, a walk of the
 * tables by hand, and the frames in use.
 *
 * <p>A vendor's subclass has a static method {@code configurations()} that lists the machines to run on. The rules are
 * those of {@link IommuDomain}, which are the generic page-table rules of Linux 7.1.
 */
@ParameterizedClass(name = "{0}")
@MethodSource("configurations")
abstract class IommuDomainContract {
    private static final long PAGE = 4096;
    private static final long MIB_2 = 2L << 20;

    @Parameter
    Configuration configuration;

    Bench bench;

    @BeforeEach
    void openMachine() {
        bench = new Bench(configuration);
    }

    private static void assertRefusedWith(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    private boolean has(IommuDomain domain, long pageSize) {
        return (domain.pageSizes() & pageSize) != 0;
    }

    /** What a leaf maps, looked at in memory. */
    private void assertLeaf(long iova, long physicalAddress, long pageSize) {
        LeafFormat.Leaf leaf = bench.walk(iova);
        assertThat(leaf.present()).as("a leaf at 0x%x", iova).isTrue();
        assertThat(leaf.physicalAddress()).as("target at 0x%x", iova).isEqualTo(physicalAddress);
        assertThat(leaf.pageSize()).as("size at 0x%x", iova).isEqualTo(pageSize);
    }

    /** Mapping. */
    @Nested
    class Mapping {
        @TestFactory
        Stream<DynamicTest> aPageOfEverySizeIsWhatTheDeviceReachesAndOnlyThat() {
            long sizes = bench.attached().pageSizes();
            assertThat(sizes & PAGE).as("every vendor has 4 KiB").isNotZero();
            return LongStream.range(12, 64)
                    .map(bit -> 1L << bit)
                    .filter(size -> (sizes & size) != 0)
                    .mapToObj(size ->
                            DynamicTest.dynamicTest("2^" + Long.numberOfTrailingZeros(size), () -> mapOne(size)));
        }

        private void mapOne(long size) {
            bench = new Bench(configuration);
            IommuDomain domain = bench.attached();
            long iova = size <= IOVA ? IOVA : size < domain.apertureEnd() - size ? size : 0;
            // Pages larger than the memory begin at its beginning and reach beyond its end.
            long physical = size <= SCRATCH ? SCRATCH : 0;
            bench.map(domain, iova, physical, size, 1, READ_WRITE);

            long[] offsets = {0, PAGE - 8, Math.min(size, SCRATCH) / 2, Math.min(size, SCRATCH) - 8};
            for (long offset : offsets) {
                long at = size <= SCRATCH ? offset : SCRATCH + offset;
                assertThat(domain.translate(iova + at)).isEqualTo(physical + at);
                bench.assertReaches(iova + at, physical + at);
                assertLeaf(iova + at, physical + at, size);
            }
            assertThat(domain.translate(iova + size - 1)).isEqualTo(physical + size - 1);
            if (iova != 0) {
                assertThat(domain.translate(iova - 1)).isEqualTo(IommuDomain.UNMAPPED);
                bench.assertRefused(iova - 8);
            }
            if (Long.compareUnsigned(iova + size, domain.apertureEnd()) < 0 && iova + size != 0) {
                assertThat(domain.translate(iova + size)).isEqualTo(IommuDomain.UNMAPPED);
                bench.assertRefused(iova + size);
            }
        }

        @Test
        void aRunAcrossTablesMapsEveryPageToItsOwnFrame() {
            IommuDomain domain = bench.attached();
            long iova = IOVA + MIB_2 - 100 * PAGE;
            bench.map(domain, iova, SCRATCH, PAGE, 256, READ_WRITE);

            for (int page = 0; page < 256; page++) {
                assertThat(domain.translate(iova + page * PAGE + 8)).isEqualTo(SCRATCH + page * PAGE + 8);
                assertLeaf(iova + page * PAGE, SCRATCH + page * PAGE, PAGE);
                bench.assertReaches(iova + page * PAGE + 8, SCRATCH + page * PAGE + 8);
            }
            assertThat(domain.translate(iova - 1)).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(iova + 256 * PAGE)).isEqualTo(IommuDomain.UNMAPPED);
        }

        @Test
        void theFirstPageOfTheApertureCanBeMappedAndNoneBelow() {
            IommuDomain domain = bench.attached();
            long first = domain.apertureStart();
            assertThat(first & (PAGE - 1)).as("aligned").isZero();
            bench.map(domain, first, SCRATCH);

            assertThat(domain.translate(first)).isEqualTo(SCRATCH);
            bench.assertReaches(first, SCRATCH);
            if (first != 0) {
                assertRefusedWith(Errno.ERANGE, () -> domain.map(first - PAGE, SCRATCH, PAGE, 2, READ_WRITE));
                assertThat(domain.unmap(first - PAGE, 2 * PAGE, new IotlbGather()))
                        .isZero();
                bench.assertReaches(first, SCRATCH);
            }
            assertThat(bench.unmap(domain, first, PAGE)).isEqualTo(PAGE);
            bench.assertRefused(first);
        }

        @Test
        void theLastPageOfTheApertureCanBeMapped() {
            IommuDomain domain = bench.attached();
            long last = domain.apertureEnd() - (PAGE - 1);
            bench.map(domain, last, SCRATCH);

            assertThat(domain.translate(domain.apertureEnd())).isEqualTo(SCRATCH + PAGE - 1);
            bench.assertReaches(last, SCRATCH);
            assertThat(domain.unmap(last, 2 * PAGE, new IotlbGather()))
                    .as("a range that leaves the aperture")
                    .isZero();
            bench.assertReaches(last, SCRATCH);
            assertThat(bench.unmap(domain, last, PAGE)).isEqualTo(PAGE);
            bench.assertRefused(last);
        }

        @Test
        void mapsFarApartAreAllThereAtOnce() {
            IommuDomain domain = bench.attached();
            List<Long> places = new ArrayList<>(List.of(domain.apertureStart()));
            for (long at = PAGE; Long.compareUnsigned(at, domain.apertureEnd()) < 0 && at != 0; at <<= 3) {
                if (Long.compareUnsigned(at, domain.apertureStart()) > 0) {
                    places.add(at);
                }
            }
            for (int i = 0; i < places.size(); i++) {
                bench.map(domain, places.get(i), SCRATCH + i * PAGE);
            }
            for (int i = 0; i < places.size(); i++) {
                bench.assertReaches(places.get(i), SCRATCH + i * PAGE);
            }
        }

        @Test
        void refusesWhatItCantMapWithTheErrnoOfLinuxAndChangesNothing() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            long frames = bench.framesInUse();
            long end = domain.apertureEnd();
            long free = IOVA + 16 * PAGE;

            assertRefusedWith(Errno.EINVAL, () -> domain.map(free, SCRATCH, PAGE, 1, 0));
            assertRefusedWith(Errno.EINVAL, () -> domain.map(free, SCRATCH, PAGE, 1, Prot.CACHE));
            assertRefusedWith(Errno.EINVAL, () -> domain.map(free + 1, SCRATCH, PAGE, 1, READ_WRITE));
            assertRefusedWith(Errno.EINVAL, () -> domain.map(free, SCRATCH + 8, PAGE, 1, READ_WRITE));
            assertRefusedWith(Errno.EINVAL, () -> domain.map(free, SCRATCH, PAGE, 0, READ_WRITE));
            assertRefusedWith(Errno.ENXIO, () -> domain.map(0, 0, 2048, 1, READ_WRITE));
            assertRefusedWith(Errno.ENXIO, () -> domain.map(0, 0, 3 * PAGE, 1, READ_WRITE));
            // 512 GiB: AMD's hardware gets it wrong, VT-d has no such leaf.
            assertRefusedWith(Errno.ENXIO, () -> domain.map(0, 0, 1L << 39, 1, READ_WRITE));
            assertRefusedWith(Errno.ERANGE, () -> domain.map(free, 1L << 52, PAGE, 1, READ_WRITE));
            assertRefusedWith(Errno.ERANGE, () -> domain.map(free, (1L << 52) - PAGE, PAGE, 2, READ_WRITE));
            assertRefusedWith(Errno.ERANGE, () -> domain.map(end - PAGE + 1, SCRATCH, PAGE, 2, READ_WRITE));
            if (end != -1L) {
                assertRefusedWith(Errno.ERANGE, () -> domain.map(end + 1, SCRATCH, PAGE, 1, READ_WRITE));
            }

            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            assertThat(domain.translate(free)).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(end)).isEqualTo(IommuDomain.UNMAPPED);
            bench.assertReaches(IOVA, SCRATCH);
        }

        @Test
        void aRunThatMeetsAMappingMapsNothing() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA + MIB_2 + 5 * PAGE, SCRATCH);
            long frames = bench.framesInUse();

            // The first 507 pages would need a table that is not there yet.
            assertRefusedWith(
                    Errno.EADDRINUSE, () -> domain.map(IOVA + 10 * PAGE, SCRATCH + MIB_2, PAGE, 600, READ_WRITE));
            assertRefusedWith(
                    Errno.EADDRINUSE, () -> domain.map(IOVA + MIB_2 + 5 * PAGE, SCRATCH, PAGE, 1, READ_WRITE));

            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            for (int page = 10; page < 610; page += 7) {
                if (page != 517) {
                    assertThat(domain.translate(IOVA + page * PAGE)).isEqualTo(IommuDomain.UNMAPPED);
                }
            }
            bench.assertRefused(IOVA + 10 * PAGE);
            bench.assertReaches(IOVA + MIB_2 + 5 * PAGE, SCRATCH);
        }

        @Test
        void aLargePageOverASmallOneAndASmallOneInALargeOneAreRefused() {
            IommuDomain domain = bench.attached();
            if (!has(domain, MIB_2)) {
                assertRefusedWith(Errno.ENXIO, () -> domain.map(IOVA, SCRATCH, MIB_2, 1, READ_WRITE));
                return;
            }
            bench.map(domain, IOVA + 5 * PAGE, SCRATCH);
            bench.map(domain, IOVA + MIB_2, SCRATCH + MIB_2, MIB_2, 1, READ_WRITE);
            long frames = bench.framesInUse();

            assertRefusedWith(Errno.EADDRINUSE, () -> domain.map(IOVA, SCRATCH, MIB_2, 1, READ_WRITE));
            assertRefusedWith(Errno.EADDRINUSE, () -> domain.map(IOVA + MIB_2 + PAGE, SCRATCH, PAGE, 1, READ_WRITE));
            assertRefusedWith(Errno.EADDRINUSE, () -> domain.map(IOVA + MIB_2, SCRATCH, MIB_2, 1, READ_WRITE));

            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            bench.assertReaches(IOVA + 5 * PAGE, SCRATCH);
            bench.assertReaches(IOVA + MIB_2 + PAGE, SCRATCH + MIB_2 + PAGE);
        }

        @Test
        void anEmptyLowerTableIsReplacedByALargeLeafAndFreed() {
            IommuDomain domain = bench.attached();
            if (!has(domain, MIB_2)) {
                assertRefusedWith(Errno.ENXIO, () -> domain.map(IOVA, SCRATCH, MIB_2, 1, READ_WRITE));
                return;
            }
            bench.map(domain, IOVA + 5 * PAGE, SCRATCH);
            bench.assertReaches(IOVA + 5 * PAGE, SCRATCH);
            assertThat(bench.unmap(domain, IOVA + 5 * PAGE, PAGE)).isEqualTo(PAGE);
            bench.assertRefused(IOVA + 5 * PAGE);
            long withTable = bench.framesInUse();

            bench.map(domain, IOVA, SCRATCH + MIB_2, MIB_2, 1, READ_WRITE);

            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(withTable - 1);
            // The unit has walked through the old table: it must have been told to forget it.
            bench.assertReaches(IOVA + 5 * PAGE, SCRATCH + MIB_2 + 5 * PAGE);
            bench.assertReaches(IOVA + MIB_2 - 8, SCRATCH + 2 * MIB_2 - 8);
            assertLeaf(IOVA, SCRATCH + MIB_2, MIB_2);
        }

        @Test
        void domainsWithoutTablesRefuseToMap() {
            for (DomainType type : List.of(DomainType.BLOCKED, DomainType.IDENTITY)) {
                try (IommuDomain domain = bench.iommu().allocate(type, bench.device())) {
                    assertThat(domain.pageSizes()).isZero();
                    assertRefusedWith(Errno.EINVAL, () -> domain.map(IOVA, SCRATCH, PAGE, 1, READ_WRITE));
                    assertThat(domain.unmap(IOVA, PAGE, new IotlbGather())).isZero();
                }
            }
        }
    }

    /** Unmapping and what hardware still knows. */
    @Nested
    class Unmapping {
        @Test
        void stopsAtAHole() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 2, READ_WRITE);
            bench.map(domain, IOVA + 3 * PAGE, SCRATCH + 3 * PAGE);

            assertThat(bench.unmap(domain, IOVA, 8 * PAGE)).isEqualTo(2 * PAGE);

            bench.assertRefused(IOVA);
            bench.assertRefused(IOVA + PAGE);
            bench.assertReaches(IOVA + 3 * PAGE, SCRATCH + 3 * PAGE);
        }

        @Test
        void takesOnlyWhatWasAsked() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 16, READ_WRITE);

            assertThat(bench.unmap(domain, IOVA + 4 * PAGE, 4 * PAGE)).isEqualTo(4 * PAGE);

            for (int page = 0; page < 16; page++) {
                if (page >= 4 && page < 8) {
                    bench.assertRefused(IOVA + page * PAGE);
                } else {
                    bench.assertReaches(IOVA + page * PAGE, SCRATCH + page * PAGE);
                }
            }
        }

        @Test
        void makesNoProgressWhereNothingStarts() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            IotlbGather gather = new IotlbGather();

            assertThat(domain.unmap(IOVA + PAGE, PAGE, gather)).isZero();
            assertThat(domain.unmap(IOVA - PAGE, 2 * PAGE, gather)).isZero();
            assertThat(domain.unmap(IOVA + 8, PAGE, gather)).isZero();
            assertThat(domain.unmap(IOVA, PAGE - 8, gather)).isZero();
            assertThat(domain.unmap(IOVA, 0, gather)).isZero();
            if (domain.apertureEnd() != -1L) {
                assertThat(domain.unmap(domain.apertureEnd() + 1, PAGE, gather)).isZero();
            }

            assertThat(gather.isEmpty()).isTrue();
            bench.assertReaches(IOVA, SCRATCH);
        }

        @Test
        void cantSplitALargePage() {
            IommuDomain domain = bench.attached();
            if (!has(domain, MIB_2)) {
                assertRefusedWith(Errno.ENXIO, () -> domain.map(IOVA, SCRATCH, MIB_2, 1, READ_WRITE));
                return;
            }
            bench.map(domain, IOVA, SCRATCH, MIB_2, 2, READ_WRITE);

            assertThat(bench.unmap(domain, IOVA + PAGE, PAGE))
                    .as("from the middle of a page")
                    .isZero();
            bench.assertReaches(IOVA + PAGE, SCRATCH + PAGE);

            assertThat(bench.unmap(domain, IOVA, PAGE))
                    .as("up to the middle of a page")
                    .isEqualTo(MIB_2);
            bench.assertRefused(IOVA);
            bench.assertRefused(IOVA + MIB_2 - 8);
            bench.assertReaches(IOVA + MIB_2, SCRATCH + MIB_2);

            bench.map(domain, IOVA, SCRATCH, PAGE, 512, READ_WRITE);
            assertThat(bench.unmap(domain, IOVA, MIB_2 + PAGE))
                    .as("small ones, then part of a large one")
                    .isEqualTo(2 * MIB_2);
            bench.assertRefused(IOVA + 511 * PAGE);
            bench.assertRefused(IOVA + 2 * MIB_2 - 8);
        }

        @Test
        void aReplicatedPageGoesAsAWhole() {
            IommuDomain domain = bench.attached();
            if (!has(domain, 16 * PAGE)) {
                assertRefusedWith(Errno.ENXIO, () -> domain.map(IOVA, SCRATCH, 16 * PAGE, 1, READ_WRITE));
                return;
            }
            bench.map(domain, IOVA, SCRATCH, 16 * PAGE, 2, READ_WRITE);

            assertThat(bench.unmap(domain, IOVA + 4 * PAGE, PAGE)).isZero();
            assertThat(bench.unmap(domain, IOVA, PAGE)).isEqualTo(16 * PAGE);
            for (int page = 0; page < 16; page++) {
                bench.assertRefused(IOVA + page * PAGE);
            }
            bench.assertReaches(IOVA + 16 * PAGE, SCRATCH + 16 * PAGE);
        }

        @Test
        void aTranslationThatHardwareHoldsStandsUntilSyncAndNotAfter() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 2, READ_WRITE);
            bench.assertReaches(IOVA, SCRATCH);
            bench.assertReaches(IOVA + PAGE, SCRATCH + PAGE);
            IotlbGather gather = new IotlbGather();

            assertThat(domain.unmap(IOVA, PAGE, gather)).isEqualTo(PAGE);

            assertThat(domain.translate(IOVA)).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(gather.start()).isEqualTo(IOVA);
            assertThat(gather.end()).isEqualTo(IOVA + PAGE - 1);
            bench.assertReaches(IOVA, SCRATCH);

            domain.sync(gather);
            assertThat(gather.isEmpty()).isTrue();
            bench.assertRefused(IOVA);
            bench.assertReaches(IOVA + PAGE, SCRATCH + PAGE);
        }

        @Test
        void aMappingIsSeenThoughTheDeviceWasRefusedThereBefore() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA + PAGE, SCRATCH);
            bench.assertRefused(IOVA);

            domain.map(IOVA, SCRATCH + PAGE, PAGE, 1, READ_WRITE);
            if (configuration.cachesNotPresent()) {
                // Otherwise syncMap would be tested on nothing.
                bench.assertRefused(IOVA);
            }
            domain.syncMap(IOVA, PAGE);

            bench.assertReaches(IOVA, SCRATCH + PAGE);
        }

        @Test
        void remappingElsewhereIsSeen() {
            IommuDomain domain = bench.attached();
            for (int round = 0; round < 4; round++) {
                bench.map(domain, IOVA, SCRATCH + round * PAGE);
                bench.assertReaches(IOVA, SCRATCH + round * PAGE);
                assertThat(bench.unmap(domain, IOVA, PAGE)).isEqualTo(PAGE);
                bench.assertRefused(IOVA);
            }
        }

        @TestFactory
        Stream<DynamicTest> allPagesOfOneUnmapAreForgottenTheLastOneAboveAll() {
            long sizes = bench.attached().pageSizes();
            return LongStream.of(PAGE, 2 * PAGE, 16 * PAGE, MIB_2, 1L << 30)
                    .filter(size -> (sizes & size) != 0)
                    .boxed()
                    .flatMap(size -> Stream.of(2, 3, 5, 9, 17)
                            .map(count -> DynamicTest.dynamicTest(
                                    count + " pages of 2^" + Long.numberOfTrailingZeros(size),
                                    () -> forgetsAll(new Bench(configuration), size, count))));
        }

        void forgetsAll(Bench bench, long size, int count) {
            IommuDomain domain = bench.attached();
            bench.attach(domain, bench.second());
            // Nobody looks at another page than this, of any size.
            long offset = size <= SCRATCH ? 0 : SCRATCH;
            long physical = SCRATCH - offset;
            long last = IOVA + (count - 1) * size;
            for (long iova = IOVA; iova <= last; iova += size) {
                bench.map(domain, iova, physical, size, 1, READ_WRITE);
                bench.assertReaches(bench.endpoint(), iova + offset, SCRATCH);
                bench.assertReaches(bench.secondEndpoint(), iova + offset, SCRATCH);
            }
            IotlbGather gather = new IotlbGather();

            assertThat(bench.unmapNosync(domain, IOVA, count * size, gather)).isEqualTo(count * size);
            // Otherwise the rest would be tested on nothing.
            bench.assertReaches(bench.endpoint(), last + offset, SCRATCH);
            bench.assertReaches(bench.secondEndpoint(), last + offset, SCRATCH);
            domain.sync(gather);

            for (long iova = last; iova >= IOVA; iova -= size) {
                bench.assertRefused(bench.endpoint(), iova + offset);
                bench.assertRefused(bench.secondEndpoint(), iova + offset);
            }
        }

        @Test
        void oneUnmapOverTablesAndPageSizesForgetsAllOfIt() {
            IommuDomain domain = bench.attached();
            boolean large = has(domain, MIB_2);
            long before = IOVA + MIB_2 - 3 * PAGE;
            bench.map(domain, before, SCRATCH + MIB_2 - 3 * PAGE, PAGE, 3, READ_WRITE);
            bench.map(domain, IOVA + MIB_2, SCRATCH + MIB_2, large ? MIB_2 : PAGE, large ? 1 : 512, READ_WRITE);
            bench.map(domain, IOVA + 2 * MIB_2, SCRATCH + 2 * MIB_2);
            long[] pages = {0, 1, 2, 3, 514, 515};
            for (long page : pages) {
                bench.assertReaches(before + page * PAGE, SCRATCH + MIB_2 + (page - 3) * PAGE);
            }

            assertThat(bench.unmap(domain, before, 516 * PAGE)).isEqualTo(516 * PAGE);

            for (int i = pages.length - 1; i >= 0; i--) {
                bench.assertRefused(before + pages[i] * PAGE);
            }
        }

        @Test
        void anEmptyGatherTouchesNoHardware() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            Trace trace = bench.machine().trace();
            trace.start();
            IotlbGather gather = new IotlbGather();

            domain.sync(gather);
            assertThat(trace.size()).as("events of an empty gather").isZero();

            domain.unmap(IOVA, PAGE, gather);
            int unmapped = trace.size();
            domain.sync(gather);
            assertThat(trace.size()).as("events of a gather with a range").isGreaterThan(unmapped);
            unmapped = trace.size();
            domain.sync(gather);
            assertThat(trace.size())
                    .as("events of a gather that sync has emptied")
                    .isEqualTo(unmapped);
            trace.stop();
        }

        @Test
        void tablesThatBecomeEmptyAreFreedBySyncAndNotBefore() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            long before = bench.framesInUse();
            bench.map(domain, IOVA + MIB_2, SCRATCH, PAGE, 512, READ_WRITE);
            long mapped = bench.framesInUse();
            assertThat(mapped).isGreaterThan(before);
            bench.assertReaches(IOVA + MIB_2, SCRATCH);
            IotlbGather gather = new IotlbGather();

            assertThat(domain.unmap(IOVA + MIB_2, MIB_2, gather)).isEqualTo(MIB_2);
            assertThat(bench.framesInUse()).as("before sync").isEqualTo(mapped);
            assertThat(gather.frameCount()).isPositive();

            domain.sync(gather);
            assertThat(bench.framesInUse()).as("after sync").isEqualTo(before);
            bench.assertRefused(IOVA + MIB_2);
            // The unit must not walk through the freed table any more.
            bench.map(domain, IOVA + MIB_2, SCRATCH + MIB_2, PAGE, 1, READ_WRITE);
            bench.assertReaches(IOVA + MIB_2, SCRATCH + MIB_2);
        }

        @Test
        void moreEmptyTablesThanAGatherHoldsAreAllFreed() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA - PAGE, SCRATCH);
            long before = bench.framesInUse();
            int tables = IotlbGather.MAX_FRAMES + 6;
            for (int i = 0; i < tables; i++) {
                bench.map(domain, IOVA + i * MIB_2, SCRATCH, PAGE, 512, READ_WRITE);
                assertThat(bench.endpoint().read(IOVA + i * MIB_2, false)).isNotEqualTo(-1L);
            }
            assertThat(bench.framesInUse()).isGreaterThanOrEqualTo(before + tables);

            assertThat(bench.unmap(domain, IOVA, tables * MIB_2)).isEqualTo(tables * MIB_2);

            assertThat(bench.framesInUse()).isLessThanOrEqualTo(before + 2);
            for (int i = 0; i < tables; i++) {
                bench.assertRefused(IOVA + i * MIB_2);
            }
            bench.assertReaches(IOVA - PAGE, SCRATCH);
        }
    }

    /** Protection. */
    @Nested
    class Protection {
        @Test
        void aReadOnlyPageCantBeWritten() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 1, Prot.READ);
            bench.store(SCRATCH, 0x1234);

            assertThat(bench.endpoint().read(IOVA, false)).isEqualTo(0x1234);
            assertThat(bench.endpoint().write(IOVA, 5, false)).isFalse();
            assertThat(bench.endpoint().lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
            // A device that holds the page knows by itself, and asks nobody.
            assertThat(bench.endpoint().lastFault() != 0)
                    .as("the unit refused it")
                    .isNotEqualTo(bench.endpoint().config().atsEnabled());
            assertThat(bench.load(SCRATCH)).isEqualTo(0x1234);
        }

        @Test
        void aWriteOnlyPageCantBeReadIfTheFormatHasSuch() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 1, Prot.WRITE);
            bench.store(SCRATCH, 0x1234);

            long read = bench.endpoint().read(IOVA, false);
            if (configuration.leaves().hasWriteOnly()) {
                assertThat(bench.endpoint().lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
            } else {
                assertThat(read)
                        .as("what may be written may be read in this format")
                        .isEqualTo(0x1234);
            }
            assertThat(bench.endpoint().write(IOVA, 5, false)).isTrue();
            assertThat(bench.load(SCRATCH)).isEqualTo(5);
        }

        @Test
        void leafEntriesAreThoseOfLinux() {
            IommuDomain domain = bench.attached();
            boolean enforced = ask(domain) && configuration.enforcement() == Enforcement.GRANTED;
            long iova = IOVA;
            for (long size : List.of(PAGE, 2 * PAGE, 4 * PAGE, 16 * PAGE, MIB_2, 2 * MIB_2, 1L << 30)) {
                if (!has(domain, size)) {
                    continue;
                }
                for (int prot : List.of(Prot.READ, Prot.WRITE, Prot.READ_WRITE, Prot.READ_WRITE | Prot.CACHE)) {
                    bench.map(domain, iova, 0, size, 1, prot);
                    LeafFormat.Leaf leaf = bench.walk(iova);
                    long expected = configuration.leaves().linuxLeaf(0, size, prot, enforced);
                    for (int i = 0; i < configuration.leaves().replicas(size); i++) {
                        assertThat(bench.walk(iova
                                                + i
                                                        * (size
                                                                / configuration
                                                                        .leaves()
                                                                        .replicas(size)))
                                        .entry())
                                .as("%s of 0x%x, word %d, is 0x%x", Prot.toString(prot), size, i, leaf.entry())
                                .isEqualTo(expected);
                    }
                    iova += 1L << 30;
                }
            }
        }

        @Test
        void leafEntriesBeforeAnybodyAskedAreThoseOfTheDmaApi() {
            IommuDomain domain = bench.iommu().allocate(DomainType.DMA, bench.device());
            bench.attach(domain, bench.device());
            bench.map(domain, IOVA, SCRATCH);
            assertThat(bench.walk(IOVA).entry())
                    .isEqualTo(configuration.leaves().linuxLeaf(SCRATCH, PAGE, READ_WRITE, false));
        }
    }

    /** Moving devices. */
    @Nested
    class Attaching {
        @Test
        void aNamedDeviceThatFirmwareDoesNotListIsBehindNoUnit() {
            assertThat(bench.iommu().probe(new NamedDevice("\\_SB.NONE"))).isEmpty();
        }

        @Test
        void aDeviceIsBlockedUntilItIsAttached() {
            bench.assertRefused(0);
            bench.assertRefused(SCRATCH);
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
            bench.map(domain, IOVA, SCRATCH);
            bench.assertRefused(IOVA);

            bench.attach(domain, bench.device());
            bench.assertReaches(IOVA, SCRATCH);
            bench.assertRefused(bench.secondEndpoint(), IOVA);
        }

        @Test
        void detachBlocksAndIsForTheDomainThatHasTheDevice() {
            IommuDomain domain = bench.attached();
            IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
            bench.map(domain, IOVA, SCRATCH);
            bench.assertReaches(IOVA, SCRATCH);

            assertRefusedWith(Errno.EINVAL, () -> other.detach(bench.device()));
            bench.assertReaches(IOVA, SCRATCH);
            domain.detach(bench.device());
            bench.assertRefused(IOVA);
            assertRefusedWith(Errno.EINVAL, () -> domain.detach(bench.device()));

            bench.attach(domain, bench.device());
            bench.assertReaches(IOVA, SCRATCH);
        }

        @Test
        void attachMovesTheDeviceAndNothingOfTheOldDomainIsLeft() {
            IommuDomain old = bench.attached();
            bench.map(old, IOVA, SCRATCH);
            bench.map(old, IOVA + PAGE, SCRATCH + PAGE);
            bench.assertReaches(IOVA, SCRATCH);
            bench.assertReaches(IOVA + PAGE, SCRATCH + PAGE);
            IommuDomain next = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
            bench.map(next, IOVA, SCRATCH + 2 * PAGE);

            bench.attach(next, bench.device());

            bench.assertReaches(IOVA, SCRATCH + 2 * PAGE);
            bench.assertRefused(IOVA + PAGE);
            old.close();
            bench.assertReaches(IOVA, SCRATCH + 2 * PAGE);
        }

        @Test
        void aDetachedDeviceFindsNothingOfItsOldDomainInTheNextOne() {
            IommuDomain old = bench.attached();
            bench.map(old, IOVA, SCRATCH, PAGE, 4, READ_WRITE);
            for (int page = 0; page < 4; page++) {
                bench.assertReaches(IOVA + page * PAGE, SCRATCH + page * PAGE);
            }
            IommuDomain next = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
            bench.map(next, IOVA, SCRATCH + 8 * PAGE);

            old.detach(bench.device());
            for (int page = 0; page < 4; page++) {
                bench.assertRefused(IOVA + page * PAGE);
            }
            bench.attach(next, bench.device());

            bench.assertReaches(IOVA, SCRATCH + 8 * PAGE);
            for (int page = 1; page < 4; page++) {
                bench.assertRefused(IOVA + page * PAGE);
            }
        }

        @Test
        void aPageThatItsDomainUnmapsWhileTheDeviceIsAwayIsGoneWhenItIsBack() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 2, READ_WRITE);
            bench.assertReaches(IOVA, SCRATCH);
            bench.assertReaches(IOVA + PAGE, SCRATCH + PAGE);

            domain.detach(bench.device());
            assertThat(bench.unmap(domain, IOVA, PAGE)).isEqualTo(PAGE);
            bench.attach(domain, bench.device());

            bench.assertRefused(IOVA);
            bench.assertReaches(IOVA + PAGE, SCRATCH + PAGE);
        }

        @Test
        void ofIdentityNothingIsLeftWhenTheDeviceMoves() {
            IommuDomain identity = bench.iommu().allocate(DomainType.IDENTITY, bench.device());
            bench.attach(identity, bench.device());
            bench.assertReaches(SCRATCH, SCRATCH);
            bench.assertReaches(SCRATCH + PAGE, SCRATCH + PAGE);
            IommuDomain next = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
            bench.map(next, SCRATCH, SCRATCH + 2 * PAGE);

            identity.detach(bench.device());
            bench.attach(next, bench.device());

            bench.assertReaches(SCRATCH, SCRATCH + 2 * PAGE);
            bench.assertRefused(SCRATCH + PAGE);
        }

        @Test
        void attachingAgainChangesNothing() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            bench.attach(domain, bench.device());
            bench.assertReaches(IOVA, SCRATCH);
            domain.detach(bench.device());
            domain.close();
        }

        @Test
        void twoDevicesShareADomain() {
            IommuDomain domain = bench.attached();
            bench.attach(domain, bench.second());
            bench.map(domain, IOVA, SCRATCH);
            bench.assertReaches(bench.endpoint(), IOVA, SCRATCH);
            bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH);

            domain.detach(bench.device());
            bench.assertRefused(bench.endpoint(), IOVA);
            bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH);

            bench.unmap(domain, IOVA, PAGE);
            bench.assertRefused(bench.secondEndpoint(), IOVA);
        }

        @Test
        void identityPassesAndBlockedRefuses() {
            IommuDomain identity = bench.iommu().allocate(DomainType.IDENTITY, bench.device());
            bench.attach(identity, bench.device());
            bench.assertReaches(SCRATCH, SCRATCH);
            assertThat(identity.translate(SCRATCH + 5)).isEqualTo(SCRATCH + 5);

            IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, bench.device());
            bench.attach(blocked, bench.device());
            bench.assertRefused(SCRATCH);
            assertThat(blocked.translate(SCRATCH)).isEqualTo(IommuDomain.UNMAPPED);
        }

        @Test
        void aDeviceOfAnotherDriverIsRefused() {
            Bench other = new Bench(configuration);
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);

            assertRefusedWith(Errno.ENODEV, () -> domain.attach(other.device()));
            assertRefusedWith(Errno.ENODEV, () -> bench.iommu().allocate(DomainType.UNMANAGED, other.device()));
            bench.assertReaches(IOVA, SCRATCH);
        }

        @Test
        void closingFreesTheTablesAndIsRefusedWhileADeviceIsAttached() {
            long before = bench.framesInUse();
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 700, READ_WRITE);
            bench.map(domain, 0, SCRATCH);
            assertRefusedWith(Errno.EBUSY, domain::close);
            bench.assertReaches(IOVA, SCRATCH);

            domain.detach(bench.device());
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        }

        @Test
        void closingTheDriverGivesEveryFrameBackAndTurnsTranslationOff() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 700, READ_WRITE);
            assertRefusedWith(Errno.EBUSY, bench.iommu()::close);
            domain.detach(bench.device());

            bench.iommu().close();

            assertThat(bench.framesInUse()).isZero();
            bench.assertReaches(SCRATCH, SCRATCH);
        }

        @Test
        void probingTheSameFunctionAgainGivesTheSameDevice() {
            assertThat(bench.iommu()
                            .probe(bench.machine().topology().function(DEVICE).orElseThrow(), DEVICE.requesterId()))
                    .containsSame(bench.device());
        }
    }

    /** The three states of enforcement. */
    @Nested
    class CacheCoherency {
        @Test
        void theAnswerIsTheOneThatTheMachineHas() {
            IommuDomain domain = bench.attached();
            Enforcement expected = configuration.enforcement();

            assertThat(domain.cacheCoherencyEnforcement().isPresent()).isEqualTo(expected != Enforcement.ABSENT);
            assertThat(ask(domain)).isEqualTo(expected.answer());
            assertThat(ask(domain)).as("asked again").isEqualTo(ask(domain));
            assertThat(domain.cacheCoherencyEnforcement().isPresent())
                    .as("constant for the domain's life")
                    .isEqualTo(expected != Enforcement.ABSENT);
        }

        @Test
        void theDevicesCapabilityPredictsTheDomainsAnswer() {
            boolean predicted = bench.iommu().capable(bench.device(), IommuCapability.ENFORCE_CACHE_COHERENCY);
            assertThat(ask(bench.attached())).isEqualTo(predicted);
            assertThat(bench.iommu().capable(bench.device(), IommuCapability.CACHE_COHERENCY))
                    .isTrue();
        }

        @Test
        void leavesSayWhatWasAnswered() {
            IommuDomain domain = bench.attached();
            boolean granted = blocks(domain);
            bench.map(domain, IOVA, SCRATCH, PAGE, 512, READ_WRITE);
            for (int page = 0; page < 512; page++) {
                assertThat(bench.walk(IOVA + page * PAGE).forcesSnoop()).isEqualTo(granted);
            }
        }

        @Test
        void noSnoopIsBlockedWhereItWasGrantedAndPassesTheCachesWhereNot() {
            IommuDomain domain = bench.attached();
            // Without caches there is nothing to pass by.
            boolean granted = blocks(domain) || !configuration.caches();
            bench.map(domain, IOVA, SCRATCH);
            bench.machine().drainCaches();

            bench.store(SCRATCH, 0x1111);
            assertThat(bench.endpoint().read(IOVA, true) == 0x1111)
                    .as("the device sees what the CPU wrote into its cache")
                    .isEqualTo(granted);

            bench.load(SCRATCH + 64);
            assertThat(bench.endpoint().write(IOVA + 64, 0x2222, true)).isTrue();
            assertThat(bench.load(SCRATCH + 64) == 0x2222)
                    .as("the CPU, with the line in its cache, sees what the device wrote")
                    .isEqualTo(granted);
        }

        @Test
        void anOrdinaryRequestIsCoherentWhateverWasAnswered() {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            for (int i = 0; i < 16; i++) {
                bench.assertReaches(IOVA + i * 8L, SCRATCH + i * 8L);
            }
        }

        @Test
        void enforcementBindsADeviceThatIsAttachedLater() {
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
            boolean granted = ask(domain);
            bench.map(domain, IOVA, SCRATCH);
            // A domain without devices may promise: then a device that can't must stay outside.
            boolean capable = bench.iommu().capable(bench.second(), IommuCapability.ENFORCE_CACHE_COHERENCY);

            assertThat(domain.attach(bench.second()).attached()).isEqualTo(capable || !granted);
            if (granted && capable && configuration.caches()) {
                bench.machine().drainCaches();
                bench.store(SCRATCH, 0x1111);
                assertThat(bench.secondEndpoint().read(IOVA, true) == 0x1111)
                        .as("the second device's no-snoop is blocked")
                        .isEqualTo(configuration.enforcement().isKept());
            }
            if (granted && !capable) {
                bench.assertRefused(bench.secondEndpoint(), IOVA);
            }
        }

        @Test
        void theAnswerStands() {
            IommuDomain domain = bench.attached();
            boolean granted = ask(domain);
            bench.map(domain, IOVA, SCRATCH);
            bench.unmap(domain, IOVA, PAGE);
            domain.detach(bench.device());
            bench.attach(domain, bench.device());
            bench.map(domain, IOVA, SCRATCH);
            assertThat(bench.walk(IOVA).forcesSnoop()).isEqualTo(blocks(domain));
            assertThat(ask(domain)).isEqualTo(granted);
        }
    }

    private static boolean ask(IommuDomain domain) {
        return domain.cacheCoherencyEnforcement()
                .map(control -> control.enforce())
                .orElse(false);
    }

    /** Asks, and returns whether no-snoop is then really blocked. */
    private boolean blocks(IommuDomain domain) {
        return ask(domain) && configuration.enforcement().isKept();
    }

    /** Long random histories against a model. */
    @Nested
    class Histories {
        private static final int STEPS = 1500;
        private static final int PAGES = 2048;

        @Test
        void randomMapsUnmapsAndRequestsAgreeWithAModel() {
            long seed = Long.getLong("iommu4j.seed", 20261123L);
            Random random = new Random(seed);
            IommuDomain domain = bench.attached();
            long empty = bench.framesInUse();
            Map<Integer, Long> frameOfPage = new HashMap<>();
            Map<Integer, Integer> sizeOfPage = new HashMap<>();
            IotlbGather gather = new IotlbGather();
            List<Long> sizes = LongStream.of(PAGE, 2 * PAGE, 16 * PAGE, MIB_2)
                    .filter(size -> has(domain, size))
                    .boxed()
                    .toList();
            for (int step = 0; step < STEPS; step++) {
                String at = "seed " + seed + ", step " + step;
                int page = random.nextInt(PAGES);
                switch (random.nextInt(4)) {
                    case 0, 1 -> {
                        long size = sizes.get(random.nextInt(sizes.size()));
                        int span = (int) (size / PAGE);
                        int first = page / span * span;
                        int count = 1 + random.nextInt(Math.max(1, 40 / span));
                        long physical = SCRATCH + random.nextInt(8) * MIB_2;
                        boolean free = true;
                        for (int i = first; i < first + count * span; i++) {
                            free &= !frameOfPage.containsKey(i);
                        }
                        if (free) {
                            bench.map(domain, IOVA + first * PAGE, physical, size, count, READ_WRITE);
                            for (int i = 0; i < count * span; i++) {
                                frameOfPage.put(first + i, physical + i * PAGE);
                                sizeOfPage.put(first + i, span);
                            }
                        } else {
                            assertRefusedWith(
                                    Errno.EADDRINUSE,
                                    () -> domain.map(IOVA + first * PAGE, physical, size, count, READ_WRITE));
                        }
                    }
                    case 2 -> {
                        int pages = 1 + random.nextInt(700);
                        long unmapped = domain.unmap(IOVA + page * PAGE, pages * PAGE, gather);
                        domain.sync(gather);
                        int next = page;
                        while (next < page + pages && frameOfPage.containsKey(next)) {
                            int span = sizeOfPage.get(next);
                            if (next % span != 0) {
                                break;
                            }
                            for (int i = 0; i < span; i++) {
                                frameOfPage.remove(next + i);
                            }
                            next += span;
                        }
                        assertThat(unmapped).as(at).isEqualTo((next - page) * PAGE);
                    }
                    default -> {
                        Long frame = frameOfPage.get(page);
                        long iova = IOVA + page * PAGE + random.nextInt(512) * 8L;
                        assertThat(domain.translate(iova))
                                .as(at)
                                .isEqualTo(frame == null ? IommuDomain.UNMAPPED : frame + iova % PAGE);
                        if (frame == null) {
                            bench.assertRefused(iova);
                        } else {
                            bench.assertReaches(iova, frame + iova % PAGE);
                        }
                    }
                }
            }
            for (int page = 0; page < PAGES; page++) {
                Long frame = frameOfPage.get(page);
                LeafFormat.Leaf leaf = bench.walk(IOVA + page * PAGE);
                assertThat(leaf.present() ? Optional.of(leaf.physicalAddress()) : Optional.empty())
                        .as("seed %d, page %d at the end", seed, page)
                        .isEqualTo(Optional.ofNullable(frame));
            }
            domain.detach(bench.device());
            domain.close();
            assertThat(bench.framesInUse()).as("seed %d", seed).isLessThan(empty);
        }
    }
}
