// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Buffers that stand between a device and the driver's memory. */
class BounceBufferTest {
    private static final PciAddress DOCK = PciAddress.parse("05:00.0");
    private static final PciAddress NIC = PciAddress.parse("00:02.0");
    private static final long BYTES = 16 << 20;
    private static final long SECRET = 0x5ec2e75ec2e75ec2L;

    private final TestIommu iommu = new TestIommu();
    private final FlatMemory memory = new FlatMemory(BYTES);
    private final FramePool frames = new FramePool(8 << 20, 8 << 20);
    private IommuCore core = open(DefaultDomainPolicy.DMA);
    private DmaApi dma = new DmaApi(core, memory, frames);

    @Test
    void aDeviceThatIsNotTrustedReachesNothingBesideItsBuffer() {
        fill(0, 0x8000, SECRET);
        fill(0x5100, 0x80, 0x1111);
        DmaDevice dock = dma.bind(DOCK);
        // Old data of another device in the pages of the bounce buffer.
        long old = dock.map(0x1008, 0x1ff0, DmaDirection.TO_DEVICE);
        dock.unmap(old, 0x1ff0, DmaDirection.TO_DEVICE);

        long address = dock.map(0x5100, 0x80, DmaDirection.TO_DEVICE);

        assertThat(address & 0xfff).isZero();
        assertThat(domain().mappedPages()).isEqualTo(1);
        for (long offset = 0; offset < 0x1000; offset += 8) {
            assertThat(memory.load(domain().translate(address + offset)))
                    .as("at 0x%x", offset)
                    .isEqualTo(offset < 0x80 ? 0x1111 : 0);
        }
        dock.unmap(address, 0x80, DmaDirection.TO_DEVICE);
        assertThat(dma.bouncePages()).isZero();
    }

    @Test
    void aBufferOfWholePagesIsMappedItself() {
        DmaDevice dock = dma.bind(DOCK);

        long address = dock.map(0x5000, 0x3000, DmaDirection.BIDIRECTIONAL);

        assertThat(domain().translate(address)).isEqualTo(0x5000);
        assertThat(dma.bouncePages()).isZero();
    }

    @Test
    void whatIsTrustedReachesItsBuffersPages() {
        core = IommuCore.open(
                List.of(iommu), TestFunction.topology(TestFunction.endpoint("00:02.0")), DefaultDomainPolicy.DMA);
        dma = new DmaApi(core, memory, frames);

        long address = dma.bind(NIC).map(0x5100, 0x80, DmaDirection.TO_DEVICE);

        assertThat(address & 0xfff).isEqualTo(0x100);
        assertThat(dma.bouncePages()).isZero();
    }

    @ParameterizedTest
    @EnumSource(DmaDirection.class)
    void whatTheDeviceWroteArrivesAtUnmapInItsDirection(DmaDirection direction) {
        byteStore(0x5103, 0x42);
        byteStore(0x5102, 0x77);
        byteStore(0x5106, 0x78);
        DmaDevice dock = dma.bind(DOCK);
        long address = dock.map(0x5103, 3, direction);
        long target = domain().translate(address);
        assertThat(byteLoad(target)).isEqualTo(0x42);

        byteStore(target, 0x24);
        byteStore(target + 2, 0x25);
        dock.unmap(address, 3, direction);

        boolean arrives = direction != DmaDirection.TO_DEVICE;
        assertThat(byteLoad(0x5103)).isEqualTo(arrives ? 0x24 : 0x42);
        assertThat(byteLoad(0x5105)).isEqualTo(arrives ? 0x25 : 0);
        assertThat(byteLoad(0x5102)).as("the byte before").isEqualTo(0x77);
        assertThat(byteLoad(0x5106)).as("the byte after").isEqualTo(0x78);
        assertThat(dma.bouncePages()).isZero();
    }

