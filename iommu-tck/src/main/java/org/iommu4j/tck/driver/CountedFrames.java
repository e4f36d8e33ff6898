// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;

/** Frames that are refused, and the asking counted, when that is turned on. */
final class CountedFrames implements FrameAllocator {
    private final FrameAllocator frames;
    private final AtomicLong asked = new AtomicLong();
    private volatile boolean refusing;

    CountedFrames(FrameAllocator frames) {
        this.frames = frames;
    }

    void refuse(boolean on) {
        refusing = on;
    }

    /** Returns how often frames were asked for while they were refused. */
    long asked() {
        return asked.get();
    }

    @Override
    public long allocate(int order) {
        if (refusing) {
            asked.incrementAndGet();
            throw new IommuException(Errno.ENOMEM, "no frame of order " + order + " is given out now");
        }
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
