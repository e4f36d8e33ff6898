// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.lang.invoke.VarHandle;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.intel.fmt.ContextEntry;
import org.iommu4j.intel.fmt.SecondStageEntry;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A domain with a second-stage table, made to fit one unit; other units may join where they can walk the same table.
 *
 * <p>Source: {@code intel_iommu_domain_alloc_second_stage}, {@code paging_domain_compatible_second_stage} and the cache
 * tags of Linux 7.1.
 */
final class PagingDomain extends IntelDomain implements CacheCoherencyEnforcement, SecondStageTable.Retirement {
    private static final Logger LOG = LoggerFactory.getLogger(PagingDomain.class);

    private final IntelRules rules;
    private final FrameAllocator frames;
    private final SecondStageTable table;
    private final int width;
    private final boolean coherentWalkNeeded;
    private final boolean syncsMaps;

    /** The domain id on each unit of the driver, 0 where no device is attached; read without a lock. */
    private final AtomicIntegerArray domainIds;

    private final int[] devicesPerUnit;
    private volatile boolean enforced;
    private volatile boolean quarantined;
    private boolean released;

    /**
     * Makes an empty domain.
     *
     * @throws IommuException EOPNOTSUPP when the unit has no table format that is built, ENOMEM
     */
    PagingDomain(IntelIommu iommu, DomainType type, IntelUnit unit, VendorContext context, IntelRules rules) {
        super(iommu, type);
        this.rules = rules;
        this.frames = context.frames();
        Capability cap = unit.cap();
        int levels = levels(unit);
        this.width = Math.min(tableWidth(levels), cap.maximumAddressWidth());
        this.coherentWalkNeeded = unit.ecap().coherentWalk();
        this.syncsMaps = unit.needsSyncMap();
        this.domainIds = new AtomicIntegerArray(iommu.unitCount());
        this.devicesPerUnit = new int[iommu.unitCount()];
        this.table = new SecondStageTable(
                context.memory(), frames, this, levels, width, cap.pageSizes(), !coherentWalkNeeded);
    }

    /** Chooses the smallest supported table that covers all that requests may carry, or else the largest one. */
    private static int levels(IntelUnit unit) {
        Capability cap = unit.cap();
        int chosen = 0;
        for (int levels = 3; levels <= 4; levels++) {
            if (cap.supportsLevels(levels)) {
                chosen = levels;
                if (tableWidth(levels) >= cap.maximumAddressWidth()) {
                    break;
                }
            }
        }
        if (chosen == 0) {
            throw new IommuException(
                    Errno.EOPNOTSUPP,
                    unit.name() + " supports neither 3 nor 4 levels: " + Capability.LAYOUT.decode(cap.value()));
        }
        return chosen;
    }

    private static int tableWidth(int levels) {
        return 12 + 9 * levels;
    }

    @Override
    public String format() {
        return "vtd-second-stage";
    }

    @Override
    public long pageSizes() {
        return table.pageSizes();
    }

    @Override
    public long apertureEnd() {
        return table.end();
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        long permissions = rules.permissions(prot);
        if (permissions == 0) {
            throw new IommuException(
                    Errno.EINVAL, "protection is " + Prot.toString(prot) + ", expected READ, WRITE or both");
        }
        table.map(
                iova,
                physicalAddress,
                pageSize,
                count,
                enforced ? permissions | SecondStageEntry.SNP.mask() : permissions);
    }

    @Override
    public void syncMap(long iova, long size) {
        if (!syncsMaps || size == 0) {
            return;
        }
        VarHandle.fullFence();
        for (int i = 0; i < domainIds.length(); i++) {
            int domainId = domainIds.get(i);
            if (domainId != 0) {
                driver().unit(i).syncMap(domainId, iova, iova + size - 1);
            }
        }
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        return table.unmap(iova, size, gather);
    }

    @Override
    public void sync(IotlbGather gather) {
        if (gather.isEmpty()) {
            return;
        }
        try {
            flush(gather.start(), gather.end(), gather.frameCount() == 0);
        } catch (IommuException e) {
            driver().quarantine(gather.frameCount());
            gather.reset();
            throw e;
        }
        for (int i = 0; i < gather.frameCount(); i++) {
            frames.free(gather.frame(i), 0);
        }
        gather.reset();
    }

