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
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** An emulated device's own file, bound to an iommufd: its driver pins through an access. */
class EmulatedFilesTest {
    private static final long PAGE = 4096;
    private static final long MEMORY = 0x10000;
    private static final long IOVA = 0x100000;
    private static final NamedDevice NAME = new NamedDevice("mdev0");
    private static final int FIXED = IoasMap.FIXED_IOVA | IoasMap.READABLE | IoasMap.WRITEABLE;

    private final TestProcess process = new TestProcess().place(MEMORY, 0x70_0000, 16, true);
    private final UserAccount account = new UserAccount(1 << 20);
    private final List<Long> told = new ArrayList<>();
    private TestHost host;
    private Iommufd iommufd;
    private TestDevice real;
    private VfioDevice device;
    private VfioDeviceFile file;
    private boolean pinned;

    @BeforeEach
    void aDeviceOfTheNewestRelease() {
        boot("7.3");
    }

    private void boot(String release) {
        LinuxRelease linux = LinuxRelease.of(release);
        host = new TestHost().with(VfioOptions.DEFAULT.withRelease(linux));
        real = host.add("00:05.0");
        iommufd = Iommufd.open(
                IommufdOptions.DEFAULT.withRelease(linux), new IommufdUser(process, account, Set.of()));
        device = host.vfio().registerEmulated(NAME, this::unmapped);
        file = VfioDeviceFile.open(host.vfio(), device);
    }

    /** The driver. */
    private void unmapped(long iova, long size) {
        told.add(iova);
        if (pinned) {
            pinned = false;
            device.unpinPages(IOVA + PAGE, 2);
        }
    }

    private void pin() {
        device.pinPages(IOVA + PAGE, Prot.READ_WRITE, new long[2]);
        pinned = true;
    }

    private int mapped() {
        int ioas = iommufd.ioasAlloc(0);
        iommufd.ioasMap(new IoasMap(FIXED, ioas, MEMORY, 4 * PAGE, IOVA));
        return ioas;
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void itHasOneSince66() {
        LinuxRelease linux = LinuxRelease.of("6.5");
        TestHost old = new TestHost().with(VfioOptions.DEFAULT.withRelease(linux));
        VfioDevice registered = old.vfio().registerEmulated(NAME, this::unmapped);
        refused(Errno.ENOENT, () -> VfioDeviceFile.open(old.vfio(), registered));
        boot("6.6");
        assertThat(file.bind(iommufd)).isPositive();
    }

    @Test
    void itPinsWhereItIsAttachedAndIsToldOfWhatGoes() {
        int id = file.bind(iommufd);
        assertThat(iommufd.objects()).as("the access").isOne();
        refused(Errno.EBUSY, () -> iommufd.destroy(id));
        refused(Errno.ENOENT, this::pin);
        int ioas = mapped();
        assertThat(file.attach(ioas)).isEqualTo(ioas);
        pin();
        assertThat(process.pinned()).isEqualTo(2);
        assertThat(account.charged()).isEqualTo(2);
        assertThat(iommufd.ioasUnmap(ioas, 0, -1L)).isEqualTo(4 * PAGE);
        assertThat(told).containsExactly(IOVA);
        assertThat(process.pinned()).isZero();
        refused(Errno.EBUSY, () -> iommufd.destroy(ioas));
        file.detach();
        file.detach();
        iommufd.destroy(ioas);
    }

    @Test
    void itMovesAndLetsGoWhereItWas() {
        file.bind(iommufd);
        int first = mapped();
        int second = mapped();
        file.attach(first);
        pin();
        file.attach(second);
        assertThat(told).containsExactly(0L);
        assertThat(process.pinned()).isZero();
        iommufd.destroy(first);
        file.attach(second);
        assertThat(told).as("it stays").hasSize(1);
    }

    /** It has no DMA of its own, so neither a HWPT nor PASIDs are for it. */
    @Test
    void onlyAnIoasTakesIt() {
        VfioDeviceFile other = VfioDeviceFile.open(host.vfio(), host.vfio().register(real.id()));
        int dma = other.bind(iommufd);
        file.bind(iommufd);
        int ioas = mapped();
        int hwpt = iommufd.hwptAlloc(new HwptAlloc(0, dma, ioas));
        refused(Errno.ENOENT, () -> file.attach(hwpt));
        refused(Errno.ENOENT, () -> file.attach(dma));
        refused(Errno.EOPNOTSUPP, () -> file.attachPasid(1, ioas));
        refused(Errno.EOPNOTSUPP, () -> file.detachPasid(1));
        file.attach(ioas);
        refused(Errno.ENOENT, () -> file.attach(hwpt));
        pin();
        assertThat(process.pinned()).as("it is attached, with the HWPT").isEqualTo(4);
    }

    @Test
    void itsFileOrItsGroupIsOpen() {
        refused(Errno.EINVAL, () -> file.attach(1));
        refused(Errno.EINVAL, file::info);
        VfioGroup group = host.vfio().openGroup(device.groupId());
        refused(Errno.EBUSY, () -> file.bind(iommufd));
        group.close();
        refused(Errno.EINVAL, () -> file.bind(iommufd, VfioDeviceFile.BIND_TOKEN, null));
        refused(Errno.EBADFD, () -> file.bind(new Object()));
        file.bind(iommufd);
        refused(Errno.EINVAL, () -> file.bind(iommufd));
        refused(Errno.EBUSY, () -> host.vfio().openGroup(device.groupId()));
        VfioDeviceFile again = VfioDeviceFile.open(host.vfio(), device);
        refused(Errno.EINVAL, () -> again.bind(iommufd));
        assertThat(file.enforcedCoherent()).as("KVM takes it as not coherent").isFalse();
        assertThat(file.info().flags()).isZero();
        refused(Errno.EBUSY, () -> host.vfio().unregister(device));
        file.close();
        again.bind(iommufd);
        again.close();
        host.vfio().unregister(device);
    }

    @Test
    void itsLastCloseLetsGoOfEverything() {
        file.bind(iommufd);
        int ioas = mapped();
        file.attach(ioas);
        pin();
        file.close();
        assertThat(told).containsExactly(0L);
        assertThat(process.pinned()).isZero();
        assertThat(account.charged()).isZero();
        iommufd.destroy(ioas);
        assertThat(iommufd.objects()).isZero();
    }

    @Test
    void itKeepsAClosedIommufdsObjects() {
        file.bind(iommufd);
        file.attach(mapped());
        pin();
        iommufd.close();
        assertThat(iommufd.objects()).as("the access and the IOAS").isEqualTo(2);
        file.close();
        assertThat(iommufd.objects()).isZero();
        assertThat(process.pinned()).isZero();
    }
}
