// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.FunctionConfig;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.vfio.iommufd.DmaBuf;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.Test;

/** What vfio-pci says of a device's regions and interrupts, and the regions that it exports. */
class DeviceRegionsTest {
    private static final int ROOM = VfioRegionInfo.MIN_SIZE + VfioRegionInfo.CAPABILITY_SIZE;
    private static final int READ_WRITE = VfioRegionInfo.READ | VfioRegionInfo.WRITE;
    private static final int MAPPABLE = READ_WRITE | VfioRegionInfo.MMAP;
    private static final int COMMAND = 4;
    private static final int MSI = 0x80;
    private static final int MSI_X = 0x90;
    private static final int ADVANCED_CONTROL = 0x48;
    private static final long REGISTERS = 0xe000_0000L;
    private static final long MEMORY = 0x40_0000_0000L;
    private static final long PAGE = 4096;

    private final FunctionConfig config = new FunctionConfig(everything());
    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("00:05.0", config);
    private final VfioDevice registered = host.vfio().register(device.id());

    /** A VGA controller with registers, memory, ports, a ROM, MSI and MSI-X. */
    private static FunctionDescription everything() {
        byte[] bytes = ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                .registers(0, REGISTERS, 0x1_0000)
                .deviceMemory(1, MEMORY, 1L << 33)
                .registers(3, REGISTERS + 0x2_0800, 0x100)
                .registers(4, REGISTERS + 0x3_0000, 0x100)
                .build();
        // Ports at BAR 5, a ROM, an interrupt pin; behind PCI Express MSI with 8 vectors and MSI-X with 32 in BAR 0.
        put(bytes, 0x24, 0xc001);
        put(bytes, 0x30, 0xe010_0000);
        bytes[0x3d] = 1;
        bytes[0x41] = (byte) MSI;
        put(bytes, MSI, 0x0006_0005 | MSI_X << 8);
        put(bytes, MSI_X, 31 << 16 | 0x11);
        put(bytes, MSI_X + 4, 0x2000);
        return new FunctionDescription(
                PciAddress.parse("0000:00:05.0"),
                Optional.empty(),
                bytes,
                Optional.empty(),
                false,
                List.of(0x1_0000L, 1L << 33, 0L, 0x100L, 0x100L, 0x20L, 0x1_0000L));
    }

    private static void put(byte[] bytes, int offset, int value) {
        for (int i = 0; i < 4; i++) {
            bytes[offset + i] = (byte) (value >>> (8 * i));
        }
    }

    private VfioDevice opened() {
        return open(host, registered);
    }

