// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;

/** Passes a unit's accesses on and records them. */
final class WatchedFabric implements Fabric {
    /** What the unit would have without this. */
    final Fabric fabric;

    final List<Access> accesses = Collections.synchronizedList(new ArrayList<>());

    /** Answers to page requests: source id, PASID, group, code. */
    final List<List<Integer>> responses = Collections.synchronizedList(new ArrayList<>());

    private volatile boolean watching;
    private volatile Runnable before = () -> {};

    WatchedFabric(Fabric fabric) {
        this.fabric = fabric;
    }

    void watch() {
        watching = true;
    }

    /** Does something before each read. */
    void beforeReads(Runnable something) {
        before = something;
    }

    /** Returns the accesses since the last call. */
    List<Access> take() {
        List<Access> all = List.copyOf(accesses);
        accesses.clear();
        return all;
    }

    private void record(boolean writes, long address, long value, boolean snoop) {
        if (watching) {
            accesses.add(new Access(writes, address, value, snoop));
        }
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
    public long read(long physicalAddress, boolean snoop) {
        before.run();
        long value = fabric.read(physicalAddress, snoop);
        record(false, physicalAddress, value, snoop);
        return value;
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        record(true, physicalAddress, value, snoop);
        fabric.write(physicalAddress, value, snoop);
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        record(true, physicalAddress, value, snoop);
        fabric.write32(physicalAddress, value, snoop);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        record(true, physicalAddress, value, snoop);
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
        responses.add(List.of(sourceId, pasid, group, code));
        fabric.respondToPageRequest(sourceId, pasid, group, code);
    }
}
