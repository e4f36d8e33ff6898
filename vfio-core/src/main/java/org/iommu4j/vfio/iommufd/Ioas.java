// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.bits.Hex;
import org.iommu4j.vfio.support.Failures;
import org.iommu4j.vfio.type1.IovaRange;
import org.jspecify.annotations.Nullable;

/**
 * An I/O address space: areas that map a process's memory, and the domains that all of them are mapped in.
 *
 * <p>While it has no domain and no access, nothing is pinned and nothing is looked at.
 *
 * <p>Its monitor guards it. An area is filled and emptied outside of the monitor, since to pin pages may take long;
 * until then the area keeps its addresses and has no memory ({@link IoasArea#building}). Meanwhile no domain comes or
 * goes: whoever fills holds the lock of the domains to read, and takes it before the monitor. Source: {@code struct
 * iommufd_ioas}, {@code struct io_pagetable} with {@code iova_rwsem} and {@code domains_rwsem}, {@code io_pagetable.c}.
 */
final class Ioas extends IommufdObject {
    private static final long PAGE_SIZE = AreaPages.PAGE_SIZE;

    /** The largest page that addresses which Linux chooses are aligned to: a huge page of x86. */
    private static final long HUGE_PAGE = 2L << 20;

    /** How often accesses are asked again to let go of an area. */
    private static final int TRIES = 100;

    /** Memory to be mapped, a part of a list. */
    record Piece(AreaPages pages, long offset, long length) {}

    /** What an unmap did: the bytes, and why it stopped early, if it did. */
    record Unmapped(long bytes, @Nullable RuntimeException failure) {}

    /** Whoever uses memory through the IOAS without a domain. */
    interface Unmapper {
        /** Asks it to let go of a range. */
        void unmap(long iova, long length);

        /** Returns the alignment that it needs, a power of two. */
        long alignment();
    }

    private final AreaTree areas = new AreaTree();
    private final IovaSet reserved = new IovaSet();
    private IovaSet allowed = new IovaSet();
    private final ReentrantReadWriteLock domainsLock = new ReentrantReadWriteLock();
    private final List<IommuDomain> domains = new ArrayList<>();
    private final List<Unmapper> accesses = new ArrayList<>();
    private long alignment = 1;
    private boolean largePages = true;
    private boolean destroyed;
    private long quarantined;

    @Override
    String kind() {
        return "IOAS";
    }

    /** Unmaps everything; nobody uses it any more, so that no area is under construction. */
    @Override
    void destroy() {
        Unmapped all = unmapRange(0, -1L);
        synchronized (this) {
            destroyed = true;
        }
        if (all.failure() != null) {
            throw all.failure();
        }
    }

    /** Changes what the domains, or the alignment, depend on while no area is under construction. */
    private void whileNothingIsFilled(Runnable change) {
        domainsLock.writeLock().lock();
        try {
            synchronized (this) {
                checkThere();
                change.run();
            }
        } finally {
            domainsLock.writeLock().unlock();
        }
    }

    /** Returns how many pages stay pinned for good because an invalidation did not complete. */
    synchronized long quarantined() {
        return quarantined;
    }

    // ---- ranges ----------------------------------------------------------------------------------------------------

    /** Returns what no device and no domain reserves, lowest first. */
    synchronized List<IovaRange> ranges() {
        checkThere();
        return reserved.holes();
    }

    /** Returns the alignment of IOVA and length. */
    synchronized long alignment() {
        return alignment;
    }

    /**
     * Replaces the list of ranges in which Linux may choose addresses, and that nobody may reserve.
     *
     * @throws IommuException EINVAL (a range that does not end behind its start, or overlaps another), EADDRINUSE (it
     *     meets a reserved range)
     */
    synchronized void allow(List<IovaRange> ranges) {
        checkThere();
        IovaSet next = new IovaSet();
        for (IovaRange range : ranges) {
            if (range.start() == range.end() || next.overlaps(range.start(), range.end())) {
                throw new IommuException(
                        Errno.EINVAL, "allowed range " + range + " is of one byte or overlaps another");
            }
            next.add(range.start(), range.end(), null);
        }
        for (IovaRange range : ranges) {
            if (reserved.overlaps(range.start(), range.end())) {
                throw new IommuException(Errno.EADDRINUSE, "allowed range " + range + " is reserved in part");
            }
        }
        allowed = next;
    }

