// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.ReservedRegion;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.platform.ProcessMemory;
import org.jspecify.annotations.Nullable;

/**
 * The mappings of one container and the domains that hold them.
 *
 * <p>Every domain holds every mapping, with the same physical pages. A group that can't share an existing domain gets
 * its own, into which all mappings are replayed. A failed call changes nothing, with one exception: after an
 * invalidation that did not complete, a device may go on using pages. These stay pinned and charged permanently ({@link
 * #quarantinedPages()}).
 *
 * <p>Thread-safe: one lock per container, as Linux's. Source: {@code drivers/vfio/vfio_iommu_type1.c}.
 */
public final class Type1Iommu {
    /** The device may read. Source: {@code VFIO_DMA_MAP_FLAG_READ}. */
    public static final int MAP_READ = 1;
    /** The device may write. Source: {@code VFIO_DMA_MAP_FLAG_WRITE}. */
    public static final int MAP_WRITE = 1 << 1;
    /** Unmap everything. Source: {@code VFIO_DMA_UNMAP_FLAG_ALL}. */
    public static final int UNMAP_ALL = 1 << 1;

    private final boolean v2;
    private final Type1Options options;
    private final List<Type1Domain> domains = new ArrayList<>();
    private final DmaMappings mappings = new DmaMappings();
    private final PinnedPages pages;
    private final Type1Mapper mapper;
    private IovaRanges ranges = IovaRanges.NONE;

    /**
     * Makes an IOMMU without groups.
     *
     * @param v2 whether unmap refuses to split a mapping (TYPE1v2), or removes every mapping that starts in its range
     *     (TYPE1)
     * @param process the process whose memory is mapped, pinned and charged
     * @param options the limits and rules
     */
    public Type1Iommu(boolean v2, ProcessMemory process, Type1Options options) {
        Objects.requireNonNull(process, "process");
        Objects.requireNonNull(options, "options");
        this.v2 = v2;
        this.options = options;
        this.pages = new PinnedPages(process);
        this.mapper = new Type1Mapper(domains, pages);
    }

    /**
     * Adds a group that the caller owns: it joins a domain that it fits, or gets a new one.
     *
     * <p>Source: {@code vfio_iommu_type1_attach_group}.
     *
     * @throws IommuException EINVAL (the group is already in, it does not fit its own domain, or its unit or its
     *     devices do not allow an existing mapping), EPERM (its interrupts are not isolated), and as {@link
     *     org.iommu4j.Iommu#allocate}, {@link IommuGroup#attach} and {@link IommuMapper#map}
     */
    public synchronized void attachGroup(IommuGroup group) {
        Objects.requireNonNull(group, "group");
        if (domainOf(group) != null) {
            throw new IommuException(Errno.EINVAL, group + " is already in this container");
        }
        IommuDevice device = group.devices().get(0);
        Type1Domain fresh = new Type1Domain(device.iommu().allocate(DomainType.UNMANAGED, device));
        IommuDomain attachedTo = null;
        try {
            attach(group, fresh.domain);
            attachedTo = fresh.domain;
            IovaRanges narrowed = rangesWith(fresh, group);
            checkMappingsAreIn(narrowed, group);
            if (!options.allowUnsafeInterrupts() && !group.isolatedMsi()) {
                throw new IommuException(
                        Errno.EPERM,
                        group + " has interrupts that are not remapped, expected isolation or allowUnsafeInterrupts");
            }
            fresh.block(options.blocking(), device);
            for (Type1Domain candidate : domains) {
                if (candidate.isLike(fresh)) {
                    attachedTo = null;
                    group.detach(fresh.domain);
                    if (tryAttach(group, candidate.domain)) {
                        attachedTo = candidate.domain;
                        fresh.domain.close();
                        candidate.groups.add(group);
                        ranges = narrowed;
                        return;
                    }
                    attach(group, fresh.domain);
                    attachedTo = fresh.domain;
                }
            }
            mapper.replay(mappings.all(), fresh);
            fresh.groups.add(group);
            domains.add(fresh);
            ranges = narrowed;
        } catch (RuntimeException failure) {
            pages.noteLost(failure);
            giveUp(group, attachedTo, fresh.domain, failure);
            throw failure;
        }
    }

