// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.junit.jupiter.api.Test;

/** Unmaps that wait for a flush. */
class LazyFlushTest {
    private static final PciAddress NIC = PciAddress.parse("00:02.0");
    private static final long PAGE = 0x1000;

    private final FramePool frames = new FramePool(0, 16 << 20);
    private final IommuCore core = IommuCore.open(
            List.of(new TestIommu()),
            TestFunction.topology(TestFunction.endpoint("00:02.0")),
            DefaultDomainPolicy.DMA_FQ);
    private final DmaApi dma = new DmaApi(core, new FlatMemory(16 << 20), frames);
    private final IommuGroup group = core.groups().get(0);
    private final TestDomain domain = (TestDomain) group.defaultDomain();
    private final DmaDevice nic = dma.bind(NIC);

    @Test
    void anUnmappedAddressIsNeitherFlushedNorUsedAgainUntilTheTimerEnds() {
        long first = mapAndUnmap();

        assertThat(domain.translate(first)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.stalePages()).as("the hardware may still use it").isEqualTo(1);
        dma.advance(9);
        assertThat(domain.stalePages()).isEqualTo(1);
        assertThat(mapAndUnmap()).isEqualTo(first - PAGE);
        assertThat(dma.waitingForFlush()).isEqualTo(2);
        dma.advance(1);

        assertThat(domain.stalePages()).isZero();
        assertThat(domain.syncs()).as("one flush for all").isEqualTo(1);
        assertThat(dma.waitingForFlush()).isZero();
        assertThat(mapAndUnmap()).isEqualTo(first);
    }

    @Test
    void theTimerBeginsWithTheFirstUnmapAndAgainAfterAFlush() {
        dma.advance(1000);
        assertThat(domain.syncs()).isZero();
        mapAndUnmap();
        dma.advance(10);
        dma.advance(1000);
        assertThat(domain.syncs()).as("nothing waits").isEqualTo(1);
        mapAndUnmap();
        dma.advance(9);
        assertThat(domain.syncs()).isEqualTo(1);
        dma.advance(1);
        assertThat(domain.syncs()).isEqualTo(2);
    }

    @Test
    void aFullQueueIsFlushedByTheUnmapThatFindsItFull() {
        long first = mapAndUnmap();
        for (int i = 1; i < 255; i++) {
            assertThat(mapAndUnmap()).isEqualTo(first - i * PAGE);
        }
        assertThat(dma.waitingForFlush()).isEqualTo(255);
        assertThat(domain.syncs()).isZero();

        mapAndUnmap();

        assertThat(domain.syncs()).isEqualTo(1);
        assertThat(dma.waitingForFlush())
                .as("the one that came after the flush")
                .isEqualTo(1);
        assertThat(mapAndUnmap()).isEqualTo(first);
    }

    @Test
    void theSameAddressIsNotUnmappedTwiceWhileItWaits() {
        long address = mapAndUnmap();

        assertThat(errno(() -> nic.unmap(address, PAGE, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(nic.mappings()).isZero();
    }

    @Test
    void afterAFlushFailedItsAddressesWaitForTheNext() {
        long address = mapAndUnmap();
        domain.failSync(true);
        assertThat(errno(() -> dma.advance(10))).isEqualTo(Errno.ETIMEDOUT);
        assertThat(dma.waitingForFlush()).isEqualTo(1);
        assertThat(mapAndUnmap()).isEqualTo(address - PAGE);

        domain.failSync(false);
        dma.advance(10);

        assertThat(dma.waitingForFlush()).isZero();
        assertThat(domain.stalePages()).isZero();
        assertThat(mapAndUnmap()).isEqualTo(address);
    }

    @Test
    void anAddressThatFoundTheQueueFullAndTheFlushFailingIsNeverUsedAgain() {
        for (int i = 0; i < 255; i++) {
            mapAndUnmap();
        }
        long address = nic.mapPage(0, DmaDirection.TO_DEVICE);
        domain.failSync(true);

        assertThat(errno(() -> nic.unmap(address, PAGE, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.ETIMEDOUT);

        domain.failSync(false);
        dma.advance(10);
        for (int i = 0; i < 255; i++) {
            assertThat(nic.mapPage(0, DmaDirection.TO_DEVICE)).isNotEqualTo(address);
        }
        assertThat(nic.mapPage(0, DmaDirection.TO_DEVICE)).isEqualTo(address - PAGE);
        assertThat(nic.mappings()).isEqualTo(256);
    }

    @Test
    void aGroupThatBecomesStrictFlushesWhatWaits() {
        mapAndUnmap();
        nic.close();

        group.changeType(DefaultDomainPolicy.DMA);

        assertThat(domain.closed()).isTrue();
        DmaDevice strict = dma.bind(NIC);
        TestDomain next = (TestDomain) group.defaultDomain();
        strict.unmap(strict.mapPage(0, DmaDirection.TO_DEVICE), PAGE, DmaDirection.TO_DEVICE);
        assertThat(next.stalePages()).isZero();
        assertThat(dma.waitingForFlush()).isZero();
    }

    @Test
    void aStrictGroupMadeLazyDefersFromThenOn() {
        nic.close();
        group.changeType(DefaultDomainPolicy.DMA);
        DmaDevice strict = dma.bind(NIC);
        TestDomain next = (TestDomain) group.defaultDomain();
        strict.unmap(strict.mapPage(0, DmaDirection.TO_DEVICE), PAGE, DmaDirection.TO_DEVICE);
        assertThat(next.stalePages()).isZero();

        group.changeType(DefaultDomainPolicy.DMA_FQ);
        strict.unmap(strict.mapPage(0, DmaDirection.TO_DEVICE), PAGE, DmaDirection.TO_DEVICE);

        assertThat(next.stalePages()).isEqualTo(1);
    }

    @Test
    void freedCoherentMemoryMayStillBeReached() {
        CoherentBuffer buffer = nic.allocateCoherent(PAGE);

        nic.freeCoherent(buffer);

        assertThat(frames.inUse()).as("Linux frees it at once").isZero();
        assertThat(domain.stalePages()).isEqualTo(1);
    }

    private long mapAndUnmap() {
        long address = nic.mapPage(0, DmaDirection.TO_DEVICE);
        nic.unmap(address, PAGE, DmaDirection.TO_DEVICE);
        return address;
    }

    private static Errno errno(ThrowingCallable call) {
        IommuException refusal = catchThrowableOfType(IommuException.class, call);
        assertThat(refusal).isNotNull();
        return refusal.errno();
    }
}
