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
 * <p>Addresses and sizes are bytes; an IOVA is an unsigned 64-bit number [domain-1]. A domain is thread-safe, with one
 * rule of Linux's: calls that map or unmap run at the same time only for disjoint ranges [domain-2]. Mapping,
 * unmapping, translating and syncing allocate nothing on the heap [domain-3]. A domain of type BLOCKED refuses every
 * request of its devices, and one of type IDENTITY passes every request with its address unchanged [domain-4]. A call
 * that throws, and for which nothing else is said, leaves the domain and its devices as they were [domain-5].
 *
 * <p>Sentences that end with an id in brackets are promises that every vendor keeps; {@code docs/contracts.md} lists
 * them.
 *
 * <p>Source: {@code struct iommu_domain}, {@code struct iommu_domain_ops} and the generic page-table rules of Linux
 * 7.1 ({@code drivers/iommu/generic_pt}).
 */
public interface IommuDomain extends AutoCloseable {
    /** The result of {@link #translate} where nothing is mapped. Linux returns 0 there, which is a valid address. */
    long UNMAPPED = -1L;

    /** Returns the kind of domain, as it was allocated, constant for the domain's life [type-1]. */
    DomainType type();

    /** Returns the driver that made the domain, constant for the domain's life [domain-iommu-1]. */
    Iommu iommu();

    /**
     * Returns the name of the page-table format, for example {@code vtd-second-stage}, constant for the domain's life
     * [format-1].
     *
     * <p>Two domains with the same {@link #iommu()} and the same format have what Linux calls the same ops: a device of
     * one can be attached to the other, or is incompatible with it, and the answer is never ENODEV [format-2]. Where a
     * driver says so, different formats have the same ops too ({@link Iommu#sharesOps}).
     */
    String format();

    /**
     * Returns the page sizes as a bitmap: bit n set means that pages of 2^n bytes can be mapped [page-sizes-1]. The
     * bitmap is 0 unless the domain is paging, and constant for its life [page-sizes-2].
     */
    long pageSizes();

    /**
     * Returns the first IOVA that can be mapped, aligned to the smallest page [aperture-1]. It is 0 unless the domain
     * is paging, and constant for its life [aperture-2].
     */
    default long apertureStart() {
        return 0;
    }

    /**
     * Returns the last IOVA that can be mapped, inclusive: its page can be mapped, and devices reach it [aperture-3].
     * Constant for the domain's life, but that an attach may lower it where a release's rule says so [aperture-5].
     */
    long apertureEnd();

    /**
     * Moves a device to this domain, from the domain that it was attached to.
     *
     * <p>Afterwards the device reaches what this domain maps, and nothing that only its old domain maps, also where
     * hardware had cached the old mappings [attach-1]. The old domain goes on serving its other devices, and can be
     * closed when it has none [attach-2]. Attaching a device to the domain that it is attached to changes nothing
     * [attach-3]. When the driver takes domain ids at attachment, it gives them back at detachment [attach-4].
     *
     * @return attached, or incompatible, never null [attach-5]; an incompatible device goes on working in the domain
     *     that it was in, or is in none and blocked where {@link Iommu#blocksBeforeAttach} says so [attach-12]
     * @throws IommuException ENOMEM [attach-7]; ENOSPC (out of domain ids) [attach-8]; ETIMEDOUT or EIO (an
     *     invalidation did not complete) [attach-9]; ENODEV (the device belongs to another driver, or this domain is
     *     closed) [attach-10]. After each of these the device works in the domain that it was in [attach-11]. Under the
     *     rules of old releases VT-d throws where it answers incompatible since. Before 6.2: EOPNOTSUPP (the domain
     *     promised to block no-snoop, the device's unit can't), EFAULT (the unit's addresses are narrower than the
     *     domain's). Before 6.6: EPERM (firmware demands memory for the device, the domain is a user's). RISC-V throws
     *     ENODEV where the unit does not walk the domain's format
     */
    AttachResult attach(IommuDevice device);

    /**
     * Takes a device out of this domain and blocks its DMA, from the return of this call on [detach-1].
     *
     * <p>Allocates neither memory nor frames [detach-2].
     *
     * @throws IommuException EINVAL when the device is not attached to this domain [detach-3]; ETIMEDOUT or EIO when
     *     the invalidation did not complete: the device is detached all the same, and its unit is broken [detach-4];
     *     ENODEV when the device belongs to another driver, or this domain is closed [detach-5]
     */
    void detach(IommuDevice device);

    /**
     * Maps a run of pages of one size.
     *
     * <p>The hardware uses the new entries after {@link #syncMap}; it may use them earlier [map-1]. Mapping is all or
     * nothing: after an error no page of the run is mapped, and pages that were mapped before stay as they were
     * [map-2]. Tables that were allocated for a refused run may stay, empty, until the domain is closed [map-3]. An
     * empty lower table is no obstacle to a large page: the table is freed, and the hardware forgets it [map-4]. A
     * device may read where READ is among the rights, and write where WRITE is [map-5]; in a format without write-only
     * entries WRITE alone also grants reading [map-6].
     *
     * @param iova where, aligned to {@code pageSize}
     * @param physicalAddress to what, aligned to {@code pageSize}
     * @param pageSize one size of {@link #pageSizes()}
     * @param count how many pages, at least 1; the run may cross tables
     * @param prot {@link Prot} bits with READ, WRITE or both
     * @throws IommuException EINVAL (domain without page tables, neither READ nor WRITE, misaligned, no page) [map-7];
     *     ENXIO (no such page size) [map-8]; ERANGE (IOVA outside the aperture, physical address wider than the
     *     table's, or a run that wraps) [map-9]; EADDRINUSE (a page of the run is mapped already) [map-10]; ENOMEM (no
     *     frame for a table) [map-11]; ETIMEDOUT or EIO (the unit did not confirm that it forgot an empty table, and
     *     the large page in its place is taken back) [map-12]; ENODEV when this domain is closed [map-13]
     */
    void map(long iova, long physicalAddress, long pageSize, long count, int prot);

