// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.platform.FrameAllocator;

/** Passes calls on to other frames; a subclass changes some. */
abstract class FramesOver implements FrameAllocator {
    private final FrameAllocator frames;

    FramesOver(FrameAllocator frames) {
        this.frames = frames;
    }

    @Override
    public long allocate(int order) {
        return frames.allocate(order);
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
