// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.iommu4j.DomainType;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.amd.fmt.Command;
import org.jspecify.annotations.Nullable;

/**
 * A domain with a page table of either format.
 *
 * <p>Mapping, unmapping, translating and syncing take no lock, except the lock of a unit that must invalidate. One sync
 * needs one wait for each unit.
 */
abstract class PagingDomain extends AmdDomain implements Retirement {
    private static final String FORGETTING_TABLES = "forgetting empty tables";

    /** The number of uses on each unit of the driver. Changed under the attacher's lock, read without it. */
    private final AtomicIntegerArray usesPerUnit;

    private final PageTable table;
    private final PageMapper mapper;
    private final PageUnmapper unmapper;

    PagingDomain(DriverState driver, Attacher attacher, DomainType type, int id, PageTable table) {
        super(driver, attacher, type, id);
        this.table = table;
        this.mapper = new PageMapper(table, this, this::grow);
        this.unmapper = new PageUnmapper(table, this);
        this.usesPerUnit = new AtomicIntegerArray(driver.units().size());
    }

    /** Returns its table. */
    PageTable table() {
        return table;
    }

    /** Grows its table; see {@link PageMapper.Growth}. */
    abstract void grow(int levels);

    /** Adds the commands that invalidate pages in a unit and in the device IOTLBs behind it: {@link Command#pages}. */
    abstract void addForgetting(CommandBatch batch, AmdUnit unit, long pages);

    @Override
    public final long pageSizes() {
        return table.pageSizes();
    }

    @Override
    public final long apertureEnd() {
        return table.lastAddress();
    }

    @Override
    public final void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        mapper.map(iova, physicalAddress, pageSize, count, prot);
    }

    @Override
    public final void syncMap(long iova, long size) {
        checkOpen();
        if (driver().features().announcesMappings() && size != 0) {
            // What Linux does here when it makes entries present is not known, so that tables are forgotten too.
            IommuException failure = forget(iova, iova + size - 1, true, "syncMap");
            if (failure != null) {
                throw failure;
            }
        }
    }

    @Override
    public final long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        return unmapper.unmap(iova, size, gather);
    }

    @Override
    public final void sync(IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        if (gather.isEmpty()) {
            return;
        }
        boolean tables = gather.frameCount() > 0;
        IommuException failure = gather.hasRange() ? forget(gather.start(), gather.end(), tables, "sync") : null;
        freeGathered(gather, failure == null);
        gather.reset();
        if (failure != null) {
            throw failure;
        }
    }

    @Override
    public final long translate(long iova) {
        checkOpen();
        return table.translate(iova);
    }

    /**
     * Invalidates a range in every unit with a use of this domain.
     *
     * @param tables whether tables below the range are freed
     * @return null, or the failure of a unit
     */
    final @Nullable IommuException forget(long first, long last, boolean tables, String what) {
        long pages = Command.pages(first, last);
        if (!tables && driver().rules().forgetsFreedTablesAlone()) {
            pages = Command.leaves(pages);
        }
        // Entries are visible before uses are read: a device that joins later walks the current entries.
        VarHandle.fullFence();
        IommuException failure = null;
        for (int i = 0; i < usesPerUnit.length(); i++) {
            AmdUnit unit = driver().units().get(i);
            boolean wasBroken = unit.commands().broken();
            if (usesPerUnit.get(i) != 0 && !forgetPages(unit, pages)) {
                failure = unit.commands().refusal(wasBroken, what);
            }
        }
        return failure;
    }

    /** Invalidates pages in a unit; false when it is broken, off or too slow. */
    private boolean forgetPages(AmdUnit unit, long pages) {
        UnitCommands commands = unit.commands();
        synchronized (commands) {
            CommandBatch batch = commands.begin();
            addForgetting(batch, unit, pages);
            return batch.complete();
        }
    }

    // --- Retirement ---

    @Override
    public final void retire(long chain, long first, long last) {
        IommuException failure = forget(first, last, true, FORGETTING_TABLES);
        if (failure != null) {
            driver().quarantine(table.frames().count(chain));
            throw failure;
        }
        table.frames().freeChain(chain);
    }

    @Override
    public final void makeRoom(IotlbGather gather) {
        boolean forgotten = forget(0, table.lastAddress(), true, FORGETTING_TABLES) == null;
        boolean hasRange = gather.hasRange();
        long start = gather.start();
        long end = gather.end();
        freeGathered(gather, forgotten);
        gather.reset();
        // The range stays in the gather, for the caller's own sync.
        if (hasRange) {
            gather.addRange(start, end);
        }
    }

    /** Frees the frames of a gather, or quarantines them. */
    private void freeGathered(IotlbGather gather, boolean forgotten) {
        if (!forgotten) {
            driver().quarantine(gather.totalFrames());
            return;
        }
        for (int i = 0; i < gather.frameCount(); i++) {
            table.frames().free(gather.frame(i), gather.order(i));
        }
    }

    // --- for the driver, under the attacher's lock ---

    @Override
    final void add(Attachment attachment) {
        super.add(attachment);
        usesPerUnit.getAndIncrement(
                driver().units().indexOf(attachment.requester().unit()));
    }

    @Override
    final void remove(Attachment attachment) {
        super.remove(attachment);
        usesPerUnit.getAndDecrement(
                driver().units().indexOf(attachment.requester().unit()));
    }

    @Override
    final void free() {
        super.free();
        long frames = table.free(!isLeftBehind());
        if (isLeftBehind()) {
            driver().quarantine(frames);
        }
    }
}
