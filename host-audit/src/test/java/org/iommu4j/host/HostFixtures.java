// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/** Pieces of hosts for tests. */
final class HostFixtures {
    private HostFixtures() {}

    /** A graphics unit 8086:1616 with a PCI Express capability at 0x70 and one extended capability, a serial number. */
    static byte[] express(int deviceControl) {
        byte[] config = new byte[4096];
        put16(config, 0x00, 0x8086);
        put16(config, 0x02, 0x1616);
        put16(config, 0x06, 0x0010);
        put16(config, 0x0a, 0x0300);
        config[0x34] = 0x70;
        config[0x70] = 0x10;
        put16(config, 0x72, 0x0002);
        put16(config, 0x78, deviceControl);
        put16(config, 0x100, 0x0003);
        put16(config, 0x102, 0x0001);
        for (int i = 0; i < 8; i++) {
            config[0x104 + i] = (byte) (0xa0 + i);
        }
        return config;
    }

    static void put16(byte[] bytes, int at, int value) {
        bytes[at] = (byte) value;
        bytes[at + 1] = (byte) (value >> 8);
    }
}
