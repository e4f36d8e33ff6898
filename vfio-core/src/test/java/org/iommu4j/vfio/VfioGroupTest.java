// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.Test;

/** Registration, groups and containers, call by call; the errnos are those that a real Linux gave. */
class VfioGroupTest {
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
    void aDeviceWithoutCacheCoherencyIsRefusedWhenItIsRegistered() {
        device.cacheCoherency = false;

        refused(Errno.EINVAL, () -> host.vfio().register(device.id()));
        refused(Errno.ENOENT, () -> host.vfio().openGroup(0));
    }

    @Test
    void aDeviceThatCannotBlockNoSnoopIsRegisteredAllTheSame() {
        device.snoopControl = false;

        assertThat(host.vfio().register(device.id()).canEnforceCacheCoherency()).isFalse();
    }

    @Test
    void aFunctionWithoutAnIommuIsRefused() {
        refused(Errno.EINVAL, () -> host.vfio().register(PciAddress.parse("00:1f.7")));
    }

    @Test
    void aDeviceIsRegisteredOnce() {
        host.vfio().register(device.id());

        refused(Errno.EBUSY, () -> host.vfio().register(device.id()));
    }

    @Test
    void aGroupIsOpenedByOneUserAtATime() {
        VfioGroup group = host.openGroupOf(device);

        refused(Errno.EBUSY, () -> host.vfio().openGroup(group.id()));
        refused(Errno.ENOENT, () -> host.vfio().openGroup(9999));
        group.close();
        assertThat(host.vfio().openGroup(group.id()).viable()).isTrue();
    }

    /** KVM has it, say: nobody else may open it, and it stays in its container. */
    @Test
    void aClosedGroupThatIsHeldEndsWithItsLastReference() {
        VfioGroup group = host.openGroupOf(device);
        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        group.hold();
        group.hold();

        group.close();

        refused(Errno.EBADF, group::hold);
        refused(Errno.EBADF, group::unsetContainer);
        group.drop();
        refused(Errno.EBUSY, () -> host.vfio().openGroup(group.id()));
        assertThat(container.domains()).hasSize(1);
        group.drop();
        assertThat(container.domains()).isEmpty();
        assertThat(host.vfio().openGroup(group.id()).containerSet()).isFalse();
    }

    @Test
    void aReferenceDoesNotCloseAGroup() {
        VfioGroup group = host.openGroupOf(device);

        group.hold();
        group.drop();

        refused(Errno.EBUSY, () -> host.vfio().openGroup(group.id()));
        assertThat(group.viable()).isTrue();
    }

    @Test
    void aGroupIsNotViableWhileAKernelDriverUsesADeviceOfIt() {
        TestDevice first = host.add("00:0c.0", true);
        TestDevice second = host.add("00:0c.1", true);
        VfioGroup group = host.openGroupOf(first);
        host.core().group(second.id()).orElseThrow().useDefaultDomain(second);
        VfioContainer container = host.vfio().openContainer(process);

        assertThat(group.viable()).isFalse();
        refused(Errno.EPERM, () -> group.setContainer(container));
        refused(Errno.EINVAL, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));
        refused(Errno.EINVAL, () -> group.openDevice(first.id()));

