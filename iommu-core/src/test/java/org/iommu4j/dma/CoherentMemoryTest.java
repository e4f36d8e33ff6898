// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Memory that driver and device share for a long time. */
class CoherentMemoryTest {
    private static final PciAddress NIC = PciAddress.parse("00:02.0");
    private static final DmaParameters NOT_COHERENT = DmaParameters.DEFAULT.notCoherent();

    private final TestIommu iommu = new TestIommu();
    private final FlatMemory memory = new FlatMemory(16 << 20);
    private final FramePool frames = new FramePool(0, 16 << 20);
    private IommuCore core = open();

    /** The witness of {@link DmaRules#coherentScattered}. */
    @ParameterizedTest
    @CsvSource({"5.15, false", "5.17, false", "5.18, true", "7.3, true"})
    void itsPagesComeFromAnywhereSince518(String release, boolean scattered) {
        iommu.of(LinuxRelease.named(release));
        core = open();
        frames.allocate(0);
        long hole = frames.allocate(0);
        frames.allocate(0);
        frames.free(hole, 0);
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC);

        CoherentBuffer buffer = nic.allocateCoherent(0x2800);

        assertThat(buffer.pieces()).isEqualTo(scattered ? 3 : 1);
        assertThat(buffer.physicalAddress() == hole).isEqualTo(scattered);
        for (long offset = 0; offset < 0x2800; offset += 0x400) {
            assertThat(domain().translate(buffer.dmaAddress() + offset)).isEqualTo(buffer.physicalAddress(offset));
        }
        nic.freeCoherent(buffer);
        assertThat(frames.inUse()).isEqualTo(2);
        assertThat(domain().mappedPages()).isZero();
    }

    @Test
    void piecesAreAsLargeAsPagesOfTheTableWhereThereIsRoom() {
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC);
        domain().recordRuns();

        CoherentBuffer buffer = nic.allocateCoherent((2 << 20) + 0x1001);

        assertThat(buffer.pieces()).isEqualTo(3);
        assertThat(domain().runs()).anyMatch(run -> run.pageSize() == 2 << 20);
        nic.freeCoherent(buffer);
        assertThat(frames.inUse()).isZero();
    }

    @Test
    void whereLargePiecesHaveRunOutSmallOnesAreTaken() {
        FramePool small = new FramePool(0x1000, 4 << 20);
        small.allocate(9);
        DmaDevice nic = new DmaApi(core, memory, small).bind(NIC);

        CoherentBuffer buffer = nic.allocateCoherent(2 << 20);

        assertThat(buffer.pieces()).isEqualTo(512);
        nic.freeCoherent(buffer);
        assertThat(errno(() -> nic.allocateCoherent(3 << 20))).isEqualTo(Errno.ENOMEM);
        assertThat(small.inUse()).isEqualTo(512);
    }

    @Test
    void aBufferIsFreedOnceAndByItsDevice() {
        DmaApi dma = new DmaApi(core, memory, frames);
        DmaDevice nic = dma.bind(NIC);
        DmaDevice again = dma.bind(NIC);
        CoherentBuffer buffer = nic.allocateCoherent(0x1000);

        assertThat(errno(() -> again.freeCoherent(buffer))).isEqualTo(Errno.EINVAL);
        nic.freeCoherent(buffer);
        assertThat(errno(() -> nic.freeCoherent(buffer))).isEqualTo(Errno.EINVAL);
        assertThat(frames.inUse()).isZero();
    }

    @Test
    void aDeviceThatIsNotCoherentHasUncachedMemoryAndAPoolForDriversThatMayNotSleep() {
        DmaApi dma = new DmaApi(core, memory, frames);
        DmaDevice nic = dma.bind(NIC, NOT_COHERENT);
        assertThat(frames.inUse()).as("128 KiB").isEqualTo(32);

        CoherentBuffer slow = nic.allocateCoherent(0x1000);
        CoherentBuffer fast = nic.allocateCoherentAtomic(0x1800);

        assertThat(slow.memoryType()).isEqualTo(MemoryType.UC);
        assertThat(domain().prot(fast.dmaAddress())).isEqualTo(Prot.READ_WRITE);
        assertThat(frames.inUse()).isEqualTo(33);
        CoherentBuffer rest = nic.allocateCoherentAtomic(30 * 0x1000);
        assertThat(errno(() -> nic.allocateCoherentAtomic(1))).isEqualTo(Errno.ENOMEM);
        nic.freeCoherent(fast);
        nic.freeCoherent(nic.allocateCoherentAtomic(0x2000));
        nic.freeCoherent(rest);
        nic.freeCoherent(slow);
        assertThat(errno(dma::close)).isEqualTo(Errno.EBUSY);
        nic.close();
        dma.close();
        dma.close();
        assertThat(frames.inUse()).isZero();
    }

    @Test
    void aCoherentDeviceHasCachedMemoryAndNoPool() {
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC);
        assertThat(frames.inUse()).isZero();

        CoherentBuffer buffer = nic.allocateCoherentAtomic(0x3000);

        assertThat(buffer.memoryType()).isEqualTo(MemoryType.WB);
        assertThat(buffer.pieces()).isEqualTo(1);
        assertThat(domain().prot(buffer.dmaAddress())).isEqualTo(Prot.READ_WRITE | Prot.CACHE);
        assertThat(errno(() -> nic.allocateCoherentAtomic((4 << 20) + 1))).isEqualTo(Errno.EINVAL);
        nic.freeCoherent(buffer);
        assertThat(frames.inUse()).isZero();
    }

    @Test
    void allocationsThatFailLeaveNothing() {
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC, NOT_COHERENT);
        for (int call = 1; call <= 2; call++) {
            domain().failMap(1);
            assertThat(errno(() -> nic.allocateCoherent(0x3000))).isEqualTo(Errno.ENOMEM);
            domain().failMap(1);
            assertThat(errno(() -> nic.allocateCoherentAtomic(0x3000))).isEqualTo(Errno.ENOMEM);
            assertThat(frames.inUse()).isEqualTo(32);
        }
        assertThat(nic.mappings()).isZero();
        assertThat(nic.allocateCoherentAtomic(32 * 0x1000).pieces()).isEqualTo(1);
    }

    @Test
    void withoutFramesForThePoolADeviceThatIsNotCoherentIsNotBound() {
        FramePool none = new FramePool(0, 0x1000);

        assertThat(errno(() -> new DmaApi(core, memory, none).bind(NIC, NOT_COHERENT)))
                .isEqualTo(Errno.ENOMEM);
        assertThat(core.group(NIC).orElseThrow().inUse()).isFalse();
    }

    private IommuCore open() {
        return IommuCore.open(
                List.of(iommu), TestFunction.topology(TestFunction.endpoint("00:02.0")), DefaultDomainPolicy.DMA);
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
