// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuCore;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
}
