// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * Cleared frames for page tables: one, or several in a chain.
 *
 * <p>A chain is linked through the frames' own first words, so that no list is allocated.
 */
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
     * @param writeBack whether a unit may walk it without snooping
     * @throws IommuException ENOMEM
     */
    long take(boolean writeBack) {
        long frame = frames.allocate(0);
        memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
        if (writeBack) {
            memory.writeBack(frame, SystemMemory.FRAME_SIZE);
        }
        return frame;
    }

    /**
     * Allocates frames in a chain, all or none.
     *
     * @param writeBack whether a unit may walk them without snooping
     * @throws IommuException ENOMEM
     */
    long take(int count, boolean writeBack) {
        long chain = NONE;
        try {
            for (int i = 0; i < count; i++) {
                chain = push(chain, take(writeBack));
            }
        } catch (IommuException e) {
            freeChain(chain);
            throw e;
        }
        return chain;
    }

    /**
     * Puts a frame before a chain and returns it as the chain's new first. The link has no present bit, so a unit that
     * still walks the frame finds no entry.
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
    int count(long chain) {
        int count = 0;
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
