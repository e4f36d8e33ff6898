// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.iommu4j.DomainType;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.jspecify.annotations.Nullable;

/**
 * A domain with a page table of either format.
 *
 * <p>Mapping, unmapping, translating and syncing take no lock but that of a unit that must forget something. One wait serves
 * all that a unit has to forget in one sync.
 */
abstract class PagingDomain extends AmdDomain implements PageTable.Owner {
    /** How many uses each unit of the driver has. Changed under the driver's lock, read without. */
    private final AtomicIntegerArray usesPerUnit;

    PagingDomain(AmdIommu iommu, DomainType type, int id) {
        super(iommu, type, id);
        this.usesPerUnit = new AtomicIntegerArray(iommu.unitCount());
    }

    /** Returns its table. */
    abstract PageTable table();

    /**
     * Adds to a unit's command buffer what makes it, and the device IOTLBs behind it, forget a range.
     *
     * @return false when the buffer stayed full
     */
    abstract boolean queueForgetting(AmdUnit unit, long first, long last);

    @Override
    public final long pageSizes() {
        return table().pageSizes();
    }

    @Override
    public final long apertureEnd() {
        return table().lastAddress();
    }

    @Override
    public final void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        table().map(iova, physicalAddress, pageSize, count, prot);
    }

    @Override
    public final void syncMap(long iova, long size) {
        checkOpen();
        if (driver().announcesMappings() && size != 0) {
            IommuException failure = forget(iova, iova + size - 1, "syncMap");
            if (failure != null) {
                throw failure;
            }
        }
    }

    @Override
    public final long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        return table().unmap(iova, size, gather);
    }

    @Override
    public final void sync(IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        if (gather.isEmpty()) {
            return;
        }
        IommuException failure = gather.hasRange() ? forget(gather.start(), gather.end(), "sync") : null;
        table().freeGathered(gather, failure == null);
        gather.reset();
        if (failure != null) {
            throw failure;
        }
    }

    @Override
    public final long translate(long iova) {
        checkOpen();
        return table().translate(iova);
    }

    /** Makes every unit with a use of this domain forget a range; returns null, or why one may not have. */
    final @Nullable IommuException forget(long first, long last, String what) {
        // Entries are visible before uses are counted: a device that joins later walks what is there now.
        VarHandle.fullFence();
        IommuException failure = null;
        for (int i = 0; i < usesPerUnit.length(); i++) {
            AmdUnit unit = driver().unit(i);
            boolean wasBroken = unit.broken();
            if (usesPerUnit.get(i) != 0 && !unit.forgetPages(this, first, last)) {
                failure = unit.refusal(wasBroken, what);
            }
        }
        return failure;
    }

    // --- PageTable.Owner ---

    @Override
    public final @Nullable IommuException forgetTables(long first, long last) {
        return forget(first, last, "forgetting empty tables");
    }

    @Override
    public final void quarantine(long frames) {
        driver().quarantine(frames);
    }

    // --- for the driver, under its lock ---

    @Override
    final void add(Attachment attachment) {
        super.add(attachment);
        usesPerUnit.getAndIncrement(driver().indexOf(attachment.device().unit()));
    }

    @Override
    final void remove(Attachment attachment) {
        super.remove(attachment);
        usesPerUnit.getAndDecrement(driver().indexOf(attachment.device().unit()));
    }

    @Override
    final void free() {
        super.free();
        table().free(!isLeftBehind());
    }
}