    /**
     * Removes a group. A domain without groups is freed; with the last domain, all mappings are removed.
     *
     * <p>Source: {@code vfio_iommu_type1_detach_group}.
     *
     * @throws IommuException EINVAL (the group is not in); ETIMEDOUT or EIO (an invalidation did not complete: the
     *     group has left nevertheless, and pages stay pinned)
     */
    public synchronized void detachGroup(IommuGroup group) {
        Objects.requireNonNull(group, "group");
        Type1Domain from = domainOf(group);
        if (from == null) {
            throw new IommuException(Errno.EINVAL, group + " is not in this container");
        }
        RuntimeException failure = null;
        try {
            group.detach(from.domain);
        } catch (RuntimeException thrown) {
            failure = pages.noted(failure, thrown);
        }
        from.groups.remove(group);
        if (from.groups.isEmpty()) {
            if (domains.size() == 1) {
                failure = removeAll(failure);
            }
            domains.remove(from);
            try {
                from.domain.close();
            } catch (RuntimeException thrown) {
                failure = pages.noted(failure, thrown);
            }
        }
        ranges = rangesWith(null, null);
        if (failure != null) {
            throw failure;
        }
    }

    /**
     * Maps a process's memory for all devices.
     *
     * <p>Source: {@code vfio_dma_do_map}; the refusals are checked in this order.
     *
     * @param iova its address for devices
     * @param virtualAddress its address in the process
     * @param size bytes
     * @param flags {@link #MAP_READ}, {@link #MAP_WRITE} or both
     * @throws IommuException EINVAL (unknown flags; size 0; neither flag; something not aligned to the smallest page;
     *     no group), EOVERFLOW (a range wraps around; before 6.18 EINVAL), EEXIST (something is mapped there), ENOSPC
     *     (too many mappings), EINVAL (not in a range of {@link Type1Info#iovaRanges}), EFAULT (no memory there, or not
     *     writable), ENOMEM (the limit of locked memory, or no frame for tables), and as {@link IommuMapper#map};
     *     nothing stays mapped, pinned or charged
     */
    public synchronized void map(long iova, long virtualAddress, long size, int flags) {
        if ((flags & ~(MAP_READ | MAP_WRITE)) != 0) {
            throw refused(Errno.EINVAL, "map", iova, size, "unknown flags 0x" + Integer.toHexString(flags));
        }
        if (size == 0) {
            throw refused(Errno.EINVAL, "map", iova, size, "expected a size above 0");
        }
        if (wraps(iova, size) || wraps(virtualAddress, size)) {
            throw refused(options.rangeOverflow(), "map", iova, size, "the range wraps around");
        }
        if (flags == 0) {
            throw refused(Errno.EINVAL, "map", iova, size, "expected read, write or both");
        }
        if (domains.isEmpty()) {
            throw refused(Errno.EINVAL, "map", iova, size, "the container has no group");
        }
        long pageSize = smallestPage();
        if (((iova | virtualAddress | size) & (pageSize - 1)) != 0) {
            throw refused(Errno.EINVAL, "map", iova, size, "expected alignment to 0x" + Long.toHexString(pageSize));
        }
        DmaMapping mapping = new DmaMapping(iova, virtualAddress, size, flags);
        if (mappings.overlapping(iova, mapping.last()) != null) {
            throw refused(Errno.EEXIST, "map", iova, size, "something is mapped there");
        }
        if (mappings.size() >= options.dmaEntryLimit()) {
            throw refused(Errno.ENOSPC, "map", iova, size, "there are " + mappings.size() + " mappings already");
        }
        if (!ranges.contain(iova, mapping.last())) {
            throw refused(Errno.EINVAL, "map", iova, size, "expected it inside one of " + ranges);
        }
        mapper.map(mapping);
        mappings.add(mapping);
    }

