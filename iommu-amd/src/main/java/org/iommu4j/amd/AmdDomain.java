// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.jspecify.annotations.Nullable;

/**
 * A domain: blocked, identity, or with a host page table.
 *
 * <p>Mapping, unmapping, translating and syncing take no lock but that of a unit that must forget something; attaching,
 * detaching and growing the table are one at a time under the driver's lock.
 */
final class AmdDomain implements IommuDomain, HostPageTable.Owner {
    /** FC is in every leaf from the start, so there is nothing to do and nothing that could fail. */
    private static final Optional<CacheCoherencyEnforcement> ALWAYS_ENFORCED = Optional.of(() -> true);

    private final AmdIommu iommu;
    private final DomainType type;
    private final int id;
    private final @Nullable HostPageTable table;

    /** Attached devices. Guarded by the driver's lock. */
    private final List<AmdDevice> devices = new ArrayList<>();

    /** How many of them each unit of the driver has. Changed under the driver's lock, read without. */
    private final AtomicIntegerArray devicesPerUnit;

    /** A unit that never confirmed may still use the tables. Guarded by the driver's lock. */
    private boolean leftBehind;

    private boolean closed;

    AmdDomain(AmdIommu iommu, DomainType type, int id) {
        this.iommu = iommu;
        this.type = type;
        this.id = id;
        this.devicesPerUnit = new AtomicIntegerArray(iommu.unitCount());
        this.table = type.isPaging() ? iommu.newTable(this) : null;
    }

    @Override
    public DomainType type() {
        return type;
    }

    @Override
    public Iommu iommu() {
        return iommu;
    }

    @Override
    public String format() {
        return table == null ? "amd-none" : "amd-host-v1";
    }

    @Override
    public long pageSizes() {
        return table == null ? 0 : table.pageSizes();
    }

    @Override
    public long apertureEnd() {
        return table == null ? -1L : table.lastAddress();
    }

    @Override
    public AttachResult attach(IommuDevice device) {
        return iommu.attach(device, this);
    }

    @Override
    public void detach(IommuDevice device) {
        iommu.detach(device, this);
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        if (table == null) {
            throw new IommuException(Errno.EINVAL, "map: a domain of type " + type + " has no page tables");
        }
        table.map(iova, physicalAddress, pageSize, count, prot);
    }

    @Override
    public void syncMap(long iova, long size) {
        if (!iommu.announcesMappings() || size == 0) {
            return;
        }
        publish();
        for (int i = 0; i < devicesPerUnit.length(); i++) {
            AmdUnit unit = iommu.unit(i);
            boolean wasBroken = unit.broken();
            if (devicesPerUnit.get(i) != 0 && !unit.forgetPages(id, iova, iova + size - 1)) {
                throw unit.refusal(wasBroken, "syncMap");
            }
        }
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        return table == null ? 0 : table.unmap(iova, size, gather);
    }

    @Override
    public void sync(IotlbGather gather) {
        if (gather.isEmpty() || table == null) {
            return;
        }
        AmdUnit failed = null;
        boolean wasBroken = false;
        if (gather.hasRange()) {
            publish();
            for (int i = 0; i < devicesPerUnit.length(); i++) {
                AmdUnit unit = iommu.unit(i);
                boolean broken = unit.broken();
                if (devicesPerUnit.get(i) != 0 && !unit.forgetPages(id, gather.start(), gather.end())) {
                    failed = unit;
                    wasBroken = broken;
                }
            }
        }
        table.freeGathered(gather, failed == null);
        gather.reset();
        if (failed != null) {
            throw failed.refusal(wasBroken, "sync");
        }
    }

    @Override
    public long translate(long iova) {
        if (table != null) {
            return table.translate(iova);
        }
        return type == DomainType.IDENTITY ? iova : UNMAPPED;
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return table != null && iommu.hasEnforcement() ? ALWAYS_ENFORCED : Optional.empty();
    }

    @Override
    public void close() {
        iommu.close(this);
    }

    // --- HostPageTable.Owner ---

    @Override
    public void grow(int levels) {
        iommu.grow(this, levels);
    }

    @Override
    @Nullable
    public IommuException forgetTables(long first, long last) {
        publish();
        IommuException failure = null;
        for (int i = 0; i < devicesPerUnit.length(); i++) {
            AmdUnit unit = iommu.unit(i);
            boolean wasBroken = unit.broken();
            if (devicesPerUnit.get(i) != 0 && !unit.forgetPages(id, first, last)) {
                failure = unit.refusal(wasBroken, "forgetting empty tables");
            }
        }
        return failure;
    }

    @Override
    public void quarantine(long frames) {
        iommu.quarantine(frames);
    }

    /** Makes entries visible before the units' devices are counted: a device that joins later walks what is there now. */
    private static void publish() {
        VarHandle.fullFence();
    }

    // --- for the driver, under its lock ---

    int id() {
        return id;
    }

    @Nullable
    HostPageTable table() {
        return table;
    }

    List<AmdDevice> devices() {
        return devices;
    }

    /** Returns word 0 of a device table entry that uses this domain. */
    long deviceTableWord() {
        if (table != null) {
            return DeviceTableEntry.paging(table.root(), table.levels());
        }
        return type == DomainType.IDENTITY ? DeviceTableEntry.IDENTITY : DeviceTableEntry.BLOCKED;
    }

    /** Adds a device, before its entry changes: from now on its unit is told what to forget. */
    void add(AmdDevice device) {
        devices.add(device);
        devicesPerUnit.getAndIncrement(iommu.indexOf(device.unit()));
    }

    /** Removes a device whose unit has forgotten this domain, or never will. Never allocates. */
    void remove(AmdDevice device) {
        devices.remove(device);
        devicesPerUnit.getAndDecrement(iommu.indexOf(device.unit()));
    }

    /** Notes that a unit may use the tables for good. */
    void leaveBehind() {
        leftBehind = true;
    }

    boolean isLeftBehind() {
        return leftBehind;
    }

    boolean isClosed() {
        return closed;
    }

    /** Frees the tables, or keeps them for good when a unit was left with them. */
    void free() {
        closed = true;
        if (table != null) {
            table.free(!leftBehind);
        }
    }

    @Override
    public String toString() {
        return type + " domain " + id;
    }
}
