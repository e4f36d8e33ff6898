// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.tck.SystemMemoryConformance;

/** Memory without caches. */
class FlatMemoryConformanceTest extends SystemMemoryConformance {
    @Override
    protected SystemMemory newMemory(long bytes) {
        return new FlatMemory(bytes);
    }
}
