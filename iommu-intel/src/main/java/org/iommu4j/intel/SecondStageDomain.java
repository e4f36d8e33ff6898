// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.capability.Nesting;
import org.iommu4j.intel.IntelRules.AttachCheck;
import org.iommu4j.intel.IntelRules.TableLevels;
import org.iommu4j.intel.fmt.ContextEntry;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/**
 * A domain with a second-stage table, VT-d 3.7: the only kind in legacy mode, and needed for nesting and dirty
 * tracking.
 *
 * <p>No-snoop is blocked leaf by leaf: mappings from before the promise still let it pass. Releases handle this
 * differently ({@link IntelRules}). Source: {@code intel_iommu_domain_alloc_second_stage}, {@code
 * paging_domain_compatible_second_stage}.
 */
final class SecondStageDomain extends PagingDomain {
    /** Makes nested domains, and records them until they are closed. */
    interface NestedFactory {
        /**
         * Makes a domain above a parent and registers it, in one step.
         *
         * @throws IommuException ENODEV when the driver or the parent is closed
         */
        IommuDomain nest(SecondStageDomain parent, FirstStageTable guest);
    }

    private final boolean nestParent;
    private final boolean tracksDirty;
    private final Optional<DirtyTracking> dirtyTracking;
    private final Optional<Nesting> nesting;
    private final NestedFactory nestedFactory;
    private boolean recording;
    private int nestedDomains;

    /**
     * Makes an empty domain.
     *
     * @param alone whether it follows its unit alone until a device is attached, where units are not compared
     * @param nestedFactory used when the domain will be a parent
     * @throws IommuException EOPNOTSUPP when the unit has no table format that is built, ENOMEM
     */
    SecondStageDomain(
            DriverState driver,
            DomainType type,
            IntelUnit unit,
            VendorContext context,
            Set<DomainFlag> flags,
            boolean alone,
            NestedFactory nestedFactory) {
        super(
                driver,
                type,
                driver.rules().attachesPasids() && unit.translatesPasids(),
                CacheTags.Kind.SECOND_STAGE,
                unit,
                context,
                TableFormat.SECOND_STAGE,
                TableSize.ofSecondStage(driver.rules(), unit),
                alone,
                each -> each.cap().pageSizes(),
                SecondStageDomain::needsSync);
        this.nestParent = flags.contains(DomainFlag.NEST_PARENT);
        this.tracksDirty = flags.contains(DomainFlag.DIRTY_TRACKING);
        this.dirtyTracking = tracksDirty ? Optional.of(new Dirty()) : Optional.empty();
        this.nestedFactory = nestedFactory;
        this.nesting = nestParent ? Optional.of(this::allocateNested) : Optional.empty();
    }

    @Override
    TableSize sizeOn(IntelUnit unit) {
        return TableSize.ofSecondStage(rules(), unit);
    }

    private static boolean needsSync(IntelUnit unit) {
        return unit.cap().requiresWriteBufferFlush() || unit.cap().cachingMode();
    }

    @Override
    long moreLeafBits(int prot) {
        return rules().leafSnoops(isEnforced(), prot, driver().everyUnitSnoops())
                ? TableFormat.SECOND_STAGE.forcesSnoop()
                : 0;
    }

    @Override
    void checkProtection(int prot) {
        if (nestParent && (prot & Prot.WRITE) == 0) {
            // For all units, as in Linux: with ERRATA_772415_SPR17 the unit could write where it may only read.
            throw new IommuException(Errno.EINVAL, "a parent of nested domains takes no read-only mappings");
        }
    }

    @Override
    boolean mayEnforce() {
        return rules().mayEnforceSecondStage(
                        isEnforced(), wasEverMapped(), attachedUnitsSnoop(), driver().everyUnitSnoops());
    }

    @Override
    String enforcementFunction() {
        return rules().enforcementFunction(false);
    }

    @Override
    void blockNoSnoop() {
        // New leaves have the bit from now on.
    }

    @Override
    @Nullable
    String pasidMisfit() {
        boolean takesThem = !tracksDirty || rules().tracksWithPasids();
        return takesThem ? null : "a domain that records written pages takes no PASIDs";
    }

    @Override
    @Nullable
    String stageMisfit(IntelUnit unit) {
        if (unit.isScalable() && !unit.ecap().secondStage()) {
            return unit.name() + " has no second stage in scalable mode (ECAP.SLTS is 0)";
        }
        if (rules().tableLevels() == TableLevels.NEEDED && !unit.cap().supportsLevels(table().levels())) {
            return unit.name() + " does not support tables of " + table().levels() + " levels";
        }
        if (tracksDirty && !unit.tracksDirty()) {
            return unit.name() + " does not keep dirty bits (ECAP.SLADS), the domain needs them";
        }
        if (nestParent && !unit.nests()) {
            return unit.name() + " does not nest (ECAP.NEST is 0), the domain will be a parent";
        }
        return null;
    }

