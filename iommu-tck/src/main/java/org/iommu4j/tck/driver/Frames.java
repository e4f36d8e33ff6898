// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;

/** All frames of a pool, taken by the test so that the driver finds none. */
final class Frames {
    private static final int LARGEST_ORDER = 10;

    private Frames() {}

    /** Takes all; returns addresses with their orders in the lowest bits. */
    static List<Long> takeAll(FrameAllocator frames) {
        List<Long> taken = new ArrayList<>();
        for (int order = LARGEST_ORDER; order >= 0; order--) {
            try {
                while (true) {
                    taken.add(frames.allocate(order) | order);
                }
            } catch (IommuException full) {
                if (order == 0) {
                    return taken;
                }
            }
        }
        return taken;
    }

    /** Gives back what {@link #takeAll} took. */
    static void giveBack(FrameAllocator frames, List<Long> taken) {
        for (long block : taken) {
            frames.free(block & -0x1000L, (int) block & 0xf);
        }
    }
}