    /**
     * Makes the hardware see entries made present, also where it had cached that they were not [sync-map-1].
     *
     * @param iova first byte of what was mapped
     * @param size bytes
     * @throws IommuException ETIMEDOUT or EIO when the invalidation did not complete: the unit is broken, and the
     *     entries stay [sync-map-2]; ENODEV when this domain is closed [sync-map-3]
     */
    void syncMap(long iova, long size);

    /**
     * Unmaps from {@code iova} on, until {@code size} is done or a hole is met [unmap-1].
     *
     * <p>Never throws while the domain is open, and allocates neither memory nor frames [unmap-2]. A page can't be
     * split. A range that starts inside a page makes no progress [unmap-3]. One that ends inside a page unmaps all of
     * that page, so that the result exceeds the request [unmap-4]. Pages outside the range stay mapped [unmap-5].
     *
     * <p>The gather gets the range that was unmapped and no more [unmap-6]. Tables that become empty ride on the
     * gather, and their frames are not used again before {@link #sync} [unmap-7]. When the gather has no room, the
     * driver syncs it itself [unmap-8]. A table becomes empty in this sense when one call unmaps all that it covers,
     * mapped or not before. One that several calls have emptied piece by piece may stay, until a call covers it, a
     * large page takes its place or the domain is closed; the top table stays until then.
     *
     * @return bytes unmapped [unmap-9]; 0 when nothing is mapped at {@code iova}, when the arguments are not aligned to
     *     the smallest page, when the size is 0, when the range leaves the aperture, or when the domain has no page
     *     tables [unmap-10]
     * @throws IommuException ENODEV when this domain is closed [unmap-11]
     */
    long unmap(long iova, long size, IotlbGather gather);

    /**
     * Invalidates what the gather holds, frees its frames and empties it [sync-1].
     *
     * <p>Until then the hardware may use the old entries, afterwards it does not [sync-2]. Nothing happens for an empty
     * gather: no command is sent, and a broken unit is not noticed [sync-3].
     *
     * @throws IommuException ETIMEDOUT or EIO when the invalidation did not complete: the unit is broken, the gather is
     *     empty, and its frames stay quarantined ({@link Iommu#quarantinedFrames()}) [sync-4]; ENODEV when this domain
     *     is closed [sync-5]
     */
    void sync(IotlbGather gather);

    /**
     * Returns the physical address of exactly the byte that an IOVA translates to, or {@link #UNMAPPED} [translate-1].
     *
     * <p>The answer agrees with the hardware's for every address [translate-2]. An IDENTITY domain returns the IOVA, a
     * BLOCKED one {@link #UNMAPPED} [translate-3].
     *
     * @throws IommuException ENODEV when this domain is closed [translate-4]
     */
    long translate(long iova);

    /**
     * Returns the control over no-snoop, empty when this family of domains has none; constant for the domain's life
     * [enforcement-1].
     *
     * <p>Empty, present and answering false, and present and answering true are three different states, and consumers
     * act on each.
     */
    Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement();

    /**
     * Returns where the driver's Linux answers whether this domain blocks no-snoop; empty where the driver does not
     * say, as by default.
     *
     * <p>The source has the vendor's name and only rules that the vendor declares [enforcement-source-1].
     */
    default Optional<DecisionSource> enforcementSource() {
        return Optional.empty();
    }

    /**
     * Returns the record of written pages, empty when this family of domains has none; constant for the domain's life
     * [dirty-tracking-1].
     */
    default Optional<DirtyTracking> dirtyTracking() {
        return Optional.empty();
    }

    /**
     * Returns how PASIDs are attached, empty when they can't be; constant for the domain's life [pasid-attachment-1].
     */
    default Optional<PasidAttachment> pasidAttachment() {
        return Optional.empty();
    }

    /**
     * Returns how nested domains are made, empty when this domain can't be their parent; constant for the domain's life
     * [nesting-1].
     */
    default Optional<Nesting> nesting() {
        return Optional.empty();
    }

    /**
     * Returns how a guest's invalidations are passed on, empty unless the domain is nested; constant for the domain's
     * life [guest-invalidation-1].
     */
    default Optional<GuestInvalidation> guestInvalidation() {
        return Optional.empty();
    }

    /**
     * Frees the domain with its tables and ids: all frames and ids that it took can be taken again [close-1].
     *
     * <p>A domain does not detach its devices: with one attached it stays open [close-2]. Closing again does nothing
     * [close-3]. Afterwards the domain and its capabilities refuse with ENODEV what would change something, look into
     * tables or wait for a unit; what is constant they go on answering [close-4]. The caller sees to it that no such
     * call is under way in another thread meanwhile, as with {@code iommu_domain_free}: the frames of the tables may be
     * in other use by then.
     *
     * @throws IommuException EBUSY while a device is attached, by itself or by a PASID, or while nested domains of this
     *     one exist; nothing has changed [close-5]
     */
    @Override
    void close();
}