    /**
     * Reserves what a device does: all of its regions, or none.
     *
     * @throws IommuException EADDRINUSE when something is mapped there, or allowed
     */
    synchronized void reserve(List<ReservedRegion> regions, Object owner) {
        try {
            for (ReservedRegion region : regions) {
                if (region.type() != ReservedRegion.Type.DIRECT_RELAXABLE) {
                    reserve(region.start(), region.end(), owner);
                }
            }
        } catch (IommuException refusal) {
            reserved.removeOf(owner);
            throw refusal;
        }
    }

    /** Ends what an owner reserves. */
    synchronized void unreserve(Object owner) {
        reserved.removeOf(owner);
    }

    private void reserve(long first, long last, Object owner) {
        if (areas.overlapping(first, last) != null || allowed.overlaps(first, last)) {
            throw new IommuException(
                    Errno.EADDRINUSE, "reserved range " + new IovaRange(first, last) + " is mapped or allowed");
        }
        reserved.add(first, last, owner);
    }

    // ---- options ---------------------------------------------------------------------------------------------------

    synchronized boolean largePages() {
        checkThere();
        return largePages;
    }

    void enableLargePages() {
        whileNothingIsFilled(() -> {
            largePages = true;
            alignment = neededAlignment();
        });
    }

    /**
     * Maps page by page from now on, so that areas can be cut.
     *
     * @throws IommuException EINVAL (there are domains and areas), EADDRINUSE (an area is misaligned)
     */
    void disableLargePages() {
        whileNothingIsFilled(this::mapByPages);
    }

    private void mapByPages() {
        if (!largePages) {
            return;
        }
        if (!domains.isEmpty() && !areas.isEmpty()) {
            throw new IommuException(Errno.EINVAL, this + " has mappings with large pages");
        }
        largePages = false;
        try {
            raiseAlignment(neededAlignment());
        } catch (IommuException refusal) {
            largePages = true;
            throw refusal;
        }
    }

    private long neededAlignment() {
        long needed = largePages ? 1 : PAGE_SIZE;
        for (IommuDomain domain : domains) {
            needed = Math.max(needed, Long.lowestOneBit(domain.pageSizes()));
        }
        for (Unmapper access : accesses) {
            needed = Math.max(needed, access.alignment());
        }
        return needed;
    }

    private void raiseAlignment(long next) {
        if (next > alignment) {
            for (IoasArea area = areas.first(); area != null; area = areas.after(area)) {
                if (((area.iova | area.length() | area.offset) & (next - 1)) != 0) {
                    throw new IommuException(
                            Errno.EADDRINUSE,
                            "the area at IOVA " + Hex.of(area.iova) + " is not aligned to " + Hex.of(next));
                }
            }
        }
        alignment = next;
    }

    // ---- mapping ---------------------------------------------------------------------------------------------------

    /**
     * Maps memory at a given address, all or nothing.
     *
     * @param pieces the memory, in order; at least one piece
     * @throws IommuException EINVAL, EOVERFLOW, EEXIST, EPERM, EFAULT, ENOMEM and as {@link
     *     org.iommu4j.core.IommuMapper#map}
     */
    void mapAt(long iova, List<Piece> pieces, int prot) {
        List<IoasArea> added;
        synchronized (this) {
            checkThere();
            checkFree(iova, checkedLength(pieces));
            added = insert(iova, pieces, prot);
        }
        fill(added);
    }

    private void checkFree(long iova, long length) {
        if ((iova & (alignment - 1)) != 0) {
            throw refused(Errno.EINVAL, iova, length, "expected alignment to " + Hex.of(alignment));
        }
        if (Long.compareUnsigned(iova + (length - 1), iova) < 0) {
            throw refused(Errno.EOVERFLOW, iova, length, "the range wraps around");
        }
        if (reserved.overlaps(iova, iova + (length - 1))) {
            throw refused(Errno.EINVAL, iova, length, "it is reserved in part");
        }
        if (areas.overlapping(iova, iova + (length - 1)) != null) {
            throw refused(Errno.EEXIST, iova, length, "it is mapped in part");
        }
    }

