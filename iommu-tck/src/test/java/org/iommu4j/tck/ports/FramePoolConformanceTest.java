// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.tck.FrameAllocatorConformance;

/** Frames by bitmap, from an address that is aligned to a frame only. */
class FramePoolConformanceTest extends FrameAllocatorConformance {
    private static final long BASE = 0x123000;

    @Override
    protected FrameAllocator newFrames(int atLeast) {
        return new FramePool(BASE, (atLeast + 0x800) * 4096L);
    }
}
