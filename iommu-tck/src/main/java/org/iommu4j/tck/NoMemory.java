// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.sim.spi.Fabric;

/** No memory at any address. */
public final class NoMemory implements Fabric {
    /** Makes one. */
    public NoMemory() {}

    @Override
    public boolean isMemory(long physicalAddress) {
        return false;
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        return -1;
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        // swallowed
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        // swallowed
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        return false;
    }
}