    /**
     * Unmaps every mapping of a range.
     *
     * <p>TYPE1v2 refuses a range that cuts a mapping. TYPE1 removes the mappings that start in the range, whole, and
     * stops at once when its start is inside one. Source: {@code vfio_dma_do_unmap}.
     *
     * @param flags 0, or {@link #UNMAP_ALL} with {@code iova} and {@code size} 0
     * @return bytes unmapped
     * @throws IommuException EINVAL (unknown flags, size 0, misaligned, cutting a mapping, no group), EOVERFLOW (the
     *     range wraps around; before 6.18 EINVAL); ETIMEDOUT or EIO (an invalidation did not complete: everything is
     *     unmapped, but pages stay pinned)
     */
    public synchronized long unmap(long iova, long size, int flags) {
        if ((flags & ~UNMAP_ALL) != 0) {
            throw refused(Errno.EINVAL, "unmap", iova, size, "unknown flags 0x" + Integer.toHexString(flags));
        }
        if (domains.isEmpty()) {
            throw refused(Errno.EINVAL, "unmap", iova, size, "the container has no group");
        }
        long last = flags == UNMAP_ALL ? checkedAll(iova, size) : checkedLast(iova, size);
        if (flags != UNMAP_ALL && iova + size == 0 && !options.unmapsToTheEnd()) {
            return 0;
        }
        long unmapped = 0;
        RuntimeException failure = null;
        for (Iterator<DmaMapping> each = mappings.from(iova); each.hasNext(); ) {
            DmaMapping mapping = each.next();
            if (Long.compareUnsigned(mapping.iova(), last) > 0
                    || (!v2 && Long.compareUnsigned(iova, mapping.iova()) > 0)) {
                break;
            }
            each.remove();
            failure = mapper.unmap(mapping, mapping.size(), failure);
            unmapped += mapping.size();
        }
        if (failure != null) {
            throw failure;
        }
        return unmapped;
    }

    /** Returns the sizes and ranges that can be mapped. Source: {@code VFIO_IOMMU_GET_INFO}. */
    public synchronized Type1Info info() {
        return new Type1Info(pageSizes(), options.dmaEntryLimit() - mappings.size(), ranges.list());
    }

    /**
     * Returns whether VFIO takes every domain to block no-snoop. Source: {@code
     * vfio_domains_have_enforce_cache_coherency}, before 5.19 {@code vfio_domains_have_iommu_cache}.
     */
    public synchronized boolean enforcedCoherent() {
        for (Type1Domain domain : domains) {
            if (!domain.coherent()) {
                return false;
            }
        }
        return true;
    }

    /** Returns the domains, oldest first. */
    public synchronized List<DomainState> domains() {
        List<DomainState> states = new ArrayList<>(domains.size());
        for (Type1Domain domain : domains) {
            states.add(domain.state());
        }
        return List.copyOf(states);
    }

    /** Returns the number of mappings. */
    public synchronized int mappingCount() {
        return mappings.size();
    }

    /** Returns how many pages stay pinned permanently because an invalidation did not complete. */
    public synchronized long quarantinedPages() {
        return pages.quarantined();
    }

    private @Nullable Type1Domain domainOf(IommuGroup group) {
        for (Type1Domain domain : domains) {
            if (domain.groups.contains(group)) {
                return domain;
            }
        }
        return null;
    }

    private static void attach(IommuGroup group, IommuDomain domain) {
        AttachResult result = group.attach(domain);
        if (!result.attached()) {
            throw new IommuException(Errno.EINVAL, group + " does not fit the domain: " + result.reason());
        }
    }

    /** After any failure the group stays in its own domain. */
    private boolean tryAttach(IommuGroup group, IommuDomain domain) {
        try {
            return group.attach(domain).attached();
        } catch (IommuException failure) {
            pages.noteLost(failure);
            return false;
        }
    }

    private void giveUp(
            IommuGroup group, @Nullable IommuDomain attachedTo, IommuDomain fresh, RuntimeException failure) {
        if (attachedTo != null) {
            try {
                group.detach(attachedTo);
            } catch (RuntimeException second) {
                pages.noteLost(second);
                failure.addSuppressed(second);
            }
        }
        try {
            fresh.close();
        } catch (RuntimeException second) {
            failure.addSuppressed(second);
        }
    }

