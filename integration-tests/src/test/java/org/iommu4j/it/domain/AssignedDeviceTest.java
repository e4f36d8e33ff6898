// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceInfo;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a user does with the configuration space of its device, and what the device does then. */
class AssignedDeviceTest {
    private static final long PAGE = 4096;
    private static final long IOVA = 0x4000_0000L;
    private static final long MEMORY = 0x7f00_0000_0000L;
    private static final int COMMAND = 4;
    private static final int BUS_MASTER = 4;
    private static final int SERR = 1 << 8;
    private static final int ENABLE_NO_SNOOP = 1 << 11;
    private static final int PHANTOM_FUNCTIONS = 1 << 9;
    private static final int PAYLOAD = 7 << 5;
    private static final int RESET = 1 << 15;

    private final Bench bench = new Bench(
            IntelConfigurations.of("no SC", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_NO_SNOOP_CONTROL));
    private final IommuCore core = IommuCore.open(bench.iommu(), bench.machine().topology());
    private final Vfio vfio = new Vfio(core, VfioOptions.DEFAULT.withAllowUnsafeInterrupts(true));
    private final UserProcess process = bench.machine().newProcess(16, false);
    private final VfioContainer container = vfio.openContainer(process);
    private final Endpoint endpoint = bench.endpoint();
    private VfioGroup group;
    private VfioDevice device;
    private ConfigSpace config;
    private int control;

    @BeforeEach
    void anOpenDevice() {
        group = vfio.openGroup(vfio.register(Bench.DEVICE).groupId());
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        process.allocate(MEMORY, 4, true);
        container.map(IOVA, MEMORY, 4 * PAGE, VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
        device = group.openDevice(Bench.DEVICE);
        config = device.config();
        control = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) + 8;
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private void set(int offset, int bits) {
        config.write(offset, 2, config.read(offset, 2) | bits);
    }

    private void clear(int offset, int bits) {
        config.write(offset, 2, config.read(offset, 2) & ~bits);
    }

    @Test
    void itSendsNothingBeforeItsUserHasItDoSo() {
        assertThat(endpoint.write(IOVA, 1, false)).isFalse();
        assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.BUS_MASTER_DISABLED);
        set(COMMAND, BUS_MASTER);
        bench.assertReaches(IOVA, process.translate(MEMORY));
        clear(COMMAND, BUS_MASTER);
        assertThat(endpoint.write(IOVA, 1, false)).isFalse();
    }

    /** So a guest whose device does no-snoop needs KVM's flushes, where the unit can't block it. */
    @Test
    void enableNoSnoopIsTheUsers() {
        set(COMMAND, BUS_MASTER);
        set(control, ENABLE_NO_SNOOP);
        assertThat(bench.isSnooped(endpoint, IOVA, process.translate(MEMORY))).isFalse();
        clear(control, ENABLE_NO_SNOOP);
        assertThat(bench.isSnooped(endpoint, IOVA, process.translate(MEMORY))).isTrue();
        config.write(control + 1, 1, ENABLE_NO_SNOOP >> 8);
        assertThat(config.read(control, 2) & ENABLE_NO_SNOOP).isNotZero();
        assertThat(endpoint.config().noSnoopEnabled()).isTrue();
        config.write(control, 4, 0);
        assertThat(endpoint.config().noSnoopEnabled()).isFalse();
    }

    @Test
    void whatWouldDisturbOthersReachesOnlyACopy() {
        int before = endpoint.config().read(control, 2);
        config.write(control, 2, before | PHANTOM_FUNCTIONS | PAYLOAD | RESET);
        assertThat(endpoint.config().read(control, 2)).isEqualTo(before);
        assertThat(config.read(control, 2)).as("the user's copy").isEqualTo(before | PAYLOAD);
        assertThat(config.read(control, 4) & 0xffff).isEqualTo(before | PAYLOAD);
        assertThat(config.read(control, 1)).isEqualTo((before | PAYLOAD) & 0xff);
        config.write(0, 4, 0);
        assertThat(config.read(0, 4))
                .as("ids can't be written")
                .isEqualTo(endpoint.config().read(0, 4));
        assertThat(config.size()).isEqualTo(endpoint.config().size());
    }

    @Test
    void theLastCloseTakesBackWhatTheUserSet() {
        VfioDevice again = group.openDevice(Bench.DEVICE);
        clear(control, ENABLE_NO_SNOOP);
        set(COMMAND, BUS_MASTER);
        group.closeDevice(again);
        assertThat(endpoint.config().busMasterEnabled()).as("it is still open").isTrue();
        group.closeDevice(device);
        assertThat(endpoint.config().busMasterEnabled()).isFalse();
        assertThat(endpoint.config().noSnoopEnabled()).as("as it was").isTrue();
        refused(Errno.EBADF, () -> config.read(0, 4));
        refused(Errno.EBADF, () -> config.write(COMMAND, 2, BUS_MASTER));
        refused(Errno.EBADF, device::config);
        refused(Errno.EBADF, device::info);
        refused(Errno.EBADF, device::reset);
    }

    @Test
    void theNextOpenFindsTheCommandOfTheFirst() {
        int opened = config.read(COMMAND, 2);
        config.write(COMMAND, 2, opened ^ SERR);
        group.closeDevice(device);

        device = group.openDevice(Bench.DEVICE);

        assertThat(device.config().read(COMMAND, 2)).isEqualTo(opened);
    }

    @Test
    void aDeviceAloneBelowItsPortCanBeReset() {
        VfioDeviceInfo info = device.info();
        assertThat(info).isEqualTo(new VfioDeviceInfo(VfioDeviceInfo.PCI | VfioDeviceInfo.RESET, 9, 5));
        set(control, ENABLE_NO_SNOOP);
        set(COMMAND, BUS_MASTER);
        device.reset();
        assertThat(endpoint.config().noSnoopEnabled()).isTrue();
        bench.assertReaches(IOVA, process.translate(MEMORY));
        refused(Errno.EINVAL, () -> device.info(15));
        assertThat(device.info(16)).isEqualTo(info);
    }

    @Test
    void accessesOutsideTheSpaceAreRefused() {
        refused(Errno.EINVAL, () -> config.read(config.size(), 1));
        refused(Errno.EINVAL, () -> config.read(-4, 4));
        refused(Errno.EINVAL, () -> config.read(2, 4));
        refused(Errno.EINVAL, () -> config.write(0, 3, 0));
    }

    /** Registers of another device that the process has mapped: neither pinned nor charged. */
    @Test
    void memoryWithoutRamIsMappedAndNotCharged() {
        UserProcess poor = bench.machine().newProcess(1, false);
        poor.mapRegisters(MEMORY, 0xf000_0000L, 8, true);
        poor.allocate(MEMORY + 8 * PAGE, 1, true);
        long iova = IOVA + 0x10_0000;
        container.map(poor, iova, MEMORY, 9 * PAGE, VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
        assertThat(container.domains().get(0).domain().translate(iova + PAGE)).isEqualTo(0xf000_1000L);
        assertThat(poor.charged()).isEqualTo(1);
        assertThat(poor.pinned()).isEqualTo(1);
        assertThat(container.unmap(iova, 9 * PAGE, 0)).isEqualTo(9 * PAGE);
        assertThat(poor.charged()).isZero();
        assertThat(poor.pinned()).isZero();
    }
}