    /**
     * Maps memory where there is room, all or nothing.
     *
     * @return the address
     * @throws IommuException ENOSPC (no room), and as {@link #mapAt}
     */
    long mapAnywhere(List<Piece> pieces, int prot) {
        long iova;
        List<IoasArea> added;
        synchronized (this) {
            checkThere();
            long length = checkedLength(pieces);
            Piece first = pieces.get(0);
            iova = room(first.pages().virtualAddress(first.offset()), length);
            added = insert(iova, pieces, prot);
        }
        fill(added);
        return iova;
    }

    private long checkedLength(List<Piece> pieces) {
        long length = 0;
        for (Piece piece : pieces) {
            length += piece.length();
        }
        if (length == 0 || (length & (alignment - 1)) != 0) {
            throw new IommuException(
                    Errno.EINVAL, "length " + Hex.of(length) + ", expected a multiple of " + Hex.of(alignment));
        }
        return length;
    }

    /** Keeps the alignment that the memory has, so that large pages fit. Source: {@code iopt_alloc_iova}. */
    private long room(long virtualAddress, long length) {
        if (Long.compareUnsigned(length, Long.MAX_VALUE) >= 0) {
            throw new IommuException(Errno.EOVERFLOW, "no room for " + Hex.of(length) + " bytes");
        }
        long align = Long.highestOneBit(length);
        align = align == length ? align : align << 1;
        if (virtualAddress != 0) {
            long has = Long.lowestOneBit(virtualAddress);
            align = Long.compareUnsigned(has, align) < 0 ? has : align;
        }
        align = Long.compareUnsigned(align, HUGE_PAGE) > 0 ? HUGE_PAGE : align;
        if (align < alignment) {
            throw new IommuException(Errno.EINVAL, "memory at " + Hex.of(virtualAddress) + " is misaligned");
        }
        List<IovaRange> wanted =
                allowed.isEmpty() ? List.of(new IovaRange(PAGE_SIZE, -1L - PAGE_SIZE)) : allowed.list();
        for (IovaRange range : wanted) {
            for (IovaRange hole : reserved.holes()) {
                long first = Long.compareUnsigned(range.start(), hole.start()) > 0 ? range.start() : hole.start();
                long last = Long.compareUnsigned(range.end(), hole.end()) < 0 ? range.end() : hole.end();
                if (Long.compareUnsigned(first, last) > 0) {
                    continue;
                }
                long found = areas.hole(first, last, length, align, virtualAddress & (PAGE_SIZE - 1));
                if (found != AreaTree.NO_HOLE) {
                    return found;
                }
            }
        }
        throw new IommuException(Errno.ENOSPC, "no room for " + Hex.of(length) + " bytes");
    }

    /** Takes the addresses: adds areas under construction, or none. Source: {@code iopt_alloc_area_pages}. */
    private List<IoasArea> insert(long iova, List<Piece> pieces, int prot) {
        List<IoasArea> added = new ArrayList<>(pieces.size());
        long next = iova;
        for (Piece piece : pieces) {
            if ((prot & Prot.WRITE) != 0 && !piece.pages().writable()) {
                throw refused(Errno.EPERM, next, piece.length(), "the memory was mapped to be read only");
            }
            if ((piece.offset() & (PAGE_SIZE - 1) & (alignment - 1)) != 0) {
                throw refused(Errno.EINVAL, next, piece.length(), "the memory is not aligned as the IOVA must be");
            }
            added.add(new IoasArea(next, piece.length(), piece.pages(), piece.offset(), prot));
            next += piece.length();
        }
        added.forEach(areas::insert);
        return added;
    }

    /** Fills new areas, or removes them all. Source: {@code iopt_fill_domains_pages}. */
    private void fill(List<IoasArea> added) {
        domainsLock.readLock().lock();
        try {
            int filled = 0;
            try {
                for (; filled < added.size(); filled++) {
                    fill(added.get(filled));
                }
            } catch (RuntimeException failure) {
                for (int i = 0; i < filled; i++) {
                    RuntimeException second = unfill(added.get(i));
                    if (second != null) {
                        failure.addSuppressed(second);
                    }
                }
                synchronized (this) {
                    added.forEach(areas::remove);
                }
                throw failure;
            }
            synchronized (this) {
                added.forEach(area -> area.building = false);
            }
        } finally {
            domainsLock.readLock().unlock();
        }
    }

