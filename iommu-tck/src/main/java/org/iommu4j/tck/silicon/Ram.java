// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import java.util.Random;
import java.util.concurrent.atomic.AtomicLongArray;
import org.iommu4j.sim.spi.Fabric;

/** Memory from address 0 on, coherent, with whatever in it. */
final class Ram implements Fabric {
    private static final int BYTES = 1 << 20;

    private final AtomicLongArray words = new AtomicLongArray(BYTES / Long.BYTES);

    /** Makes memory of zeros. */
    Ram() {}

    /** Makes memory of random words, many of them 0 or small. */
    Ram(Random random) {
        for (int i = 0; i < words.length(); i++) {
            int kind = random.nextInt(4);
            words.set(i, kind == 0 ? 0 : kind == 1 ? random.nextLong() : random.nextLong() & (BYTES - 1));
        }
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return physicalAddress >= 0 && physicalAddress < BYTES;
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        return isMemory(physicalAddress) ? words.get((int) (physicalAddress / Long.BYTES)) : -1;
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        if (isMemory(physicalAddress)) {
            words.set((int) (physicalAddress / Long.BYTES), value);
        }
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        if (isMemory(physicalAddress)) {
            int shift = (physicalAddress & 4) == 0 ? 0 : 32;
            words.updateAndGet(
                    (int) (physicalAddress / Long.BYTES),
                    word -> (word & ~(0xffffffffL << shift)) | (value & 0xffffffffL) << shift);
        }
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        return isMemory(physicalAddress) && words.compareAndSet((int) (physicalAddress / Long.BYTES), expected, value);
    }
}
