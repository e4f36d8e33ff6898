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
    /** A mapping whose virtual address was taken back gets a new one. Source: {@code VFIO_DMA_MAP_FLAG_VADDR}. */
    public static final int MAP_VADDR = 1 << 2;
    /** Get the written pages of what is unmapped. Source: {@code VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP}. */
    public static final int UNMAP_GET_DIRTY_BITMAP = 1;
    /** Unmap everything. Source: {@code VFIO_DMA_UNMAP_FLAG_ALL}. */
    public static final int UNMAP_ALL = 1 << 1;
    /** Keep the mappings, and take only their virtual addresses back. Source: {@code VFIO_DMA_UNMAP_FLAG_VADDR}. */
    public static final int UNMAP_VADDR = 1 << 2;

    private final Type1Version version;
    private final boolean v2;
    private final ProcessMemory opener;
    private final Type1Options options;
    private final List<Type1Domain> domains = new ArrayList<>();
    private final List<EmulatedGroup> emulated = new ArrayList<>();
    private final DmaMappings mappings = new DmaMappings();
    private final PinnedPages pages = new PinnedPages();
    private final Type1Mapper mapper;
    private final WrittenPages written;
    private IovaRanges ranges = IovaRanges.NONE;

    /** How many mappings have no virtual address now. */
    private int invalidAddresses;

    /**
     * Makes an IOMMU without groups.
     *
     * @param version how unmap treats a range that cuts a mapping, and whether domains are made for nesting
     * @param opener the process whose memory is mapped, pinned and charged, unless a call names another
     * @param options the limits and rules
     */
    public Type1Iommu(Type1Version version, ProcessMemory opener, Type1Options options) {
        Objects.requireNonNull(version, "version");
        Objects.requireNonNull(opener, "opener");
        Objects.requireNonNull(options, "options");
        this.version = version;
        this.v2 = version != Type1Version.TYPE1;
        this.opener = opener;
        this.options = options;
        this.mapper = new Type1Mapper(domains, pages);
        this.written = new WrittenPages(domains, mappings, options.rangeOverflow());
    }

    // ---- groups ----------------------------------------------------------------------------------------------------

    /**
     * Adds a group that the caller owns: it joins a domain that it fits, or gets a new one.
     *
     * <p>Source: {@code vfio_iommu_type1_attach_group}.
     *
     * @throws IommuException EBUSY (a mapping has no virtual address now), EINVAL (the group is already in, its driver
     *     makes no domain for {@link Type1Version#NESTING}, it does not fit its own domain, or its unit or its
     *     devices do not allow an existing mapping), EPERM (its interrupts are not isolated), and as {@link
     *     org.iommu4j.Iommu#allocate}, {@link IommuGroup#attach} and {@link IommuMapper#map}; where the container had
     *     emulated groups only, also as {@link #map}
     */
    public synchronized void attachGroup(IommuGroup group) {
        Objects.requireNonNull(group, "group");
        checkAddresses();
        if (domainOf(group) != null) {
            throw new IommuException(Errno.EINVAL, group + " is already in this container");
        }
        IommuDevice device = group.devices().get(0);
        Type1Domain fresh = new Type1Domain(device.iommu().allocate(DomainType.UNMANAGED, device));
        IommuDomain attachedTo = null;
        try {
            if (version == Type1Version.NESTING) {
                throw new IommuException(Errno.EINVAL, device.iommu().vendor() + " makes no domain for nesting");
            }
            attach(group, fresh.domain);
            attachedTo = fresh.domain;
            IovaRanges narrowed = rangesWith(fresh, group);
            checkMappingsAreIn(narrowed, group);
            if (!options.allowUnsafeInterrupts() && !isIsolated(group)) {
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

    /** Before the release that excludes both, Linux waits for the addresses, and only where pages must be pinned. */
    private void checkAddresses() {
        if (invalidAddresses != 0) {
            throw new IommuException(Errno.EBUSY, invalidAddresses + " mappings have no virtual address now");
        }
    }

    /**
     * Removes a group. A domain without groups is freed. With the last domain all mappings are removed; while there are
     * emulated groups they stay, and only the pages are unpinned that drivers have not pinned.
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
                failure = emulated.isEmpty() ? removeAll(failure) : unmapAll(failure);
            }
            domains.remove(from);
            try {
                from.domain.close();
            } catch (RuntimeException thrown) {
                failure = pages.noted(failure, thrown);
            }
        }
        ranges = rangesWith(null, null);
        written.groupLeft();
        if (failure != null) {
            throw failure;
        }
    }

    /**
     * Adds the group of an emulated device, which has no domain: its driver pins pages by itself.
     *
     * @throws IommuException EBUSY (a mapping has no virtual address now), EINVAL (it is already in)
     */
    public synchronized void attachEmulated(EmulatedGroup group) {
        Objects.requireNonNull(group, "group");
        checkAddresses();
        if (emulated.contains(group)) {
            throw new IommuException(Errno.EINVAL, group + " is already in this container");
        }
        emulated.add(group);
    }

    /**
     * Removes the group of an emulated device; with the container's last group all mappings are removed.
     *
     * @throws IommuException EINVAL (it is not in)
     */
    public synchronized void detachEmulated(EmulatedGroup group) {
        Objects.requireNonNull(group, "group");
        if (!emulated.remove(group)) {
            throw new IommuException(Errno.EINVAL, group + " is not in this container");
        }
        if (emulated.isEmpty() && domains.isEmpty()) {
            RuntimeException failure = removeAll(null);
            if (failure != null) {
                throw failure;
            }
        }
    }

    // ---- mappings --------------------------------------------------------------------------------------------------

    /**
     * Maps memory for all devices, of the process that opened the container.
     *
     * @throws IommuException as {@link #map(ProcessMemory, long, long, long, int)}
     */
    public void map(long iova, long virtualAddress, long size, int flags) {
        map(opener, iova, virtualAddress, size, flags);
    }

    /**
     * Maps a process's memory for all devices, or gives a mapping a new virtual address.
     *
     * <p>Source: {@code vfio_dma_do_map}; the refusals are checked in this order.
     *
     * @param caller the process that calls
     * @param iova its address for devices
     * @param virtualAddress its address in the process
     * @param size bytes
     * @param flags {@link #MAP_READ}, {@link #MAP_WRITE} or both; or {@link #MAP_VADDR} alone
     * @throws IommuException EINVAL (unknown flags; size 0), EOVERFLOW (a range wraps around; before 6.18 EINVAL),
     *     EINVAL (neither rights nor MAP_VADDR, or both; something not aligned to the smallest page). With MAP_VADDR:
     *     ENOENT (no mapping there), EINVAL (it is not exactly this one, or has an address), ENOMEM (the caller's limit
     *     of locked memory). Otherwise: EEXIST (something is mapped there), ENOSPC (too many mappings), EINVAL (not in
     *     a range of {@link Type1Info#iovaRanges}), EFAULT (no memory there, or not writable), ENOMEM (the limit of
     *     locked memory, or no frame for tables), and as {@link IommuMapper#map}; EINVAL (too large to track); nothing
     *     stays mapped, pinned or charged
     */
    public synchronized void map(ProcessMemory caller, long iova, long virtualAddress, long size, int flags) {
        Objects.requireNonNull(caller, "caller");
        if ((flags & ~(MAP_READ | MAP_WRITE | MAP_VADDR)) != 0) {
            throw Refusal.of(Errno.EINVAL, "map", iova, size, "unknown flags 0x" + Integer.toHexString(flags));
        }
        if (size == 0) {
            throw Refusal.of(Errno.EINVAL, "map", iova, size, "expected a size above 0");
        }
        if (Refusal.wraps(iova, size) || Refusal.wraps(virtualAddress, size)) {
            throw Refusal.of(options.rangeOverflow(), "map", iova, size, "the range wraps around");
        }
        if (flags == 0 || ((flags & MAP_VADDR) != 0 && flags != MAP_VADDR)) {
            throw Refusal.of(Errno.EINVAL, "map", iova, size, "expected read, write or both, or a new address alone");
        }
        long pageSize = smallestPage();
        if (((iova | virtualAddress | size) & (pageSize - 1)) != 0) {
            throw Refusal.of(Errno.EINVAL, "map", iova, size, "expected alignment to 0x" + Long.toHexString(pageSize));
        }
        long last = iova + (size - 1);
        DmaMapping there = mappings.overlapping(iova, last);
        if (flags == MAP_VADDR) {
            newAddress(there, caller, iova, virtualAddress, size);
            return;
        }
        if (there != null) {
            throw Refusal.of(Errno.EEXIST, "map", iova, size, "something is mapped there");
        }
        if (mappings.size() >= options.dmaEntryLimit()) {
            throw Refusal.of(Errno.ENOSPC, "map", iova, size, "there are " + mappings.size() + " mappings already");
        }
        if (!ranges.list().isEmpty() && !ranges.contain(iova, last)) {
            throw Refusal.of(Errno.EINVAL, "map", iova, size, "expected it inside one of " + ranges);
        }
        add(new DmaMapping(caller, iova, virtualAddress, size, flags));
    }

    private void add(DmaMapping mapping) {
        if (!domains.isEmpty()) {
            mapper.map(mapping);
        }
        try {
            written.added(mapping);
        } catch (IommuException failure) {
            PinnedPages.noteSuppressed(failure, mapper.unmap(mapping, null));
            throw failure;
        }
        mappings.add(mapping);
    }

    /** Source: {@code vfio_change_dma_owner}. */
    private void newAddress(
            @Nullable DmaMapping there, ProcessMemory caller, long iova, long virtualAddress, long size) {
        if (there == null) {
            throw Refusal.of(Errno.ENOENT, "new address", iova, size, "nothing is mapped there");
        }
        if (!there.virtualAddressInvalid || there.iova != iova || there.size != size) {
            throw Refusal.of(Errno.EINVAL, "new address", iova, size, "expected exactly a mapping without an address");
        }
        if (options.movesAddresses() && caller != there.process) {
            long charged = charged(there);
            caller.charge(charged);
            there.process.uncharge(charged);
            there.process = caller;
        }
        there.virtualAddress = virtualAddress;
        there.virtualAddressInvalid = false;
        invalidAddresses--;
    }

    /** Returns how many pages of a mapping are charged to its process. */
    private long charged(DmaMapping mapping) {
        if (mapping.mapped) {
            long charged = 0;
            for (long at = 0; at < mapping.size; at += PinnedPages.PAGE_SIZE) {
                charged += mapping.pinner.isReserved(domains.get(0).domain.translate(mapping.iova + at)) ? 0 : 1;
            }
            return charged;
        }
        return mapping.driverPins();
    }

    /**
     * Unmaps every mapping of a range, or takes the virtual addresses of these mappings back.
     *
     * <p>TYPE1v2 refuses a range that cuts a mapping. TYPE1 removes the mappings that start in the range, whole, and
     * stops at once when its start is inside one. Source: {@code vfio_dma_do_unmap}; the refusals are checked in this
     * order.
     *
     * @param flags 0, or {@link #UNMAP_ALL} with {@code iova} and {@code size} 0, and {@link #UNMAP_VADDR}
     * @return bytes unmapped, or bytes of the mappings that lost their addresses
     * @throws IommuException EINVAL (unknown flags), EBUSY (addresses can't be taken back while there are emulated
     *     groups; before 6.3 they can), EINVAL (misaligned, size 0), EOVERFLOW (the range wraps around; before 6.18
     *     EINVAL), EINVAL (cutting a mapping; a mapping whose address was taken back already); ETIMEDOUT or EIO (an
     *     invalidation did not complete: everything is unmapped, but pages stay pinned)
     */
    public synchronized long unmap(long iova, long size, int flags) {
        if ((flags & ~(UNMAP_ALL | UNMAP_VADDR)) != 0) {
            throw Refusal.of(Errno.EINVAL, "unmap", iova, size, "unknown flags 0x" + Integer.toHexString(flags));
        }
        return unmap(iova, size, flags, null);
    }

    /**
     * Unmaps every mapping of a range, and gets which of their pages were written.
     *
     * @param bitmap receives the written pages, its first bit that of the range's first page
     * @return bytes unmapped
     * @throws IommuException EINVAL (the bitmap is too small for the range, or too large), as {@link #unmap(long, long,
     *     int)}, EINVAL (pages are not tracked; the bitmap is of another page size than the smallest), EFAULT (the
     *     user's memory ends within the bitmap: what came before is unmapped)
     */
    public synchronized long unmap(long iova, long size, VfioBitmap bitmap) {
        Objects.requireNonNull(bitmap, "bitmap");
        WrittenPages.checkSize(bitmap, size);
        return unmap(iova, size, 0, bitmap);
    }

    private long unmap(long iova, long size, int flags, @Nullable VfioBitmap bitmap) {
        boolean all = (flags & UNMAP_ALL) != 0;
        boolean addresses = (flags & UNMAP_VADDR) != 0;
        if (addresses && options.movesAddresses() && !emulated.isEmpty()) {
            throw Refusal.of(Errno.EBUSY, "taking addresses back", iova, size, "there are emulated devices");
        }
        checkUnmap(iova, size, all);
        if (bitmap != null) {
            written.checkPage("unmap", iova, size, bitmap);
        }
        long last = all ? -1L : iova + (size - 1);
        boolean empty = !all && last == -1L && !options.unmapsToTheEnd();
        if (v2 && !all && (empty ? cutsBelowTheEnd(iova) : mappings.cuts(iova, last))) {
            throw Refusal.of(Errno.EINVAL, "unmap", iova, size, "the range cuts a mapping");
        }
        if (empty) {
            return 0;
        }
        return addresses ? takeAddressesBack(iova, last) : remove(iova, last, bitmap);
    }

    /**
     * Returns whether an address is inside a mapping that ends before the address space does: the end of the others is
     * 0 to Linux, which finds nothing in them.
     */
    private boolean cutsBelowTheEnd(long iova) {
        DmaMapping there = mappings.overlapping(iova, iova);
        return there != null && there.iova != iova && there.last() != -1L;
    }

    private long remove(long iova, long last, @Nullable VfioBitmap bitmap) {
        letGo(iova, last);
        long unmapped = 0;
        RuntimeException failure = null;
        for (Iterator<DmaMapping> each = mappings.from(iova); each.hasNext(); ) {
            DmaMapping mapping = each.next();
            if (isBehind(mapping, iova, last)) {
                break;
            }
            if (bitmap != null) {
                try {
                    written.report(mapping, iova, bitmap);
                } catch (IommuException fault) {
                    PinnedPages.noteSuppressed(fault, failure);
                    throw fault;
                }
            }
            each.remove();
            invalidAddresses -= mapping.virtualAddressInvalid ? 1 : 0;
            failure = mapper.unmap(mapping, failure);
            unmapped += mapping.size;
        }
        if (failure != null) {
            throw failure;
        }
        return unmapped;
    }

    /** Returns whether an unmap of a range ends before a mapping. */
    private boolean isBehind(DmaMapping mapping, long iova, long last) {
        return Long.compareUnsigned(mapping.iova, last) > 0 || (!v2 && Long.compareUnsigned(iova, mapping.iova) > 0);
    }

    /** Has drivers unpin what they have pinned in a range. Source: {@code vfio_notify_dma_unmap}. */
    private void letGo(long iova, long last) {
        if (emulated.isEmpty()) {
            return;
        }
        List<DmaMapping> pinned = new ArrayList<>();
        for (Iterator<DmaMapping> each = mappings.from(iova); each.hasNext(); ) {
            DmaMapping mapping = each.next();
            if (isBehind(mapping, iova, last)) {
                break;
            }
            if (mapping.hasDriverPins()) {
                pinned.add(mapping);
            }
        }
        for (DmaMapping mapping : pinned) {
            emulated.forEach(group -> group.unmapped(mapping.iova, mapping.size));
            if (mapping.hasDriverPins()) {
                throw new IllegalStateException(
                        "a driver keeps pages of " + mapping + " pinned that it was told to unpin");
            }
        }
    }

    private long takeAddressesBack(long iova, long last) {
        List<DmaMapping> taken = new ArrayList<>();
        long bytes = 0;
        for (Iterator<DmaMapping> each = mappings.from(iova); each.hasNext(); ) {
            DmaMapping mapping = each.next();
            if (isBehind(mapping, iova, last)) {
                break;
            }
            if (mapping.virtualAddressInvalid) {
                taken.forEach(back -> back.virtualAddressInvalid = false);
                invalidAddresses -= taken.size();
                throw Refusal.of(
                        Errno.EINVAL, "taking addresses back", iova, last - iova + 1, mapping + " has none already");
            }
            mapping.virtualAddressInvalid = true;
            invalidAddresses++;
            taken.add(mapping);
            bytes += mapping.size;
        }
        return bytes;
    }

    // ---- written pages ---------------------------------------------------------------------------------------------

    /**
     * Begins to track written pages, ends it, or gets them.
     *
     * <p>No unit is asked. While the container has a domain every mapped page counts as written, since a device may
     * have written it; without one, those do that drivers have pinned. Source: {@code vfio_iommu_type1_dirty_pages};
     * the refusals are checked in this order.
     *
     * @throws IommuException EACCES (TYPE1), EINVAL (too few bytes, unknown or more than one flag); to begin: EINVAL (a
     *     mapping is too large); to get: EINVAL (the range wraps around; since 6.18 EOVERFLOW, and EINVAL where it is
     *     empty), EINVAL (the bitmap is too small for the range, or too large; its page is not the smallest; the range
     *     is not aligned to it, is empty, or cuts a mapping; pages are not tracked), EFAULT (the user's memory ends
     *     within the bitmap)
     */
    public synchronized void dirtyPages(DirtyPages argument) {
        Objects.requireNonNull(argument, "argument");
        if (!v2) {
            throw new IommuException(Errno.EACCES, "written pages are not tracked in a container of type 1");
        }
        int flags = argument.flags();
        if (argument.argsz() < DirtyPages.SIZE
                || (flags & ~(DirtyPages.START | DirtyPages.STOP | DirtyPages.GET_BITMAP)) != 0
                || Integer.bitCount(flags) != 1) {
            throw new IommuException(
                    Errno.EINVAL,
                    "flags 0x" + Integer.toHexString(flags) + " in " + argument.argsz() + " bytes, expected one of 3");
        }
        switch (flags) {
            case DirtyPages.START -> written.begin();
            case DirtyPages.STOP -> written.end();
            default -> written.get(argument);
        }
    }

    // ---- drivers of emulated devices -------------------------------------------------------------------------------

    /**
     * Pins pages for a driver of an emulated device; a page may be pinned several times.
     *
     * <p>Source: {@code vfio_iommu_type1_pin_pages}; the refusals are checked in this order.
     *
     * @param iova the first page's address, a multiple of 4 KiB
     * @param prot {@link org.iommu4j.Prot} bits that the mapping must have
     * @param frames receives the physical address of each page; its length is their number
     * @throws IommuException EACCES (TYPE1), EOVERFLOW (since 6.18: the pages wrap around), EBUSY (a mapping has no
     *     virtual address now), EINVAL (the container has no emulated group, or a page is not mapped), EPERM (its mapping lacks a right), EFAULT, ENOMEM (the limit of
     *     locked memory), EINVAL (it is no RAM); no page is pinned
     */
    public synchronized void pinPages(long iova, int prot, long[] frames) {
        Objects.requireNonNull(frames, "frames");
        if (!v2) {
            throw new IommuException(Errno.EACCES, "pages are not pinned for drivers in a container of type 1");
        }
        long size = frames.length * PinnedPages.PAGE_SIZE;
        if (options.unmapsToTheEnd() && size != 0 && Refusal.wraps(iova, size)) {
            throw Refusal.of(options.rangeOverflow(), "pin", iova, size, "the pages wrap around");
        }
        checkAddresses();
        if (emulated.isEmpty()) {
            throw new IommuException(Errno.EINVAL, "the container has no emulated device");
        }
        int done = 0;
        try {
            for (; done < frames.length; done++) {
                frames[done] = pinPage(iova + done * PinnedPages.PAGE_SIZE, prot);
            }
        } catch (RuntimeException failure) {
            unpinPages(iova, done);
            throw failure;
        }
    }

    private long pinPage(long iova, int prot) {
        DmaMapping mapping = mappings.overlapping(iova, iova + (PinnedPages.PAGE_SIZE - 1));
        if (mapping == null || (mapping.prot & prot) != prot) {
            throw Refusal.of(
                    mapping == null ? Errno.EINVAL : Errno.EPERM,
                    "pin",
                    iova,
                    PinnedPages.PAGE_SIZE,
                    mapping == null ? "nothing is mapped there" : "the mapping lacks a right");
        }
        long page = (iova - mapping.iova) >>> PinnedPages.PAGE_SHIFT;
        long again = mapping.pinAgain(page);
        if (again != -1) {
            return again;
        }
        DmaMapping.DriverPin pin = pages.pinForDriver(mapping, iova - mapping.iova, domains.isEmpty());
        mapping.addDriverPin(page, pin);
        return pin.frame;
    }

    /**
     * Unpins pages that a driver has pinned; those that it has not are passed over.
     *
     * <p>Source: {@code vfio_iommu_type1_unpin_pages}.
     *
     * @param iova the first page's address
     * @param count how many, up to the first that is not mapped
     */
    public synchronized void unpinPages(long iova, int count) {
        for (int i = 0; i < count; i++) {
            long address = iova + i * PinnedPages.PAGE_SIZE;
            DmaMapping mapping = mappings.overlapping(address, address + (PinnedPages.PAGE_SIZE - 1));
            if (mapping == null) {
                break;
            }
            DmaMapping.DriverPin pin = mapping.removeDriverPin((address - mapping.iova) >>> PinnedPages.PAGE_SHIFT);
            if (pin != null) {
                pages.unpinForDriver(mapping, pin, domains.isEmpty());
            }
        }
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    /** Returns what can be mapped, to a caller who has room for everything. */
    public Type1Info info() {
        return info(Integer.MAX_VALUE);
    }

    /**
     * Returns what can be mapped. Source: {@code VFIO_IOMMU_GET_INFO}.
     *
     * @param argsz how many bytes the caller has
     * @throws IommuException EINVAL (fewer than {@link Type1Info#MIN_SIZE})
     */
    public synchronized Type1Info info(int argsz) {
        if (Integer.compareUnsigned(argsz, Type1Info.MIN_SIZE) < 0) {
            throw new IommuException(Errno.EINVAL, "GET_INFO with " + argsz + " bytes, expected at least 16");
        }
        return new Type1Info(
                        argsz,
                        Type1Info.PAGE_SIZES | Type1Info.CAPABILITIES,
                        Type1Domain.pageSizes(domains),
                        Type1Info.SIZE,
                        options.dmaEntryLimit() - mappings.size(),
                        ranges.list(),
                        smallestPage(),
                        WrittenPages.MAX_BYTES)
                .within(options.alignsCapabilities());
    }

    /** Returns whether virtual addresses can be changed under mappings. Source: {@code VFIO_UPDATE_VADDR}. */
    public synchronized boolean updatesAddresses() {
        return !options.movesAddresses() || emulated.isEmpty();
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

    private boolean isIsolated(IommuGroup group) {
        return options.isolationByGroup()
                ? group.isolatedMsi()
                : group.devices().stream().anyMatch(IommuDevice::isolatedMsi);
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
        if (fresh == null && domains.isEmpty() && emulated.isEmpty()) {
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
            if (!narrowed.contain(mapping.iova, mapping.last())) {
                throw new IommuException(
                        Errno.EINVAL,
                        "the mapping at IOVA 0x" + Long.toHexString(mapping.iova) + " of 0x"
                                + Long.toHexString(mapping.size) + " bytes is where " + group + " allows none; "
                                + narrowed);
            }
        }
    }

    private @Nullable RuntimeException removeAll(@Nullable RuntimeException earlier) {
        RuntimeException failure = earlier;
        for (Iterator<DmaMapping> each = mappings.all().iterator(); each.hasNext(); ) {
            DmaMapping mapping = each.next();
            each.remove();
            failure = mapper.unmap(mapping, failure);
        }
        invalidAddresses = 0;
        return failure;
    }

    /** Source: {@code vfio_iommu_unmap_unpin_reaccount}. */
    private @Nullable RuntimeException unmapAll(@Nullable RuntimeException earlier) {
        RuntimeException failure = earlier;
        for (DmaMapping mapping : mappings.all()) {
            failure = mapper.unmap(mapping, failure);
        }
        return failure;
    }

    private void checkUnmap(long iova, long size, boolean all) {
        long pageSize = smallestPage();
        if ((iova & (pageSize - 1)) != 0) {
            throw Refusal.of(
                    Errno.EINVAL, "unmap", iova, size, "expected alignment to 0x" + Long.toHexString(pageSize));
        }
        if (all) {
            if (iova != 0 || size != 0) {
                throw Refusal.of(Errno.EINVAL, "unmap all", iova, size, "expected address and size 0");
            }
            return;
        }
        if (size == 0 || (size & (pageSize - 1)) != 0) {
            throw Refusal.of(
                    Errno.EINVAL,
                    "unmap",
                    iova,
                    size,
                    "expected a size above 0 and alignment to 0x" + Long.toHexString(pageSize));
        }
        if (Refusal.wraps(iova, size)) {
            throw Refusal.of(options.rangeOverflow(), "unmap", iova, size, "the range wraps around");
        }
    }

    private long smallestPage() {
        return Long.lowestOneBit(Type1Domain.pageSizes(domains));
    }
}
