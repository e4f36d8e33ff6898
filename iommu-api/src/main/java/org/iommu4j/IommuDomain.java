// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.Optional;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.Nesting;
import org.iommu4j.capability.PasidAttachment;

/**
 * An I/O address space that devices can be attached to.
 *
 * <p>Thread-safe, with one rule of Linux's: calls that map or unmap may run at the same time only for disjoint
 * ranges. Addresses and sizes are bytes; an IOVA is an unsigned 64-bit number. Mapping, unmapping, translating and
 * syncing allocate nothing on the heap.
 *
 * <p>Source: {@code struct iommu_domain}, {@code struct iommu_domain_ops} and the generic page-table rules of Linux
 * 7.1 ({@code drivers/iommu/generic_pt}).
 */
public interface IommuDomain extends AutoCloseable {
    /** What {@link #translate} returns where nothing is mapped. Linux returns 0 there, which is a valid address. */
    long UNMAPPED = -1L;

    /** Returns the kind of domain, constant for its life. */
    DomainType type();

    /** Returns the driver that made the domain. */
    Iommu iommu();

    /**
     * Returns the name of the page-table format, for example {@code vtd-second-stage}.
     *
     * <p>Two domains with the same {@link #iommu()} and the same format have what Linux calls the same ops.
     */
    String format();

    /** Returns the page sizes as a bitmap: bit n set means that 2^n bytes can be mapped. 0 unless paging. */
    long pageSizes();

    /**
     * Returns the first IOVA that can be mapped, aligned to the smallest page. 0 unless paging. Constant for the domain's
     * life.
     */
    default long apertureStart() {
        return 0;
    }

    /** Returns the last IOVA that can be mapped, inclusive. Constant for the domain's life. */
    long apertureEnd();

    /**
     * Moves a device to this domain, from whatever it was attached to.
     *
     * @return attached, or incompatible; when incompatible the device stays in the domain it was in
     * @throws IommuException ENOMEM, ENOSPC (out of domain ids), ETIMEDOUT or EIO (an invalidation did not complete),
     *     ENODEV (the device belongs to another driver). Under the rules of old releases, on VT-d, also what is an
     *     incompatible answer since: before 6.3 EOPNOTSUPP (the domain promised to block no-snoop, the device's unit
     *     can't) and EFAULT (the unit's addresses are narrower than the domain's); before 6.6 EPERM (firmware demands
     *     memory for the device, the domain is a user's). The device stays in the domain it was in
     */
    AttachResult attach(IommuDevice device);

    /**
     * Takes a device out of this domain and blocks its DMA. Never allocates.
     *
     * @throws IommuException EINVAL when the device is not attached to this domain; ETIMEDOUT or EIO when the
     *     invalidation did not complete: the device is detached and its unit is broken
     */
    void detach(IommuDevice device);

    /**
     * Maps a run of pages of one size, all or nothing.
     *
     * <p>The hardware may use the new entries after {@link #syncMap}.
     *
     * @param iova where, aligned to {@code pageSize}
     * @param physicalAddress to what, aligned to {@code pageSize}
     * @param pageSize one size of {@link #pageSizes()}
     * @param count how many pages, at least 1
     * @param prot {@link Prot} bits with READ, WRITE or both
     * @throws IommuException EINVAL (domain without page tables, neither READ nor WRITE, misaligned), ENXIO (no such
     *     page size), ERANGE (IOVA outside the aperture, physical address wider than the table), EADDRINUSE (a page is mapped already;
     *     an empty lower table is no obstacle), ENOMEM (no frame for a table), ETIMEDOUT or EIO (a large page replaced
     *     an empty table and the unit did not confirm that it forgot it; the page is taken back)
     */
    void map(long iova, long physicalAddress, long pageSize, long count, int prot);

    /**
     * Makes the hardware see entries made present, where it may have cached that they were not.
     *
     * @throws IommuException ETIMEDOUT or EIO when the invalidation did not complete
     */
    void syncMap(long iova, long size);

    /**
     * Unmaps from {@code iova} on, until {@code size} is done or a hole is met. Never allocates.
     *
     * <p>A page can't be split: a range that starts inside a page makes no progress, one that ends inside a page
     * unmaps all of it, so that the result exceeds the request. Table frames that become empty ride on the gather.
     *
     * @return bytes unmapped; 0 when nothing is mapped at {@code iova}, when the arguments are not aligned to the
     *     smallest page, when the range leaves the aperture, or when the domain has no page tables
     */
    long unmap(long iova, long size, IotlbGather gather);

    /**
     * Invalidates what the gather holds, frees its frames and empties it.
     *
     * @throws IommuException ETIMEDOUT or EIO when the invalidation did not complete: the unit is broken and the
     *     frames stay quarantined ({@link Iommu#quarantinedFrames()})
     */
    void sync(IotlbGather gather);

    /** Returns the physical address that an IOVA translates to, or {@link #UNMAPPED}. */
    long translate(long iova);

    /**
     * Returns the control over no-snoop, empty when this family of domains has none.
     *
     * <p>Constant for the domain's life. Empty, present and answering false, and present and answering true are three
     * different states, and consumers act on each.
     */
    Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement();

    /**
     * Returns the record of written pages, empty when this family of domains has none. Constant for the domain's life.
     */
    default Optional<DirtyTracking> dirtyTracking() {
        return Optional.empty();
    }

    /** Returns how PASIDs are attached, empty when they can't be. Constant for the domain's life. */
    default Optional<PasidAttachment> pasidAttachment() {
        return Optional.empty();
    }

    /** Returns how nested domains are made, empty when this can't be their parent. Constant for the domain's life. */
    default Optional<Nesting> nesting() {
        return Optional.empty();
    }

    /** Returns how a guest's invalidations are passed on, empty unless nested. Constant for the domain's life. */
    default Optional<GuestInvalidation> guestInvalidation() {
        return Optional.empty();
    }

    /**
     * Frees the domain with its tables and ids.
     *
     * <p>Closing again does nothing. What comes later and would change something, look into tables or wait for a unit
     * is refused with ENODEV, by the domain as by its capabilities; what is constant goes on being answered. The caller
     * sees to it that nothing of that is under way in another thread meanwhile, as with {@code iommu_domain_free}: the
     * frames of the tables may be somebody else's by then.
     *
     * @throws IommuException EBUSY while a device is attached
     */
    @Override
    void close();
}
