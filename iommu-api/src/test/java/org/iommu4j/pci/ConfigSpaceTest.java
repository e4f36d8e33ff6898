// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigSpaceTest {
    private final ByteConfig config = new ByteConfig();

    @Test
    void capabilitiesAreFoundAlongTheListOnlyWhenTheStatusBitSaysSo() {
        config.write(0x34, 1, 0x40);
        config.write(0x40, 2, 0x6005);
        config.write(0x60, 2, 0x0010);
        assertThat(config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS)).isZero();
        config.write(0x06, 2, 0x10);
        assertThat(config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS)).isEqualTo(0x60);
        assertThat(config.findCapability(0x11)).isZero();
    }

    @Test
    void listsThatLoopEnd() {
        config.write(0x06, 2, 0x10);
        config.write(0x34, 1, 0x40);
        config.write(0x40, 2, 0x4005);
        assertThat(config.findCapability(0x10)).isZero();
        config.write(0x100, 4, 0x1001_0001);
        assertThat(config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS))
                .isZero();
    }

    @Test
    void extendedCapabilitiesAreFoundByTheirId() {
        config.write(0x100, 4, 0x1481_0001);
        config.write(0x148, 4, 0x0001_000d);
        assertThat(config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS))
                .isEqualTo(0x148);
    }

    @ParameterizedTest
    @CsvSource({
        "0x00, 0, false, false",
        "0x80, 0, true, false",
        "0x01, 1, false, true",
        "0x82, 2, true, true",
        "0x7f, 127, false, false"
    })
    void theHeaderTypeHasALayoutAndTheMultiFunctionBit(String type, int layout, boolean multiFunction, boolean bridge) {
        config.write(0x0e, 1, Integer.decode(type));
        config.write(0x18, 4, 0x00f7_c500);
        assertThat(config.headerLayout()).isEqualTo(layout);
        assertThat(config.isMultiFunction()).isEqualTo(multiFunction);
        assertThat(config.isBridge()).isEqualTo(bridge);
        assertThat(config.secondaryBus()).isEqualTo(0xc5);
    }
}
