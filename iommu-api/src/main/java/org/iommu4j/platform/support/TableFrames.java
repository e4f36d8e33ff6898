// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import java.util.Objects;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * Zeroed frames for a driver's tables: one, or several in a chain.
 *
 * <p>A chain is linked through the frames' own first words, so that nothing is allocated on the heap. As thread-safe as
 * its memory and its allocator; a chain belongs to one thread.
 */
public final class TableFrames {
    /** The end of a chain: no frame. */
    public static final long NONE = 0;

    private final SystemMemory memory;
    private final FrameAllocator frames;

    /**
     * Makes tables' frames out of a platform's.
     *
     * @param memory where the frames are
     * @param frames where they come from
     */
    public TableFrames(SystemMemory memory, FrameAllocator frames) {
        this.memory = Objects.requireNonNull(memory, "memory");
        this.frames = Objects.requireNonNull(frames, "frames");
    }

    /**
     * Allocates a frame of 4 KiB, for a unit that snoops when it reads tables.
     *
     * @return its physical address
     * @throws IommuException ENOMEM
     */
    public long take() {
        return take(false);
    }

    /**
     * Allocates a frame of 4 KiB.
     *
     * @param writeBack whether a unit may read it without snooping
     * @return its physical address
     * @throws IommuException ENOMEM
     */
    public long take(boolean writeBack) {
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
     * @param count how many
     * @param writeBack whether a unit may read them without snooping
     * @return the chain's first frame, {@link #NONE} for none
     * @throws IommuException ENOMEM; none is kept
     */
    public long take(long count, boolean writeBack) {
        long chain = NONE;
        try {
            for (long i = 0; i < count; i++) {
                chain = push(chain, take(writeBack));
            }
        } catch (IommuException e) {
            freeChain(chain);
            throw e;
        }
        return chain;
    }

    /**
     * Puts a frame before a chain and returns it as the chain's new first. The link is aligned to 4 KiB, which is no
     * present entry in any format here: a unit that still walks the frame finds none.
     */
    public long push(long chain, long frame) {
        memory.store(frame, chain);
        return frame;
    }

    /** Returns the chain without its first frame. */
    public long next(long chain) {
        return memory.load(chain);
    }

    /** Returns how many frames a chain has. */
    public long count(long chain) {
        long count = 0;
        for (long frame = chain; frame != NONE; frame = next(frame)) {
            count++;
        }
        return count;
    }

    /** Frees the {@code 2^order} frames of a table. */
    public void free(long table, int order) {
        frames.free(table, order);
    }

    /** Frees all frames of a chain. */
    public void freeChain(long chain) {
        long frame = chain;
        while (frame != NONE) {
            long next = next(frame);
            free(frame, 0);
            frame = next;
        }
    }
}
