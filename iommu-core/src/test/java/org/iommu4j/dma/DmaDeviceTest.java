// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.ArrayList;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class DmaDeviceTest {
    private static final PciAddress NIC = PciAddress.parse("00:02.0");
    private static final long FULL = -1L;
    private static final long MEMORY = 16 << 20;

    private final TestIommu iommu = new TestIommu();
    private final FlatMemory memory = new FlatMemory(MEMORY);
    private final FramePool frames = new FramePool(0, MEMORY);
    private IommuCore core = open(iommu, DefaultDomainPolicy.DMA);
    private DmaApi dma = new DmaApi(core, memory, frames);

    @ParameterizedTest
    @EnumSource(DmaDirection.class)
    void aBufferIsMappedForItsDirectionAndCoherent(DmaDirection direction) {
        DmaDevice nic = dma.bind(NIC);

        long address = nic.mapPage(0x5000, direction);

        assertThat(domain().translate(address)).isEqualTo(0x5000);
        int expected = Prot.CACHE
                | switch (direction) {
                    case TO_DEVICE -> Prot.READ;
                    case FROM_DEVICE -> Prot.WRITE;
                    case BIDIRECTIONAL -> Prot.READ_WRITE;
                };
        assertThat(Prot.toString(domain().prot(address))).isEqualTo(Prot.toString(expected));
    }

    @Test
    void aDriverOfANamedDeviceMapsInTheDefaultDomainOfThatDevice() {
        NamedDevice display = new NamedDevice("\\_SB.GPU0");
        core.close();
        core = IommuCore.open(
                List.of(iommu),
                TestFunction.topology(TestFunction.endpoint("00:02.0")),
                List.of(display),
                DefaultDomainPolicy.DMA);
        dma = new DmaApi(core, memory, frames);

        long address = dma.bind(display).mapPage(0x5000, DmaDirection.TO_DEVICE);

        IommuGroup group = core.group(display).orElseThrow();
        assertThat(group.inUse()).isTrue();
        assertThat(group.defaultDomain().translate(address)).isEqualTo(0x5000);
        assertThat(core.group(NIC).orElseThrow().inUse()).isFalse();
    }

    @Test
    void aBufferInsideItsPagesKeepsItsOffset() {
        DmaDevice nic = dma.bind(NIC);

        long address = nic.map(0x5f80, 0x100, DmaDirection.TO_DEVICE);

        assertThat(address & 0xfff).isEqualTo(0xf80);
        assertThat(domain().translate(address + 0xff)).isEqualTo(0x607f);
        assertThat(domain().mappedPages()).isEqualTo(2);
        nic.unmap(address, 0x100, DmaDirection.TO_DEVICE);
        assertThat(domain().mappedPages()).isZero();
    }

    @Test
    void anotherDevicesRegistersAreMappedUncached() {
        DmaDevice nic = dma.bind(NIC);

        long address = nic.mapResource(0xe000_0000L, 0x2000, DmaDirection.BIDIRECTIONAL);

        assertThat(domain().prot(address)).isEqualTo(Prot.READ_WRITE | Prot.MMIO);
    }

    @Test
    void addressesComeFromBelowFourGigabytesFirstThenFromTheMask() {
        DmaDevice nic = dma.bind(NIC, FULL);

        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE)).isEqualTo(0xffff_f000L);

        // The test driver has 39 bits; 4 GiB less a page in power-of-two pieces is more than its table, so the
        // space is used up in pieces of 1 GiB, for which it would need as many pages.
        DmaSpace space = new DmaSpace(domain(), core.groups().get(0), DmaOptions.DEFAULT);
        assertThat(space.take(1L << 31, 0xffff_ffffL)).isEqualTo(1L << 31);
        assertThat(space.take(1L << 31, 0xffff_ffffL)).isEqualTo(IovaAllocator.NONE);
        assertThat(space.take(1L << 31, FULL)).isEqualTo((1L << 39) - (1L << 31));
    }

    @Test
    void onceLowAddressesRanOutAWideDeviceUsesHighOnes() {
        core = open(new TestIommu().reserve(NIC, reserved(0x3000, 0xffff_ffffL)), DefaultDomainPolicy.DMA);
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC, FULL);

        long low = nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        long high = nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        nic.unmap(low, 0x1000, DmaDirection.TO_DEVICE);

        assertThat(low).isEqualTo(0x2000);
        assertThat(high).isEqualTo((1L << 39) - 0x1000);
        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE))
                .as("it does not return to the low ones")
                .isEqualTo((1L << 39) - 0x2000);
    }

    @Test
    void aNarrowDeviceIsRefusedWhenAddressesBelowItsMaskRunOut() {
        core = open(new TestIommu().reserve(NIC, reserved(0x2000, 0xffff_ffffL)), DefaultDomainPolicy.DMA);
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC);
        nic.mapPage(0x1000, DmaDirection.TO_DEVICE);

        assertThat(errno(() -> nic.mapPage(0x1000, DmaDirection.TO_DEVICE))).isEqualTo(Errno.ENOSPC);
        assertThat(nic.mappings()).isEqualTo(1);
    }

    @Test
    void addressesStayBelowAnOddMask() {
        DmaDevice nic = dma.bind(NIC, 0x1_2345_67ffL & 0xffff_ffffL);

        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE))
                .as("the page of the mask's last byte is not whole")
                .isEqualTo(0x2345_5000L);
        assertThat(nic.map(0x1000, 0x2000, DmaDirection.TO_DEVICE)).isEqualTo(0x2345_2000L);
    }

    @Test
    void reservedRegionsAreNeverGivenOut() {
        core = open(
                new TestIommu()
                        .reserve(
                                NIC,
                                reserved(0xffff_0000L, 0xffff_ffffL),
                                new ReservedRegion(0xfffe_0000L, 0xfffe_ffffL, ReservedRegion.Type.DIRECT),
                                new ReservedRegion(0xfffd_0800L, 0xfffd_ffffL, ReservedRegion.Type.MSI)),
                DefaultDomainPolicy.DMA);

        assertThat(new DmaApi(core, memory, frames).bind(NIC).mapPage(0x1000, DmaDirection.TO_DEVICE))
                .isEqualTo(0xfffc_f000L);
    }

    @Test
    void noAddressBelowTheApertureIsGivenOut() {
        core = open(new TestIommu().aperture(0x7_e000, 0x7_ffff), DefaultDomainPolicy.DMA);
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC);

        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE)).isEqualTo(0x7_f000);
        assertThat(nic.mapPage(0x2000, DmaDirection.TO_DEVICE)).isEqualTo(0x7_e000);
        assertThatThrownBy(() -> nic.mapPage(0x3000, DmaDirection.TO_DEVICE))
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.ENOSPC));
    }

    @Test
    void afterUnmapTheHardwareHasForgottenAndTheAddressIsUsedAgain() {
        DmaDevice nic = dma.bind(NIC);
        long address = nic.mapPage(0x1000, DmaDirection.TO_DEVICE);

        nic.unmap(address, 0x1000, DmaDirection.TO_DEVICE);

        assertThat(domain().stalePages()).isZero();
        assertThat(domain().translate(address)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(nic.mapPage(0x2000, DmaDirection.TO_DEVICE)).isEqualTo(address);
    }

    @Test
    void unmappingOtherwiseThanMappedIsRefusedAndChangesNothing() {
        DmaDevice nic = dma.bind(NIC);
        long address = nic.map(0x1000, 0x3000, DmaDirection.TO_DEVICE);

        assertThat(errno(() -> nic.unmap(address, 0x1000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> nic.unmap(address + 0x1000, 0x2000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> nic.unmap(address, 0x4000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> nic.unmap(address, 0, DmaDirection.TO_DEVICE))).isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> nic.unmap(0x1000, 0x1000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(domain().mappedPages()).isEqualTo(3);
        nic.unmap(address, 0x3000, DmaDirection.TO_DEVICE);
        assertThat(errno(() -> nic.unmap(address, 0x3000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(nic.mappings()).isZero();
    }

    @Test
    void anAddressWhoseInvalidationFailedIsNeverGivenOutAgain() {
        DmaDevice nic = dma.bind(NIC);
        long address = nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        domain().failSync(true);

        assertThat(errno(() -> nic.unmap(address, 0x1000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.ETIMEDOUT);

        domain().failSync(false);
        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE)).isEqualTo(address - 0x1000);
        assertThat(nic.mappings()).isEqualTo(1);
    }

    @Test
    void afterAnInvalidationFailedTheNextIsOnlyOfItsOwnPages() {
        DmaDevice nic = dma.bind(NIC);
        long first = nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        long second = nic.mapPage(0x2000, DmaDirection.TO_DEVICE);
        domain().failSync(true);
        assertThat(errno(() -> nic.unmap(first, 0x1000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.ETIMEDOUT);
        domain().failSync(false);

        nic.unmap(second, 0x1000, DmaDirection.TO_DEVICE);

        assertThat(domain().stalePages()).as("the first page may still be used").isEqualTo(1);
    }

    @Test
    void anAddressWhoseMappingTheDomainLostIsNeverGivenOutAgain() {
        DmaDevice nic = dma.bind(NIC);
        long address = nic.map(0x4000, 0x2000, DmaDirection.TO_DEVICE);
        IommuMapper.unmap(domain(), address + 0x1000, 0x1000);

        assertThatThrownBy(() -> nic.unmap(address, 0x2000, DmaDirection.TO_DEVICE))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("0x1000 bytes were mapped at 0x" + Long.toHexString(address));
        assertThat(nic.map(0x4000, 0x2000, DmaDirection.TO_DEVICE)).isEqualTo(address - 0x2000);
    }

    @Test
    void aFailedMapGivesItsAddressBack() {
        DmaDevice nic = dma.bind(NIC);
        domain().failMap(1);

        assertThat(errno(() -> nic.mapPage(0x1000, DmaDirection.TO_DEVICE))).isEqualTo(Errno.ENOMEM);

        assertThat(nic.mappings()).isZero();
        assertThat(errno(() -> nic.unmap(0xffff_f000L, 0x1000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE)).isEqualTo(0xffff_f000L);
    }

    @ParameterizedTest
    @EnumSource(
            value = Errno.class,
            names = {"ETIMEDOUT", "EIO"})
    void anAddressThatTheHardwareMayHaveSeenIsNotGivenOutAgainThoughItsMapFailed(Errno lost) {
        DmaDevice nic = dma.bind(NIC);
        domain().failSyncMap(lost);

        assertThat(errno(() -> nic.mapPage(0x1000, DmaDirection.TO_DEVICE))).isEqualTo(lost);
        assertThat(errno(() -> nic.unmap(0xffff_f000L, 0x1000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);

        domain().failSyncMap(null);
        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE)).isEqualTo(0xffff_e000L);
        assertThat(nic.mappings()).isEqualTo(1);
    }

    @Test
    void anAddressWhosePartIsNotInvalidatedAfterAFailedMapIsNotGivenOutAgain() {
        DmaDevice nic = dma.bind(NIC);
        long size = (2 << 20) + 0x1000;
        domain().failMap(2);
        domain().failSync(true);

        // The first 2 MiB were mapped, and are not taken back for sure.
        assertThat(errno(() -> nic.map(0x20_0000, size, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.ENOMEM);
        assertThat(domain().stalePages()).isEqualTo(512);

        domain().failSync(false);
        long next = nic.map(0x20_0000, size, DmaDirection.TO_DEVICE);
        assertThat(next).isEqualTo(0xff80_0000L);
        assertThat(nic.mappings()).isEqualTo(1);
    }

    @Test
    void coherentMemoryIsZeroedMappedBothWaysAndFreed() {
        DmaDevice nic = dma.bind(NIC);
        for (long address = 0; address < 0x8000; address += 8) {
            memory.store(address, 0xdeadL);
        }

        CoherentBuffer buffer = nic.allocateCoherent(0x2800);

        for (long offset = 0; offset < 0x2800; offset += 8) {
            assertThat(memory.load(buffer.physicalAddress() + offset)).isZero();
        }
        assertThat(domain().translate(buffer.dmaAddress() + 0x27ff)).isEqualTo(buffer.physicalAddress() + 0x27ff);
        assertThat(domain().prot(buffer.dmaAddress())).isEqualTo(Prot.READ_WRITE | Prot.CACHE);
        nic.freeCoherent(buffer);
        assertThat(frames.inUse()).isZero();
        assertThat(domain().mappedPages()).isZero();
    }

    @Test
    void aCoherentAllocationThatFailsLeavesNothing() {
        DmaDevice nic = dma.bind(NIC);
        domain().failMap(1);

        assertThat(errno(() -> nic.allocateCoherent(0x1000))).isEqualTo(Errno.ENOMEM);
        assertThat(errno(() -> nic.allocateCoherent(0))).isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> nic.allocateCoherent((1 << 30) + 1))).isEqualTo(Errno.EINVAL);

        assertThat(frames.inUse()).isZero();
        assertThat(nic.mappings()).isZero();
    }

    @Test
    void framesThatTheDeviceMayStillReachAreNotFreed() {
        DmaDevice nic = dma.bind(NIC);
        CoherentBuffer buffer = nic.allocateCoherent(0x1000);
        domain().failSync(true);

        assertThat(errno(() -> nic.freeCoherent(buffer))).isEqualTo(Errno.ETIMEDOUT);
        assertThat(frames.inUse()).isEqualTo(1);
        domain().failSyncMap(Errno.ETIMEDOUT);
        assertThat(errno(() -> nic.allocateCoherent(0x1000))).isEqualTo(Errno.ETIMEDOUT);
        assertThat(frames.inUse()).isEqualTo(2);
    }

    @Test
    void inAnIdentityDomainTheDeviceUsesPhysicalAddresses() {
        core = open(new TestIommu(), DefaultDomainPolicy.PASSTHROUGH);
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC);

        assertThat(nic.map(0x1234, 0x100, DmaDirection.TO_DEVICE)).isEqualTo(0x1234);
        nic.unmap(0x1234, 0x100, DmaDirection.TO_DEVICE);
        assertThat(errno(() -> nic.unmap(0x1234, 0x100, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        nic.close();
    }

    /** The witness of {@link DmaRules#lowAddressesAgain}. */
    @ParameterizedTest
    @CsvSource({"5.15, true", "6.5, true", "6.6, false", "7.3, false"})
    void lowAddressesAreTriedAgainUntil65(String release, boolean again) {
        core = open(
                new TestIommu().of(LinuxRelease.named(release)).reserve(NIC, reserved(0x2000, 0xffff_ffffL)),
                DefaultDomainPolicy.DMA);
        DmaDevice nic = new DmaApi(core, memory, frames).bind(NIC, FULL);
        long low = nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        nic.unmap(low, 0x1000, DmaDirection.TO_DEVICE);

        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE) == low)
                .as("the low address is used again")
                .isEqualTo(again);
    }

    @Test
    void iommuForcedacGivesHighAddressesAtOnce() {
        DmaDevice nic =
                new DmaApi(core, memory, frames, DmaOptions.of(new BootOptions("iommu.forcedac=1"))).bind(NIC, FULL);

        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE)).isEqualTo((1L << 39) - 0x1000);
    }

    @Test
    void aDeviceThatIsNotOnPciGetsHighAddressesAtOnce() {
        NamedDevice display = new NamedDevice("\\_SB.GPU0");
        core.close();
        core = IommuCore.open(List.of(iommu), TestFunction.topology(), List.of(display), DefaultDomainPolicy.DMA);

        assertThat(new DmaApi(core, memory, frames).bind(display, FULL).mapPage(0x1000, DmaDirection.TO_DEVICE))
                .isEqualTo((1L << 39) - 0x1000);
    }

    @Test
    void addressesThatAHostBridgeDoesNotPassOnAreNeverGivenOut() {
        DmaOptions options = DmaOptions.DEFAULT.withBridge(
                List.of(new DmaOptions.Window(0xf000_0000L, 0xffff_ffffL)),
                List.of(
                        new DmaOptions.Window(0xe000_0000L, 0xefff_dfffL),
                        new DmaOptions.Window(0x1000_0000L, 0x1fff_ffffL)));
        DmaDevice nic = new DmaApi(core, memory, frames, options).bind(NIC, FULL);

        assertThat(nic.mapPage(0x1000, DmaDirection.TO_DEVICE)).isEqualTo(0xefff_d000L);
        assertThat(errno(() -> nic.map(0, 0x1000_0000, DmaDirection.TO_DEVICE)))
                .as("256 MiB fit nowhere: the first page after a gap is kept too")
                .isEqualTo(Errno.ENOSPC);
    }

    @Test
    void aBoundDriverKeepsOthersFromClaimingTheGroup() {
        IommuGroup group = core.group(NIC).orElseThrow();
        DmaDevice nic = dma.bind(NIC);
        assertThat(errno(() -> group.claimDmaOwner(this))).isEqualTo(Errno.EPERM);

        long address = nic.mapPage(0x1000, DmaDirection.TO_DEVICE);
        assertThat(errno(nic::close)).isEqualTo(Errno.EBUSY);
        nic.unmap(address, 0x1000, DmaDirection.TO_DEVICE);
        nic.close();
        nic.close();

        group.claimDmaOwner(this);
        assertThat(errno(() -> dma.bind(NIC))).isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> nic.mapPage(0x1000, DmaDirection.TO_DEVICE))).isEqualTo(Errno.ENODEV);
        assertThat(errno(() -> nic.unmap(address, 0x1000, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.ENODEV);
        assertThat(errno(() -> nic.syncForCpu(address, 8, DmaDirection.FROM_DEVICE)))
                .isEqualTo(Errno.ENODEV);
    }

    @Test
    void impossibleRequestsAreRefused() {
        assertThat(errno(() -> dma.bind(PciAddress.parse("3f:00.0")))).isEqualTo(Errno.ENODEV);
        assertThat(errno(() -> dma.bind(NIC, 0xffe))).isEqualTo(Errno.EINVAL);
        DmaDevice nic = dma.bind(NIC);
        assertThat(errno(() -> nic.map(0x1000, 0, DmaDirection.TO_DEVICE))).isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> nic.map(-0x1000, 0x1001, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> nic.syncForDevice(0x1000, 0, DmaDirection.TO_DEVICE)))
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void devicesOfAGroupShareItsAddresses() {
        core = IommuCore.open(
                new TestIommu(),
                TestFunction.topology(
                        TestFunction.conventional("00:1f.0").multiFunction(), TestFunction.conventional("00:1f.3")));
        DmaApi shared = new DmaApi(core, memory, frames);

        long one = shared.bind(PciAddress.parse("00:1f.0")).mapPage(0x1000, DmaDirection.TO_DEVICE);
        long two = shared.bind(PciAddress.parse("00:1f.3")).mapPage(0x2000, DmaDirection.TO_DEVICE);

        assertThat(two).isEqualTo(one - 0x1000);
    }

    @Test
    void manyMappingsAreIndependent() {
        DmaDevice nic = dma.bind(NIC, FULL);
        List<Long> addresses = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            addresses.add(nic.map(0x1000L * i, 0x1000L * (1 + i % 5), DmaDirection.BIDIRECTIONAL));
        }
        for (int i = 0; i < 500; i++) {
            for (int page = 0; page <= i % 5; page++) {
                assertThat(domain().translate(addresses.get(i) + 0x1000L * page))
                        .isEqualTo(0x1000L * (i + page));
            }
        }
        for (int i = 0; i < 500; i += 2) {
            nic.unmap(addresses.get(i), 0x1000L * (1 + i % 5), DmaDirection.TO_DEVICE);
        }
        for (int i = 1; i < 500; i += 2) {
            assertThat(domain().translate(addresses.get(i))).isEqualTo(0x1000L * i);
            nic.unmap(addresses.get(i), 0x1000L * (1 + i % 5), DmaDirection.TO_DEVICE);
        }
        assertThat(domain().mappedPages()).isZero();
    }

    private TestDomain domain() {
        return (TestDomain) core.group(NIC).orElseThrow().defaultDomain();
    }

    private static ReservedRegion reserved(long first, long last) {
        return new ReservedRegion(first, last, ReservedRegion.Type.RESERVED);
    }

    private static IommuCore open(TestIommu iommu, DefaultDomainPolicy policy) {
        return IommuCore.open(List.of(iommu), TestFunction.topology(TestFunction.endpoint("00:02.0")), policy);
    }

    private static Errno errno(ThrowingCallable call) {
        IommuException refusal = catchThrowableOfType(IommuException.class, call);
        assertThat(refusal).isNotNull();
        return refusal.errno();
    }
}