        host.core().group(second.id()).orElseThrow().unuseDefaultDomain(second);
        assertThat(group.viable()).isTrue();
        group.setContainer(container);
        refused(Errno.EBUSY, () -> host.core().group(second.id()).orElseThrow().useDefaultDomain(second));
    }

    @Test
    void theContainerIsSetOnceAndUnsetOnce() {
        VfioGroup group = host.openGroupOf(device);
        VfioContainer container = host.vfio().openContainer(process);

        refused(Errno.EINVAL, group::unsetContainer);
        group.setContainer(container);
        assertThat(group.containerSet()).isTrue();
        assertThat(group.viable()).isTrue();
        refused(Errno.EINVAL, () -> group.setContainer(container));
        refused(Errno.EINVAL, () -> group.setContainer(host.vfio().openContainer(process)));
        group.unsetContainer();
        refused(Errno.EINVAL, group::unsetContainer);
    }

    @Test
    void anIommuNeedsAGroupAndIsSetOnceAndMustBeAKnownType() {
        VfioContainer container = host.vfio().openContainer(process);
        refused(Errno.EINVAL, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));
        host.openGroupOf(device).setContainer(container);

        refused(Errno.ENODEV, () -> container.setIommu(99));
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        refused(Errno.EINVAL, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));
    }

    @Test
    void mappingsNeedAnIommu() {
        VfioContainer container = host.vfio().openContainer(process);
        host.openGroupOf(device).setContainer(container);

        refused(Errno.EINVAL, () -> container.map(0, 0x1000, 0x1000, VfioContainer.MAP_READ));
        refused(Errno.EINVAL, () -> container.unmap(0, 0x1000, 0));
        refused(Errno.EINVAL, container::info);
        assertThat(container.domains()).isEmpty();
    }

    @Test
    void anOpenDeviceKeepsItsGroupInTheContainer() {
        VfioGroup group = host.openGroupOf(device);
        VfioContainer container = host.vfio().openContainer(process);
        refused(Errno.EINVAL, () -> group.openDevice(device.id()));
        group.setContainer(container);
        refused(Errno.EINVAL, () -> group.openDevice(device.id()));
        container.setIommu(VfioExtension.TYPE1_IOMMU);
        refused(Errno.ENODEV, () -> group.openDevice(PciAddress.parse("00:1e.0")));

        VfioDevice opened = group.openDevice(device.id());
        refused(Errno.EBUSY, group::unsetContainer);
        refused(Errno.EBUSY, group::close);
        refused(Errno.EBUSY, () -> host.vfio().unregister(opened));
        group.closeDevice(opened);
        refused(Errno.EINVAL, () -> group.closeDevice(opened));
        group.unsetContainer();
        host.vfio().unregister(opened);
        refused(Errno.ENODEV, () -> host.vfio().unregister(opened));
    }

    @Test
    void aNamedDeviceIsAssignedWithItsGroupAsAFunctionIs() {
        TestDevice display = host.addNamed("\\_SB.GPU0");
        VfioGroup group = host.openGroupOf(display);
        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        refused(Errno.ENODEV, () -> group.openDevice(new NamedDevice("\\_SB.GPU1")));
        refused(Errno.ENODEV, () -> group.openDevice(device.id()));

        VfioDevice opened = group.openDevice(new NamedDevice("\\_SB.GPU0"));

        assertThat(opened.device()).containsSame(display);
        assertThat(opened).hasToString("\\_SB.GPU0");
        assertThat(container.domains())
                .singleElement()
                .satisfies(state -> assertThat(state.devices()).containsExactly(display.id()));
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isEqualTo(1);
        group.closeDevice(opened);
        group.close();
        host.vfio().unregister(opened);
        refused(Errno.ENOENT, () -> host.vfio().openGroup(group.id()));
        container.close();
    }

    @Test
    void aNamedDeviceWithoutCoherentDmaOrAnIommuIsRefused() {
        TestDevice display = host.addNamed("\\_SB.GPU0");
        display.cacheCoherency = false;

        refused(Errno.EINVAL, () -> host.vfio().register(display.id()));
        refused(Errno.EINVAL, () -> host.vfio().register(new NamedDevice("\\_SB.GPU1")));
    }

    @Test
    void closingAGroupGivesItsDmaBackToTheKernel() {
        VfioGroup group = host.openGroupOf(device);
        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        refused(Errno.EBUSY, container::close);

        group.close();

        assertThat(host.core().group(device.id()).orElseThrow().inUse()).isFalse();
        assertThat(host.iommu.pagingDomains()).isZero();
        refused(Errno.EBADF, group::viable);
        container.close();
        VfioGroup again = host.vfio().openGroup(group.id());
        refused(Errno.EBADF, () -> again.setContainer(container));
    }

    @Test
    void aGroupIsCoherentWhenEveryRegisteredDeviceCanBlockNoSnoop() {
        TestDevice capable = host.add("00:0c.0", true);
        TestDevice incapable = host.add("00:0c.1", true);
        incapable.snoopControl = false;
        VfioGroup group = host.openGroupOf(capable);
        assertThat(group.enforcedCoherent()).isTrue();

        VfioDevice second = host.vfio().register(incapable.id());
        assertThat(group.enforcedCoherent()).isFalse();

        host.vfio().unregister(second);
        assertThat(group.enforcedCoherent()).isTrue();
    }

    @Test
    void aGroupWithoutRegisteredDevicesIsCoherent() {
        device.snoopControl = false;
        VfioDevice registered = host.vfio().register(device.id());
        VfioGroup group = host.vfio().openGroup(registered.groupId());
        assertThat(group.enforcedCoherent()).isFalse();

        host.vfio().unregister(registered);

        assertThat(group.enforcedCoherent()).isTrue();
    }

    @Test
    void aGroupOfAnotherHostIsRefused() {
        VfioContainer foreign = new TestHost().vfio().openContainer(process);

        refused(Errno.EINVAL, () -> host.openGroupOf(device).setContainer(foreign));
    }

    @Test
    void aReleaseWithoutRulesIsRefusedByName() {
        assertThatThrownBy(() -> new Vfio(host.core(), VfioOptions.DEFAULT.withRelease(new LinuxRelease(5, 4))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("5.4")
                .hasMessageContaining("7.1");
    }
}
