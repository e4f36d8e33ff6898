// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.iommu4j.DecisionSource;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.riscv.fmt.DeviceContext;
import org.iommu4j.riscv.reg.Capabilities;
import org.jspecify.annotations.Nullable;

/**
 * A domain with a first-stage table.
 *
 * <p>Mapping, unmapping, translating and syncing take no lock, except the lock of a unit that must invalidate. One sync
 * needs one wait for each unit. Mapping needs none, since units cache no entry that is not valid.
 *
 * <p>Nothing blocks no-snoop: no field of the unit's structures does, and Linux has no such op.
 */
final class PagingDomain extends RiscvDomain implements Retirement {
    private static final String FORGETTING_TABLES = "forgetting empty tables";

    private final PageTable table;
    private final PageMapper mapper;
    private final PageUnmapper unmapper;
    private final int tag;

    /** The number of devices behind each unit. Changed under the attacher's monitor, read without it. */
    private final AtomicIntegerArray devicesPerUnit;

    /**
     * Makes a domain in which nothing is mapped.
     *
     * @param tag its PSCID
     */
    PagingDomain(DriverState driver, Attacher attacher, DomainType type, PageTable table, int tag) {
        super(driver, attacher, type);
        this.table = table;
        this.mapper = new PageMapper(table, this);
        this.unmapper = new PageUnmapper(table, this);
        this.tag = tag;
        this.devicesPerUnit = new AtomicIntegerArray(driver.units().size());
    }

    @Override
    public String format() {
        return table.levels() == 5 ? "riscv-sv57" : table.levels() == 4 ? "riscv-sv48" : "riscv-sv39";
    }

    @Override
    public long pageSizes() {
        return table.pageSizes();
    }

    @Override
    public long apertureEnd() {
        return table.lastAddress();
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return Optional.empty();
    }

    @Override
    public Optional<DecisionSource> enforcementSource() {
        return Optional.of(
                DecisionSource.of("riscv", "riscv_iommu_paging_domain_ops, which has no enforce_cache_coherency"));
    }

    // --- mapping ---

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        mapper.map(iova, physicalAddress, pageSize, count, prot);
    }

    @Override
    public void syncMap(long iova, long size) {
        checkOpen();
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        return unmapper.unmap(iova, size, gather);
    }

    @Override
    public void sync(IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        if (gather.isEmpty()) {
            return;
        }
        boolean tables = gather.frameCount() != 0;
        IommuException failure = gather.hasRange()
                ? forget(gather.start(), gather.end(), tables, "sync")
                : forget(0, table.lastAddress(), true, "sync");
        freeGathered(gather, failure == null);
        gather.reset();
        if (failure != null) {
            throw failure;
        }
    }

    @Override
    public long translate(long iova) {
        checkOpen();
        return table.translate(iova);
    }

    /** Invalidates a range in every unit with a device of this domain; returns null, or the failure of a unit. */
    private @Nullable IommuException forget(long first, long last, boolean tables, String what) {
        // Entries are visible before the devices are counted: one that joins later walks the current entries.
        VarHandle.fullFence();
        IommuException failure = null;
        for (int i = 0; i < devicesPerUnit.length(); i++) {
            RiscvUnit unit = driver().units().get(i);
            boolean wasBroken = unit.isBroken();
            if (devicesPerUnit.get(i) != 0 && !unit.forget(tag, first, last, tables)) {
                failure = unit.refusal(wasBroken, what);
            }
        }
        return failure;
    }

    // --- Retirement ---

    @Override
    public void retire(long chain, long first, long last) {
        IommuException failure = forget(first, last, true, FORGETTING_TABLES);
        if (failure != null) {
            driver().quarantine(table.frames().count(chain));
            throw failure;
        }
        table.frames().freeChain(chain);
    }

    @Override
    public void makeRoom(IotlbGather gather) {
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

    // --- for the attacher, under its monitor ---

    @Override
    long firstStage() {
        return DeviceContext.firstStage(table.root(), table.levels());
    }

    @Override
    int tag() {
        return tag;
    }

    @Override
    void checkFits(RiscvUnit unit) {
        if (!Capabilities.walks(unit.capabilities(), table.levels())) {
            throw new IommuException(
                    Errno.ENODEV, "attach: " + unit + " does not walk tables of " + table.levels() + " levels");
        }
    }

    @Override
    void join(RiscvUnit unit) {
        devicesPerUnit.getAndIncrement(driver().units().indexOf(unit));
    }

    @Override
    void leave(RiscvUnit unit) {
        devicesPerUnit.getAndDecrement(driver().units().indexOf(unit));
    }

    @Override
    boolean isLast(RiscvUnit unit) {
        return devicesPerUnit.get(driver().units().indexOf(unit)) == 1;
    }

    @Override
    void free() {
        long frames = table.free(!isLeftBehind());
        if (isLeftBehind()) {
            driver().quarantine(frames);
        } else {
            driver().tags().give(tag);
        }
    }
}
