// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.platform.RegisterWindow;

/**
 * Memory-mapped registers of the emulated machine; where nothing answers reads are as QEMU makes them. Neither of
 * QEMU's units has registers of 8 and 16 bits.
 */
record QemuRegisters(QtestSocket qtest, long base, int size) implements RegisterWindow {
    @Override
    public int read32(int offset) {
        return qtest.read32(at(offset, 4));
    }

    @Override
    public long read64(int offset) {
        return qtest.read64(at(offset, 8));
    }

    @Override
    public void write32(int offset, int value) {
        qtest.write32(at(offset, 4), value);
    }

    @Override
    public void write64(int offset, long value) {
        qtest.write64(at(offset, 8), value);
    }

    private long at(int offset, int bytes) {
        if (offset < 0 || offset % bytes != 0 || offset > size - bytes) {
            throw new IllegalStateException("access of " + bytes + " bytes at 0x" + Integer.toHexString(offset)
                    + " of the window at 0x" + Long.toHexString(base) + " is misaligned or outside its 0x"
                    + Integer.toHexString(size) + " bytes");
        }
        return base + offset;
    }
}
