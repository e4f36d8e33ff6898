// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/** Zeroed frames for tables, one or a stock of them chained through their first word. */
final class TableFrames {
    /** The end of a chain; no table is there. */
    static final long NONE = 0;

    private final SystemMemory memory;
    private final FrameAllocator frames;

    TableFrames(SystemMemory memory, FrameAllocator frames) {
        this.memory = memory;
        this.frames = frames;
    }

    /**
     * Takes a frame.
     *
     * @throws IommuException ENOMEM
     */
    long take() {
        long frame = frames.allocate(0);
        memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
        return frame;
    }

    /**
     * Takes frames, chained, all or none.
     *
     * @throws IommuException ENOMEM
     */
    long take(long count) {
        long chain = NONE;
        for (long i = 0; i < count; i++) {
            long frame;
            try {
                frame = take();
            } catch (IommuException e) {
                freeChain(chain);
                throw e;
            }
            memory.store(frame, chain);
            chain = frame;
        }
        return chain;
    }

    void free(long frame) {
        frames.free(frame, 0);
    }

    void freeChain(long chain) {
        long frame = chain;
        while (frame != NONE) {
            long next = memory.load(frame);
            free(frame);
            frame = next;
        }
    }

    long count(long chain) {
        long count = 0;
        for (long frame = chain; frame != NONE; frame = memory.load(frame)) {
            count++;
        }
        return count;
    }
}
