// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;

/** Frames that come full of one word, in memory itself and not only in a cache. */
final class FilledFrames extends FramesOver {
    private final SystemMemory memory;
    private final long word;

    private FilledFrames(VendorContext context, long word) {
        super(context.frames());
        memory = context.memory();
        this.word = word;
    }

    /** Returns a context whose driver gets such frames. */
    static VendorContext in(VendorContext context, long word) {
        return context.withFrames(new FilledFrames(context, word));
    }

    @Override
    public long allocate(int order) {
        long first = super.allocate(order);
        for (long frame = 0; frame < 1L << order; frame++) {
            memory.storeRun(first + frame * SystemMemory.FRAME_SIZE, word, 0, SystemMemory.FRAME_WORDS);
        }
        memory.writeBack(first, (long) SystemMemory.FRAME_SIZE << order);
        return first;
    }
}
