// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import java.util.function.ToLongFunction;
import org.iommu4j.DecisionSource;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.intel.IntelRules.AttachCheck;
import org.iommu4j.intel.IntelRules.ComparedWidth;
import org.iommu4j.intel.IntelRules.Comparison;
import org.iommu4j.intel.IntelRules.TableLevels;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.platform.support.TableFrames;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A domain with its own page table, made for one unit; other units may join where they can walk the same table.
 *
 * <p>Where Linux until 6.12 would remove top levels from the table, also under devices that walk them, the attach is
 * refused. Source: {@code paging_domain_compatible} and the cache tags of Linux 7.1, {@code domain_update_iommu_cap}
 * and {@code prepare_domain_attach_device} of 6.1.
 */
abstract class PagingDomain extends TranslatingDomain implements CacheCoherencyEnforcement, Retirement {
    private static final Logger LOG = LoggerFactory.getLogger(PagingDomain.class);

    private final IntelRules rules;
    private final TableFrames frames;
    private final PageTable table;
    private final PageMapper mapper;
    private final PageUnmapper unmapper;
    private final boolean firstStage;
    private final boolean alone;

    /** Bits of an address that are compared with those of units; under the domain's lock. */
    private int width;

    /** The highest address that was ever mapped, where that is compared. */
    private final AtomicLong highest = new AtomicLong();

    private final ToLongFunction<IntelUnit> pageSizes;
    private final Predicate<IntelUnit> needsSyncMap;
    private final boolean madeForCoherentWalks;
    private final boolean syncsMaps;

    /**
     * The largest page that is mapped after a device was attached: {@code domain_update_iommu_superpage}. What was
     * mapped before keeps its pages, also where a unit that joins does not know them.
     */
    private final long largestOnceAttached;

    private volatile boolean everAttached;
    private volatile boolean enforced;
    private volatile boolean everMapped;

    /**
     * Makes an empty domain.
     *
     * @param size levels and width of the table
     * @param pageSizes the page sizes of the domain's stage on a unit
     * @param alone whether the domain follows its unit alone until a device is attached, where units are not compared
     * @param needsSyncMap whether a unit needs a flush for entries that became present: Linux's {@code iotlb_sync_map}
     * @throws IommuException ENOMEM
     */
    PagingDomain(
            DriverState driver,
            DomainType type,
            boolean attachesPasids,
            CacheTags.Kind kind,
            IntelUnit unit,
            VendorContext context,
            TableFormat format,
            TableSize size,
            boolean alone,
            ToLongFunction<IntelUnit> pageSizes,
            Predicate<IntelUnit> needsSyncMap) {
        super(driver, type, attachesPasids, kind, null);
        this.rules = driver.rules();
        this.frames = new TableFrames(context.memory(), context.frames());
        this.firstStage = kind == CacheTags.Kind.FIRST_STAGE;
        this.alone = alone;
        this.width = size.width();
        this.pageSizes = pageSizes;
        this.needsSyncMap = needsSyncMap;
        List<IntelUnit> machine = driver.units();
        this.madeForCoherentWalks = (rules.walks() == Comparison.NONE && !alone)
                ? machine.stream().allMatch(IntelUnit::walksCoherently)
                : unit.walksCoherently();
        this.syncsMaps = rules.announcesByDomain()
                ? needsSyncMap.test(unit)
                : machine.stream().anyMatch(needsSyncMap);
        long common = machine.stream().mapToLong(pageSizes).reduce(-1L, (a, b) -> a & b);
        long sizes = rules.pageSizes() == Comparison.NONE && !alone ? common : pageSizes.applyAsLong(unit);
        this.largestOnceAttached = rules.pageSizes() == Comparison.NONE ? Long.highestOneBit(common) : Long.MIN_VALUE;
        this.table = new PageTable(
                context.memory(),
                frames,
                format,
                size.levels(),
                mappedWidth(size.width()),
                sizes,
                !madeForCoherentWalks);
        this.mapper = new PageMapper(table, this);
        this.unmapper = new PageUnmapper(table, this);
    }

    final IntelRules rules() {
        return rules;
    }

    final PageTable table() {
        return table;
    }

