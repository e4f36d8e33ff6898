// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FunctionConfigTest {
    private final FunctionConfig gpu = config(ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
            .acs(0x05)
            .build());
    private final FunctionConfig port = config(ConfigSpaceBuilder.rootPort(0x1b36, 0x000c, 0, 1, 3)
            .acs(ConfigSpaceBuilder.ACS_ISOLATING)
            .build());
    private final FunctionConfig conventional =
            config(ConfigSpaceBuilder.conventional(0x1b36, 0x0010, ConfigSpaceBuilder.CLASS_ETHERNET)
                    .build());

    private static FunctionConfig config(byte[] bytes) {
        return new FunctionConfig(
                new FunctionDescription(new PciAddress(0, 1, 0, 0), Optional.empty(), bytes, Optional.empty(), false));
    }

    @ParameterizedTest(name = "{0} bytes at {1} become {2} when all ones are written")
    @CsvSource({
        // offset, bytes, expected, what
        "0x00, 2, 0x1b36, vendor id",
        "0x04, 2, 0x0547, Command",
        "0x06, 2, 0x0010, Status: capability list stays",
        "0x08, 4, 0x03000000, class code",
        "0x0c, 1, 0xff, cache line size",
        "0x0d, 1, 0x00, latency timer",
        "0x0e, 1, 0x00, header type",
        "0x10, 4, 0x00000000, a base address register",
        "0x34, 1, 0x40, capability pointer",
        "0x3c, 1, 0xff, interrupt line",
        "0x42, 2, 0x0002, PCI Express capabilities",
        "0x48, 2, 0x7fff, Device Control",
        "0x68, 2, 0xffff, Device Control 2",
        "0x104, 2, 0x0005, ACS capability",
        "0x106, 2, 0x0005, ACS Control: what the capability has",
        "0x200, 4, 0x00000000, nothing there",
    })
    void anEndpointsRegistersTakeWhatTheirMasksAllow(String offset, int bytes, String expected, String what) {
        gpu.write(Integer.decode(offset), bytes, -1);
        assertThat(gpu.read(Integer.decode(offset), bytes))
                .as(what)
                .isEqualTo(Long.decode(expected).intValue());
    }

    @ParameterizedTest(name = "{3}")
    @CsvSource({
        "0x18, 4, 0x00ffffff, bus numbers without secondary latency",
        "0x1c, 2, 0xf0f0, I/O window",
        "0x20, 4, 0xfff0fff0, memory window",
        "0x3e, 2, 0x005f, Bridge Control",
        "0x106, 2, 0x001f, ACS Control",
    })
    void aBridgesRegistersTakeWhatTheirMasksAllow(String offset, int bytes, String expected, String what) {
        port.write(Integer.decode(offset), bytes, -1);
        assertThat(port.read(Integer.decode(offset), bytes))
                .as(what)
                .isEqualTo(Long.decode(expected).intValue());
    }

    @Test
    void aBaseAddressRegisterTakesAddressesDownToItsSize() {
        byte[] bytes = ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_ETHERNET)
                .registers(0, 0xe000_0000L, 0x1000)
                .deviceMemory(2, 0x40_0000_0000L, 1L << 33)
                .build();
        bytes[0x24] = 1;
        FunctionConfig config = new FunctionConfig(new FunctionDescription(
                new PciAddress(0, 1, 0, 0),
                Optional.empty(),
                bytes,
                Optional.empty(),
                false,
                List.of(0x1000L, 0L, 1L << 33, 0L, 0L, 0x20L, 0x800L)));
        assertThat(config.read(0x10, 4)).isEqualTo(0xe000_0000);
        assertThat(config.read(0x18, 4)).as("prefetchable, 64 bits").isEqualTo(0xc);
        assertThat(config.read(0x1c, 4)).isEqualTo(0x40);
        for (int at = 0x10; at <= 0x30; at += 4) {
            config.write(at, 4, -1);
        }
        assertThat(config.read(0x10, 4)).isEqualTo(0xffff_f000);
        assertThat(config.read(0x14, 4)).as("opens nothing").isZero();
        assertThat(config.read(0x18, 4)).as("the lower half of 8 GiB").isEqualTo(0xc);
        assertThat(config.read(0x1c, 4)).isEqualTo(0xffff_fffe);
        assertThat(config.read(0x24, 4)).as("32 ports").isEqualTo(0xffff_ffe1);
        assertThat(config.read(0x30, 4)).as("a ROM and its enable bit").isEqualTo(0xffff_f801);
    }

    @Test
    void onlyPowersOfTwoAreSizesOfBaseAddressRegisters() {
        FunctionDescription function = new FunctionDescription(
                new PciAddress(0, 1, 0, 0), Optional.empty(), new byte[256], Optional.empty(), false);
        for (List<Long> wrong : List.of(List.of(48L), List.of(2L), Collections.nCopies(8, 0L))) {
            assertThatThrownBy(() -> function.withBarSizes(wrong)).isInstanceOf(IllegalArgumentException.class);
        }
        assertThat(function.withBarSizes(List.of(Long.MIN_VALUE)).barSizes()).containsExactly(1L << 63);
    }

    @Test
    void errorBitsAreClearedByWritingOneAndNothingElse() {
        byte[] bytes =
                ConfigSpaceBuilder.endpoint(1, 2, ConfigSpaceBuilder.CLASS_VGA).build();
        bytes[0x07] = (byte) 0xf9;
        bytes[0x4a] = 0x3f;
        FunctionConfig config = config(bytes);
        config.write(0x06, 2, 0x0000);
        assertThat(config.read(0x06, 2)).isEqualTo(0xf910);
        config.write(0x06, 2, 0x8000);
        assertThat(config.read(0x06, 2)).isEqualTo(0x7910);
        config.write(0x4a, 2, 0xffff);
        assertThat(config.read(0x4a, 2))
                .as("Device Status: AUX power and pending stay")
                .isEqualTo(0x30);
    }

    @Test
    void noSnoopAndRelaxedOrderingFollowDeviceControl() {
        assertThat(gpu.noSnoopEnabled()).isTrue();
        assertThat(gpu.relaxedOrderingEnabled()).isTrue();
        gpu.write(0x48, 2, 0x2810 & ~0x800);
        assertThat(gpu.noSnoopEnabled()).isFalse();
        assertThat(gpu.relaxedOrderingEnabled()).isTrue();
        gpu.write(0x48, 2, 0x0800);
        assertThat(gpu.noSnoopEnabled()).isTrue();
        assertThat(gpu.relaxedOrderingEnabled()).isFalse();
    }

    @Test
    void aConventionalFunctionCanNeverSendNoSnoop() {
        conventional.write(0x48, 2, 0xffff);
        assertThat(conventional.noSnoopEnabled()).isFalse();
        assertThat(conventional.relaxedOrderingEnabled()).isFalse();
        assertThat(conventional.pciExpressType()).isEqualTo(-1);
        assertThat(conventional.size()).isEqualTo(256);
    }

    @Test
    void devicesAndBridgesMasterTheBusAtPowerOnAndTheHostBridgeIsLeftAlone() {
        FunctionConfig host = config(ConfigSpaceBuilder.conventional(1, 2, ConfigSpaceBuilder.CLASS_HOST_BRIDGE)
                .build());
        assertThat(gpu.busMasterEnabled()).isTrue();
        assertThat(port.busMasterEnabled()).isTrue();
        assertThat(conventional.busMasterEnabled()).isTrue();
        assertThat(host.read(4, 2)).isZero();
        assertThat(gpu.isDevice()).isTrue();
        assertThat(port.isDevice()).isFalse();
        assertThat(host.isDevice()).isFalse();
        assertThat(port.isBridge()).isTrue();
    }

    @Test
    void aPortIsFoundAsLinuxWouldLookForIt() {
        assertThat(port.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS)).isEqualTo(0x40);
        assertThat(port.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS))
                .isEqualTo(0x100);
        assertThat(port.pciExpressType()).isEqualTo(ConfigSpaceBuilder.TYPE_ROOT_PORT);
        assertThat(port.read(0x18, 1)).isZero();
        assertThat(port.secondaryBus()).isEqualTo(1);
        assertThat(port.read(0x1a, 1)).isEqualTo(3);
        port.write(0x19, 1, 5);
        assertThat(port.secondaryBus()).isEqualTo(5);
    }

    @Test
    void bytesWordsAndDwordsAreOneSpace() {
        assertThat(gpu.read(0, 4)).isEqualTo(0x01001b36);
        assertThat(gpu.read(1, 1)).isEqualTo(0x1b);
        gpu.write(0x49, 1, 0x00);
        assertThat(gpu.read(0x48, 2)).isEqualTo(0x0010);
    }

    @Test
    void whatIsBehindTheEndReadsAsOnesAndIgnoresWrites() {
        conventional.write(0x100, 4, 0);
        assertThat(conventional.read(0x100, 4)).isEqualTo(-1);
        assertThat(conventional.read(0x100, 2)).isEqualTo(0xffff);
        assertThat(conventional.read(0xffe, 1)).isEqualTo(0xff);
    }

    @ParameterizedTest
    @CsvSource({"-4,4", "2,4", "1,2", "0,3", "0,0", "0,8"})
    void accessesThatNoBusMakesAreRefused(int offset, int bytes) {
        assertThatThrownBy(() -> gpu.read(offset, bytes))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("0000:01:00.0");
        assertThatThrownBy(() -> gpu.write(offset, bytes, 0)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aResetUndoesAllWritesAndTheDigestTellsThemApart() {
        long fresh = digest();
        gpu.read(0, 4);
        assertThat(digest()).as("looking changes nothing").isEqualTo(fresh);
        gpu.write(0x48, 2, 0);
        long cleared = digest();
        assertThat(cleared).isNotEqualTo(fresh);
        gpu.write(0x48, 2, 0x10);
        assertThat(digest()).isNotEqualTo(cleared).isNotEqualTo(fresh);
        gpu.write(0x48, 2, ConfigSpaceBuilder.DEVICE_CONTROL_DEFAULT);
        assertThat(digest()).as("back to what it was").isEqualTo(fresh);
        gpu.write(0x48, 2, 0);
        gpu.reset();
        assertThat(digest()).isEqualTo(fresh);
        assertThat(gpu.noSnoopEnabled()).isTrue();
    }

    @Test
    void msiAndPowerStateAreWritable() {
        byte[] bytes =
                ConfigSpaceBuilder.endpoint(1, 2, ConfigSpaceBuilder.CLASS_VGA).build();
        bytes[0x41] = (byte) 0x80;
        bytes[0x80] = 0x05;
        bytes[0x81] = (byte) 0x90;
        bytes[0x82] = (byte) 0x80; // 64-bit addresses
        bytes[0x90] = 0x01;
        FunctionConfig config = config(bytes);
        config.write(0x82, 2, 0xffff);
        config.write(0x84, 4, -1);
        config.write(0x88, 4, -1);
        config.write(0x8c, 2, 0xffff);
        config.write(0x94, 2, 0x0003);
        assertThat(config.read(0x82, 2)).isEqualTo(0x00f1);
        assertThat(config.read(0x84, 4)).isEqualTo(-4);
        assertThat(config.read(0x88, 4)).isEqualTo(-1);
        assertThat(config.read(0x8c, 2)).isEqualTo(0xffff);
        assertThat(config.read(0x94, 2)).isEqualTo(3);
    }

    private long digest() {
        StateDigest digest = new StateDigest();
        gpu.addTo(digest);
        return digest.value();
    }
}
