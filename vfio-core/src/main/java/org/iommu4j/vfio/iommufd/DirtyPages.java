// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.DirtyBitmap;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.vfio.type1.IovaRange;

/** The record of written pages of a HWPT. Source: {@code iopt_read_and_clear_dirty_data}, {@code iova_bitmap.c}. */
final class DirtyPages {
    private static final int PAGE_SHIFT = 12;
    private static final long PAGE_SIZE = AreaPages.PAGE_SIZE;

    /** The most pages that are read at once. */
    private static final long MOST_PAGES = 1L << 20;

    private final Ioas ioas;
    private final DirtyTracking tracking;

    private DirtyPages(Ioas ioas, DirtyTracking tracking) {
        this.ioas = ioas;
        this.tracking = tracking;
    }

    /**
     * Returns the record of a HWPT.
     *
     * @throws IommuException EOPNOTSUPP when it has none
     */
    static DirtyPages of(PagingHwpt hwpt) {
        return new DirtyPages(
                hwpt.ioas(),
                hwpt.domain()
                        .dirtyTracking()
                        .orElseThrow(
                                () -> new IommuException(Errno.EOPNOTSUPP, hwpt + " does not record written pages")));
    }

    /**
     * Checks a range that is asked for.
     *
     * @throws IommuException EINVAL, EOVERFLOW
     */
    static void check(DirtyRange range, long alignment, boolean emptyIsInvalid) {
        if (range.length() == 0 && emptyIsInvalid) {
            throw new IommuException(Errno.EINVAL, "a dirty bitmap of 0 bytes");
        }
        long last = range.iova() + (range.length() - 1);
        if (Long.compareUnsigned(last, range.iova()) < 0) {
            throw new IommuException(Errno.EOVERFLOW, "the range of a dirty bitmap wraps around");
        }
        long ends = range.iova() | (last + 1);
        if ((ends & (alignment - 1)) != 0 || (ends & (range.pageSize() - 1)) != 0) {
            throw new IommuException(Errno.EINVAL, range + ", expected alignment to the page size");
        }
    }

    /**
     * Starts or stops recording.
     *
     * @throws IommuException as {@link DirtyTracking#setDirtyTracking}
     */
    void set(boolean enabled) {
        tracking.setDirtyTracking(enabled);
        if (enabled) {
            // What an earlier recording left is forgotten.
            for (IovaRange area : ioas.mapped(0, -1L)) {
                for (long iova = area.start(); ; iova += MOST_PAGES << PAGE_SHIFT) {
                    long left = ((area.end() - iova) >>> PAGE_SHIFT) + 1;
                    tracking.readAndClearDirty(
                            new DirtyBitmap(iova & -PAGE_SIZE, PAGE_SIZE, Math.min(left, MOST_PAGES)), true);
                    if (left <= MOST_PAGES) {
                        break;
                    }
                }
            }
        }
    }

    /** Reads, and clears unless the flags say no; stops at a hole, and where the driver records nothing. */
    long[] read(DirtyRange range) {
        int shift = Long.numberOfTrailingZeros(range.pageSize());
        long last = range.iova() + (range.length() - 1);
        long bits = ((range.length() - 1) >>> shift) + 1;
        if (bits > 1L << 31) {
            throw new IommuException(Errno.ENOMEM, "a dirty bitmap of " + bits + " bits");
        }
        long[] words = new long[(int) ((bits + 63) >>> 6)];
        long next = range.iova();
        for (IovaRange area : ioas.mapped(range.iova(), last)) {
            if (area.start() != next) {
                return words;
            }
            try {
                readArea(range, area, shift, words);
            } catch (IommuException refusal) {
                if (refusal.errno() != Errno.EINVAL) {
                    throw refusal;
                }
                // Nothing is recorded; Linux returns 0 here as well.
                return words;
            }
            next = area.end() + 1;
        }
        return words;
    }

    private void readArea(DirtyRange range, IovaRange area, int shift, long[] words) {
        for (long iova = area.start(); ; iova += MOST_PAGES << PAGE_SHIFT) {
            long left = ((area.end() - iova) >>> PAGE_SHIFT) + 1;
            long pages = Math.min(left, MOST_PAGES);
            DirtyBitmap bitmap = new DirtyBitmap(iova, PAGE_SIZE, pages);
            tracking.readAndClearDirty(bitmap, (range.flags() & DirtyRange.NO_CLEAR) == 0);
            for (long page = 0; page < pages; page++) {
                long at = iova + (page << PAGE_SHIFT);
                if (bitmap.isMarked(at)) {
                    mark(words, (at - range.iova()) >>> shift, (at + PAGE_SIZE - 1 - range.iova()) >>> shift);
                }
            }
            if (left <= MOST_PAGES) {
                return;
            }
        }
    }

    private static void mark(long[] words, long from, long to) {
        for (long bit = from; bit <= to && bit >>> 6 < words.length; bit++) {
            words[(int) (bit >>> 6)] |= 1L << bit;
        }
    }
}
