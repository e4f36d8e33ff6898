// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.Test;

/** Slices of a unit for guests, in the order in which Linux looks. */
class VirtualIommuTest {
    private static final int UNKNOWN = 9999;
    private static final int TYPE = 7;

    private TestDevice first;
    private TestDevice second;
    private Iommufd iommufd;
    private VfioDeviceFile file;
    private int device;
    private int other;
    private int parent;

    private void boot(String release) {
        LinuxRelease linux = LinuxRelease.of(release);
        TestHost host = new TestHost();
        first = host.add("0000:00:05.0");
        second = host.add("0000:00:06.0");
        first.virtualIommuUnit = Optional.of("test0");
        second.virtualIommuUnit = Optional.of("test1");
        host.with(VfioOptions.DEFAULT.withRelease(linux));
        iommufd = Iommufd.open(IommufdOptions.DEFAULT.withRelease(linux), IommufdUser.root(new TestProcess()));
        file = VfioDeviceFile.open(host.vfio(), host.vfio().register(first.id()));
        device = file.bind(iommufd);
        other = VfioDeviceFile.open(host.vfio(), host.vfio().register(second.id()))
                .bind(iommufd);
        parent = iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.NEST_PARENT, device, iommufd.ioasAlloc(0)));
    }

    private static void assertRefused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void aVirtualIommuHoldsItsParentAndIsHeldByItsDevicesAndQueues() {
        boot("7.3");
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.viommuAlloc(1, TYPE, UNKNOWN, parent));
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.viommuAlloc(0, 0, UNKNOWN, parent));
        assertRefused(Errno.ENOENT, () -> iommufd.viommuAlloc(0, TYPE, UNKNOWN, parent));
        assertRefused(Errno.ENOENT, () -> iommufd.viommuAlloc(0, TYPE, device, UNKNOWN));
        int plain = iommufd.hwptAlloc(new HwptAlloc(0, device, iommufd.ioasAlloc(0)));
        assertRefused(Errno.EINVAL, () -> iommufd.viommuAlloc(0, TYPE, device, plain));
        int virtual = iommufd.viommuAlloc(0, TYPE, device, parent);
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(parent));

        assertRefused(Errno.ENOENT, () -> iommufd.vdeviceAlloc(parent, device, 1));
        assertRefused(Errno.ENOENT, () -> iommufd.vdeviceAlloc(virtual, UNKNOWN, 1));
        assertRefused(Errno.EINVAL, () -> iommufd.vdeviceAlloc(virtual, other, 1));
        int known = iommufd.vdeviceAlloc(virtual, device, 1);
        assertRefused(Errno.EEXIST, () -> iommufd.vdeviceAlloc(virtual, device, 2));
        second.virtualIommuUnit = first.virtualIommuUnit;
        assertRefused(Errno.EEXIST, () -> iommufd.vdeviceAlloc(virtual, other, 1));
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(virtual));
        iommufd.destroy(known);
        assertThat(iommufd.vdeviceAlloc(virtual, other, 1)).isEqualTo(known);
        iommufd.destroy(known);

        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.veventqAlloc(0, virtual, 0, 1));
        assertRefused(Errno.EINVAL, () -> iommufd.veventqAlloc(0, UNKNOWN, 1, 0));
        assertRefused(Errno.ENOENT, () -> iommufd.veventqAlloc(0, parent, 1, 1 << 19));
        EventQueue queue = iommufd.veventqAlloc(0, virtual, 1, 1);
        assertRefused(Errno.EEXIST, () -> iommufd.veventqAlloc(0, virtual, 1, 1));
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(queue.id()));
        queue.close();
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(virtual));
        iommufd.destroy(queue.id());

        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.hwQueueAlloc(0, UNKNOWN, 0, 0, 0));
        assertRefused(Errno.EINVAL, () -> iommufd.hwQueueAlloc(0, UNKNOWN, 1, 0, 0));
        assertRefused(Errno.EOVERFLOW, () -> iommufd.hwQueueAlloc(0, UNKNOWN, 1, -1L, 2));
        assertRefused(Errno.ENOENT, () -> iommufd.hwQueueAlloc(0, UNKNOWN, 1, 0, 1));
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.hwQueueAlloc(0, virtual, 1, 0, 1));

        GuestTable table = new GuestTable() {};
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.hwptAlloc(new HwptAlloc(0, device, virtual, 1, table, 0)));
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.hwptInvalidate(virtual, 1, List.of()));
        iommufd.destroy(virtual);
        iommufd.destroy(parent);
    }

    @Test
    void aHwptOfADeviceBehindAnotherUnitIsInvalid() {
        boot("7.3");
        int virtual = iommufd.viommuAlloc(0, TYPE, device, parent);
        assertRefused(
                Errno.EINVAL, () -> iommufd.hwptAlloc(new HwptAlloc(0, other, virtual, 1, new GuestTable() {}, 0)));
    }

    @Test
    void aVirtualDeviceGoesWithItsDeviceAndItsIdIsNotUsedAgain() {
        boot("7.3");
        int virtual = iommufd.viommuAlloc(0, TYPE, device, parent);
        int known = iommufd.vdeviceAlloc(virtual, device, 1);
        file.close();
        assertRefused(Errno.ENOENT, () -> iommufd.destroy(known));
        assertThat(iommufd.ioasAlloc(0)).as("the device's id").isEqualTo(device);
        assertThat(iommufd.ioasAlloc(0)).isGreaterThan(known);
        iommufd.destroy(virtual);
    }

    @Test
    void aDriverWithoutThemIsRefusedBeforeTheParentIsLookedAt() {
        boot("7.3");
        first.virtualIommuUnit = Optional.empty();
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.viommuAlloc(0, TYPE, device, UNKNOWN));
    }

    @Test
    void aQueueMayBeOfAnyDepthUntil71() {
        boot("7.1");
        int virtual = iommufd.viommuAlloc(0, TYPE, device, parent);
        iommufd.veventqAlloc(0, virtual, 1, -1).close();
        boot("7.2");
        assertRefused(Errno.EINVAL, () -> iommufd.veventqAlloc(0, UNKNOWN, 1, (1 << 19) + 1));
    }

    @Test
    void eachCallCameWithItsRelease() {
        boot("6.12");
        assertRefused(Errno.ENOTTY, () -> iommufd.viommuAlloc(0, TYPE, device, parent));
        assertRefused(Errno.ENOTTY, () -> iommufd.vdeviceAlloc(UNKNOWN, device, 1));
        boot("6.14");
        assertRefused(Errno.ENOTTY, () -> iommufd.veventqAlloc(0, UNKNOWN, 1, 1));
        boot("6.16");
        assertRefused(Errno.ENOTTY, () -> iommufd.hwQueueAlloc(0, UNKNOWN, 1, 0, 1));
    }
}
