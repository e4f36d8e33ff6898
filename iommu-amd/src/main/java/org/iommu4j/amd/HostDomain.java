// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.DecisionSource;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.capability.DirtyTracking;
import org.jspecify.annotations.Nullable;

/** A domain with a host (v1) page table, which blocks no-snoop for every device in it. */
final class HostDomain extends PagingDomain implements DirtyTracking {
    private final HostPageTable table;
    private final Optional<CacheCoherencyEnforcement> enforcement;
    private final Optional<DirtyTracking> dirtyTracking;

    /** Changed under the attacher's lock. */
    private volatile boolean tracking;

    /**
     * Makes a domain.
     *
     * @param tracksDirty whether written pages can be recorded
     */
    HostDomain(
            DriverState driver, Attacher attacher, DomainType type, int id, HostPageTable table, boolean tracksDirty) {
        super(driver, attacher, type, id, table);
        this.enforcement = driver.rules().enforcementOp() ? Optional.of(this::enforce) : Optional.empty();
        this.dirtyTracking = tracksDirty ? Optional.of(this) : Optional.empty();
        this.table = table;
    }

    @Override
    HostPageTable table() {
        return table;
    }

    @Override
    public String format() {
        return "amd-host-v1";
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return enforcement;
    }

    @Override
    public Optional<DecisionSource> enforcementSource() {
        return Optional.of(driver().rules().enforcementSource());
    }

    /** FC is set in every leaf from the start, so there is nothing to do and nothing can fail. */
    private boolean enforce() {
        checkOpen();
        return true;
    }

    @Override
    public Optional<DirtyTracking> dirtyTracking() {
        return dirtyTracking;
    }

    @Override
    void grow(int levels) {
        synchronized (attacher()) {
            if (table.levels() >= levels) {
                return;
            }
            attacher().checkWorks(this, "map");
            long root = table.tallerRoot(levels);
            IommuException failure = attacher().rewrite(this, entryWord0(), entryWord0(root, levels), "map");
            if (failure != null) {
                // Every device is back at the old root, but a unit may walk from the new one: both map the same.
                driver().quarantine(levels - table.levels());
                throw failure;
            }
            table.growTo(root, levels);
        }
    }

    @Override
    void addForgetting(CommandBatch batch, AmdUnit unit, long pages) {
        batch.add(Command.invalidatePages(id()), pages);
        AttachmentList<Attachment> uses = attachments();
        for (int i = uses.size() - 1; i >= 0; i--) {
            Attachment use = uses.get(i);
            if (use != null && use.requester().unit() == unit) {
                use.requester().tlb().addForgetting(batch, Gcr3Table.ORDINARY, Command.iotlbPages(pages));
            }
        }
    }

    // --- DirtyTracking ---

    @Override
    public void setDirtyTracking(boolean enabled) {
        synchronized (attacher()) {
            checkOpen();
            if (tracking == enabled) {
                return;
            }
            String what = (enabled ? "start" : "stop") + " recording of written pages of " + this;
            attacher().checkWorks(this, what);
            long before = entryWord0();
            tracking = enabled;
            IommuException failure = attacher().rewrite(this, before, entryWord0(), what);
            if (failure != null) {
                tracking = !enabled;
                throw failure;
            }
        }
    }

    @Override
    public void readAndClearDirty(DirtyBitmap bitmap, boolean clear) {
        Objects.requireNonNull(bitmap, "bitmap");
        checkOpen();
        if (!tracking) {
            throw new IommuException(Errno.EINVAL, this + ": written pages are not recorded");
        }
        IotlbGather cleared = new IotlbGather();
        table.readDirty(bitmap, clear, cleared, driver().rules().dirtyLeaves());
        if (cleared.hasRange()) {
            IommuException failure =
                    forget(cleared.start(), cleared.end(), false, "clearing the record of written pages");
            if (failure != null) {
                throw failure;
            }
        }
    }

    // --- for the driver, under the attacher's lock ---

    @Override
    long entryWord0() {
        return entryWord0(table.root(), table.levels());
    }

    /** Returns word 0 of a device table entry with another root. */
    private long entryWord0(long root, int levels) {
        return DeviceTableEntry.paging(root, levels) | (tracking ? DeviceTableEntry.HAD.mask() : 0);
    }

    @Override
    @Nullable
    String refuses(AmdUnit unit, List<Attachment> pasids) {
        if (!pasids.isEmpty()) {
            return pasids.get(0).requester() + " has PASIDs attached, which do not work above host tables: " + pasids;
        }
        if (dirtyTracking.isPresent() && !unit.features().tracksDirtyPages()) {
            return unit + " does not record written pages";
        }
        return null;
    }
}
