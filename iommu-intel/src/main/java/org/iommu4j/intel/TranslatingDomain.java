// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.lang.invoke.VarHandle;
import org.iommu4j.DomainType;
import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/** A domain whose translations units and devices cache: its domain ids, one on each unit, and its cache tags. */
abstract class TranslatingDomain extends IntelDomain {
    private final CacheTags tags = new CacheTags();
    private final CacheTags.Kind kind;

    /** The domain id on each unit of the driver, 0 where nothing is attached; under the domain's lock. */
    private final int[] domainIds;

    private final int[] attachmentsPerUnit;
    private volatile boolean quarantined;

    TranslatingDomain(
            DriverState driver, DomainType type, boolean attachesPasids, CacheTags.Kind kind, @Nullable Object lock) {
        super(driver, type, attachesPasids, lock);
        this.kind = kind;
        this.domainIds = new int[driver.units().size()];
        this.attachmentsPerUnit = new int[driver.units().size()];
    }

    final CacheTags tags() {
        return tags;
    }

    /** Returns the domain id on a unit, 0 where nothing is attached; under the domain's lock. */
    final int domainIdOn(IntelUnit unit) {
        return domainIds[unit.index()];
    }

    /** Returns whether a unit may go on using the domain's tables permanently. */
    final boolean isQuarantined() {
        return quarantined;
    }

    @Override
    final boolean translates() {
        return true;
    }

    @Override
    int join(IntelDevice device, int pasid) {
        int unit = device.unit().index();
        if (attachmentsPerUnit[unit] == 0) {
            domainIds[unit] = device.unit().domainIds().take();
        }
        attachmentsPerUnit[unit]++;
        tags.add(device, pasid, domainIds[unit], kind);
        return domainIds[unit];
    }

    @Override
    void leave(IntelDevice device, int pasid) {
        int unit = device.unit().index();
        tags.remove(device, pasid, domainIds[unit], kind);
        if (--attachmentsPerUnit[unit] == 0) {
            device.unit().domainIds().give(domainIds[unit]);
            domainIds[unit] = 0;
        }
    }

    /**
     * Invalidates a range in all caches; see {@link CacheTags#flush}.
     *
     * @throws IommuException ETIMEDOUT, EIO
     */
    final void flush(long first, long last, boolean leavesOnly) {
        // The cleared entries must be visible before the tags are read: a device that joins later walks the new
        // entries.
        VarHandle.fullFence();
        try {
            tags.flush(first, last, leavesOnly);
        } catch (IommuException e) {
            quarantined = true;
            throw e;
        }
    }

    @Override
    final void invalidationFailed() {
        quarantined = true;
        tablesMayBeUsed();
    }

    /** Passes on that a unit may go on using tables of another domain below this one. */
    void tablesMayBeUsed() {
        // All tables belong to this domain.
    }
}
