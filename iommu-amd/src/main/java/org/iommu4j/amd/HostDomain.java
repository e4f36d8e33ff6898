// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.capability.DirtyTracking;
import org.jspecify.annotations.Nullable;

/** A domain with a host (v1) page table, which blocks no-snoop for whoever uses it. */
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

    /** FC is in every leaf from the start, so there is nothing to do and nothing that could fail. */
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
        attacher().grow(this, levels);
    }

    @Override
    boolean queueForgetting(AmdUnit unit, long first, long last) {
        long pages = Command.pages(first, last);
        boolean queued = unit.commands().queue(Command.invalidatePages(id()), pages);
        AttachmentList uses = attachments();
        for (int i = uses.size() - 1; i >= 0; i--) {
            Attachment use = uses.get(i);
            if (use != null && use.device().unit() == unit) {
                queued &= use.device().tlb().queue(Attachment.ORDINARY, Command.iotlbPages(pages));
            }
        }
        return queued;
    }

    // --- DirtyTracking ---

    @Override
    public void setDirtyTracking(boolean enabled) {
        attacher().setDirtyTracking(this, enabled);
    }

    @Override
    public void readAndClearDirty(DirtyBitmap bitmap, boolean clear) {
        Objects.requireNonNull(bitmap, "bitmap");
        checkOpen();
        if (!tracking) {
            throw new IommuException(Errno.EINVAL, this + ": written pages are not recorded");
        }
        if (table.readDirty(bitmap, clear)) {
            IommuException failure =
                    forget(bitmap.start(), bitmap.start() + bitmap.size() - 1, "clearing the record of written pages");
            if (failure != null) {
                throw failure;
            }
        }
    }

    // --- for the driver, under the attacher's lock ---

    boolean isTracking() {
        return tracking;
    }

    void setTracking(boolean enabled) {
        tracking = enabled;
    }

    @Override
    long entryWord0() {
        return entryWord0(table.root(), table.levels());
    }

    /** Returns word 0 of a device table entry with another root. */
    long entryWord0(long root, int levels) {
        return DeviceTableEntry.paging(root, levels) | (tracking ? DeviceTableEntry.HAD.mask() : 0);
    }

    @Override
    @Nullable
    String refuses(AmdDevice device) {
        if (!device.pasids().isEmpty()) {
            return device + " has PASIDs attached, which do not work above host tables: " + device.pasids();
        }
        if (dirtyTracking.isPresent() && !device.unit().features().tracksDirtyPages()) {
            return device.unit() + " does not record written pages";
        }
        return null;
    }
}
