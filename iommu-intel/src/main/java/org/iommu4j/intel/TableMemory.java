// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * Memory of root, context and PASID tables: written back after each store where the unit does not snoop (ECAP.C).
 *
 * <p>Used under the monitor of the {@link DeviceTables} that it belongs to.
 */
final class TableMemory {
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final boolean writeBack;
    private long inUse;

    TableMemory(SystemMemory memory, FrameAllocator frames, boolean writeBack) {
        this.memory = memory;
        this.frames = frames;
        this.writeBack = writeBack;
    }

    /**
     * Allocates cleared frames.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    long allocate(int order) {
        long first = frames.allocate(order);
        inUse += 1L << order;
        for (int i = 0; i < 1 << order; i++) {
            long frame = first + (long) i * SystemMemory.FRAME_SIZE;
            memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
            if (writeBack) {
                memory.writeBack(frame, SystemMemory.FRAME_SIZE);
            }
        }
        return first;
    }

    void free(long frame, int order) {
        frames.free(frame, order);
        inUse -= 1L << order;
    }

    /** Returns how many frames are allocated. */
    long inUse() {
        return inUse;
    }

    long load(long address) {
        return memory.load(address);
    }

    void store(long address, long value) {
        memory.store(address, value);
        if (writeBack) {
            memory.writeBack(address, 8);
        }
    }
}
