// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.spi.VendorContext;

/** Frames whose allocations are counted, and that can all be gone. */
final class CountedFrames {
    private final AtomicLong calls = new AtomicLong();
    private volatile boolean exhausted;

    /** Returns a context whose driver gets such frames. */
    VendorContext in(VendorContext context) {
        return context.withFrames(new Counted(context.frames()));
    }

    /** Returns how many allocations were asked for. */
    long calls() {
        return calls.get();
    }

    /** Has every allocation be refused with ENOMEM, or none. */
    void exhausted(boolean value) {
        exhausted = value;
    }

    private final class Counted extends FramesOver {
        private Counted(FrameAllocator frames) {
            super(frames);
        }

        @Override
        public long allocate(int order) {
            calls.incrementAndGet();
            if (exhausted) {
                throw new IommuException(Errno.ENOMEM, "no frame of order " + order + " is left");
            }
            return super.allocate(order);
        }
    }
}
