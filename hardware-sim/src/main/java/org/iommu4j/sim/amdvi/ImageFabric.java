// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Fabric;

/** A memory image for a unit that must not change it: what it writes, accessed and dirty bits included, is swallowed. */
record ImageFabric(Fabric image) implements Fabric {
    @Override
    public boolean isMemory(long physicalAddress) {
        return image.isMemory(physicalAddress);
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        return image.read(physicalAddress, snoop);
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        // an image stays as it is
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        // likewise
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        return true;
    }
}
