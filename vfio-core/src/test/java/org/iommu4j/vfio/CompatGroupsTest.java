// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.Test;

/** Groups of all kinds in an iommufd that serves as their container. */
class CompatGroupsTest {
    private static final long PAGE = 0x1000;
    private static final long MEMORY = 0x10000;
    private static final NamedDevice EMULATED = new NamedDevice("mdev0");
    private static final NamedDevice NOBODYS = new NamedDevice("nobody-translates-for-it");

    private final TestProcess process = new TestProcess().place(MEMORY, 0x70_0000, 16, true);
    private final List<Long> told = new ArrayList<>();
    private TestHost host = new TestHost();
    private TestDevice device;
    private Iommufd iommufd;

    /** The emulated device, for its driver. */
    private VfioDevice emulated;

    private void open(String release, IommufdUser.Capability... capabilities) {
        LinuxRelease linux = LinuxRelease.of(release);
        host = new TestHost().with(VfioOptions.DEFAULT.withRelease(linux).withEnableUnsafeNoIommuMode(true));
        device = host.add("00:05.0");
        iommufd = Iommufd.open(
                IommufdOptions.DEFAULT.withRelease(linux).withNoIommu(true),
                new IommufdUser(process, new UserAccount(1 << 20), Set.of(capabilities)));
    }

    private VfioGroup groupWithoutIommu() {
        return host.vfio().openNoIommuGroup(host.vfio().register(NOBODYS).groupId(), true);
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void anEmulatedDevicePinsThroughTheIoasAndIsAskedToLetGo() {
        open("7.3");
        VfioDevice registered = host.vfio().registerEmulated(EMULATED, (iova, size) -> {
            told.add(iova);
            emulated.unpinPages(0x101000, 2);
        });
        emulated = registered;
        VfioGroup group = host.vfio().openGroup(registered.groupId());
        group.setContainer(iommufd);
        VfioDevice open = group.openDevice(EMULATED);
        assertThat(iommufd.objects()).as("the IOAS and the access").isEqualTo(2);
        assertThat(group.enforcedCoherent()).isFalse();
        CompatContainer container = iommufd.vfioContainer();
        container.map(0x100000, MEMORY, 4 * PAGE, 3);
        assertThat(process.pinned()).isZero();

        long[] frames = new long[2];
        open.pinPages(0x101000, Prot.READ_WRITE, frames);
        assertThat(frames).containsExactly(0x70_1000, 0x70_2000);
        assertThat(process.pinned()).isEqualTo(2);
        refused(Errno.ENOENT, () -> open.pinPages(0x104000, Prot.READ, new long[1]));
        open.unpinPages(0x101000, 2);
        assertThat(process.pinned()).isZero();

        open.pinPages(0x101000, Prot.READ, new long[2]);
        assertThat(container.unmap(0x100000, 4 * PAGE, 0).bytes()).isEqualTo(4 * PAGE);
        assertThat(told).hasSize(1);
        assertThat(process.pinned()).isZero();

        container.map(0x100000, MEMORY, 4 * PAGE, 3);
        open.pinPages(0x101000, Prot.READ, new long[2]);
        group.closeDevice(open);
        assertThat(told).as("asked once more when it is closed").hasSize(2);
        assertThat(process.pinned()).isZero();
        refused(Errno.EBADF, () -> open.pinPages(0x101000, Prot.READ, new long[1]));
        group.unsetContainer();
        assertThat(iommufd.objects()).as("the IOAS").isEqualTo(1);
        iommufd.close();
        assertThat(process.charged()).isZero();
    }

    @Test
    void anEmulatedDeviceNeedsTheIoasOfVfiosCalls() {
        open("6.12");
        VfioDevice registered = host.vfio().registerEmulated(EMULATED, (iova, size) -> {});
        VfioGroup group = host.vfio().openGroup(registered.groupId());
        group.setContainer(iommufd);
        iommufd.vfioIoasClear();
        refused(Errno.ENODEV, () -> group.openDevice(EMULATED));
        assertThat(iommufd.objects()).as("the IOAS that is no longer VFIO's").isEqualTo(1);
    }

    @Test
    void anEmulatedDeviceSharesTheIoasWithHardware() {
        open("7.3");
        VfioDevice registered = host.vfio().registerEmulated(EMULATED, (iova, size) -> told.add(iova));
        VfioGroup group = host.vfio().openGroup(registered.groupId());
        VfioGroup real = host.openGroupOf(device);
        group.setContainer(iommufd);
        real.setContainer(iommufd);
        VfioDevice open = group.openDevice(EMULATED);
        VfioDevice hardware = real.openDevice(device.id());
        iommufd.vfioContainer().map(0x100000, MEMORY, 4 * PAGE, 3);
        assertThat(process.pinned()).isEqualTo(4);
        open.pinPages(0x100000, Prot.READ, new long[4]);
        assertThat(process.pinned()).as("the pages are pinned already").isEqualTo(4);
        open.unpinPages(0x100000, 4);
        real.closeDevice(hardware);
        assertThat(process.pinned()).isZero();
        group.closeDevice(open);
    }

    @Test
    void since63AGroupWithoutAnIommuHasAnIommufdForItself() {
        for (String release : new String[] {"6.3", "7.3"}) {
            open(release, IommufdUser.Capability.SYS_RAWIO);
            VfioGroup group = groupWithoutIommu();
            CompatContainer container = iommufd.vfioContainer();
            assertThat(container.checkExtension(VfioExtension.NOIOMMU_IOMMU)).isEqualTo(1);
            refused(Errno.EINVAL, () -> container.setIommu(VfioExtension.NOIOMMU_IOMMU));
            group.setContainer(iommufd);
            assertThat(iommufd.objects()).as(release).isZero();
            container.setIommu(VfioExtension.NOIOMMU_IOMMU);
            refused(Errno.EINVAL, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));
            refused(Errno.ENODEV, () -> container.map(0, MEMORY, PAGE, 3));
            VfioDevice open = group.openDevice(NOBODYS);
            assertThat(open.info().regions()).isZero();
            assertThat(group.enforcedCoherent()).isFalse();
            VfioGroup real = host.openGroupOf(device);
            refused(Errno.EINVAL, () -> real.setContainer(iommufd));
            group.closeDevice(open);
            group.unsetContainer();
            refused(Errno.EINVAL, () -> real.setContainer(iommufd));
            iommufd.vfioIoasSet(iommufd.ioasAlloc(0));
            refused(Errno.EINVAL, () -> group.setContainer(iommufd));
        }
        open("6.2", IommufdUser.Capability.SYS_RAWIO);
        VfioGroup group = groupWithoutIommu();
        group.setContainer(iommufd);
        assertThat(iommufd.objects()).as("an IOAS is made").isEqualTo(1);
        assertThat(iommufd.vfioContainer().checkExtension(VfioExtension.NOIOMMU_IOMMU))
                .isZero();
        refused(Errno.EINVAL, () -> group.openDevice(NOBODYS));
    }

