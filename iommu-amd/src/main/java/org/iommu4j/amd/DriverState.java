// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * State of the opened driver for devices and domains: its rules, units and their common features, domain ids, GCR3
 * tables, quarantine, and whether it is open.
 */
final class DriverState {
    private final Iommu iommu;
    private final AmdRules rules;
    private final List<AmdUnit> units;
    private final CommonFeatures features;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final Consumer<IommuDomain> closedDomains;
    private final DomainIds domainIds = new DomainIds();
    private final AtomicLong quarantinedFrames = new AtomicLong();

    /** Guarded by the lock of the {@link Attacher}. */
    private boolean closed;

    /**
     * Makes the state of a driver that has found its units.
     *
     * @param iommu the driver as its users see it
     * @param features the features common to all units
     * @param frames the source of GCR3 tables
     * @param closedDomains receives each domain that is closed
     */
    DriverState(
            Iommu iommu,
            AmdRules rules,
            List<AmdUnit> units,
            CommonFeatures features,
            SystemMemory memory,
            FrameAllocator frames,
            Consumer<IommuDomain> closedDomains) {
        this.iommu = iommu;
        this.rules = rules;
        this.units = List.copyOf(units);
        this.features = features;
        this.memory = memory;
        this.frames = frames;
        this.closedDomains = closedDomains;
    }

    Iommu iommu() {
        return iommu;
    }

    AmdRules rules() {
        return rules;
    }

    List<AmdUnit> units() {
        return units;
    }

    CommonFeatures features() {
        return features;
    }

    // --- domain ids and GCR3 tables ---

    DomainIds domainIds() {
        return domainIds;
    }

    /**
     * Makes an empty GCR3 table with its own domain id.
     *
     * @param pasids the number of PASIDs that it must have room for, as far as units walk
     * @throws IommuException ENOMEM, ENOSPC
     */
    Gcr3Table newGcr3(int pasids) {
        int id = domainIds.allocate();
        try {
            return new Gcr3Table(memory, frames, Gcr3Table.levelsFor(pasids, features.gcr3Levels()), id);
        } catch (RuntimeException e) {
            domainIds.free(id);
            throw e;
        }
    }

    /** Frees a GCR3 table and its id, or quarantines both when a unit may still use them. */
    void free(Gcr3Table table, boolean forgotten) {
        long count = table.free(forgotten);
        if (forgotten) {
            domainIds.free(table.domainId());
        } else {
            quarantine(count);
        }
    }

    // --- quarantine ---

    /** Quarantines frames that a unit may still be walking; they are never freed. */
    void quarantine(long count) {
        quarantinedFrames.addAndGet(count);
    }

    /** Returns how many frames are quarantined. */
    long quarantinedFrames() {
        return quarantinedFrames.get();
    }

    // --- open and closed, under the lock ---

    /** Removes a domain that is being closed from the driver's list. */
    void forget(IommuDomain domain) {
        closedDomains.accept(domain);
    }

    /**
     * Throws when the driver is closed.
     *
     * @throws IommuException ENODEV
     */
    void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the AMD-Vi driver is closed");
        }
    }

    boolean isClosed() {
        return closed;
    }

    void close() {
        closed = true;
    }
}
