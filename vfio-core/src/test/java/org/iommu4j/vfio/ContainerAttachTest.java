// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.ReservedRegion;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestDomain;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.DomainState;
import org.iommu4j.vfio.type1.Enforcement;
import org.iommu4j.vfio.type1.IovaRange;
import org.junit.jupiter.api.Test;

/** What type 1 decides when a group comes or goes. */
class ContainerAttachTest {
    private static final int READ_WRITE = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;

    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("00:05.0");
    private final TestProcess process = new TestProcess().place(0x10000, 0x70_0000, 64, true);

    private static TestDomain domain(VfioContainer container, int index) {
        return (TestDomain) container.domains().get(index).domain();
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void aDomainThatBlocksNoSnoopMakesTheContainerCoherent() {
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);

        assertThat(container.domains())
                .extracting(DomainState::devices, DomainState::enforcement)
                .containsExactly(org.assertj.core.groups.Tuple.tuple(List.of(device.id()), Enforcement.ENFORCED));
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isEqualTo(1);
    }

    @Test
    void aDomainThatAnswersFalseMakesTheContainerNonCoherent() {
        device.snoopControl = false;

        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);

        assertThat(container.domains().get(0).enforcement()).isEqualTo(Enforcement.REFUSED);
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();
    }

    @Test
    void aDomainWithoutTheControlMakesTheContainerNonCoherent() {
        host.iommu.hasEnforcementOp = false;

        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);

        assertThat(container.domains().get(0).enforcement()).isEqualTo(Enforcement.ABSENT);
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();
    }

    @Test
    void enforcementIsAskedOnceWhileTheDomainIsEmpty() {
        TestDevice second = host.add("00:06.0");
        second.snoopControl = false;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x100000, 0x10000, 0x10000, READ_WRITE);

        host.openGroupOf(second).setContainer(container);

        assertThat(container.domains()).hasSize(2);
        for (int i = 0; i < 2; i++) {
            assertThat(domain(container, i).enforceCalls).isEqualTo(1);
            assertThat(domain(container, i).mappedBeforeEnforce).isFalse();
        }
    }

    @Test
    void devicesThatAnswerAlikeShareADomain() {
        TestDevice second = host.add("00:06.0");
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x100000, 0x10000, 0x4000, READ_WRITE);

        host.openGroupOf(second).setContainer(container);

        assertThat(container.domains()).hasSize(1);
        assertThat(container.domains().get(0).devices()).containsExactly(device.id(), second.id());
        assertThat(host.iommu.pagingDomains()).isEqualTo(1);
    }

    @Test
    void aDeviceThatCannotEnforceGetsItsOwnDomainWithTheSameMappings() {
        TestDevice second = host.add("00:06.0");
        second.snoopControl = false;
        process.place(0x80000, 0x90_0000, 4, false);
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x100000, 0x10000, 0x10000, READ_WRITE);
        container.map(0x200000, 0x80000, 0x4000, VfioContainer.MAP_READ);

        host.openGroupOf(second).setContainer(container);

        assertThat(container.domains())
                .extracting(DomainState::enforcement)
                .containsExactly(Enforcement.ENFORCED, Enforcement.REFUSED);
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();
        assertThat(domain(container, 1).pages())
                .hasSize(20)
                .isEqualTo(domain(container, 0).pages());
    }

    @Test
    void aDeviceOfAnotherFormatGetsItsOwnDomain() {
        TestDevice second = host.add("00:06.0");
        second.format = "other";

        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device, second);

        assertThat(container.domains())
                .extracting(state -> state.domain().format())
                .containsExactly("test", "other");
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isEqualTo(1);
    }

    @Test
    void aDeviceOfAnotherFormatIsTriedWhereFormatsHaveTheSameOps() {
        TestDevice second = host.add("00:06.0");
        second.format = "other";
        host.iommu.sharesOps = true;

        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device, second);

        assertThat(container.domains())
                .extracting(state -> state.domain().format())
                .containsExactly("test");
    }

    @Test
    void aDeviceThatADomainRefusesStaysInItsOwn() {
        TestDevice second = host.add("00:06.0");
        second.refusesForeignDomains = true;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x100000, 0x10000, 0x4000, READ_WRITE);

        host.openGroupOf(second).setContainer(container);

        assertThat(container.domains())
                .extracting(DomainState::devices)
                .containsExactly(List.of(device.id()), List.of(second.id()));
        assertThat(domain(container, 1).pages()).isEqualTo(domain(container, 0).pages());
    }

    @Test
    void unisolatedInterruptsAreRefusedUnlessAllowed() {
        device.isolatedMsi = false;
        VfioGroup group = host.openGroupOf(device);
        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);

        refused(Errno.EPERM, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));
        assertThat(host.iommu.pagingDomains()).isZero();
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();

        TestHost reckless = new TestHost().with(VfioOptions.DEFAULT.withAllowUnsafeInterrupts(true));
        TestDevice same = reckless.add("00:05.0");
        same.isolatedMsi = false;
        assertThat(reckless.container(process, VfioExtension.TYPE1V2_IOMMU, same)
                        .domains())
                .hasSize(1);
    }

    @Test
    void aGroupWhoseReservedRegionIsMappedIsRefused() {
        TestDevice second = host.add("00:06.0");
        second.reservedRegions = List.of(new ReservedRegion(0x101000, 0x101fff, ReservedRegion.Type.RESERVED));
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x100000, 0x10000, 0x4000, READ_WRITE);
        VfioGroup group = host.openGroupOf(second);

        refused(Errno.EINVAL, () -> group.setContainer(container));

        assertThat(group.containerSet()).isFalse();
        assertThat(host.iommu.pagingDomains()).isEqualTo(1);
        assertThat(container.info().iovaRanges())
                .containsExactly(new IovaRange(0, 0xfedfffffL), new IovaRange(0xfef00000L, 0x7fffffffffL));
        container.unmap(0, 0, VfioContainer.UNMAP_ALL);
        group.setContainer(container);
        assertThat(container.info().iovaRanges()).startsWith(new IovaRange(0, 0x100fff));
        refused(Errno.EINVAL, () -> container.map(0x101000, 0x10000, 0x1000, READ_WRITE));
    }

    @Test
    void aRegionThatTheDeviceGivesUpOnAssignmentIsNoObstacle() {
        device.reservedRegions = List.of(new ReservedRegion(0x100000, 0x1fffff, ReservedRegion.Type.DIRECT_RELAXABLE));
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);

        container.map(0x100000, 0x10000, 0x1000, READ_WRITE);

        assertThat(container.info().iovaRanges()).containsExactly(new IovaRange(0, 0x7fffffffffL));
    }

    @Test
    void aGroupWithASmallerApertureNarrowsTheRangesUntilItLeaves() {
        TestDevice second = host.add("00:06.0");
        second.format = "small";
        second.apertureEnd = 0xffff_ffffL;
        second.reservedRegions = List.of();
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        VfioGroup group = host.openGroupOf(second);
        group.setContainer(container);

        assertThat(container.info().iovaRanges())
                .containsExactly(new IovaRange(0, 0xfedfffffL), new IovaRange(0xfef00000L, 0xffffffffL));
        refused(Errno.EINVAL, () -> container.map(1L << 32, 0x10000, 0x1000, READ_WRITE));

        group.unsetContainer();
        container.map(1L << 32, 0x10000, 0x1000, READ_WRITE);
        refused(Errno.EINVAL, () -> group.setContainer(container));
    }

    @Test
    void aGroupWhoseApertureBeginsLaterNarrowsTheRangesUntilItLeaves() {
        TestDevice second = host.add("00:06.0");
        second.format = "late";
        second.apertureStart = 0x20_0000;
        second.reservedRegions = List.of();
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        VfioGroup group = host.openGroupOf(second);
        group.setContainer(container);

        assertThat(container.info().iovaRanges())
                .containsExactly(new IovaRange(0x20_0000, 0xfedfffffL), new IovaRange(0xfef00000L, 0x7fffffffffL));
        refused(Errno.EINVAL, () -> container.map(0x1f_f000, 0x10000, 0x1000, READ_WRITE));
        container.map(0x20_0000, 0x10000, 0x1000, READ_WRITE);

        group.unsetContainer();
        container.map(0x1f_f000, 0x10000, 0x1000, READ_WRITE);
        refused(Errno.EINVAL, () -> group.setContainer(container));
        assertThat(container.info().iovaRanges()).startsWith(new IovaRange(0, 0xfedfffffL));
    }

    @Test
    void mappingsLiveUntilTheLastGroupLeaves() {
        TestDevice second = host.add("00:06.0");
        second.snoopControl = false;
        VfioContainer container = host.vfio().openContainer(process);
        VfioGroup firstGroup = host.openGroupOf(device);
        VfioGroup secondGroup = host.openGroupOf(second);
        firstGroup.setContainer(container);
        secondGroup.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        container.map(0x100000, 0x10000, 0x4000, READ_WRITE);

        firstGroup.unsetContainer();
        assertThat(container.domains()).extracting(DomainState::enforcement).containsExactly(Enforcement.REFUSED);
        assertThat(process.pinned()).isEqualTo(4);
        assertThat(domain(container, 0).translate(0x101004)).isEqualTo(0x70_1004);

        secondGroup.unsetContainer();
        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
        assertThat(process.dirtied).isEqualTo(4);
        assertThat(host.iommu.pagingDomains()).isZero();
        refused(Errno.EINVAL, () -> container.unmap(0x100000, 0x1000, 0));

        firstGroup.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        assertThat(container.unmap(0x100000, 0x1000, 0)).isZero();
    }

    @Test
    void theLastIncapableGroupThatLeavesMakesTheContainerCoherentAgain() {
        TestDevice second = host.add("00:06.0");
        second.snoopControl = false;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        VfioGroup group = host.openGroupOf(second);
        group.setContainer(container);
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();

        group.unsetContainer();

        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isEqualTo(1);
    }

    @Test
    void contiguousPagesBecomeLargeLeavesEvenAcrossBatches() {
        TestProcess large = new TestProcess().place(0x4000_0000L, 0x8000_0000L, 2048, true);
        VfioContainer container = host.container(large, VfioExtension.TYPE1V2_IOMMU, device);

        container.map(0x4010_0000L, 0x4010_0000L, 7 << 20, READ_WRITE);

        TestDomain domain = domain(container, 0);
        assertThat(domain.leafCount()).isEqualTo(256 + 3);
        assertThat(domain.translate(0x4020_0000L)).isEqualTo(0x8020_0000L);
        assertThat(container.unmap(0x4010_0000L, 7 << 20, 0)).isEqualTo(7 << 20);
        assertThat(domain.leafCount()).isZero();
        assertThat(large.pinned()).isZero();
        assertThat(large.charged()).isZero();
    }

    @Test
    void scatteredPagesOfManyBatchesAreUnpinnedOneByOne() {
        TestProcess scattered = new TestProcess();
        for (int i = 0; i < 1500; i++) {
            scattered.place(0x10_0000 + i * 4096L, 0x1000_0000L + i * 8192L, 1, true);
        }
        VfioContainer container = host.container(scattered, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0, 0x10_0000, 1500 * 4096L, VfioContainer.MAP_READ);
        assertThat(scattered.pinned()).isEqualTo(1500);
        int before = domain(container, 0).syncs;

        container.unmap(0, 1500 * 4096L, 0);

        assertThat(scattered.pinned()).isZero();
        assertThat(scattered.charged()).isZero();
        assertThat(scattered.dirtied).isZero();
        assertThat(domain(container, 0).syncs - before).isEqualTo(3);
    }

    @Test
    void pagesStayPinnedWhenAnInvalidationDoesNotComplete() {
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x100000, 0x10000, 0x4000, READ_WRITE);
        host.iommu.completesInvalidations = false;

        refused(Errno.ETIMEDOUT, () -> container.unmap(0x100000, 0x4000, 0));

        assertThat(process.pinned()).isEqualTo(4);
        assertThat(process.charged()).isEqualTo(4);
        assertThat(container.quarantinedPages()).isEqualTo(4);
        assertThat(domain(container, 0).translate(0x100000)).isEqualTo(-1L);
        assertThat(container.info().dmaAvailable()).isEqualTo(65535);
    }

    @Test
    void pagesStayPinnedWhenAGroupThatComesMayHaveSeenThem() {
        TestDevice second = host.add("00:06.0");
        second.snoopControl = false;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x100000, 0x10000, 0x4000, READ_WRITE);
        VfioGroup group = host.openGroupOf(second);
        host.iommu.completesInvalidations = false;

        refused(Errno.ETIMEDOUT, () -> group.setContainer(container));

        host.iommu.completesInvalidations = true;
        assertThat(group.containerSet()).isFalse();
        assertThat(container.unmap(0x100000, 0x4000, 0)).isEqualTo(0x4000);
        assertThat(process.pinned()).isEqualTo(4);
        assertThat(container.quarantinedPages()).isEqualTo(4);
    }

    @Test
    void aMappingThatFailsHalfWayLeavesNothing() {
        process.place(0x50000, 0x55_0000, 1, true).place(0x52000, 0x66_0000, 1, true);
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        long frames = host.pool.inUse();

        refused(Errno.EFAULT, () -> container.map(0x100000, 0x50000, 0x3000, READ_WRITE));

        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
        assertThat(host.pool.inUse()).isEqualTo(frames);
        assertThat(domain(container, 0).pages()).isEmpty();
        assertThat(container.info().dmaAvailable()).isEqualTo(65535);
    }

    @Test
    void pagesInFrontOfAHoleAreChargedFirst() {
        TestProcess poor = new TestProcess(2).place(0x50000, 0x55_0000, 3, true).place(0x54000, 0x66_0000, 1, true);
        VfioContainer container = host.container(poor, VfioExtension.TYPE1V2_IOMMU, device);

        refused(Errno.ENOMEM, () -> container.map(0x100000, 0x50000, 0x5000, READ_WRITE));
        refused(Errno.EFAULT, () -> container.map(0x100000, 0x51000, 0x3000, READ_WRITE));

        assertThat(poor.pinned()).isZero();
        assertThat(poor.charged()).isZero();
    }

    @Test
    void aPageSizeThatOneDomainLacksIsNotOffered() {
        TestDevice second = host.add("00:06.0");
        second.format = "4k";
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        assertThat(container.info().pageSizes()).isEqualTo(0x40201000L);
        host.iommu.pageSizes = 0x1000;

        host.openGroupOf(second).setContainer(container);

        assertThat(container.info().pageSizes()).isEqualTo(SystemMemory.FRAME_SIZE);
    }

    @Test
    void theNumberOfMappingsIsLimited() {
        TestHost small = new TestHost().with(VfioOptions.DEFAULT.withDmaEntryLimit(2));
        TestDevice same = small.add("00:05.0");
        VfioContainer container = small.container(process, VfioExtension.TYPE1V2_IOMMU, same);
        container.map(0, 0x10000, 0x1000, READ_WRITE);
        container.map(0x2000, 0x10000, 0x1000, READ_WRITE);

        refused(Errno.ENOSPC, () -> container.map(0x4000, 0x10000, 0x1000, READ_WRITE));
        refused(Errno.EEXIST, () -> container.map(0, 0x10000, 0x1000, READ_WRITE));
        assertThat(container.unmap(0, 0x1000, 0)).isEqualTo(0x1000);
        container.map(0x4000, 0x10000, 0x1000, READ_WRITE);
        assertThat(container.info().dmaAvailable()).isZero();
    }
}