    @Test
    void syncCopiesPartsInTheirDirection() {
        DmaDevice dock = dma.bind(DOCK);
        long address = dock.map(0x5100, 0x1080, DmaDirection.BIDIRECTIONAL);
        long target = domain().translate(address);
        memory.store(0x5100, 1);
        memory.store(0x6100, 2);
        dock.syncForDevice(address + 0x1000, 8, DmaDirection.BIDIRECTIONAL);
        assertThat(memory.load(target)).isZero();
        assertThat(memory.load(target + 0x1000)).isEqualTo(2);

        memory.store(target, 3);
        memory.store(target + 8, 4);
        dock.syncForCpu(address + 8, 8, DmaDirection.BIDIRECTIONAL);
        assertThat(memory.load(0x5100)).isEqualTo(1);
        assertThat(memory.load(0x5108)).isEqualTo(4);

        assertThat(errno(() -> dock.syncForCpu(address + 0x1000, 0x81, DmaDirection.BIDIRECTIONAL)))
                .as("beyond the buffer")
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> dock.syncForCpu(address + 0x2000, 8, DmaDirection.BIDIRECTIONAL)))
                .as("not mapped")
                .isEqualTo(Errno.EINVAL);
    }

    /** The witness of {@link DmaRules#bounceKeepsData}. */
    @ParameterizedTest
    @CsvSource({"5.15, false", "6.9, false", "6.10, true", "7.3, true"})
    void whatADeviceDoesNotFillIsZeroUntil69(String release, boolean kept) {
        iommu.of(LinuxRelease.named(release));
        core = open(DefaultDomainPolicy.DMA);
        dma = new DmaApi(core, memory, frames);
        fill(0x5100, 0x80, 0x1111);
        DmaDevice dock = dma.bind(DOCK);
        long address = dock.map(0x5100, 0x80, DmaDirection.FROM_DEVICE);

        memory.store(domain().translate(address), 0x2222);
        dock.unmap(address, 0x80, DmaDirection.FROM_DEVICE);

        assertThat(memory.load(0x5100)).isEqualTo(0x2222);
        assertThat(memory.load(0x5108)).isEqualTo(kept ? 0x1111 : 0);
    }

    @Test
    void unmappingOtherwiseThanMappedIsRefusedAndChangesNothing() {
        DmaDevice dock = dma.bind(DOCK);
        long address = dock.map(0x5100, 0x80, DmaDirection.TO_DEVICE);

        assertThat(errno(() -> dock.unmap(address, 0x81, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> dock.unmap(address + 1, 0x80, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> dock.unmap(address, 0x80, DmaDirection.FROM_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(dock.mappings()).isEqualTo(1);
        dock.unmap(address, 0x80, DmaDirection.TO_DEVICE);
        assertThat(errno(() -> dock.unmap(address, 0x80, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void thePoolIsBoundedAndABufferIsAtMost256KiB() {
        dma = new DmaApi(core, memory, frames, DmaOptions.DEFAULT.withBounceBytes(512 << 10));
        DmaDevice dock = dma.bind(DOCK);
        assertThat(errno(() -> dock.map(0x5100, (256 << 10) + 1, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        long first = dock.map(0x5100, (256 << 10) - 1, DmaDirection.TO_DEVICE);
        dock.map(0x5100, 0x80, DmaDirection.TO_DEVICE);

        assertThat(errno(() -> dock.map(0x5100, (256 << 10) - 1, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.ENOMEM);
        assertThat(dock.mappings()).isEqualTo(2);
        dock.unmap(first, (256 << 10) - 1, DmaDirection.TO_DEVICE);
        dock.map(0x5100, (256 << 10) - 1, DmaDirection.TO_DEVICE);
        assertThat(frames.inUse()).isEqualTo(128);
    }

    @Test
    void aMappingThatFailsGivesItsBounceBufferBack() {
        DmaDevice dock = dma.bind(DOCK);
        domain().failMap(1);

        assertThat(errno(() -> dock.map(0x5100, 0x80, DmaDirection.TO_DEVICE))).isEqualTo(Errno.ENOMEM);

        assertThat(dma.bouncePages()).isZero();
        assertThat(dock.mappings()).isZero();
        dock.close();
        dma.close();
        assertThat(frames.inUse()).isZero();
    }

    @Test
    void aBounceBufferThatTheDeviceMayStillReachIsNotUsedAgain() {
        DmaDevice dock = dma.bind(DOCK);
        long address = dock.map(0x5100, 0x80, DmaDirection.FROM_DEVICE);
        domain().failSync(true);

        assertThat(errno(() -> dock.unmap(address, 0x80, DmaDirection.FROM_DEVICE)))
                .isEqualTo(Errno.ETIMEDOUT);

        assertThat(dma.bouncePages()).isEqualTo(1);
        dock.close();
        dma.close();
        assertThat(frames.inUse()).as("the block stays").isEqualTo(64);
    }

    @Test
    void inAnIdentityDomainABufferBeyondTheMaskIsReplacedByOneThatTheDeviceReaches() {
        core = IommuCore.open(
                List.of(new TestIommu()),
                TestFunction.topology(TestFunction.endpoint("00:02.0")),
                DefaultDomainPolicy.PASSTHROUGH);
        FramePool low = new FramePool(0, 1 << 20);
        dma = new DmaApi(core, memory, low);
        DmaDevice nic = dma.bind(NIC, 0xf_ffff);
        memory.store(0xf_fff8, 0x1111);
        assertThat(nic.map(0xf_fff8, 8, DmaDirection.TO_DEVICE)).isEqualTo(0xf_fff8);
        nic.unmap(0xf_fff8, 8, DmaDirection.TO_DEVICE);

        long address = nic.map(0xf_fff8, 16, DmaDirection.BIDIRECTIONAL);
        assertThat(address).isLessThan(0xf_ffff);
        assertThat(memory.load(address)).isEqualTo(0x1111);
        memory.store(address + 8, 0x2222);
        nic.unmap(address, 16, DmaDirection.BIDIRECTIONAL);
        assertThat(memory.load(0x10_0000)).isEqualTo(0x2222);
        nic.close();

        dma = new DmaApi(core, memory, frames);
        DmaDevice narrow = dma.bind(NIC, 0xf_ffff);
        assertThat(errno(() -> narrow.map(0xf_fff8, 16, DmaDirection.TO_DEVICE)))
                .as("the pool is beyond the mask too")
                .isEqualTo(Errno.ERANGE);
        assertThat(dma.bouncePages()).isZero();
    }

    private IommuCore open(DefaultDomainPolicy policy) {
        return IommuCore.open(
                List.of(iommu),
                TestFunction.topology(
                        TestFunction.rootPort("00:07.0")
                                .acs(TestFunction.ACS_ALL, 0)
                                .secondaryBus(5)
                                .externalFacingPort(),
                        TestFunction.endpoint("05:00.0").below("00:07.0")),
                policy);
    }

    private TestDomain domain() {
        return (TestDomain) core.group(DOCK).orElseThrow().defaultDomain();
    }

    private void fill(long start, long size, long value) {
        for (long offset = 0; offset < size; offset += 8) {
            memory.store(start + offset, value);
        }
    }

    private int byteLoad(long address) {
        return (int) (memory.load(address & -8) >>> (8 * (address & 7))) & 0xff;
    }

    private void byteStore(long address, int value) {
        int shift = (int) (8 * (address & 7));
        memory.store(address & -8, (memory.load(address & -8) & ~(0xffL << shift)) | ((long) value << shift));
    }

    private static Errno errno(ThrowingCallable call) {
        IommuException refusal = catchThrowableOfType(IommuException.class, call);
        assertThat(refusal).isNotNull();
        return refusal.errno();
    }
}
