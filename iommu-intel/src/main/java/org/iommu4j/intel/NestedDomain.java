// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.spi.DomainWithoutTables;
import org.jspecify.annotations.Nullable;

/**
 * A guest's first-stage table above a parent's second stage, VT-d 3.8.
 *
 * <p>It has its own domain id, and shares the parent's lock. Whether no-snoop is blocked depends on whether the parent
 * has promised it when a device is attached. XD in the guest's entries is honoured. Source: {@code
 * drivers/iommu/intel/nested.c}.
 */
final class NestedDomain extends TranslatingDomain implements DomainWithoutTables, GuestInvalidation {
    private static final String NOT_MAPPED = "a nested domain is mapped by its guest";

    private final SecondStageDomain parent;
    private final long guestTable;
    private final int levels;

    /**
     * Makes a domain that its parent has already registered.
     *
     * @param guestTable guest-physical address of the top table
     * @param levels of the guest's table, 4 or 5
     */
    NestedDomain(DriverState driver, SecondStageDomain parent, long guestTable, int levels) {
        super(driver, DomainType.NESTED, driver.rules().attachesPasids(), CacheTags.Kind.FIRST_STAGE, parent);
        this.parent = parent;
        this.guestTable = guestTable;
        this.levels = levels;
    }

    @Override
    public String format() {
        return "vtd-nested";
    }

    @Override
    public long apertureEnd() {
        return (1L << (11 + 9 * levels)) - 1;
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        throw new IommuException(Errno.EINVAL, NOT_MAPPED);
    }

    @Override
    public Optional<GuestInvalidation> guestInvalidation() {
        return Optional.of(this);
    }

    @Override
    public void invalidate(long iova, long size, boolean leavesOnly) {
        checkOpen();
        if (((iova | size) & 0xfff) != 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    "invalidation of 0x" + Long.toHexString(size) + " bytes at 0x" + Long.toHexString(iova)
                            + ", expected multiples of 4096");
        }
        if (size == 0) {
            flush(UnitCaches.ALL_FIRST, UnitCaches.ALL_LAST, leavesOnly);
        } else {
            flush(iova, iova + size - 1, leavesOnly);
        }
    }

    @Override
    @Nullable
    String misfit(IntelDevice device) {
        IntelUnit unit = device.unit();
        if (!unit.nests()) {
            return unit.name() + " does not nest (ECAP.NEST is 0)";
        }
        if (levels == 5 && !unit.cap().firstStageOf5Levels()) {
            return unit.name() + " has no first stage of 5 levels (CAP.FL5LP is 0)";
        }
        return parent.misfit(device);
    }

    @Override
    int join(IntelDevice device, int pasid) {
        int domainId = super.join(device, pasid);
        parent.joinBelow(device, pasid, domainId);
        return domainId;
    }

    @Override
    void leave(IntelDevice device, int pasid) {
        parent.leaveBelow(device, pasid, domainIdOn(device.unit()));
        super.leave(device, pasid);
    }

    @Override
    long[] entry(IntelDevice device, int domainId) {
        return new long[] {
            parent.secondStageWord(PasidEntry.PGTT_NESTED),
            PasidEntry.word1(domainId, device.unit().walksCoherently(), parent.isEnforced()),
            PasidEntry.word2(levels, guestTable, false)
        };
    }

    @Override
    void tablesMayBeUsed() {
        parent.invalidationFailed();
    }

    @Override
    void release() {
        parent.nestedClosed();
    }
}
