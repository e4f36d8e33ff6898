// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

/** Configuration space of 4096 bytes, all of which can be written. */
final class ByteConfig implements ConfigSpace {
    private final byte[] bytes = new byte[4096];

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
}
