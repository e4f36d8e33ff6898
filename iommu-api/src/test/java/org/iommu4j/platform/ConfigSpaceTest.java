// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ConfigSpaceTest {
    private final byte[] bytes = new byte[4096];

    private final ConfigSpace config = new ConfigSpace() {
        @Override
        public int size() {
            return bytes.length;
        }

        @Override
        public int read(int offset, int width) {
            int value = 0;
            for (int i = 0; i < width; i++) {
                value |= (bytes[offset + i] & 0xff) << (8 * i);
            }
            return value;
        }

        @Override
        public void write(int offset, int width, int value) {
            for (int i = 0; i < width; i++) {
                bytes[offset + i] = (byte) (value >> (8 * i));
            }
        }
    };

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
}
