// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.jspecify.annotations.Nullable;

/** Registers that are bytes: the simplest platform with accesses of every width and an account of owners. */
final class RegisterArray implements RegisterSpace {
    static final long BASE = 0xfe00_0000L;
    static final int SIZE = 0x1000;
    static final int READ_ONLY = 8;
    static final long READ_ONLY_VALUE = 0xf1e2_d3c4_b5a6_9788L;
    static final int WRITABLE = 0x20;

    private final ByteBuffer bytes = ByteBuffer.allocate(SIZE).order(ByteOrder.LITTLE_ENDIAN);
    private @Nullable Window owner;

    RegisterArray() {
        bytes.putLong(READ_ONLY, READ_ONLY_VALUE);
    }

    @Override
    public RegisterWindow map(long physicalBase, int size) {
        if (physicalBase != BASE) {
            throw new IommuException(Errno.ENXIO, "nothing is at 0x" + Long.toHexString(physicalBase));
        }
        if (owner != null) {
            throw new IommuException(Errno.EBUSY, "another driver has the registers");
        }
        owner = new Window(size, true);
        return owner;
    }

    /** Returns a window of hardware that is gone. */
    RegisterWindow gone() {
        return new Window(SIZE, false);
    }

    private final class Window implements RegisterWindow {
        private final int size;
        private final boolean present;

        private Window(int size, boolean present) {
            this.size = size;
            this.present = present;
        }

        private boolean answers(int offset, int width) {
            if (offset < 0 || offset % width != 0 || offset > size - width) {
                throw new IllegalStateException(width + " bytes at 0x" + Integer.toHexString(offset));
            }
            return present;
        }

        private boolean keeps(int offset, int width) {
            return answers(offset, width) && offset >= WRITABLE;
        }

        @Override
        public int read8(int offset) {
            return answers(offset, 1) ? bytes.get(offset) & 0xff : 0xff;
        }

        @Override
        public int read16(int offset) {
            return answers(offset, 2) ? bytes.getShort(offset) & 0xffff : 0xffff;
        }

        @Override
        public int read32(int offset) {
            return answers(offset, 4) ? bytes.getInt(offset) : -1;
        }

        @Override
        public long read64(int offset) {
            return answers(offset, 8) ? bytes.getLong(offset) : -1L;
        }

        @Override
        public void write8(int offset, int value) {
            if (keeps(offset, 1)) {
                bytes.put(offset, (byte) value);
            }
        }

        @Override
        public void write16(int offset, int value) {
            if (keeps(offset, 2)) {
                bytes.putShort(offset, (short) value);
            }
        }

        @Override
        public void write32(int offset, int value) {
            if (keeps(offset, 4)) {
                bytes.putInt(offset, value);
            }
        }

        @Override
        public void write64(int offset, long value) {
            if (keeps(offset, 8)) {
                bytes.putLong(offset, value);
            }
        }

        @Override
        @SuppressWarnings("ReferenceEquality") // the very window that has them
        public void release() {
            if (owner == this) {
                owner = null;
            }
        }
    }
}
