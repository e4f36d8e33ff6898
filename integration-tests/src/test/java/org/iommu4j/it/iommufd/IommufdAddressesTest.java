// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Addresses that no process has, by every call that takes one: EFAULT once someone looks, and nothing is kept. */
class IommufdAddressesTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final long MEMORY = IommufdBench.MEMORY;
    private static final long IOVA = 0x4000_0000L;
    private static final int FIXED = IoasMap.FIXED_IOVA | IoasMap.READABLE | IoasMap.WRITEABLE;

    private final IommufdBench bench = new IommufdBench(IommufdBench.named("amd"), "7.3", 16);
    private final Iommufd iommufd = bench.open();
    private final VfioDeviceFile file = bench.file(bench.first);
    private int device;
    private int attached;
    private int ioas;

    @BeforeEach
    void anIoasWithADeviceAndOneWithout() {
        device = file.bind(iommufd);
        attached = iommufd.ioasAlloc(0);
        file.attach(attached);
        ioas = iommufd.ioasAlloc(0);
    }

    @AfterEach
    void nothingIsKept() {
        assertThat(bench.process.pinned()).isZero();
        assertThat(bench.account.charged()).isZero();
        file.close();
        iommufd.close();
        bench.core.close();
        bench.iommu.close();
        assertThat(iommufd.objects()).isZero();
    }

    private static void assertRefused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private void map(int target, long address, long length) {
        iommufd.ioasMap(new IoasMap(FIXED, target, address, length, IOVA));
    }

    @ParameterizedTest
    @ValueSource(strings = {"8000000000000000", "ffff888000000000", "7ffffffffffff000", "ffffffffffffe000", "0"})
    void anAddressIsLookedAtOnceThereIsADevice(String text) {
        long address = Long.parseUnsignedLong(text, 16);
        assertRefused(Errno.EFAULT, () -> map(attached, address, PAGE));
        map(ioas, address, PAGE);
        assertRefused(Errno.EFAULT, () -> file.attach(ioas));
        assertRefused(Errno.EFAULT, () -> iommufd.hwptAlloc(new HwptAlloc(0, device, ioas)));
        assertRefused(
                Errno.EFAULT, () -> iommufd.ioasCopy(new IoasCopy(FIXED, attached, ioas, PAGE, 0x5000_0000L, IOVA)));
        assertThat(iommufd.ioasUnmap(ioas, 0, -1L)).isEqualTo(PAGE);
        assertThat(iommufd.objects()).as("two IOAS, a device and its HWPT").isEqualTo(4);
    }

    @ParameterizedTest
    @ValueSource(strings = {"8000000000000000", "ffff888000000000", "7ffffffffffff000", "ffffffffffffe000", "0"})
    void anAddressIsLookedAtOnceADriverUsesIt(String text) {
        map(ioas, Long.parseUnsignedLong(text, 16), PAGE);
        IommufdAccess access = iommufd.createAccess((iova, length) -> {}, true);
        access.attach(ioas);
        assertRefused(Errno.EFAULT, () -> access.pinPages(IOVA, PAGE, false));
        assertRefused(Errno.EFAULT, () -> access.readWrite(bench.machine.memory(0), IOVA, new long[] {1}, true));
        access.close();
    }

    @Test
    void vfiosCallsLookAsTypeOneDoes() {
        iommufd.vfioIoasSet(attached);
        assertRefused(Errno.EFAULT, () -> iommufd.vfioContainer().map(IOVA, Long.MIN_VALUE, PAGE, 3));
        assertRefused(Errno.EFAULT, () -> iommufd.vfioContainer().map(IOVA, MEMORY + 15 * PAGE, 2 * PAGE, 3));
        assertRefused(Errno.EOVERFLOW, () -> iommufd.vfioContainer().map(IOVA, -PAGE, 2 * PAGE, 3));
    }

    /** PROT_NONE, or a hole: the pages before it are let go. */
    @Test
    void aHoleInTheMemoryEndsTheMapping() {
        bench.process.free(MEMORY + 3 * PAGE, 1);
        assertRefused(Errno.EFAULT, () -> map(attached, MEMORY, 8 * PAGE));
        map(attached, MEMORY, 3 * PAGE);
        assertThat(bench.process.pinned()).isEqualTo(3);
        iommufd.ioasUnmap(attached, 0, -1L);
    }

    @Test
    void memoryThatIsReadOnlyCanBeMappedToBeRead() {
        bench.process.allocate(MEMORY + 64 * PAGE, 2, false);
        assertRefused(Errno.EFAULT, () -> map(attached, MEMORY + 64 * PAGE, 2 * PAGE));
        iommufd.ioasMap(
                new IoasMap(IoasMap.FIXED_IOVA | IoasMap.READABLE, attached, MEMORY + 64 * PAGE, 2 * PAGE, IOVA));
        assertThat(bench.process.pinned()).isEqualTo(2);
        iommufd.ioasUnmap(attached, 0, -1L);
    }

    /** iommufd maps no registers that a process has mapped; type 1 does. */
    @Test
    void registersAreNotMapped() {
        bench.process.mapRegisters(MEMORY + 64 * PAGE, 0xf000_0000L, 1, true);
        assertRefused(Errno.EFAULT, () -> map(attached, MEMORY + 64 * PAGE, PAGE));
    }

    /** The first page is missing, and that is what the answer is about, however many would follow it. */
    @Test
    void aMappingOfTebibytesWithoutMemoryIsABadAddress() {
        long size = 1L << 44;
        assertRefused(Errno.EFAULT, () -> iommufd.ioasMap(new IoasMap(FIXED, attached, PAGE, size, size)));
        assertRefused(Errno.EFAULT, () -> iommufd.ioasMap(new IoasMap(FIXED, attached, MEMORY, size, size)));
        iommufd.ioasMap(new IoasMap(FIXED, ioas, MEMORY, size, size));
        assertRefused(Errno.EFAULT, () -> file.attach(ioas));
        // Its last page alone is behind those of which the model can keep account.
        assertRefused(
                Errno.ENOMEM, () -> iommufd.ioasCopy(new IoasCopy(FIXED, attached, ioas, PAGE, IOVA, 2 * size - PAGE)));
        iommufd.ioasUnmap(ioas, 0, -1L);
    }
}
