// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;

/** Passes calls on to another fabric; a subclass changes some. */
abstract class FabricOver implements Fabric {
    private final Fabric fabric;

    FabricOver(Fabric fabric) {
        this.fabric = fabric;
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return fabric.isMemory(physicalAddress);
    }

    @Override
    public boolean isWritable(long physicalAddress) {
        return fabric.isWritable(physicalAddress);
    }

    @Override
    public AccessStatus status(long physicalAddress, boolean snoop) {
        return fabric.status(physicalAddress, snoop);
    }

    @Override
    public boolean isUnreadable(long physicalAddress, boolean snoop) {
        return fabric.isUnreadable(physicalAddress, snoop);
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        return fabric.read(physicalAddress, snoop);
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        fabric.write(physicalAddress, value, snoop);
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        fabric.write32(physicalAddress, value, snoop);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        return fabric.compareAndSet(physicalAddress, expected, value, snoop);
    }

    @Override
    public InvalidationAnswer invalidateDevice(
            int sourceId, int pasid, boolean global, long address, long size, int tag) {
        return fabric.invalidateDevice(sourceId, pasid, global, address, size, tag);
    }

    @Override
    public void setWire(int wire, boolean high) {
        fabric.setWire(wire, high);
    }

    @Override
    public void respondToPageRequest(int sourceId, int pasid, int group, int code) {
        fabric.respondToPageRequest(sourceId, pasid, group, code);
    }
}