    /** Maps an area in all domains, all or nothing; does nothing without a domain. */
    private void fill(IoasArea area) {
        if (!domains.isEmpty()) {
            fill(area, domains, true);
        }
    }

    /**
     * Maps an area in domains, all or nothing.
     *
     * @param pins whether no domain has mapped it yet: its pages are pinned before, and charged when they are mapped
     */
    private void fill(IoasArea area, List<IommuDomain> into, boolean pins) {
        if (pins) {
            area.pages.pin(area.offset, area.length());
        }
        int done = 0;
        try {
            for (; done < into.size(); done++) {
                AreaMapper.map(into.get(done), area, largePages);
            }
            if (pins) {
                area.pages.charge();
            }
        } catch (RuntimeException failure) {
            boolean lost = isLost(failure);
            for (int i = 0; i < done; i++) {
                RuntimeException second = AreaMapper.unmap(into.get(i), area);
                if (second != null) {
                    failure.addSuppressed(second);
                    lost = true;
                }
            }
            if (pins) {
                release(area, lost);
            }
            throw failure;
        }
    }

    /** Unmaps an area from all domains and unpins its pages; returns a failure, or null. */
    private @Nullable RuntimeException unfill(IoasArea area) {
        if (domains.isEmpty()) {
            return null;
        }
        RuntimeException failure = null;
        for (IommuDomain domain : domains) {
            RuntimeException lost = AreaMapper.unmap(domain, area);
            failure = lost == null ? failure : Failures.joined(failure, lost);
        }
        release(area, failure != null);
        return failure;
    }

    /** Unpins an area's pages, unless a device may still use them. */
    private void release(IoasArea area, boolean lost) {
        if (lost) {
            synchronized (this) {
                quarantined += area.pages.isMemory() ? (area.length() + PAGE_SIZE - 1) / PAGE_SIZE : 0;
            }
        } else {
            area.pages.unpin(area.offset, area.length(), (area.prot & Prot.WRITE) != 0);
        }
    }

