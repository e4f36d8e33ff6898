// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.core.IommuCore;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What VFIO says to an address that no user has; so do real kernels (MAP of a kernel address: EFAULT). */
class UserAddressesTest {
    @ParameterizedTest
    @CsvSource({
        "0x8000000000000000, 0x1000, EFAULT",
        "0xffff888000000000, 0x1000, EFAULT",
        "0x7ffffffffffff000, 0x2000, EFAULT",
        "0xfffffffffffff000, 0x1000, EFAULT",
        "0xfffffffffffff000, 0x2000, EOVERFLOW",
    })
    void addressesOfTheKernelsHalfFaultAndNothingStaysPinned(String address, String size, Errno errno) {
        Bench bench = new Bench(AmdConfigurations.configurations().get(0).flat());
        IommuCore core = IommuCore.open(bench.iommu(), bench.machine().topology());
        Vfio vfio = new Vfio(core, VfioOptions.DEFAULT.withAllowUnsafeInterrupts(true));
        UserProcess process = bench.machine().newProcess(100, false);
        process.allocate(0x7fff_ffff_ffff_f000L, 1, true);
        VfioContainer container = vfio.openContainer(process);
        VfioGroup group = vfio.openGroup(vfio.register(Bench.DEVICE).groupId());
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);

        assertThatThrownBy(() -> container.map(
                        0, Long.parseUnsignedLong(address.substring(2), 16), Long.decode(size), VfioContainer.MAP_READ))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));

        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
        container.map(0, 0x7fff_ffff_ffff_f000L, 0x1000, VfioContainer.MAP_READ);
        assertThat(process.pinned()).isOne();
    }

    /** Without an IOMMU nobody looks, until a driver pins, or a group with one comes. */
    @ParameterizedTest
    @ValueSource(strings = {"8000000000000000", "ffff888000000000", "7ffffffffffff000", "fffffffffffff000"})
    void whatIsMappedUnseenFaultsWhenItIsUsed(String address) {
        Bench bench = new Bench(AmdConfigurations.configurations().get(0).flat());
        IommuCore core = IommuCore.open(bench.iommu(), bench.machine().topology());
        Vfio vfio = new Vfio(core, VfioOptions.DEFAULT.withAllowUnsafeInterrupts(true));
        UserProcess process = bench.machine().newProcess(100, false);
        NamedDevice name = new NamedDevice("mdev0");
        VfioContainer container = vfio.openContainer(process);
        VfioGroup emulated =
                vfio.openGroup(vfio.registerEmulated(name, (iova, size) -> {}).groupId());
        emulated.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        container.map(0, Long.parseUnsignedLong(address, 16), 0x1000, VfioContainer.MAP_READ);
        VfioDevice device = emulated.openDevice(name);
        VfioGroup group = vfio.openGroup(vfio.register(Bench.DEVICE).groupId());

        assertFaults(() -> device.pinPages(0, Prot.READ, new long[1]));
        assertFaults(() -> group.setContainer(container));

        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
        assertThat(container.unmap(0, 0x1000, 0)).isEqualTo(0x1000);
        group.setContainer(container);
    }

    /** A new address is taken unseen. */
    @Test
    void aNewAddressFaultsWhenADriverUsesIt() {
        Bench bench = new Bench(AmdConfigurations.configurations().get(0).flat());
        IommuCore core = IommuCore.open(bench.iommu(), bench.machine().topology());
        Vfio vfio = new Vfio(core, VfioOptions.DEFAULT.withRelease(new LinuxRelease(6, 2)));
        UserProcess process = bench.machine().newProcess(100, false);
        process.allocate(0x10000, 1, true);
        NamedDevice name = new NamedDevice("mdev0");
        VfioContainer container = vfio.openContainer(process);
        VfioGroup emulated =
                vfio.openGroup(vfio.registerEmulated(name, (iova, size) -> {}).groupId());
        emulated.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        container.map(0, 0x10000, 0x1000, VfioContainer.MAP_READ);
        container.unmap(0, 0x1000, VfioContainer.UNMAP_VADDR);
        container.map(0, Long.MIN_VALUE, 0x1000, VfioContainer.MAP_VADDR);

        assertFaults(() -> emulated.openDevice(name).pinPages(0, Prot.READ, new long[1]));
        assertThat(process.pinned()).isZero();
    }

    private static void assertFaults(ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EFAULT));
    }
}
