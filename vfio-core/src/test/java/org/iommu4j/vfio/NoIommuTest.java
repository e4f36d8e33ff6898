// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.DirtyPages;
import org.junit.jupiter.api.Test;

/** Devices without an IOMMU, where the host allows them. */
class NoIommuTest {
    private static final NamedDevice NAME = new NamedDevice("nobody-translates-for-it");

    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("00:05.0");
    private final TestProcess process = new TestProcess();

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void theyAreRefusedUnlessTheHostAllowsThem() {
        refused(Errno.EINVAL, () -> host.vfio().register(NAME));
        assertThat(host.vfio().openContainer(process).checkExtension(VfioExtension.NOIOMMU_IOMMU))
                .isZero();
    }

    @Test
    void theirContainerMapsNothing() {
        host.with(VfioOptions.DEFAULT.withEnableUnsafeNoIommuMode(true));
        VfioDevice registered = host.vfio().register(NAME);
        refused(Errno.ENOENT, () -> host.vfio().openGroup(registered.groupId()));
        refused(Errno.EPERM, () -> host.vfio().openNoIommuGroup(registered.groupId(), false));
        VfioGroup group = host.vfio().openNoIommuGroup(registered.groupId(), true);
        refused(Errno.EBUSY, () -> host.vfio().openNoIommuGroup(registered.groupId(), true));
        VfioContainer container = host.vfio().openContainer(process);
        assertThat(container.checkExtension(VfioExtension.NOIOMMU_IOMMU)).isEqualTo(1);
        assertThat(container.checkExtension(VfioExtension.TYPE1V2_IOMMU)).isEqualTo(1);

        group.setContainer(container);
        assertThat(container.checkExtension(VfioExtension.NOIOMMU_IOMMU)).isEqualTo(1);
        assertThat(container.checkExtension(VfioExtension.TYPE1V2_IOMMU)).isZero();
        refused(Errno.ENODEV, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));
        refused(Errno.EINVAL, () -> group.openDevice(NAME));
        refused(Errno.EINVAL, container::info);
        container.setIommu(VfioExtension.NOIOMMU_IOMMU);
        refused(Errno.EINVAL, () -> container.setIommu(VfioExtension.NOIOMMU_IOMMU));
        refused(Errno.ENOTTY, container::info);
        refused(Errno.ENOTTY, () -> container.map(0, 0, 0x1000, VfioContainer.MAP_READ));
        refused(Errno.ENOTTY, () -> container.unmap(0, 0x1000, 0));
        refused(Errno.ENOTTY, () -> container.dirtyPages(DirtyPages.of(DirtyPages.START)));
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();
        assertThat(group.enforcedCoherent()).isFalse();
        assertThat(group.openDevice(NAME).info().regions()).isZero();

        VfioGroup real = host.openGroupOf(device);
        refused(Errno.EPERM, () -> real.setContainer(container));
    }

    @Test
    void theyDoNotEnterAContainerWithOthers() {
        host.with(VfioOptions.DEFAULT.withEnableUnsafeNoIommuMode(true));
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        VfioGroup group =
                host.vfio().openNoIommuGroup(host.vfio().register(NAME).groupId(), true);
        assertThat(container.checkExtension(VfioExtension.NOIOMMU_IOMMU)).isZero();
        refused(Errno.EPERM, () -> group.setContainer(container));
        assertThat(group.viable()).isTrue();
    }
}
