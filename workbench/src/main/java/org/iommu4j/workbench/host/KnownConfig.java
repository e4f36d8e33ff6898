// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.Arrays;
import org.iommu4j.platform.ConfigSpace;

/** Configuration space as somebody saw it; it can't be written. */
final class KnownConfig implements ConfigSpace {
    /** Bytes of the header. */
    static final int HEADER_BYTES = 64;

    /** Bytes of a conventional function's configuration space. */
    static final int CONVENTIONAL_BYTES = 256;

    /** Bytes of a PCI Express function's configuration space. */
    static final int EXPRESS_BYTES = 4096;

    private final byte[] bytes;

    /**
     * Keeps bytes.
     *
     * @param bytes at least 64; kept up to the largest of 64, 256 and 4096
     */
    KnownConfig(byte[] bytes) {
        this.bytes = Arrays.copyOf(bytes, usable(bytes.length));
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
            int at = offset + i;
            value = value << 8 | (at >= 0 && at < bytes.length ? bytes[at] & 0xff : 0xff);
        }
        return value;
    }

    /** Refuses. */
    @Override
    public void write(int offset, int count, int value) {
        throw new UnsupportedOperationException("configuration space of a captured host can't be written");
    }
}
