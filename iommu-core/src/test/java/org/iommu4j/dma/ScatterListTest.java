// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.ReservedRegion;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.junit.jupiter.api.Test;

/** Lists of pieces, mapped at once. */
class ScatterListTest {
    private static final PciAddress NIC = PciAddress.parse("00:02.0");

    private TestIommu iommu = new TestIommu();
    private final FlatMemory memory = new FlatMemory(64 << 20);
    private final FramePool frames = new FramePool(32 << 20, 1 << 20);
    private IommuCore core = open(DefaultDomainPolicy.DMA);
    private final ScatterList list = new ScatterList();

    @Test
    void piecesThatMeetAtPagesBecomeOneSegment() {
        DmaDevice nic = bind(DmaParameters.DEFAULT);
        list.add(0x5800, 0x800).add(0x9000, 0x2000).add(0x3000, 0x10);

        assertThat(nic.mapScatter(list, DmaDirection.TO_DEVICE)).isEqualTo(1);

        assertThat(list.dmaAddress(0) & 0xfff).isEqualTo(0x800);
        assertThat(list.dmaLength(0)).isEqualTo(0x2810);
        assertThat(domain().translate(list.dmaAddress(0))).isEqualTo(0x5800);
        assertThat(domain().translate(list.dmaAddress(0) + 0x800)).isEqualTo(0x9000);
        assertThat(domain().translate(list.dmaAddress(0) + 0x2800)).isEqualTo(0x3000);
        assertThat(nic.mappings()).isEqualTo(1);
        nic.unmapScatter(list, DmaDirection.TO_DEVICE);
        assertThat(domain().mappedPages()).isZero();
        assertThat(nic.mappings()).isZero();
        assertThat(list.segments()).isZero();
    }

    @Test
    void aPieceThatEndsInsideAPageEndsItsSegment() {
        DmaDevice nic = bind(DmaParameters.DEFAULT);
        list.add(0x5000, 0x800).add(0x9000, 0x1000).add(0xa800, 0x100);

        assertThat(nic.mapScatter(list, DmaDirection.TO_DEVICE)).isEqualTo(3);

        assertThat(list.dmaLength(0)).isEqualTo(0x800);
        assertThat(list.dmaLength(1)).isEqualTo(0x1000);
        assertThat(list.dmaAddress(2) & 0xfff).isEqualTo(0x800);
    }

    @Test
    void aSegmentIsNotLongerThanTheDeviceTakes() {
        DmaDevice nic = bind(DmaParameters.DEFAULT.withSegments(0x2000, 0xffff_ffffL));
        list.add(0x5000, 0x1000).add(0x9000, 0x1000).add(0xb000, 0x1000);

        assertThat(nic.mapScatter(list, DmaDirection.TO_DEVICE)).isEqualTo(2);
        assertThat(list.dmaLength(0)).isEqualTo(0x2000);
    }

    @Test
    void noSegmentCrossesTheBoundaryAndWhatIsAddedToAPieceIsMappedToo() {
        DmaDevice nic = bind(DmaParameters.DEFAULT.withSegments(1 << 20, 0x3fff));
        list.add(0x5000, 0x3000).add(0x10000, 0x2000).add(0x20000, 0x2000);

        assertThat(nic.mapScatter(list, DmaDirection.TO_DEVICE)).isEqualTo(2);

        assertThat(list.dmaAddress(0) & 0x3fff).isZero();
        assertThat(list.dmaLength(0)).isEqualTo(0x3000);
        assertThat(list.dmaAddress(1)).isEqualTo(list.dmaAddress(0) + 0x4000);
        assertThat(list.dmaLength(1)).isEqualTo(0x4000);
        assertThat(domain().translate(list.dmaAddress(0) + 0x3000))
                .as("as in Linux: the page after the first piece")
                .isEqualTo(0x8000);
        nic.unmapScatter(list, DmaDirection.TO_DEVICE);
        assertThat(domain().mappedPages()).isZero();
    }

    @Test
    void neighboursInMemoryAreMappedInLargePages() {
        DmaDevice nic = bind(DmaParameters.DEFAULT);
        domain().recordRuns();
        list.add(0x20_0000, 0x10_0000).add(0x30_0000, 0x10_0000);

        nic.mapScatter(list, DmaDirection.TO_DEVICE);

        assertThat(domain().runs())
                .singleElement()
                .satisfies(run -> assertThat(run.pageSize()).isEqualTo(2 << 20));
    }