    @Test
    void aDeviceWithoutAnIommuIsOpenedOnlyByAUserWhoExpectsNoTranslation() {
        open("7.3");
        VfioGroup group = groupWithoutIommu();
        group.setContainer(iommufd);
        refused(Errno.EPERM, () -> iommufd.vfioContainer().setIommu(VfioExtension.NOIOMMU_IOMMU));
        refused(Errno.EPERM, () -> group.openDevice(NOBODYS));

        open("7.3", IommufdUser.Capability.SYS_RAWIO);
        VfioGroup second = groupWithoutIommu();
        second.setContainer(iommufd);
        iommufd.vfioIoasSet(iommufd.ioasAlloc(0));
        refused(Errno.EPERM, () -> second.openDevice(NOBODYS));
        iommufd.vfioIoasClear();
        second.closeDevice(second.openDevice(NOBODYS));
    }

    @Test
    void aContainerForNestingServesEmulatedDevicesAlone() {
        open("6.12");
        VfioGroup group = host.vfio()
                .openGroup(host.vfio()
                        .registerEmulated(EMULATED, (iova, size) -> emulated.unpinPages(iova, 1))
                        .groupId());
        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1_NESTING_IOMMU);
        emulated = group.openDevice(EMULATED);
        container.map(0, MEMORY, 4 * PAGE, VfioContainer.MAP_READ);
        emulated.pinPages(0, Prot.READ, new long[1]);
        refused(Errno.EINVAL, () -> container.unmap(0, PAGE, 0));
        VfioGroup real = host.openGroupOf(device);
        refused(Errno.EINVAL, () -> real.setContainer(container));
        assertThat(host.iommu.pagingDomains()).isZero();
        assertThat(real.containerSet()).isFalse();
        assertThat(container.unmap(0, 4 * PAGE, 0)).isEqualTo(4 * PAGE);
        assertThat(process.pinned()).isZero();
    }

    @Test
    void until617ARangeToTheEndIsEmptyAndCutsOnlyWhatEndsBefore() {
        for (String release : new String[] {"6.17", "6.18"}) {
            open(release);
            VfioGroup group = host.vfio()
                    .openGroup(host.vfio()
                            .registerEmulated(EMULATED, (iova, size) -> {})
                            .groupId());
            VfioContainer container = host.vfio().openContainer(process);
            group.setContainer(container);
            container.setIommu(VfioExtension.TYPE1V2_IOMMU);
            container.map(-2 * PAGE, MEMORY, 2 * PAGE, VfioContainer.MAP_READ);
            container.map(-6 * PAGE, MEMORY, 2 * PAGE, VfioContainer.MAP_READ);
            refused(Errno.EINVAL, () -> container.unmap(-5 * PAGE, 5 * PAGE, 0));
            if (release.equals("6.17")) {
                assertThat(container.unmap(-PAGE, PAGE, 0)).isZero();
            } else {
                refused(Errno.EINVAL, () -> container.unmap(-PAGE, PAGE, 0));
            }
        }
    }

    @Test
    void aClosedIommufdIsNoContainerAnyMore() {
        open("7.3");
        VfioGroup group = host.vfio().openGroup(host.vfio().register(device.id()).groupId());
        CompatContainer container = iommufd.vfioContainer();
        iommufd.close();
        refused(Errno.EBADF, () -> group.setContainer(iommufd));
        assertThat(group.containerSet()).isFalse();
        refused(Errno.EBADF, container::apiVersion);
        refused(Errno.EBADF, () -> container.checkExtension(1));
        refused(Errno.EBADF, () -> container.setIommu(1));
        refused(Errno.EBADF, () -> container.map(0, MEMORY, PAGE, 3));
        refused(Errno.EBADF, () -> container.info(64));
        refused(Errno.EBADF, container::dirtyPages);
        assertThat(container.unmap(0, PAGE, 0).failure())
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.EBADF));
        assertThat(iommufd.objects()).isZero();
    }
}