    @Override
    AttachCheck snoopCheck() {
        return rules().secondStageAttach();
    }

    @Override
    long[] entry(IntelDevice device, int domainId) {
        IntelUnit unit = device.unit();
        if (!unit.isScalable()) {
            long type = device.tlb().isSupported() ? ContextEntry.TT_DEVICE_TLB : ContextEntry.TT_MULTI_LEVEL;
            return new long[] {ContextEntry.low(type, table().root()), ContextEntry.high(table().levels(), domainId)};
        }
        return new long[] {
            secondStageWord(PasidEntry.PGTT_SECOND_STAGE),
            PasidEntry.word1(domainId, unit.walksCoherently(), rules().entrySnoops(isEnforced(), type(), false)),
            0
        };
    }

    /** Returns the lowest word of a PASID entry that leads to this table, alone or below a first stage. */
    synchronized long secondStageWord(long type) {
        return PasidEntry.word0(type, table().levels(), table().root(), recording);
    }

    // ---- dirty tracking --------------------------------------------------------------------------------------------

    @Override
    public Optional<DirtyTracking> dirtyTracking() {
        return dirtyTracking;
    }

    /** Dirty bits of leaves, kept by the hardware while SSADE is set: {@code intel_iommu_set_dirty_tracking}. */
    private final class Dirty implements DirtyTracking {
        @Override
        public void setDirtyTracking(boolean enabled) {
            synchronized (SecondStageDomain.this) {
                checkOpen();
                if (recording == enabled) {
                    return;
                }
                changeEntries(true, 0, PasidEntry.SSADE.mask(), enabled);
                recording = enabled;
            }
        }

        @Override
        public void readAndClearDirty(DirtyBitmap bitmap, boolean clear) {
            Objects.requireNonNull(bitmap, "bitmap");
            synchronized (SecondStageDomain.this) {
                checkOpen();
                if (!recording) {
                    throw new IommuException(Errno.EINVAL, "written pages of this domain are not recorded");
                }
            }
            IotlbGather cleared = new IotlbGather();
            table().readDirty(bitmap, clear, cleared, rules().dirtyLeaves());
            if (cleared.hasRange()) {
                // The IOTLB holds the page as already written: it would not set the bit again.
                flush(cleared.start(), cleared.end(), true);
            }
        }
    }

    // ---- nesting ---------------------------------------------------------------------------------------------------

    @Override
    public Optional<Nesting> nesting() {
        return nesting;
    }

    private IommuDomain allocateNested(IommuDevice device, GuestTable table) {
        IntelUnit unit = IntelDevice.own(device, driver()).unit();
        Objects.requireNonNull(table, "table");
        checkOpen();
        if (!unit.nests()) {
            throw new IommuException(Errno.EOPNOTSUPP, unit.name() + " does not nest (ECAP.NEST is 0)");
        }
        if (!(table instanceof FirstStageTable guest)) {
            throw new IommuException(Errno.EOPNOTSUPP, "a guest's table as VT-d has none: " + table);
        }
        // Whether the unit can walk such a table is asked when a device is attached: intel_pasid_setup_nested.
        return nestedFactory.nest(this, guest);
    }

    /**
     * Registers a nested domain.
     *
     * @throws IommuException ENODEV when this domain is closed
     */
    synchronized void nestedOpened() {
        checkTakesDevices();
        nestedDomains++;
    }

    /** Adds a device that translates through a guest's table first; under this domain's lock. */
    void joinBelow(IntelDevice device, int pasid, int domainId) {
        tags().add(device, pasid, domainId, CacheTags.Kind.BELOW_A_FIRST_STAGE);
        follow(device.unit());
    }

    /** Removes such a device; under this domain's lock. */
    void leaveBelow(IntelDevice device, int pasid, int domainId) {
        tags().remove(device, pasid, domainId, CacheTags.Kind.BELOW_A_FIRST_STAGE);
        followWalks();
    }

    /** Unregisters a nested domain. */
    synchronized void nestedClosed() {
        nestedDomains--;
    }

    @Override
    void checkUnused() {
        if (nestedDomains > 0) {
            throw new IommuException(Errno.EBUSY, nestedDomains + " nested domains need this domain");
        }
    }
}
