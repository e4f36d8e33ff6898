// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.iommu4j.platform.SystemMemory;

/**
 * The emulated machine's RAM.
 *
 * <p>QEMU's devices touch it only while they handle a command of ours, so that holding the socket makes compare-and-set
 * atomic.
 */
final class QemuMemory implements SystemMemory {
    private final QtestSocket qtest;
    private final long size;

    /** Makes memory of so many bytes from address 0 on. */
    QemuMemory(QtestSocket qtest, long size) {
        this.qtest = qtest;
        this.size = size;
    }

    private long check(long physicalAddress, int words) {
        if (physicalAddress < 0
                || (physicalAddress & 7) != 0
                || physicalAddress > size - words * 8L
                || words < 1
                || (physicalAddress % FRAME_SIZE) / 8 + words > FRAME_WORDS) {
            throw new IllegalStateException(words + " words at 0x" + Long.toHexString(physicalAddress)
                    + " are misaligned, leave their frame or lie outside the 0x" + Long.toHexString(size)
                    + " bytes of memory");
        }
        return physicalAddress;
    }

    @Override
    public long load(long physicalAddress) {
        return qtest.read64(check(physicalAddress, 1));
    }

    @Override
    public void store(long physicalAddress, long value) {
        qtest.write64(check(physicalAddress, 1), value);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        synchronized (qtest) {
            if (load(physicalAddress) != expected) {
                return false;
            }
            store(physicalAddress, value);
            return true;
        }
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        ByteBuffer bytes = ByteBuffer.allocate(count * 8).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < count; i++) {
            bytes.putLong(first + i * increment);
        }
        qtest.writeBytes(check(physicalAddress, count), bytes.array());
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        long[] words = words(physicalAddress, count);
        int i = 0;
        while (i < count && (words[i] & mask) == 0) {
            i++;
        }
        return i;
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        long[] words = words(physicalAddress, count);
        int i = 0;
        while (i < count && (words[i] & mask) != 0) {
            i++;
        }
        return i;
    }

    /** Loads words of one frame by one command. */
    long[] words(long physicalAddress, int count) {
        return qtest.readWords(check(physicalAddress, count), count);
    }

    /** QEMU has no caches to write back. */
    @Override
    public void writeBack(long physicalAddress, long bytes) {
        if (bytes <= 0) {
            throw new IllegalArgumentException("write-back of " + bytes + " bytes, expected more than 0");
        }
    }
}