    private static VfioDevice open(TestHost of, VfioDevice registered) {
        VfioContainer container = of.vfio().openContainer(new TestProcess());
        VfioGroup group = of.vfio().openGroup(registered.groupId());
        group.setContainer(container);
        container.setIommu(1);
        return group.openDevice(registered.id());
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private static VfioRegionInfo region(int index, int flags, long size) {
        return new VfioRegionInfo(ROOM, flags, index, 0, size, (long) index << 40);
    }

    /** The upper half of an address has no kind, though its lowest bit looks like one. */
    @Test
    void aDeviceWithMemoryAloneDecodesNoPortsWhereverItsMemoryIs() {
        byte[] bytes = ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                .deviceMemory(0, 0x41_0000_0000L, 1L << 32)
                .build();
        FunctionConfig memoryAlone = new FunctionConfig(new FunctionDescription(
                PciAddress.parse("0000:00:05.0"), Optional.empty(), bytes, Optional.empty(), false, List.of(1L << 32)));
        TestHost other = new TestHost();
        TestDevice added = other.add("00:05.0", memoryAlone);
        VfioDevice opened = open(other, other.vfio().register(added.id()));
        assertThat(opened.config().read(COMMAND, 2) & 3).isEqualTo(2);
    }

    @Test
    void eachRegionHasTheSizeThatItsRegisterTells() {
        VfioDevice opened = opened();
        assertThat(opened.regionInfo(0))
                .as("with the table of MSI-X")
                .isEqualTo(new VfioRegionInfo(ROOM, MAPPABLE | VfioRegionInfo.CAPS, 0, 32, 0x1_0000, 0));
        assertThat(opened.regionInfo(1)).isEqualTo(region(1, MAPPABLE, 1L << 33));
        assertThat(opened.regionInfo(2)).as("the upper half of BAR 1").isEqualTo(region(2, 0, 0));
        assertThat(opened.regionInfo(3)).as("a part of a page").isEqualTo(region(3, READ_WRITE, 0x100));
        assertThat(opened.regionInfo(4)).as("alone in its page").isEqualTo(region(4, MAPPABLE, 0x100));
        assertThat(opened.regionInfo(5)).as("ports").isEqualTo(region(5, READ_WRITE, 0x20));
        assertThat(opened.regionInfo(6)).as("a ROM").isEqualTo(region(6, VfioRegionInfo.READ, 0x1_0000));
        assertThat(opened.regionInfo(7)).as("configuration").isEqualTo(region(7, READ_WRITE, 4096));
        assertThat(opened.regionInfo(8)).as("VGA").isEqualTo(region(8, READ_WRITE, 0xc0000));
        refused(Errno.EINVAL, () -> opened.regionInfo(9));
        refused(Errno.EINVAL, () -> opened.regionInfo(-1));
    }

    @Test
    void aCallerWithoutRoomForTheCapabilityLearnsHowMuchItNeeds() {
        VfioDevice opened = opened();
        refused(Errno.EINVAL, () -> opened.regionInfo(9, 31));
        assertThat(opened.regionInfo(0, 32))
                .isEqualTo(new VfioRegionInfo(ROOM, MAPPABLE | VfioRegionInfo.CAPS, 0, 0, 0x1_0000, 0));
        assertThat(opened.regionInfo(0, 100).argsz()).isEqualTo(100);
        assertThat(opened.regionInfo(1, 32).argsz()).isEqualTo(32);
    }

    @Test
    void sizingLeavesTheRegistersAsTheyWere() {
        FunctionConfig fresh = new FunctionConfig(everything());
        for (int at = 0; at < 0x40; at += 4) {
            assertThat(config.read(at, 4)).as("offset 0x%x", at).isEqualTo(fresh.read(at, 4));
        }
    }

    @Test
    void whatCanNotBeSizedIsEmpty() {
        TestHost other = new TestHost();
        FunctionConfig captured = new FunctionConfig(everything().withBarSizes(List.of()));
        TestDevice readOnly = other.add("00:05.0", captured);
        VfioDevice of = other.vfio().register(readOnly.id());
        open(other, of);
        for (int i = 0; i < 7; i++) {
            assertThat(of.regionInfo(i)).isEqualTo(region(i, 0, 0));
        }
    }

    @Test
    void interruptsAreCountedByTheirCapabilities() {
        VfioDevice opened = opened();
        assertThat(opened.interruptInfo(0)).as("INTx").isEqualTo(new VfioInterruptInfo(7, 0, 1));
        assertThat(opened.interruptInfo(1)).as("MSI").isEqualTo(new VfioInterruptInfo(9, 1, 8));
        assertThat(opened.interruptInfo(2)).as("MSI-X").isEqualTo(new VfioInterruptInfo(1, 2, 32));
        assertThat(opened.interruptInfo(3)).as("errors").isEqualTo(new VfioInterruptInfo(9, 3, 1));
        assertThat(opened.interruptInfo(4)).as("requests").isEqualTo(new VfioInterruptInfo(9, 4, 1));
        refused(Errno.EINVAL, () -> opened.interruptInfo(5));
        refused(Errno.EINVAL, () -> opened.interruptInfo(-1));
        refused(Errno.EINVAL, () -> opened.interruptInfo(0, 15));
    }

    @Test
    void aConventionalFunctionHasNeitherErrorsNorMessages() {
        TestHost other = new TestHost();
        TestDevice plain = other.add("00:06.0");
        VfioDevice of = other.vfio().register(plain.id());
        open(other, of);
        assertThat(of.interruptInfo(0)).isEqualTo(new VfioInterruptInfo(7, 0, 0));
        assertThat(of.interruptInfo(1)).isEqualTo(new VfioInterruptInfo(9, 1, 0));
        assertThat(of.interruptInfo(2)).isEqualTo(new VfioInterruptInfo(9, 2, 0));
        refused(Errno.EINVAL, () -> of.interruptInfo(3));
        refused(Errno.EINVAL, () -> of.regionInfo(8));
        assertThat(of.regionInfo(7).size()).isEqualTo(256);
    }

    @Test
    void aFileAnswersOnceItIsBound() {
        Iommufd iommufd = Iommufd.open(IommufdOptions.DEFAULT, IommufdUser.root(new TestProcess()));
        try (VfioDeviceFile file = VfioDeviceFile.open(host.vfio(), registered)) {
            refused(Errno.EINVAL, () -> file.regionInfo(0));
            refused(Errno.EINVAL, () -> file.interruptInfo(0));
            refused(Errno.EBADF, () -> registered.regionInfo(0));
            refused(Errno.EBADF, () -> registered.interruptInfo(0));
            file.bind(iommufd);
            assertThat(file.regionInfo(1).size()).isEqualTo(1L << 33);
            assertThat(file.interruptInfo(1).count()).isEqualTo(8);
        }
        refused(Errno.EBADF, () -> registered.regionInfo(0));
    }

    // ---- dma-buf ---------------------------------------------------------------------------------------------------

    private static List<DmaBufRange> range(long offset, long length) {
        return List.of(new DmaBufRange(offset, length));
    }

    @Test
    void anExportIsRefusedInTheOrderInWhichLinuxLooks() {
        VfioDevice opened = opened();
        List<DmaBufRange> wrong = range(1, 0);
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(6, 1, wrong));
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(6, 0, List.of()));
        refused(Errno.ENODEV, () -> opened.exportDmaBuf(6, 0, wrong));
        refused(Errno.ENODEV, () -> opened.exportDmaBuf(-1, 0, wrong));
        refused(Errno.ENODEV, () -> opened.exportDmaBuf(2, 0, wrong));
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(0, 0, wrong));
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(0, 0, range(0x800, PAGE)));
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(0, 0, range(0, 0x800)));
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(1, 0, range(0, 1L << 63)));
        refused(
                Errno.EINVAL,
                () -> opened.exportDmaBuf(1, 0, List.of(new DmaBufRange(0, -PAGE), new DmaBufRange(0, 2 * PAGE))));
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(5, 0, range(0, PAGE)));
        refused(Errno.EOVERFLOW, () -> opened.exportDmaBuf(1, 0, range(-PAGE, PAGE)));
        refused(Errno.EINVAL, () -> opened.exportDmaBuf(0, 0, range(0xf000, 2 * PAGE)));
        assertThat(opened.exportDmaBuf(0, 0, range(0xf000, PAGE)).size()).isEqualTo(PAGE);
        refused(
                Errno.EINVAL,
                () -> opened.exportDmaBuf(0, 0, List.of(new DmaBufRange(0, PAGE), new DmaBufRange(0x1_0000, PAGE))));
    }

    @Test
    void aDeviceWhoseMemoryDoesNotAnswerHasItsBuffersRevoked() {
        VfioDevice opened = opened();
        DmaBuf buffer = opened.exportDmaBuf(1, 0, range(0, PAGE));
        assertThat(buffer.isRevoked()).isFalse();
        opened.config().write(COMMAND, 2, 4);
        assertThat(buffer.isRevoked()).isTrue();
        DmaBuf late = opened.exportDmaBuf(1, 0, range(0, PAGE));
        assertThat(late.isRevoked()).isTrue();
        opened.config().write(COMMAND, 1, 2);
        assertThat(buffer.isRevoked()).isFalse();
        assertThat(late.isRevoked()).isFalse();
        opened.config().write(ADVANCED_CONTROL, 2, 0x8000);
        assertThat(buffer.isRevoked()).as("it has no Function Level Reset").isFalse();
    }

    @Test
    void theLastCloseRevokesBuffersForGood() {
        Iommufd iommufd = Iommufd.open(IommufdOptions.DEFAULT, IommufdUser.root(new TestProcess()));
        DmaBuf buffer;
        try (VfioDeviceFile file = VfioDeviceFile.open(host.vfio(), registered)) {
            file.bind(iommufd);
            buffer = registered.exportDmaBuf(1, 0, range(0, PAGE));
        }
        assertThat(buffer.isRevoked()).isTrue();
        refused(Errno.EBADF, () -> registered.exportDmaBuf(1, 0, range(0, PAGE)));
        try (VfioDeviceFile file = VfioDeviceFile.open(host.vfio(), registered)) {
            file.bind(iommufd);
            registered.config().write(COMMAND, 2, 6);
            assertThat(buffer.isRevoked()).as("it is no buffer of this time").isTrue();
        }
    }

    @Test
    void aDeviceThatIsNoPciFunctionHasNoRegions() {
        TestHost other = new TestHost();
        other.addNamed("platform0");
        VfioDevice of = other.vfio().register(new NamedDevice("platform0"));
        open(other, of);
        refused(Errno.EINVAL, () -> of.regionInfo(0));
        refused(Errno.EINVAL, () -> of.interruptInfo(0));
        refused(Errno.ENOTTY, () -> of.exportDmaBuf(0, 0, range(0, PAGE)));
    }
}
