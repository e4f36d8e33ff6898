// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.Arrays;
import java.util.Random;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestDomain.Run;
import org.iommu4j.core.testvendor.TestIommu;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IommuMapperTest {
    private static final long K4 = 1L << 12;
    private static final long K64 = 1L << 16;
    private static final long M1 = 1L << 20;
    private static final long SIZES = K4 | K64 | M1;
    private static final long WIDE = (1L << 48) - 1;

    private final TestDomain domain = TestDomain.paging(SIZES, WIDE).recordRuns();
    private final IotlbGather gather = new IotlbGather();

    @Test
    void aRangeIsMappedWithTheLargestPagesThatFit() {
        long start = M1 - K64 - 2 * K4;
        long size = 2 * K4 + K64 + M1 + 3 * K64 + K4;

        map(start, 5 * M1 + start, size);

        assertThat(domain.runs())
                .containsExactly(
                        new Run(start, 5 * M1 + start, K4, 2),
                        new Run(start + 2 * K4, 5 * M1 + start + 2 * K4, K64, 1),
                        new Run(M1, 6 * M1, M1, 1),
                        new Run(2 * M1, 7 * M1, K64, 3),
                        new Run(2 * M1 + 3 * K64, 7 * M1 + 3 * K64, K4, 1));
    }

    @Test
    void addressesWithDifferentOffsetsInALargePageGetSmallPagesInOneRun() {
        map(K64, 7 * K64 + K4, 3 * K64);

        assertThat(domain.runs()).containsExactly(new Run(K64, 7 * K64 + K4, K4, 3 * K64 / K4));
    }

    @Test
    void smallPagesGoUpToTheBoundaryOnlyWhenALargePageFitsAfterIt() {
        map(K64 - K4, 9 * K64 - K4, K64);
        map(5 * K64 - K4, 19 * K64 - K4, K64 + K4);

        assertThat(domain.runs())
                .containsExactly(
                        new Run(K64 - K4, 9 * K64 - K4, K4, K64 / K4),
                        new Run(5 * K64 - K4, 19 * K64 - K4, K4, 1),
                        new Run(5 * K64, 19 * K64, K64, 1));
    }

    @Test
    void theTopOfTheAddressSpaceIsMappedAndUnmapped() {
        TestDomain top = TestDomain.paging(SIZES, -1L).recordRuns();

        IommuMapper.map(top, -K64 - K4, 3 * K64 - K4, K64 + K4, Prot.READ_WRITE);

        assertThat(top.runs()).containsExactly(new Run(-K64 - K4, 3 * K64 - K4, K4, 1), new Run(-K64, 3 * K64, K64, 1));
        assertThat(top.translate(-1L)).isEqualTo(4 * K64 - 1);
        assertThat(IommuMapper.unmap(top, -K64 - K4, K64 + K4, gather)).isEqualTo(K64 + K4);
        assertThat(top.mappedPages()).isZero();
        assertThat(top.stalePages()).isZero();
    }

    @ParameterizedTest(name = "iova {0} pa {1} size {2}: {3}")
    @CsvSource({
        "0x1000, 0x1000, 0, EINVAL",
        "0x1800, 0x1000, 0x1000, EINVAL",
        "0x1000, 0x1800, 0x1000, EINVAL",
        "0x1000, 0x1000, 0x1800, EINVAL",
        "0xfffffffffffff000, 0x1000, 0x2000, EOVERFLOW",
        "0x1000, 0xfffffffffffff000, 0x2000, EOVERFLOW",
        "0x1000000000000, 0x1000, 0x1000, ERANGE",
    })
    void aRangeThatCantBeMappedIsRefused(String iova, String physicalAddress, String size, Errno errno) {
        assertThat(refusal(() -> map(
                                Long.parseUnsignedLong(iova.substring(2), 16),
                                Long.parseUnsignedLong(physicalAddress.substring(2), 16),
                                Long.decode(size)))
                        .errno())
                .isEqualTo(errno);
        assertThat(domain.mappedPages()).isZero();
    }

    @Test
    void neitherReadNorWriteIsRefused() {
        assertThat(refusal(() -> IommuMapper.map(domain, K4, K4, K4, Prot.CACHE))
                        .errno())
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void aDomainWithoutPageTablesIsRefused() {
        TestIommu iommu = new TestIommu();
        IommuDomain identity = iommu.allocate(DomainType.IDENTITY, null);

        assertThat(refusal(() -> IommuMapper.map(identity, K4, K4, K4, Prot.READ))
                        .errno())
                .isEqualTo(Errno.EINVAL);
        assertThat(IommuMapper.unmap(identity, K4, K4)).isZero();
    }

    @Test
    void aDomainWithoutPageSizesIsRefused() {
        TestDomain none = TestDomain.paging(0, WIDE);

        assertThat(refusal(() -> IommuMapper.map(none, K4, K4, K4, Prot.READ)).errno())
                .isEqualTo(Errno.ENXIO);
        assertThat(IommuMapper.unmap(none, K4, K4)).isZero();
    }

    @Test
    void whenARunFailsTheEarlierRunsAreUnmappedAndInvalidated() {
        domain.failMap(3);

        IommuException refusal = refusal(() -> map(K64 - K4, M1 + K64 - K4, K4 + K64 + K4));

        assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM);
        assertThat(domain.runs()).as("two runs were mapped first").hasSize(2);
        assertThat(domain.mappedPages()).isZero();
        assertThat(domain.stalePages()).isZero();
    }

    @Test
    void whenAPageIsMappedAlreadyItStaysAndTheRestGoes() {
        map(2 * K64, 0x40000000L, K4);

        assertThat(refusal(() -> map(K64, 5 * K64, K64 + 2 * K4)).errno()).isEqualTo(Errno.EADDRINUSE);

        assertThat(domain.mappedPages()).isEqualTo(1);
        assertThat(domain.translate(2 * K64)).isEqualTo(0x40000000L);
    }

    @Test
    void whenTheNewEntriesCantBeShownToTheHardwareTheyAreTakenBack() {
        domain.failSyncMap(Errno.ETIMEDOUT);

        assertThat(refusal(() -> map(K64, 5 * K64, K64)).errno()).isEqualTo(Errno.ETIMEDOUT);

        assertThat(domain.mappedPages()).isZero();
        assertThat(domain.stalePages()).isZero();
    }

    @Test
    void whenTakingBackFailsTooTheFirstFailureIsTold() {
        domain.failSync(true);
        domain.failMap(2);

        IommuException refusal = refusal(() -> map(K64 - K4, 9 * K64 - K4, K4 + K64));

        assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM);
        assertThat(refusal.getSuppressed()).singleElement().extracting("errno").isEqualTo(Errno.ETIMEDOUT);
        assertThat(domain.mappedPages()).isZero();
    }

    @Test
    void unmappingStopsAtAHole() {
        map(K64, 0, 4 * K4);
        IommuMapper.unmap(domain, K64 + 2 * K4, K4, gather);

        assertThat(IommuMapper.unmap(domain, K64, 4 * K4, gather)).isEqualTo(2 * K4);
        assertThat(IommuMapper.unmap(domain, K64, 4 * K4, gather)).isZero();
        assertThat(domain.mappedPages()).isEqualTo(1);
    }

    @Test
    void unmappingPartOfALargePageTakesAllOfItFromItsStartAndNothingFromItsMiddle() {
        map(K64, 0, K64);

        assertThat(IommuMapper.unmap(domain, K64 + K4, K4, gather)).isZero();
        assertThat(IommuMapper.unmap(domain, K64, K4, gather)).isEqualTo(K64);
        assertThat(domain.stalePages()).isZero();
    }

    @ParameterizedTest(name = "iova {0} size {1}")
    @CsvSource({"0x10800, 0x1000", "0x10000, 0x1800", "0x10000, 0", "0x10000, 0xfffffffffffff000"})
    void unmappingAnImpossibleRangeDoesNothing(String iova, String size) {
        map(K64, 0, K64);

        assertThat(IommuMapper.unmap(
                        domain,
                        Long.decode(iova),
                        size.length() < 3 ? 0 : Long.parseUnsignedLong(size.substring(2), 16),
                        gather))
                .isZero();
        assertThat(domain.mappedPages()).isEqualTo((int) (K64 / K4));
    }

    @Test
    void withoutSyncTheHardwareMayStillUseWhatWasUnmapped() {
        map(K64, 0, K64);

        assertThat(IommuMapper.unmapNosync(domain, K64, K64, gather)).isEqualTo(K64);
        assertThat(domain.stalePages()).isEqualTo((int) (K64 / K4));
        assertThat(gather.start()).isEqualTo(K64);
        assertThat(gather.end()).isEqualTo(2 * K64 - 1);

        domain.sync(gather);
        assertThat(domain.stalePages()).isZero();
    }

    @Test
    void aFailedInvalidationOfAnUnmapIsTold() {
        map(K64, 0, K4);
        domain.failSync(true);

        assertThatThrownBy(() -> IommuMapper.unmap(domain, K64, K4, gather))
                .isInstanceOf(IommuException.class)
                .hasMessageStartingWith("ETIMEDOUT");
        assertThat(domain.mappedPages()).isZero();
    }

    /** Every size bitmap, range and direction of failure against an array with one target per page. */
    @Test
    void randomMapsAndUnmapsAgreeWithAnArrayOfPages() {
        long seed = Long.getLong("iommu4j.seed", 20261123L);
        Random random = new Random(seed);
        for (int round = 0; round < 60; round++) {
            long sizes = K4;
            for (int shift = 13; shift <= 18; shift++) {
                sizes |= random.nextInt(3) == 0 ? 1L << shift : 0;
            }
            // Every third window ends at the top of the address space.
            long base = round % 3 == 0 ? -(256 * K4) : 256 * K4 * random.nextInt(1 << 20);
            agreesWithModel(random, sizes, base, "seed " + seed + " round " + round);
        }
    }

    private void agreesWithModel(Random random, long sizes, long base, String where) {
        TestDomain tested = TestDomain.paging(sizes, -1L);
        long[] model = new long[256];
        Arrays.fill(model, IommuDomain.UNMAPPED);
        for (int step = 0; step < 120; step++) {
            int from = random.nextInt(256);
            int pages = 1 + random.nextInt(256 - from);
            long iova = base + from * K4;
            if (random.nextInt(3) != 0) {
                long target = random.nextInt(2) == 0
                        ? (iova & 0xfffffff) + K4 * 64 * random.nextInt(1 << 16)
                        : K4 * random.nextInt(1 << 24);
                mapBoth(random, tested, model, from, pages, iova, target);
            } else {
                long unmapped = IommuMapper.unmap(tested, iova, pages * K4, gather);
                int to = from + (int) (unmapped / K4);
                for (int i = from; i < to; i++) {
                    assertThat(model[i]).as(where).isNotEqualTo(IommuDomain.UNMAPPED);
                    model[i] = IommuDomain.UNMAPPED;
                }
            }
            for (int i = 0; i < 256; i++) {
                assertThat(tested.translate(base + i * K4))
                        .as(where + " page " + i)
                        .isEqualTo(model[i]);
            }
            assertThat(tested.stalePages()).as(where).isZero();
        }
    }

    private static void mapBoth(
            Random random, TestDomain tested, long[] model, int from, int pages, long iova, long target) {
        boolean free = true;
        for (int i = from; i < from + pages; i++) {
            free &= model[i] == IommuDomain.UNMAPPED;
        }
        tested.failMap(random.nextInt(4) == 0 ? 1 + random.nextInt(3) : Integer.MAX_VALUE);
        try {
            IommuMapper.map(tested, iova, target, pages * K4, Prot.READ_WRITE);
            assertThat(free).isTrue();
            for (int i = 0; i < pages; i++) {
                model[from + i] = target + i * K4;
            }
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isIn(Errno.ENOMEM, Errno.EADDRINUSE);
            if (refusal.errno() == Errno.EADDRINUSE) {
                assertThat(free).isFalse();
            }
        }
    }

    private void map(long iova, long physicalAddress, long size) {
        IommuMapper.map(domain, iova, physicalAddress, size, Prot.READ_WRITE);
    }

    private static IommuException refusal(org.assertj.core.api.ThrowableAssert.ThrowingCallable call) {
        return catchThrowableOfType(IommuException.class, call);
    }
}
