// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
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

    /** Pages of the whole address space. */
    private static final long MOST_PAGES = 1L << 52;

    private final SecondStageDomain parent;
    private final FirstStageTable guest;

    /** Makes a domain that its parent has already registered, above a guest's table that the unit can walk. */
    NestedDomain(DriverState driver, SecondStageDomain parent, FirstStageTable guest) {
        super(driver, DomainType.NESTED, driver.rules().attachesPasids(), CacheTags.Kind.FIRST_STAGE, parent);
        this.parent = parent;
        this.guest = guest;
    }

    @Override
    public String format() {
        return "vtd-nested";
    }

    @Override
    public long apertureEnd() {
        return (1L << (guest.addressWidth() - 1)) - 1;
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
    public void invalidate(GuestInvalidationRequest request) {
        Objects.requireNonNull(request, "request");
        checkOpen();
        if (!(request instanceof FirstStageInvalidation range)) {
            throw new IommuException(Errno.EINVAL, "an invalidation as VT-d has none: " + request);
        }
        long first = range.address();
        long pages = range.pages();
        if (first == 0 && pages == FirstStageInvalidation.ALL_PAGES) {
            flush(UnitCaches.ALL_FIRST, UnitCaches.ALL_LAST, range.leavesOnly());
            return;
        }
        long last = first + (pages << 12) - 1;
        if ((first & 0xfff) != 0 || pages < 1 || pages > MOST_PAGES || Long.compareUnsigned(last, first) < 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    "invalidation of " + Long.toUnsignedString(pages) + " pages at 0x" + Long.toHexString(first)
                            + ", expected a range of whole pages");
        }
        flush(first, last, range.leavesOnly());
    }

    @Override
    @Nullable
    String misfit(IntelDevice device, int pasid) {
        IntelUnit unit = device.unit();
        if (!unit.nests()) {
            return unit.name() + " does not nest (ECAP.NEST is 0)";
        }
        String misfit = unit.misfit(guest);
        return misfit != null ? misfit : parent.misfit(device, PasidEntry.NO_PASID);
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
            PasidEntry.guestWord2(
                    guest.addressWidth() == 57 ? 5 : 4,
                    guest.address(),
                    guest.has(FirstStageTable.SUPERVISOR_REQUESTS),
                    guest.has(FirstStageTable.SUPERVISOR_REQUESTS) && guest.has(FirstStageTable.WRITE_PROTECT),
                    guest.has(FirstStageTable.EXTENDED_ACCESSED))
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
