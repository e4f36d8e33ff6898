// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/** Frames that come full of one word, in memory itself and not only in a cache. */
record FilledFrames(FrameAllocator frames, SystemMemory memory, long word) implements FrameAllocator {
    @Override
    public long allocate(int order) {
        long first = frames.allocate(order);
        for (long frame = 0; frame < 1L << order; frame++) {
            memory.storeRun(first + frame * SystemMemory.FRAME_SIZE, word, 0, SystemMemory.FRAME_WORDS);
        }
        memory.writeBack(first, (long) SystemMemory.FRAME_SIZE << order);
        return first;
    }

    @Override
    public void free(long physicalAddress, int order) {
        frames.free(physicalAddress, order);
    }

    @Override
    public long inUse() {
        return frames.inUse();
    }
}
