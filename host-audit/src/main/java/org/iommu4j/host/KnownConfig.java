// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Arrays;
import org.iommu4j.pci.ConfigSpace;

/** Configuration space as an input shows it; it can't be written. Bytes that no input shows read as all ones. */
final class KnownConfig implements ConfigSpace {
    /** Bytes of the header. */
    static final int HEADER_BYTES = 64;

    /** Where base class and subclass are. */
    private static final int CLASS = 0x0a;

    private final byte[] bytes;

    /** Base class and subclass, where they are known from elsewhere than the bytes, or -1. */
    private final int classCode;

    /**
     * Keeps bytes.
     *
     * @param bytes at least 64; kept up to the largest of 64, 256 and 4096
     */
    KnownConfig(byte[] bytes) {
        this(bytes, -1);
    }

    /**
     * Keeps bytes without the function's class.
     *
     * @param classCode base class and subclass, 0xffff when they are not known
     */
    KnownConfig(byte[] bytes, int classCode) {
        this.bytes = Arrays.copyOf(bytes, usable(bytes.length));
        this.classCode = classCode;
    }

    /** Returns the largest of 0, 64, 256 and 4096 that a length holds. */
    static int usable(int length) {
        if (length >= EXPRESS_BYTES) {
            return EXPRESS_BYTES;
        }
        if (length >= CONVENTIONAL_BYTES) {
            return CONVENTIONAL_BYTES;
        }
        return length >= HEADER_BYTES ? HEADER_BYTES : 0;
    }

    byte[] bytes() {
        return bytes.clone();
    }

    @Override
    public int size() {
        return bytes.length;
    }

    @Override
    public int read(int offset, int count) {
        int value = 0;
        for (int i = count - 1; i >= 0; i--) {
            value = value << 8 | read(offset + i);
        }
        return value;
    }

    private int read(int at) {
        if (classCode >= 0 && (at == CLASS || at == CLASS + 1)) {
            return (classCode >>> (8 * (at - CLASS))) & 0xff;
        }
        return at >= 0 && at < bytes.length ? bytes[at] & 0xff : 0xff;
    }

    /** Refuses. */
    @Override
    public void write(int offset, int count, int value) {
        throw new UnsupportedOperationException("configuration space of a captured host can't be written");
    }
}
