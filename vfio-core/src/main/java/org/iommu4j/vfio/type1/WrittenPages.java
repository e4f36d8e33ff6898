// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Iterator;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/**
 * Which pages of a container were written, as far as type 1 knows, while that is tracked.
 *
 * <p>Under the container's lock. Source: {@code vfio_iommu_type1_dirty_pages}, {@code update_user_bitmap}.
 */
final class WrittenPages {
    /** The most pages of a mapping that can be tracked. Source: {@code DIRTY_BITMAP_PAGES_MAX}. */
    private static final long MAX_PAGES = 1L << 31;

    /** The bytes of the largest bitmap. Source: {@code DIRTY_BITMAP_SIZE_MAX}. */
    static final long MAX_BYTES = MAX_PAGES / Byte.SIZE;

    private final List<Type1Domain> domains;
    private final DmaMappings mappings;
    private final Errno rangeOverflow;
    private boolean tracking;

    /**
     * Tracks nothing yet.
     *
     * @param domains the container's domains, a list that changes
     * @param mappings its mappings
     * @param rangeOverflow the errno for a range that wraps around, EOVERFLOW where it is checked first
     */
    WrittenPages(List<Type1Domain> domains, DmaMappings mappings, Errno rangeOverflow) {
        this.domains = domains;
        this.mappings = mappings;
        this.rangeOverflow = rangeOverflow;
    }

    private long smallestPage() {
        return Long.lowestOneBit(Type1Domain.pageSizes(domains));
    }

    private int pageShift() {
        return Long.numberOfTrailingZeros(smallestPage());
    }

    /**
     * Begins to track.
     *
     * @throws IommuException EINVAL (a mapping is too large); nothing is tracked
     */
    void begin() {
        if (tracking) {
            return;
        }
        mappings.all().forEach(this::checkSize);
        mappings.all().forEach(mapping -> mapping.track(pageShift()));
        tracking = true;
    }

    void end() {
        tracking = false;
        mappings.all().forEach(DmaMapping::stopTracking);
    }

    /**
     * Tracks a mapping that is about to be added.
     *
     * @throws IommuException EINVAL (it is too large)
     */
    void added(DmaMapping mapping) {
        if (tracking) {
            checkSize(mapping);
            mapping.track(pageShift());
        }
    }

    private void checkSize(DmaMapping mapping) {
        if (mapping.size >>> pageShift() > MAX_PAGES) {
            throw new IommuException(Errno.EINVAL, mapping + " is too large to be tracked");
        }
    }

    /** A group has left: what it may have written is no longer known by its presence. */
    void groupLeft() {
        mappings.all().forEach(DmaMapping::markAllWritten);
    }

    /**
     * Gets the written pages of whole mappings.
     *
     * @throws IommuException as {@link Type1Iommu#dirtyPages}
     */
    void get(DirtyPages argument) {
        long iova = argument.iova();
        long size = argument.size();
        VfioBitmap bitmap = argument.bitmap();
        if (argument.argsz() < DirtyPages.SIZE_WITH_RANGE || bitmap == null) {
            throw refused(Errno.EINVAL, iova, size, "there is no room for a range in the argument");
        }
        boolean checksFirst = rangeOverflow == Errno.EOVERFLOW;
        if (checksFirst && size == 0) {
            throw refused(Errno.EINVAL, iova, size, "the range is empty");
        }
        if (checksFirst ? Refusal.wraps(iova, size) : Long.compareUnsigned(iova + size, iova) < 0) {
            throw refused(rangeOverflow, iova, size, "the range wraps around");
        }
        checkSize(bitmap, size);
        checkPage("bitmap", iova, size, bitmap);
        if (size == 0 || ((iova | size) & (smallestPage() - 1)) != 0) {
            throw refused(Errno.EINVAL, iova, size, "expected a size above 0 and alignment to the smallest page");
        }
        long last = iova + (size - 1);
        if (mappings.cuts(iova, last)) {
            throw refused(Errno.EINVAL, iova, size, "the range cuts a mapping");
        }
        for (Iterator<DmaMapping> each = mappings.from(iova); each.hasNext(); ) {
            DmaMapping mapping = each.next();
            if (Long.compareUnsigned(mapping.iova, last) > 0) {
                break;
            }
            report(mapping, iova, bitmap);
            mapping.clearWritten();
        }
    }

    /**
     * Checks that a bitmap is large enough for a range, and not too large.
     *
     * @throws IommuException EINVAL
     */
    static void checkSize(VfioBitmap bitmap, long size) {
        long pages = size >>> Long.numberOfTrailingZeros(bitmap.pageSize());
        long needed = ((pages >>> 6) + ((pages & 63) == 0 ? 0 : 1)) * Long.BYTES;
        if (bitmap.pageSize() == 0
                || pages == 0
                || bitmap.size() == 0
                || Long.compareUnsigned(bitmap.size(), MAX_BYTES) > 0
                || Long.compareUnsigned(bitmap.size(), needed) < 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    "a bitmap of " + bitmap.size() + " bytes for " + pages + " pages, expected at least " + needed);
        }
    }

    /**
     * Checks that pages are tracked, and that a bitmap's page is the smallest.
     *
     * @throws IommuException EINVAL
     */
    void checkPage(String what, long iova, long size, VfioBitmap bitmap) {
        if (!tracking || bitmap.pageSize() != smallestPage()) {
            throw Refusal.of(
                    Errno.EINVAL,
                    what,
                    iova,
                    size,
                    tracking ? "the bitmap's page is not the smallest" : "written pages are not tracked");
        }
    }

    /**
     * Writes a mapping's bits into a bitmap.
     *
     * @param base the address of the bitmap's first bit
     * @throws IommuException EFAULT (the user's memory ends within the bitmap)
     */
    void report(DmaMapping mapping, long base, VfioBitmap bitmap) {
        if (!domains.isEmpty() && mapping.mapped) {
            mapping.markAllWritten();
        }
        if (!mapping.report(base, bitmap.data())) {
            throw refused(Errno.EFAULT, mapping.iova, mapping.size, "the user's memory ends within the bitmap");
        }
    }

    private static IommuException refused(Errno errno, long iova, long size, String why) {
        return Refusal.of(errno, "bitmap", iova, size, why);
    }
}