    @Override
    public void makeRoom(IotlbGather gather) {
        try {
            sync(gather);
        } catch (IommuException e) {
            // Half an unmap helps nobody: it goes on, and its caller hears of the broken unit from its own sync.
            LOG.error("{} while unmapping, the table frames so far are quarantined", e.getMessage());
        }
    }

    @Override
    public void retire(long firstFrame, long first, long last) {
        try {
            flush(first, last, false);
        } catch (IommuException e) {
            driver().quarantine(table.countChain(firstFrame));
            throw e;
        }
        table.freeChain(firstFrame);
    }

    /** Has every unit with a device forget a range; all are asked, even when one does not answer. */
    private void flush(long first, long last, boolean leavesOnly) {
        // The cleared entries must be visible before the ids are read: a device that joins after that walks anew.
        VarHandle.fullFence();
        IommuException failure = null;
        for (int i = 0; i < domainIds.length(); i++) {
            int domainId = domainIds.get(i);
            if (domainId != 0) {
                try {
                    driver().unit(i).flush(domainId, first, last, leavesOnly);
                } catch (IommuException e) {
                    failure = e;
                }
            }
        }
        if (failure != null) {
            quarantined = true;
            throw failure;
        }
    }

    @Override
    public long translate(long iova) {
        return table.translate(iova);
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return Optional.of(this);
    }

    @Override
    public synchronized boolean enforce() {
        boolean unitsSnoop = true;
        for (int i = 0; i < devicesPerUnit.length; i++) {
            unitsSnoop &= devicesPerUnit[i] == 0 || driver().unit(i).ecap().snoopControl();
        }
        if (!rules.mayEnforce(enforced, unitsSnoop)) {
            return false;
        }
        enforced = true;
        return true;
    }

    @Override
    @Nullable
    String misfit(IntelUnit unit) {
        Capability cap = unit.cap();
        if (coherentWalkNeeded && !unit.ecap().coherentWalk()) {
            return unit.name() + " walks without snooping (ECAP.C is 0), the domain's tables are not written back";
        }
        if (width > cap.maximumAddressWidth()) {
            return unit.name() + " takes addresses of " + cap.maximumAddressWidth() + " bits, the domain has " + width;
        }
        if (!cap.supportsLevels(table.levels())) {
            return unit.name() + " does not support tables of " + table.levels() + " levels";
        }
        if ((table.pageSizes() & ~cap.pageSizes()) != 0) {
            return unit.name() + " lacks page sizes 0x" + Long.toHexString(table.pageSizes() & ~cap.pageSizes());
        }
        if (unit.needsSyncMap() && !syncsMaps) {
            return unit.name() + " must be told of new mappings (CAP.RWBF or CAP.CM), the domain does not";
        }
        if (enforced && !unit.ecap().snoopControl()) {
            return unit.name() + " can't block no-snoop (ECAP.SC is 0), the domain promised to";
        }
        return null;
    }

    @Override
    int join(IntelUnit unit) {
        int i = unit.index();
        if (devicesPerUnit[i] == 0) {
            domainIds.set(i, unit.takeDomainId());
        }
        devicesPerUnit[i]++;
        return domainIds.get(i);
    }

    @Override
    void leave(IntelUnit unit) {
        int i = unit.index();
        if (--devicesPerUnit[i] == 0) {
            unit.giveDomainId(domainIds.getAndSet(i, 0));
        }
    }

    @Override
    long contextLow() {
        return ContextEntry.low(ContextEntry.TT_MULTI_LEVEL, table.root());
    }

    @Override
    long contextHigh(IntelUnit unit, int domainId) {
        return ContextEntry.high(table.levels(), domainId);
    }

    @Override
    void invalidationFailed() {
        quarantined = true;
    }

    @Override
    void release() {
        if (released) {
            return;
        }
        released = true;
        if (quarantined) {
            driver().quarantine(table.countFrames());
        } else {
            table.free();
        }
    }
}
