// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/** Zeroed frames for tables: one, or a chain linked through their first words. */
final class TableFrames {
    /** The end of a chain: no frame. */
    static final long NONE = 0;

    private final SystemMemory memory;
    private final FrameAllocator frames;

    TableFrames(SystemMemory memory, FrameAllocator frames) {
        this.memory = memory;
        this.frames = frames;
    }

    /**
     * Allocates a frame.
     *
     * @throws IommuException ENOMEM
     */
    long take() {
        long frame = frames.allocate(0);
        memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
        return frame;
    }

    /**
     * Allocates frames in a chain, all or none.
     *
     * @throws IommuException ENOMEM
     */
    long take(long count) {
        long chain = NONE;
        try {
            for (long i = 0; i < count; i++) {
                chain = push(chain, take());
            }
        } catch (IommuException e) {
            freeChain(chain);
            throw e;
        }
        return chain;
    }

    /**
     * Puts a frame before a chain and returns it as the chain's new first. The link is not a valid entry, so a unit
     * that still walks the frame finds no entry.
     */
    long push(long chain, long frame) {
        memory.store(frame, chain);
        return frame;
    }

    /** Returns the chain without its first frame. */
    long next(long chain) {
        return memory.load(chain);
    }

    /** Returns how many frames a chain has. */
    long count(long chain) {
        long count = 0;
        for (long frame = chain; frame != NONE; frame = next(frame)) {
            count++;
        }
        return count;
    }

    /** Frees the {@code 2^order} frames of a table. */
    void free(long table, int order) {
        frames.free(table, order);
    }

    void freeChain(long chain) {
        long frame = chain;
        while (frame != NONE) {
            long next = next(frame);
            free(frame, 0);
            frame = next;
        }
    }
}