    @Override
    public final String format() {
        return table.format().name();
    }

    @Override
    public final long pageSizes() {
        return table.pageSizes();
    }

    @Override
    public final long apertureEnd() {
        return table.end();
    }

    @Override
    public final void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        int effective = rules.effective(prot);
        long leaf = table.format().leaf(effective);
        if (leaf == 0) {
            throw new IommuException(
                    Errno.EINVAL, "protection is " + Prot.toString(prot) + ", expected READ, WRITE or both");
        }
        checkProtection(prot);
        if (!everMapped) {
            synchronized (this) {
                everMapped = true;
            }
        }
        if (rules.comparedWidth() == ComparedWidth.HIGHEST_MAPPED) {
            raiseHighest(iova + pageSize * count - 1);
        }
        long bits = leaf | moreLeafBits(prot);
        if (everAttached && Long.compareUnsigned(pageSize, largestOnceAttached) > 0 && hasPageSize(pageSize)) {
            mapper.map(iova, physicalAddress, largestOnceAttached, count * (pageSize / largestOnceAttached), bits);
        } else {
            mapper.map(iova, physicalAddress, pageSize, count, bits);
        }
    }

    private boolean hasPageSize(long size) {
        return (table.pageSizes() & size) == size && Long.bitCount(size) == 1;
    }

    private void raiseHighest(long last) {
        long before = highest.get();
        while (Long.compareUnsigned(last, before) > 0
                && Long.compareUnsigned(last, table.end()) <= 0
                && !highest.compareAndSet(before, last)) {
            before = highest.get();
        }
    }

    /**
     * Refuses a protection that the domain's purpose excludes.
     *
     * @throws IommuException EINVAL
     */
    void checkProtection(int prot) {
        // Every protection that the format supports is accepted.
    }

    /** Returns the bits of a leaf besides its permissions. */
    abstract long moreLeafBits(int prot);

    @Override
    public final void syncMap(long iova, long size) {
        checkOpen();
        if (!syncsMaps || size == 0) {
            return;
        }
        VarHandle.fullFence();
        tags().syncMap(iova, iova + size - 1);
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
        try {
            flush(gather.start(), gather.end(), gather.frameCount() == 0);
        } catch (IommuException e) {
            driver().quarantine(gather.totalFrames());
            gather.reset();
            throw e;
        }
        for (int i = 0; i < gather.frameCount(); i++) {
            frames.free(gather.frame(i), gather.order(i));
        }
        gather.reset();
    }

    @Override
    public final void makeRoom(IotlbGather gather) {
        try {
            sync(gather);
        } catch (IommuException e) {
            // Half an unmap is useless: it goes on, and the caller's own sync reports the broken unit.
            LOG.error("{} while unmapping, the table frames so far are quarantined", e.getMessage());
        }
    }

    @Override
    public final void retire(long chain, long first, long last) {
        try {
            flush(first, last, false);
        } catch (IommuException e) {
            driver().quarantine(frames.count(chain));
            throw e;
        }
        frames.freeChain(chain);
    }

    @Override
    public final long translate(long iova) {
        checkOpen();
        return table.translate(iova);
    }

    // ---- no-snoop --------------------------------------------------------------------------------------------------

    @Override
    public final Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return rules.canBeAsked() ? Optional.of(this) : Optional.empty();
    }

    @Override
    public final Optional<DecisionSource> enforcementSource() {
        return Optional.of(DecisionSource.of("intel", enforcementFunction(), "enforcement"));
    }

    /** Returns whether the domain promised that no-snoop is blocked. */
    final boolean isEnforced() {
        return enforced;
    }

    final boolean wasEverMapped() {
        return everMapped;
    }

    @Override
    public final synchronized boolean enforce() {
        checkOpen();
        if (!mayEnforce()) {
            return false;
        }
        if (!enforced) {
            blockNoSnoop();
            enforced = true;
        }
        return true;
    }

    /** Asks the release's rule; under the domain's lock. */
    abstract boolean mayEnforce();

    /** Returns the function of Linux that {@link #mayEnforce} stands for. */
    abstract String enforcementFunction();

    /**
     * Makes existing attachments and mappings block no-snoop, as far as the release does; under the domain's lock.
     *
     * @throws IommuException ETIMEDOUT, EIO; nothing is changed
     */
    abstract void blockNoSnoop();

    /**
     * Returns whether every unit behind an attached device has snoop control. Units of attached PASIDs are not asked.
     */
    final boolean attachedUnitsSnoop() {
        for (CacheTags.Attachment at = tags().attachments(); at != null; at = at.next()) {
            if (at.pasid == PasidEntry.NO_PASID
                    && at.kind != CacheTags.Kind.BELOW_A_FIRST_STAGE
                    && !at.device.unit().ecap().snoopControl()) {
                return false;
            }
        }
        return true;
    }

    /**
     * Changes bits in the PASID entries of all attachments; when a unit fails, the changed ones get their old bits
     * back. Under the domain's lock.
     *
     * @param pasidsToo whether to change entries of PASIDs too, or only those of ordinary requests
     * @throws IommuException ETIMEDOUT, EIO
     */
    final void changeEntries(boolean pasidsToo, int word, long mask, boolean set) {
        CacheTags.Attachment at = tags().attachments();
        try {
            for (; at != null; at = at.next()) {
                if (pasidsToo || at.pasid == PasidEntry.NO_PASID) {
                    at.device.unit().tables().change(at.device.requester(), at.pasid, at.domainId, word, mask, set);
                }
            }
        } catch (IommuException e) {
            for (CacheTags.Attachment done = tags().attachments(); done != null && done != at; done = done.next()) {
                if (pasidsToo || done.pasid == PasidEntry.NO_PASID) {
                    takeBack(done, word, mask, set);
                }
            }
            throw e;
        }
    }

    private static void takeBack(CacheTags.Attachment at, int word, long mask, boolean set) {
        try {
            at.device.unit().tables().takeBack(at.device.requester(), at.pasid, at.domainId, word, mask, !set);
        } catch (IommuException e) {
            LOG.error("{} while the old bits of an entry of {} were restored", e.getMessage(), at.device);
        }
    }

    // ---- attaching -------------------------------------------------------------------------------------------------

    /** Returns the bits of the addresses that can be mapped: of a first stage the lower half. */
    private int mappedWidth(int ofTable) {
        return firstStage ? ofTable - 1 : ofTable;
    }

    /** Returns the size of the tables that this stage would have on a unit. */
    abstract TableSize sizeOn(IntelUnit unit);

    /** Returns why no PASID fits, or null. */
    @Nullable
    String pasidMisfit() {
        return null;
    }

    /** Returns why a device does not fit a domain of its stage, or null. */
    abstract @Nullable String stageMisfit(IntelUnit unit);

    /** Returns this stage's refusal of a device that can't block no-snoop. */
    abstract AttachCheck snoopCheck();

    @Override
    final void checkMayTake(IntelDevice device) {
        if (rules.lockedDevicesStayWithTheKernel() && type() == DomainType.UNMANAGED && device.isLockedByFirmware()) {
            throw new IommuException(
                    Errno.EPERM, device + " has memory that firmware demands (RMRR), it can't be assigned to a user");
        }
    }

    @Override
    final @Nullable String misfit(IntelDevice device, int pasid) {
        IntelUnit unit = device.unit();
        if (enforced && !unit.ecap().snoopControl()) {
            String noSnoop = refuse(
                    snoopCheck(),
                    Errno.EOPNOTSUPP,
                    unit.name() + " can't block no-snoop (ECAP.SC is 0), as the domain has promised");
            if (noSnoop != null) {
                return noSnoop;
            }
        }
        String stage = stageMisfit(unit);
        if (stage == null) {
            stage = sizeMisfit(unit);
        }
        if (stage == null) {
            stage = difference(unit);
        }
        return stage != null || pasid == PasidEntry.NO_PASID ? stage : pasidMisfit();
    }

    /** Returns why a table of this size does not fit a unit, or null. */
    private @Nullable String sizeMisfit(IntelUnit unit) {
        TableSize own = rules.tableLevels() == TableLevels.NEEDED
                ? new TableSize(table.levels(), unit.cap().maximumAddressWidth())
                : sizeOn(unit);
        int reached = own.width();
        boolean tooWide = switch (rules.comparedWidth()) {
            case HIGHEST_MAPPED ->
                alone ? width > reached : Long.compareUnsigned(highest.get(), (1L << mappedWidth(reached)) - 1) > 0;
            case OF_DOMAIN -> width > reached;
            case OF_SECOND_STAGE -> !firstStage && width > reached;
        };
        if (tooWide) {
            return refuse(
                    rules.widthRefusal(),
                    Errno.EFAULT,
                    unit.name() + " takes addresses of " + reached + " bits, the domain has " + width);
        }
        if (table.levels() > own.levels()) {
            return unit.name() + " takes tables of " + own.levels() + " levels, the domain's has " + table.levels();
        }
        return null;
    }

    /** Returns how a unit differs too much from the one that the domain was made for, or null. */
    private @Nullable String difference(IntelUnit unit) {
        boolean coherent = unit.walksCoherently();
        if (differs(rules.walks(), madeForCoherentWalks && !coherent, madeForCoherentWalks != coherent)) {
            return unit.name() + " walks " + (coherent ? "snooping (" : "without snooping (")
                    + (unit.isScalable() ? "ECAP.SMPWC" : "ECAP.C") + (coherent ? " is 1" : " is 0")
                    + "), the domain's tables are " + (madeForCoherentWalks ? "not " : "") + "written back";
        }
        if (rules.announcesByDomain() && needsSyncMap.test(unit) && !syncsMaps) {
            return unit.name() + " needs a flush for new mappings (CAP.RWBF or CAP.CM), the domain does none";
        }
        long has = pageSizes.applyAsLong(unit);
        long lacks = table.pageSizes() & ~has;
        if (differs(rules.pageSizes(), lacks != 0, has != table.pageSizes())) {
            return lacks != 0
                    ? unit.name() + " lacks page sizes 0x" + Long.toHexString(lacks)
                    : unit.name() + " has page sizes 0x" + Long.toHexString(has) + ", the domain only 0x"
                            + Long.toHexString(table.pageSizes());
        }
        return null;
    }

    private static boolean differs(Comparison comparison, boolean cannot, boolean unlike) {
        return switch (comparison) {
            case NONE -> false;
            case ALIKE -> unlike;
            case ENOUGH -> cannot;
        };
    }

    private static @Nullable String refuse(AttachCheck how, Errno errno, String reason) {
        return switch (how) {
            case NONE -> null;
            case SOFT -> reason;
            case HARD -> throw new IommuException(errno, reason);
        };
    }

    @Override
    final int join(IntelDevice device, int pasid) {
        int domainId = super.join(device, pasid);
        everAttached = true;
        follow(device.unit());
        return domainId;
    }

    @Override
    final void leave(IntelDevice device, int pasid) {
        super.leave(device, pasid);
        followWalks();
    }

    /** Follows a unit that joins: to how it walks, and to the addresses that it reaches; under the domain's lock. */
    final void follow(IntelUnit unit) {
        if (rules.comparedWidth() == ComparedWidth.HIGHEST_MAPPED) {
            width = Math.min(width, sizeOn(unit).width());
            table.narrow(mappedWidth(width));
        }
        followWalks();
    }

    /**
     * Writes tables back while a unit needs it, where units are not compared: {@code domain_update_iommu_coherency}.
     * Entries stored earlier stay in the caches; therefore later releases compare. Units of nested domains are
     * included, although Linux does not ask when they join or leave: otherwise they would walk entries that never left
     * the caches. Under the domain's lock.
     */
    final void followWalks() {
        if (rules.walks() == Comparison.NONE) {
            table.writeBack(!(tags().attachments() == null ? madeForCoherentWalks : everyAttachedWalksCoherently()));
        }
    }

    private boolean everyAttachedWalksCoherently() {
        for (CacheTags.Attachment at = tags().attachments(); at != null; at = at.next()) {
            if (!at.device.unit().walksCoherently()) {
                return false;
            }
        }
        return true;
    }

    @Override
    void release() {
        if (isQuarantined()) {
            driver().quarantine(table.countFrames());
        } else {
            table.free();
        }
    }
}