    /** Recomputes the ranges for mappings, with a domain and a group that are not in the lists yet. */
    private IovaRanges rangesWith(@Nullable Type1Domain fresh, @Nullable IommuGroup added) {
        if (fresh == null && domains.isEmpty()) {
            return IovaRanges.NONE;
        }
        IovaRanges result = IovaRanges.ALL;
        for (Type1Domain domain : domains) {
            result = withinAperture(result, domain);
            for (IommuGroup group : domain.groups) {
                result = withoutReserved(result, group);
            }
        }
        if (fresh != null) {
            result = withinAperture(result, fresh);
        }
        return added == null ? result : withoutReserved(result, added);
    }

    private static IovaRanges withinAperture(IovaRanges from, Type1Domain domain) {
        return from.within(domain.domain.apertureStart(), domain.domain.apertureEnd());
    }

    private static IovaRanges withoutReserved(IovaRanges from, IommuGroup group) {
        IovaRanges result = from;
        for (ReservedRegion region : group.reservedRegions()) {
            result = result.without(region);
        }
        return result;
    }

    private void checkMappingsAreIn(IovaRanges narrowed, IommuGroup group) {
        if (narrowed.list().isEmpty()) {
            throw new IommuException(Errno.EINVAL, group + " leaves no I/O virtual address to map");
        }
        for (DmaMapping mapping : mappings.all()) {
            if (!narrowed.contain(mapping.iova(), mapping.last())) {
                throw new IommuException(
                        Errno.EINVAL,
                        "the mapping at IOVA 0x" + Long.toHexString(mapping.iova()) + " of 0x"
                                + Long.toHexString(mapping.size()) + " bytes is where " + group + " allows none; "
                                + narrowed);
            }
        }
    }

    private @Nullable RuntimeException removeAll(@Nullable RuntimeException earlier) {
        RuntimeException failure = earlier;
        for (Iterator<DmaMapping> each = mappings.all().iterator(); each.hasNext(); ) {
            DmaMapping mapping = each.next();
            each.remove();
            failure = mapper.unmap(mapping, mapping.size(), failure);
        }
        return failure;
    }

    private long checkedAll(long iova, long size) {
        if (iova != 0 || size != 0) {
            throw refused(Errno.EINVAL, "unmap all", iova, size, "expected address and size 0");
        }
        return -1L;
    }

    private long checkedLast(long iova, long size) {
        long pageSize = smallestPage();
        if (size == 0 || ((iova | size) & (pageSize - 1)) != 0) {
            throw refused(
                    Errno.EINVAL,
                    "unmap",
                    iova,
                    size,
                    "expected a size above 0 and alignment to 0x" + Long.toHexString(pageSize));
        }
        if (wraps(iova, size)) {
            throw refused(options.rangeOverflow(), "unmap", iova, size, "the range wraps around");
        }
        long last = iova + (size - 1);
        if (v2) {
            DmaMapping atStart = mappings.overlapping(iova, iova);
            DmaMapping atEnd = mappings.overlapping(last, last);
            if ((atStart != null && atStart.iova() != iova) || (atEnd != null && atEnd.last() != last)) {
                throw refused(Errno.EINVAL, "unmap", iova, size, "the range cuts a mapping");
            }
        }
        return last;
    }

    /** Returns the page sizes that all domains have; sizes below a page of the CPU are reported as one. */
    private long pageSizes() {
        long common = -1L;
        for (Type1Domain domain : domains) {
            common &= domain.domain.pageSizes();
        }
        long whole = common & -PinnedPages.PAGE_SIZE;
        return common == whole ? common : whole | PinnedPages.PAGE_SIZE;
    }

    private long smallestPage() {
        return Long.lowestOneBit(pageSizes());
    }

    private static boolean wraps(long start, long size) {
        return Long.compareUnsigned(start + (size - 1), start) < 0;
    }

    private static IommuException refused(Errno errno, String what, long iova, long size, String why) {
        return new IommuException(
                errno,
                what + " of 0x" + Long.toHexString(size) + " bytes at IOVA 0x" + Long.toHexString(iova) + ": " + why);
    }
}
