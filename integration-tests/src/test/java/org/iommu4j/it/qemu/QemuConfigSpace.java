// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.pci.ConfigSpace;

/**
 * A function's configuration space where it is mapped into memory.
 *
 * @param base physical address of its first byte
 * @param size bytes that the function has
 */
record QemuConfigSpace(QtestSocket qtest, long base, int size) implements ConfigSpace {
    @Override
    public int read(int offset, int bytes) {
        if (offset + bytes > size) {
            return mask(bytes);
        }
        return (qtest.read32(base + (offset & ~3)) >>> ((offset & 3) * 8)) & mask(bytes);
    }

    @Override
    public void write(int offset, int bytes, int value) {
        if (offset + bytes <= size) {
            char width = bytes == 4 ? 'l' : bytes == 2 ? 'w' : 'b';
            qtest.post("write" + width + " 0x" + Long.toHexString(base + offset) + " 0x"
                    + Integer.toHexString(value & mask(bytes)));
        }
    }

    private static int mask(int bytes) {
        return bytes == 4 ? -1 : (1 << (bytes * 8)) - 1;
    }
}