    @Test
    void aListIsMappedOnceAndUnmappedOnce() {
        DmaDevice nic = bind(DmaParameters.DEFAULT);
        assertThat(errno(() -> nic.mapScatter(list, DmaDirection.TO_DEVICE))).isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> list.add(0x1000, 0))).isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> list.add(-0x1000, 0x1001))).isEqualTo(Errno.EINVAL);
        list.add(0x5000, 0x1000);
        assertThat(errno(() -> nic.unmapScatter(list, DmaDirection.TO_DEVICE))).isEqualTo(Errno.EINVAL);
        nic.mapScatter(list, DmaDirection.TO_DEVICE);
        assertThat(errno(() -> nic.mapScatter(list, DmaDirection.TO_DEVICE))).isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> list.add(0x5000, 1))).isEqualTo(Errno.EBUSY);
        assertThat(errno(list::clear)).isEqualTo(Errno.EBUSY);
        nic.unmapScatter(list, DmaDirection.TO_DEVICE);
        list.clear();
        assertThat(list.pieces()).isZero();
    }

    @Test
    void aListThatCantBeMappedLeavesNothing() {
        iommu = new TestIommu().reserve(NIC, new ReservedRegion(0x3000, 0xffff_ffffL, ReservedRegion.Type.RESERVED));
        core = open(DefaultDomainPolicy.DMA);
        DmaDevice nic = bind(DmaParameters.DEFAULT);
        list.add(0x5000, 0x2000).add(0x9000, 0x1000);
        assertThat(errno(() -> nic.mapScatter(list, DmaDirection.TO_DEVICE))).isEqualTo(Errno.ENOMEM);

        list.clear();
        list.add(0x5000, 0x1000);
        domain().failMap(1);
        assertThat(errno(() -> nic.mapScatter(list, DmaDirection.TO_DEVICE))).isEqualTo(Errno.ENOMEM);
        assertThat(domain().mappedPages()).isZero();
        assertThat(nic.mappings()).isZero();
        assertThat(nic.mapScatter(list, DmaDirection.TO_DEVICE)).isEqualTo(1);
    }

    @Test
    void theSecondOfTwoPiecesThatCantBeMappedTakesTheFirstBack() {
        DmaDevice nic = bind(DmaParameters.DEFAULT);
        list.add(0x5000, 0x1000).add(0x9000, 0x1000);
        domain().failMap(2);

        assertThat(errno(() -> nic.mapScatter(list, DmaDirection.TO_DEVICE))).isEqualTo(Errno.ENOMEM);

        assertThat(domain().mappedPages()).isZero();
        assertThat(domain().stalePages()).isZero();
        assertThat(list.segments()).isZero();
        nic.mapScatter(list, DmaDirection.TO_DEVICE);
        assertThat(list.dmaAddress(0)).as("the address was given back").isEqualTo(0xffff_e000L);
    }

    @Test
    void inAnIdentityDomainEachPieceIsASegment() {
        core = open(DefaultDomainPolicy.PASSTHROUGH);
        DmaDevice nic = bind(DmaParameters.DEFAULT);
        list.add(0x5000, 0x1000).add(0x6000, 0x1000);

        assertThat(nic.mapScatter(list, DmaDirection.TO_DEVICE)).isEqualTo(2);

        assertThat(list.dmaAddress(1)).isEqualTo(0x6000);
        nic.unmapScatter(list, DmaDirection.TO_DEVICE);
        nic.close();
    }

    @Test
    void eachPieceOfAnUntrustedDeviceIsBouncedByItself() {
        core = IommuCore.open(
                List.of(iommu),
                TestFunction.topology(
                        TestFunction.rootPort("00:07.0")
                                .acs(TestFunction.ACS_ALL, 0)
                                .secondaryBus(5)
                                .externalFacingPort(),
                        TestFunction.endpoint("05:00.0").below("00:07.0")),
                DefaultDomainPolicy.DMA);
        DmaApi dma = new DmaApi(core, memory, frames);
        DmaDevice dock = dma.bind(PciAddress.parse("05:00.0"));
        TestDomain domain = (TestDomain)
                core.group(PciAddress.parse("05:00.0")).orElseThrow().defaultDomain();
        list.add(0x5000, 0x1000).add(0x9010, 0x20);

        assertThat(dock.mapScatter(list, DmaDirection.FROM_DEVICE)).isEqualTo(2);
        assertThat(dma.bouncePages()).isEqualTo(1);
        memory.store(domain.translate(list.dmaAddress(1)), 0x77);
        dock.unmapScatter(list, DmaDirection.FROM_DEVICE);

        assertThat(memory.load(0x9010)).isEqualTo(0x77);
        assertThat(dma.bouncePages()).isZero();
        assertThat(dock.mappings()).isZero();

        memory.store(0x9010, 0x88);
        list.clear();
        list.add(0x9010, 0x20).add(0x5000, 0x1000);
        domain.failMap(2);
        assertThat(errno(() -> dock.mapScatter(list, DmaDirection.FROM_DEVICE))).isEqualTo(Errno.ENOMEM);
        assertThat(memory.load(0x9010)).isEqualTo(0x88);
        assertThat(dma.bouncePages()).isZero();
        assertThat(domain.mappedPages()).isZero();
        assertThat(dock.mappings()).isZero();
    }

    /** Every byte of every piece is in a segment, in order, and each segment keeps the device's limits. */
    @Test
    void randomListsAreMappedByteForByte() {
        long seed = Long.getLong("iommu4j.seed", 20261201L);
        Random random = new Random(seed);
        for (int round = 0; round < 300; round++) {
            String where = "seed " + seed + " round " + round;
            long boundary = (0x1000L << random.nextInt(6)) - 1;
            long longest = 0x800L << random.nextInt(6);
            DmaDevice nic = bind(DmaParameters.DEFAULT.withSegments(longest, boundary));
            list.clear();
            List<long[]> pieces = new ArrayList<>();
            int count = 1 + random.nextInt(12);
            for (int i = 0; i < count; i++) {
                boolean whole = random.nextBoolean();
                long start = (1 + random.nextInt(0x1000)) * 0x1000L + (whole ? 0 : random.nextInt(0x1000));
                long size = whole ? 0x1000L * (1 + random.nextInt(3)) : 1 + random.nextInt(0x2000);
                list.add(start, size);
                pieces.add(new long[] {start, size});
            }

            // A piece that is longer than from boundary to boundary crosses one, and so may what joins it.
            boolean piecesFit = pieces.stream().allMatch(piece -> (piece[0] & 0xfff) + piece[1] <= boundary + 1);

            int segments = nic.mapScatter(list, DmaDirection.BIDIRECTIONAL);

            int segment = 0;
            long inSegment = 0;
            for (long[] piece : pieces) {
                for (long done = 0; done < piece[1]; done += Math.min(512, piece[1] - done)) {
                    if (inSegment + done == list.dmaLength(segment)) {
                        segment++;
                        inSegment = -done;
                    }
                    assertThat(domain().translate(list.dmaAddress(segment) + inSegment + done))
                            .as(where)
                            .isEqualTo(piece[0] + done);
                }
                inSegment += piece[1];
            }
            assertThat(segment).as(where).isEqualTo(segments - 1);
            for (int i = 0; i < segments; i++) {
                long length = list.dmaLength(i);
                long first = list.dmaAddress(i);
                boolean onePiece = pieces.stream().anyMatch(piece -> piece[1] == length);
                assertThat(onePiece || length <= longest).as(where).isTrue();
                if (piecesFit) {
                    assertThat(first & ~boundary).as(where).isEqualTo((first + length - 1) & ~boundary);
                }
            }
            nic.unmapScatter(list, DmaDirection.BIDIRECTIONAL);
            assertThat(domain().mappedPages()).as(where).isZero();
            assertThat(domain().stalePages()).as(where).isZero();
            nic.close();
        }
    }

    private DmaDevice bind(DmaParameters parameters) {
        return new DmaApi(core, memory, frames).bind(NIC, parameters);
    }

    private IommuCore open(DefaultDomainPolicy policy) {
        return IommuCore.open(List.of(iommu), TestFunction.topology(TestFunction.endpoint("00:02.0")), policy);
    }

    private TestDomain domain() {
        return (TestDomain) core.group(NIC).orElseThrow().defaultDomain();
    }

    private static Errno errno(ThrowingCallable call) {
        IommuException refusal = catchThrowableOfType(IommuException.class, call);
        assertThat(refusal).isNotNull();
        return refusal.errno();
    }
}
