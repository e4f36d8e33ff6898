// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestDomain;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Devices that their drivers emulate: groups without a domain, whose drivers pin what they need. */
class EmulatedDevicesTest {
    private static final int READ_WRITE = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;
    private static final long PAGE = 0x1000;
    private static final long MEMORY = 0x10000;
    private static final NamedDevice NAME = new NamedDevice("mdev0");

    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("00:05.0");
    private final TestProcess process =
            new TestProcess(12).place(MEMORY, 0x70_0000, 16, true).place(0x80000, 0x90_0000, 1, false);
    private final List<Long> told = new ArrayList<>();
    private VfioDevice registered;
    private VfioGroup group;
    private VfioContainer container;
    private VfioDevice open;

    @BeforeEach
    void aContainerWithAnEmulatedDevice() {
        registered = host.vfio().registerEmulated(NAME, this::unpin);
        group = host.vfio().openGroup(registered.groupId());
        container = host.vfio().openContainer(process);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        open = group.openDevice(NAME);
    }

    /** The driver. */
    private void unpin(long iova, long size) {
        told.add(iova);
        for (long at = 0; at < size; at += PAGE) {
            for (int times = 0; times < 3; times++) {
                open.unpinPages(iova + at, 1);
            }
        }
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private void assertHeld(long pages) {
        assertThat(process.pinned()).isEqualTo(pages);
        assertThat(process.charged()).isEqualTo(pages);
    }

    @Test
    void itsGroupIsViableAndItsFileIsNotCoherent() {
        assertThat(registered.groupId()).isEqualTo(host.core().groups().size());
        assertThat(registered.device()).isEmpty();
        assertThat(group.viable()).isTrue();
        assertThat(group.enforcedCoherent()).isFalse();
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU))
                .as("no domain of the container lets no-snoop pass")
                .isEqualTo(1);
        assertThat(container.info().iovaRanges()).isEmpty();
        assertThat(open.info().flags()).isZero();
        refused(Errno.EINVAL, open::config);
        refused(Errno.EBUSY, () -> host.vfio().registerEmulated(NAME, this::unpin));
    }

    @Test
    void until61ItsFileIsCoherentInAContainer() {
        TestHost old = new TestHost().with(VfioOptions.DEFAULT.withRelease(new LinuxRelease(6, 1)));
        old.add("00:05.0");
        VfioGroup oldGroup = old.vfio()
                .openGroup(old.vfio().registerEmulated(NAME, this::unpin).groupId());
        assertThat(oldGroup.enforcedCoherent()).isTrue();
        VfioContainer oldContainer = old.vfio().openContainer(process);
        oldGroup.setContainer(oldContainer);
        assertThat(oldGroup.enforcedCoherent()).isFalse();
        oldContainer.setIommu(VfioExtension.TYPE1V2_IOMMU);
        assertThat(oldGroup.enforcedCoherent()).isTrue();
    }

    @Test
    void mappingPinsNothingAndAnyAddressCanBeMapped() {
        container.map(0xfee00000L, MEMORY, 4 * PAGE, READ_WRITE);
        container.map(1L << 60, 0x40_0000_0000L, 4 * PAGE, READ_WRITE);
        assertHeld(0);
        assertThat(container.unmap(0, 0, VfioContainer.UNMAP_ALL)).isEqualTo(8 * PAGE);
    }

    @Test
    void aDriverPinsPagesAsOftenAsItLikesAndEachIsChargedOnce() {
        container.map(0, MEMORY, 4 * PAGE, READ_WRITE);
        long[] frames = new long[2];
        open.pinPages(PAGE, Prot.READ, frames);
        assertThat(frames).containsExactly(0x70_1000, 0x70_2000);
        open.pinPages(2 * PAGE, Prot.READ_WRITE, new long[1]);
        assertHeld(2);
        open.unpinPages(2 * PAGE, 1);
        assertHeld(2);
        open.unpinPages(PAGE, 2);
        assertHeld(0);
        open.unpinPages(PAGE, 2);
        assertHeld(0);
    }

    @Test
    void whatCanNotBePinnedLeavesNothingPinned() {
        container.map(0, MEMORY, 4 * PAGE, VfioContainer.MAP_READ);
        container.map(4 * PAGE, MEMORY, PAGE, READ_WRITE);
        container.map(5 * PAGE, 0x80000, PAGE, READ_WRITE);
        refused(Errno.EPERM, () -> open.pinPages(0, Prot.READ_WRITE, new long[1]));
        refused(Errno.EFAULT, () -> open.pinPages(4 * PAGE, Prot.READ, new long[2]));
        container.map(6 * PAGE, 0x80000, PAGE, VfioContainer.MAP_READ);
        refused(Errno.EINVAL, () -> open.pinPages(6 * PAGE, Prot.READ, new long[2]));
        refused(Errno.EINVAL, () -> open.pinPages(7 * PAGE, Prot.READ, new long[1]));
        assertHeld(0);
        container.map(0x100000, MEMORY, 16 * PAGE, READ_WRITE);
        refused(Errno.ENOMEM, () -> open.pinPages(0x100000, Prot.READ, new long[13]));
        assertHeld(0);
    }

    @Test
    void aCallPinsFrom1To512Pages() {
        refused(Errno.EINVAL, () -> open.pinPages(0, Prot.READ, new long[0]));
        refused(Errno.E2BIG, () -> open.pinPages(0, Prot.READ, new long[VfioDevice.MOST_PINS + 1]));
        refused(Errno.EINVAL, () -> open.pinPages(0, Prot.READ, new long[VfioDevice.MOST_PINS]));
    }

    /** The first and the last page of the address space are no neighbours any more. */
    @Test
    void pagesThatWrapAroundAreRefusedSince618() {
        container.map(0, MEMORY, PAGE, READ_WRITE);
        container.map(-PAGE, MEMORY + PAGE, PAGE, READ_WRITE);
        refused(Errno.EOVERFLOW, () -> open.pinPages(-PAGE, Prot.READ, new long[2]));
        open.pinPages(-PAGE, Prot.READ, new long[1]);
        assertHeld(1);
        TestHost old = new TestHost().with(VfioOptions.DEFAULT.withRelease(new LinuxRelease(6, 17)));
        old.add("00:05.0");
        VfioGroup oldGroup = old.vfio()
                .openGroup(old.vfio().registerEmulated(NAME, this::unpin).groupId());
        VfioContainer oldContainer = old.vfio().openContainer(process);
        oldGroup.setContainer(oldContainer);
        oldContainer.setIommu(VfioExtension.TYPE1V2_IOMMU);
        oldContainer.map(0, MEMORY + 2 * PAGE, PAGE, READ_WRITE);
        oldContainer.map(-PAGE, MEMORY + 3 * PAGE, PAGE, READ_WRITE);
        long[] frames = new long[2];
        oldGroup.openDevice(NAME).pinPages(-PAGE, Prot.READ, frames);
        assertThat(frames).containsExactly(0x70_3000, 0x70_2000);
    }

    @Test
    void aDriverIsToldOfWhatGoes() {
        container.map(0, MEMORY, 4 * PAGE, READ_WRITE);
        container.map(4 * PAGE, MEMORY, PAGE, READ_WRITE);
        open.pinPages(PAGE, Prot.READ, new long[2]);
        assertThat(container.unmap(0, 5 * PAGE, 0)).isEqualTo(5 * PAGE);
        assertThat(told).containsExactly(0L);
        assertHeld(0);
    }

    @Test
    void aDeviceThatJoinsHasEverythingPinnedAndChargedOnce() {
        container.map(0, MEMORY, 4 * PAGE, READ_WRITE);
        open.pinPages(PAGE, Prot.READ, new long[2]);
        VfioGroup real = host.openGroupOf(device);
        real.setContainer(container);
        assertThat(process.pinned()).isEqualTo(6);
        assertThat(process.charged()).isEqualTo(4);
        assertThat(((TestDomain) container.domains().get(0).domain()).pages()).hasSize(4);
        open.pinPages(0, Prot.READ, new long[1]);
        assertThat(process.charged()).as("it was charged already").isEqualTo(4);

        real.unsetContainer();
        assertThat(process.pinned()).isEqualTo(3);
        assertThat(process.charged()).as("only what the driver has pinned").isEqualTo(3);
        assertThat(container.info().dmaAvailable()).as("the mapping stays").isEqualTo(65534);
        real.setContainer(container);
        group.closeDevice(open);
        group.unsetContainer();
        assertThat(container.info().dmaAvailable()).as("the mapping stays").isEqualTo(65534);
    }

    @Test
    void aDeviceThatCanNotJoinLeavesWhatTheDriverPinned() {
        container.map(0, MEMORY, 4 * PAGE, READ_WRITE);
        container.map(8 * PAGE, 0x40_0000_0000L, PAGE, READ_WRITE);
        open.pinPages(PAGE, Prot.READ, new long[2]);
        VfioGroup real = host.openGroupOf(device);
        refused(Errno.EFAULT, () -> real.setContainer(container));
        assertHeld(2);
        assertThat(container.domains()).isEmpty();
        container.unmap(8 * PAGE, PAGE, 0);
        real.setContainer(container);
        assertThat(process.charged()).isEqualTo(4);
    }

    @Test
    void theLastGroupTakesTheMappingsWithIt() {
        container.map(0, MEMORY, 4 * PAGE, READ_WRITE);
        group.closeDevice(open);
        group.unsetContainer();
        refused(Errno.EINVAL, container::info);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        assertThat(container.info().dmaAvailable()).isEqualTo(65535);
    }

    @Test
    void aContainerOfTypeOnePinsNothingForADriver() {
        group.closeDevice(open);
        group.unsetContainer();
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1_IOMMU);
        open = group.openDevice(NAME);
        container.map(0, MEMORY, 4 * PAGE, READ_WRITE);
        refused(Errno.EACCES, () -> open.pinPages(0, Prot.READ, new long[1]));
    }
}
