// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.Arrays;

/**
 * Which pages of a range of IOVA were written, one bit a page.
 *
 * <p>Allocated once by its user and reused. Source: {@code struct iova_bitmap}.
 */
public final class DirtyBitmap {
    private final long start;
    private final int pageShift;
    private final long pages;
    private final long[] words;

    /**
     * Makes a bitmap without any bit set.
     *
     * @param start the first IOVA, in bytes, aligned to the page size
     * @param pageSize bytes that a bit stands for, a power of two of at least 4096
     * @param pages how many bits, 1 to 2^31
     */
    public DirtyBitmap(long start, long pageSize, long pages) {
        if (Long.bitCount(pageSize) != 1 || pageSize < 4096 || (start & (pageSize - 1)) != 0) {
            throw new IllegalArgumentException("dirty bitmap at 0x" + Long.toHexString(start) + " with pages of 0x"
                    + Long.toHexString(pageSize) + " bytes, expected an aligned start and a power of two from 4096");
        }
        if (pages < 1 || pages > 1L << 31) {
            throw new IllegalArgumentException("dirty bitmap of " + pages + " pages, expected 1 to 2^31");
        }
        this.start = start;
        this.pageShift = Long.numberOfTrailingZeros(pageSize);
        this.pages = pages;
        this.words = new long[(int) ((pages + 63) >>> 6)];
    }

    /** Returns the first IOVA, in bytes. */
    public long start() {
        return start;
    }

    /** Returns how many bytes of IOVA it covers. */
    public long size() {
        return pages << pageShift;
    }

    /**
     * Marks what a written leaf maps, as far as the bitmap covers it; a page that is touched in part is marked.
     *
     * @param iova first byte
     * @param size bytes, above 0
     */
    public void mark(long iova, long size) {
        long last = iova + size - 1;
        long end = start + size() - 1;
        if (Long.compareUnsigned(last, start) < 0 || Long.compareUnsigned(iova, end) > 0) {
            return;
        }
        long from = Long.compareUnsigned(iova, start) < 0 ? 0 : (iova - start) >>> pageShift;
        long to = Long.compareUnsigned(last, end) > 0 ? pages - 1 : (last - start) >>> pageShift;
        for (long page = from; page <= to; page++) {
            words[(int) (page >>> 6)] |= 1L << page;
        }
    }

    /** Returns whether a page is marked. */
    public boolean isMarked(long iova) {
        long page = (iova - start) >>> pageShift;
        return Long.compareUnsigned(page, pages) < 0 && (words[(int) (page >>> 6)] & (1L << page)) != 0;
    }

    /** Returns how many pages are marked. */
    public long count() {
        long count = 0;
        for (long word : words) {
            count += Long.bitCount(word);
        }
        return count;
    }

    /** Clears all bits. */
    public void clear() {
        Arrays.fill(words, 0);
    }
}