    /** An invalidation that did not complete says so by its errno; a refusal leaves nothing mapped. */
    private static boolean isLost(RuntimeException failure) {
        if (!(failure instanceof IommuException refusal)
                || refusal.errno() == Errno.ETIMEDOUT
                || refusal.errno() == Errno.EIO) {
            return true;
        }
        for (Throwable second : failure.getSuppressed()) {
            if (!(second instanceof RuntimeException thrown) || isLost(thrown)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Returns the memory that a range maps, in order. Source: {@code iopt_get_pages}.
     *
     * @throws IommuException ENOENT when a byte of it is not mapped, or under construction
     */
    synchronized List<Piece> pieces(long iova, long length) {
        checkThere();
        List<Piece> pieces = new ArrayList<>();
        long last = iova + (length - 1);
        long next = iova;
        while (true) {
            IoasArea area = areas.overlapping(next, next);
            if (area == null || area.building) {
                throw new IommuException(Errno.ENOENT, "nothing is mapped at IOVA " + Hex.of(next));
            }
            long end = Long.compareUnsigned(area.last, last) < 0 ? area.last : last;
            pieces.add(new Piece(area.pages, area.offsetOf(next), end - next + 1));
            if (end == last) {
                return pieces;
            }
            next = end + 1;
        }
    }

    // ---- unmapping -------------------------------------------------------------------------------------------------

    /** Unmaps everything. */
    Unmapped unmapAll() {
        return unmapRange(0, -1L);
    }

    /**
     * Unmaps the areas of a range, lowest first; an area that is in the range with a part only ends it.
     *
     * @throws IommuException EINVAL (length 0), EOVERFLOW (the range wraps around)
     */
    Unmapped unmap(long iova, long length) {
        if (length == 0) {
            throw new IommuException(Errno.EINVAL, "unmapping 0 bytes at IOVA " + Hex.of(iova));
        }
        if (Long.compareUnsigned(iova + (length - 1), iova) < 0) {
            throw refused(Errno.EOVERFLOW, iova, length, "the range wraps around");
        }
        return unmapRange(iova, iova + (length - 1));
    }

    /** Source: {@code iopt_unmap_iova_range}. */
    private Unmapped unmapRange(long first, long last) {
        long from = first;
        long bytes = 0;
        int tries = 0;
        RuntimeException failure = null;
        while (true) {
            IoasArea held = null;
            List<Unmapper> holders = List.of();
            domainsLock.readLock().lock();
            try {
                while (held == null) {
                    IoasArea area;
                    synchronized (this) {
                        checkThere();
                        area = areas.overlapping(from, last);
                        if (area == null) {
                            return new Unmapped(bytes, failure);
                        }
                        IommuException refusal = refusalToUnmap(area, from, last);
                        if (refusal != null) {
                            return stopped(bytes, failure, refusal);
                        }
                        tries = area.iova == from ? tries : 0;
                        if (area.accesses > 0) {
                            area.preventAccess = true;
                            held = area;
                            holders = List.copyOf(accesses);
                            continue;
                        }
                        area.building = true;
                    }
                    RuntimeException lost = unfill(area);
                    synchronized (this) {
                        areas.remove(area);
                    }
                    failure = lost == null ? failure : Failures.joined(failure, lost);
                    bytes += area.length();
                }
            } finally {
                domainsLock.readLock().unlock();
            }
            from = held.iova;
            for (Unmapper holder : holders) {
                holder.unmap(from, held.length());
            }
            if (++tries > TRIES) {
                return stopped(
                        bytes, failure, refused(Errno.EDEADLK, from, held.length(), "an access does not let go"));
            }
        }
    }

    private static @Nullable IommuException refusalToUnmap(IoasArea area, long first, long last) {
        if (area.building) {
            return refused(Errno.EBUSY, area.iova, area.length(), "it is being mapped or unmapped");
        }
        if (Long.compareUnsigned(area.iova, first) < 0 || Long.compareUnsigned(area.last, last) > 0) {
            return refused(Errno.ENOENT, area.iova, area.length(), "the area can't be unmapped in part");
        }
        return null;
    }

    private static Unmapped stopped(long bytes, @Nullable RuntimeException earlier, IommuException refusal) {
        if (earlier != null) {
            refusal.addSuppressed(earlier);
        }
        return new Unmapped(bytes, refusal);
    }

    /**
     * Cuts an area in two, behind an address; nothing happens where there is none, or where it begins or ends.
     *
     * @throws IommuException EBUSY (being mapped or unmapped), EOPNOTSUPP (no RAM), EINVAL (misaligned, pinned by an
     *     access, or mapped with large pages)
     */
    synchronized void cutAfter(long iova) {
        checkThere();
        IoasArea area = areas.overlapping(iova, iova);
        if (area == null || area.iova == iova || area.last == iova) {
            return;
        }
        if (area.building || area.preventAccess) {
            throw refused(Errno.EBUSY, area.iova, area.length(), "it is being mapped or unmapped");
        }
        if (!area.pages.isMemory()) {
            throw refused(Errno.EOPNOTSUPP, area.iova, area.length(), "an area of a dma-buf can't be cut");
        }
        long start = iova + 1;
        if (((start | area.offsetOf(start)) & (alignment - 1)) != 0
                || area.accesses > 0
                || (!domains.isEmpty() && largePages)) {
            throw refused(Errno.EINVAL, area.iova, area.length(), "the area can't be cut at IOVA " + Hex.of(start));
        }
        IoasArea lower = new IoasArea(area.iova, start - area.iova, area.pages, area.offset, area.prot);
        IoasArea upper = new IoasArea(start, area.last - start + 1, area.pages, area.offsetOf(start), area.prot);
        lower.building = false;
        upper.building = false;
        areas.remove(area);
        areas.insert(lower);
        areas.insert(upper);
    }

    // ---- domains ---------------------------------------------------------------------------------------------------

    /**
     * Maps all areas in one more domain, and reserves what the domain can't map.
     *
     * @throws IommuException EINVAL (its pages are too large), EADDRINUSE (an area does not fit it), and as {@link
     *     #mapAt}; the domain is empty
     */
    void addDomain(IommuDomain domain) {
        whileNothingIsFilled(() -> add(domain));
    }

    private void add(IommuDomain domain) {
        long needed = Math.max(Long.lowestOneBit(domain.pageSizes()), alignment);
        if (needed > PAGE_SIZE) {
            throw new IommuException(Errno.EINVAL, "the domain's smallest page has " + Hex.of(needed) + " bytes");
        }
        long before = alignment;
        raiseAlignment(needed);
        boolean added = false;
        try {
            if (domain.apertureStart() != 0) {
                reserve(0, domain.apertureStart() - 1, domain);
            }
            if (domain.apertureEnd() != -1L) {
                reserve(domain.apertureEnd() + 1, -1L, domain);
            }
            fillAll(domain);
            added = true;
        } finally {
            if (!added) {
                reserved.removeOf(domain);
                alignment = before;
            }
        }
        domains.add(domain);
    }

    private void fillAll(IommuDomain domain) {
        boolean pins = domains.isEmpty();
        IoasArea area = areas.first();
        try {
            for (; area != null; area = areas.after(area)) {
                if (area.building) {
                    continue; // Whoever fills it waits for the lock, and finds the domain then.
                }
                fill(area, List.of(domain), pins);
            }
        } catch (RuntimeException failure) {
            for (IoasArea done = areas.first(); done != area && done != null; done = areas.after(done)) {
                if (done.building) {
                    continue;
                }
                RuntimeException lost = AreaMapper.unmap(domain, done);
                if (lost != null) {
                    failure.addSuppressed(lost);
                }
                if (pins) {
                    release(done, lost != null);
                }
            }
            throw failure;
        }
    }

    /**
     * Unmaps all areas from a domain, whatever fails; the last domain unpins their pages.
     *
     * @throws RuntimeException the first failure: the domain is empty, and pages that a device may use stay pinned
     */
    void removeDomain(IommuDomain domain) {
        whileNothingIsFilled(() -> remove(domain));
    }

    private void remove(IommuDomain domain) {
        // Linux closes the gap with the last one.
        int place = domains.indexOf(domain);
        IommuDomain newest = domains.remove(domains.size() - 1);
        if (place < domains.size()) {
            domains.set(place, newest);
        }
        boolean unpins = domains.isEmpty();
        RuntimeException failure = null;
        for (IoasArea area = areas.first(); area != null; area = areas.after(area)) {
            if (area.building) {
                continue;
            }
            RuntimeException lost = AreaMapper.unmap(domain, area);
            failure = lost == null ? failure : Failures.joined(failure, lost);
            if (unpins) {
                release(area, lost != null);
            }
        }
        reserved.removeOf(domain);
        alignment = neededAlignment();
        if (failure != null) {
            throw failure;
        }
    }

    /** Returns the domains; the first one is the oldest until it goes and the newest takes its place. */
    synchronized List<IommuDomain> domains() {
        return List.copyOf(domains);
    }

    // ---- accesses --------------------------------------------------------------------------------------------------

    /**
     * Adds an access.
     *
     * @throws IommuException EADDRINUSE when an area is not aligned as the access needs it
     */
    void addAccess(Unmapper access) {
        whileNothingIsFilled(() -> {
            accesses.add(access);
            try {
                raiseAlignment(Math.max(alignment, neededAlignment()));
            } catch (IommuException refusal) {
                accesses.remove(access);
                throw refusal;
            }
        });
    }

    void removeAccess(Unmapper access) {
        whileNothingIsFilled(() -> {
            accesses.remove(access);
            alignment = neededAlignment();
        });
    }

    /**
     * Pins the pages of a range for an access, and returns their memory.
     *
     * <p>Source: {@code iommufd_access_pin_pages}.
     *
     * @throws IommuException ENOENT (a byte is not mapped, or under construction), EINVAL (it is about to be unmapped,
     *     no RAM, or a part of a page), EPERM (not writable, or to be read and not readable), EFAULT, ENOMEM; nothing
     *     is pinned
     */
    synchronized List<Piece> pinForAccess(long iova, long length, boolean write) {
        checkThere();
        long last = iova + (length - 1);
        List<Piece> pinned = new ArrayList<>();
        long next = iova;
        try {
            while (true) {
                IoasArea area = areas.overlapping(next, next);
                if (area == null || area.building) {
                    throw new IommuException(Errno.ENOENT, "nothing is mapped at IOVA " + Hex.of(next));
                }
                long end = Long.compareUnsigned(area.last, last) < 0 ? area.last : last;
                checkPinned(area, next, end, iova, last, write);
                Piece piece = new Piece(area.pages, area.offsetOf(next), end - next + 1);
                pin(piece);
                area.accesses++;
                pinned.add(piece);
                if (end == last) {
                    return pinned;
                }
                next = end + 1;
            }
        } catch (RuntimeException failure) {
            if (!pinned.isEmpty()) {
                unpinForAccess(iova, next - iova, false);
            }
            throw failure;
        }
    }

    private static void checkPinned(IoasArea area, long next, long end, long first, long last, boolean write) {
        if (area.preventAccess) {
            throw refused(Errno.EINVAL, area.iova, area.length(), "it is about to be unmapped");
        }
        if (!area.pages.isMemory()) {
            throw refused(Errno.EINVAL, area.iova, area.length(), "an area of a dma-buf is no RAM");
        }
        boolean wholePages = (area.offsetOf(next) - next) % PAGE_SIZE == 0
                && (next == first || (next & (PAGE_SIZE - 1)) == 0)
                && (end == last || ((end + 1) & (PAGE_SIZE - 1)) == 0);
        if (!wholePages) {
            throw refused(Errno.EINVAL, area.iova, area.length(), "a page of it is mapped in part");
        }
        if ((area.prot & (write ? Prot.WRITE : Prot.READ)) == 0) {
            throw refused(Errno.EPERM, area.iova, area.length(), write ? "it is read only" : "it is write only");
        }
    }

    private static void pin(Piece piece) {
        piece.pages().pin(piece.offset(), piece.length());
        try {
            piece.pages().charge();
        } catch (RuntimeException refusal) {
            piece.pages().unpin(piece.offset(), piece.length(), false);
            throw refusal;
        }
    }

    /** Ends what {@link #pinForAccess} began, for the same range. */
    synchronized void unpinForAccess(long iova, long length, boolean dirty) {
        long last = iova + (length - 1);
        long next = iova;
        while (true) {
            IoasArea area = areas.overlapping(next, next);
            if (area == null || area.accesses == 0) {
                throw new IllegalStateException("no access pins IOVA " + Hex.of(next));
            }
            long end = Long.compareUnsigned(area.last, last) < 0 ? area.last : last;
            area.accesses--;
            area.pages.unpin(area.offsetOf(next), end - next + 1, dirty);
            if (end == last) {
                return;
            }
            next = end + 1;
        }
    }

    // ---- other -----------------------------------------------------------------------------------------------------

    /**
     * Returns the areas' memory, lowest IOVA first; once for each area.
     *
     * @throws IommuException EBUSY (an area is under construction)
     */
    synchronized List<AreaPages> memory() {
        List<AreaPages> all = new ArrayList<>(areas.size());
        for (IoasArea area = areas.first(); area != null; area = areas.after(area)) {
            if (area.building) {
                throw refused(Errno.EBUSY, area.iova, area.length(), "it is being mapped or unmapped");
            }
            all.add(area.pages);
        }
        return all;
    }

    /** Returns the parts of areas that are in a range, lowest first; not of those under construction. */
    synchronized List<IovaRange> mapped(long first, long last) {
        List<IovaRange> parts = new ArrayList<>();
        for (IoasArea area = areas.overlapping(first, last);
                area != null && Long.compareUnsigned(area.iova, last) <= 0;
                area = areas.after(area)) {
            if (area.building) {
                continue;
            }
            parts.add(new IovaRange(
                    Long.compareUnsigned(area.iova, first) < 0 ? first : area.iova,
                    Long.compareUnsigned(area.last, last) > 0 ? last : area.last));
        }
        return parts;
    }

    /**
     * Returns the last byte of the area of an address.
     *
     * @throws IommuException ENOENT (there is none), EINVAL (its memory was taken away)
     */
    synchronized long endOfArea(long iova) {
        IoasArea area = areas.overlapping(iova, iova);
        if (area == null || area.building) {
            throw new IommuException(Errno.ENOENT, "nothing is mapped at IOVA " + Hex.of(iova));
        }
        if (area.pages.isRevoked()) {
            throw refused(Errno.EINVAL, area.iova, area.length(), "the dma-buf was revoked");
        }
        return area.last;
    }

    private void checkThere() {
        if (destroyed) {
            throw new IommuException(Errno.ENOENT, "the IOAS was destroyed");
        }
    }

    private static IommuException refused(Errno errno, long iova, long length, String why) {
        return new IommuException(errno, Hex.of(length) + " bytes at IOVA " + Hex.of(iova) + ": " + why);
    }
}
