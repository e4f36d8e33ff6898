// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;

/** Memory as one translation unit accesses it; accesses are recorded under the unit's name. */
record UnitFabric(Fabric memory, String unit, Trace trace, Devices devices) implements Fabric {
    /** The devices whose requests pass a unit. */
    interface Devices {
        InvalidationAnswer invalidate(
                String unit, int sourceId, int pasid, boolean global, long address, long size, int tag);

        void respond(String unit, int sourceId, int pasid, int group, int code);

        void setWire(String unit, int wire, boolean high);
    }

    @Override
    public InvalidationAnswer invalidateDevice(
            int sourceId, int pasid, boolean global, long address, long size, int tag) {
        return devices.invalidate(unit, sourceId, pasid, global, address, size, tag);
    }

    @Override
    public void respondToPageRequest(int sourceId, int pasid, int group, int code) {
        devices.respond(unit, sourceId, pasid, group, code);
    }

    @Override
    public void setWire(int wire, boolean high) {
        devices.setWire(unit, wire, high);
    }

    @Override
    public boolean isWritable(long physicalAddress) {
        return memory.isWritable(physicalAddress);
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return memory.isMemory(physicalAddress);
    }

    @Override
    public AccessStatus status(long physicalAddress, boolean snoop) {
        return memory.status(physicalAddress, snoop);
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        long value = memory.read(physicalAddress, snoop);
        if (trace.isOn()) {
            trace.unit(TraceKind.UNIT_READ, unit, physicalAddress, value, flags(physicalAddress, snoop));
        }
        return value;
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        memory.write(physicalAddress, value, snoop);
        if (trace.isOn()) {
            trace.unit(TraceKind.UNIT_WRITE, unit, physicalAddress, value, flags(physicalAddress, snoop));
        }
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        memory.write32(physicalAddress, value, snoop);
        if (trace.isOn()) {
            trace.unit(
                    TraceKind.UNIT_WRITE,
                    unit,
                    physicalAddress,
                    value & 0xffffffffL,
                    flags(physicalAddress, snoop) | Trace.HALF);
        }
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        boolean done = memory.compareAndSet(physicalAddress, expected, value, snoop);
        if (done && trace.isOn()) {
            trace.unit(TraceKind.UNIT_READ, unit, physicalAddress, expected, flags(physicalAddress, snoop));
            trace.unit(TraceKind.UNIT_WRITE, unit, physicalAddress, value, flags(physicalAddress, snoop));
        }
        return done;
    }

    /** Records an access; one outside memory is marked as refused. */
    private int flags(long physicalAddress, boolean snoop) {
        return (snoop ? 0 : Trace.UNSNOOPED) | (memory.isMemory(physicalAddress) ? 0 : Trace.FAULT);
    }
}
