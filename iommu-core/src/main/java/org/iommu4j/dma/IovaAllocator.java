// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

/**
 * Gives out ranges of IOVA: from the top down, aligned to the power of two that holds them.
 *
 * <p>Knows what is free and what was given out, so that freeing what was not is told. Allocates heap only when more
 * ranges are out than ever before; freeing never does. Not thread-safe. Source of the policy: {@code
 * alloc_iova} with {@code size_aligned}.
 */
final class IovaAllocator {
    /** No room. Page 0 is never given out. */
    static final long NONE = ExtentTree.NONE;

    private static final int INITIAL_CAPACITY = 64;

    private final ExtentTree free = new ExtentTree(INITIAL_CAPACITY);
    private final ExtentTree given = new ExtentTree(INITIAL_CAPACITY);

    /** Extents that are free when nothing is given out; each range given out can add one. */
    private int freeWhenIdle;

    /** Ranges that are neither free nor given out, for good. */
    private int withheld;

    /**
     * Makes an allocator.
     *
     * @param lastPage the last page that there is; page 0 is kept back, as an address of 0 looks like none
     */
    IovaAllocator(long lastPage) {
        if (lastPage >= 1) {
            free.insert(1, lastPage);
        }
        freeWhenIdle = free.size();
    }

    /** Keeps pages back for good, both ends inclusive; before anything is given out. */
    void reserve(long firstPage, long lastPage) {
        if (given.size() != 0) {
            throw new IllegalStateException("pages are reserved after " + given.size() + " ranges were given out");
        }
        free.ensureCapacity(free.size() + 1);
        int node = free.floor(lastPage);
        while (node != 0 && free.last(node) >= firstPage) {
            carve(node, Math.max(firstPage, free.first(node)), Math.min(lastPage, free.last(node)));
            node = free.floor(lastPage);
        }
        freeWhenIdle = free.size();
    }

    /**
     * Gives out the highest range with room.
     *
     * @param pages at least 1
     * @param limit the last page allowed
     * @return its first page, or {@link #NONE}
     */
    long allocate(long pages, long limit) {
        long block = free.highestFit(pages, roundUpToPowerOfTwo(pages), limit);
        if (block == NONE) {
            return NONE;
        }
        int out = given.size() + withheld + 1;
        given.ensureCapacity(out);
        free.ensureCapacity(freeWhenIdle + out);
        carve(free.floor(block), block, block + pages - 1);
        given.insert(block, block + pages - 1);
        return block;
    }

    /** Returns whether exactly this range is given out. */
    boolean isGiven(long firstPage, long pages) {
        int node = given.floor(firstPage);
        return node != 0 && given.first(node) == firstPage && given.last(node) == firstPage + pages - 1;
    }

    /** Takes a range out of what is given out, so that nobody frees it a second time; it is not free yet. */
    void retire(long firstPage, long pages) {
        if (!isGiven(firstPage, pages)) {
            throw new IllegalStateException(
                    pages + " pages at page 0x" + Long.toHexString(firstPage) + " are not given out");
        }
        given.remove(firstPage);
        withheld++;
    }

    /** Frees a retired range. */
    void free(long firstPage, long pages) {
        long lastPage = firstPage + pages - 1;
        int below = free.floor(lastPage);
        if (below != 0 && free.last(below) >= firstPage) {
            throw new IllegalStateException(
                    pages + " pages at page 0x" + Long.toHexString(firstPage) + " are free already");
        }
        withheld--;
        int above = free.ceiling(firstPage);
        boolean joinsBelow = below != 0 && free.last(below) == firstPage - 1;
        boolean joinsAbove = above != 0 && free.first(above) == lastPage + 1;
        if (joinsBelow && joinsAbove) {
            long end = free.last(above);
            free.remove(free.first(above));
            free.resize(below, free.first(below), end);
        } else if (joinsBelow) {
            free.resize(below, free.first(below), lastPage);
        } else if (joinsAbove) {
            free.resize(above, firstPage, free.last(above));
        } else {
            free.insert(firstPage, lastPage);
        }
    }

    /** Returns how many ranges are given out. */
    int given() {
        return given.size();
    }

    /** Returns how many ranges were retired and never freed. */
    int withheld() {
        return withheld;
    }

    private void carve(int node, long firstPage, long lastPage) {
        long start = free.first(node);
        long end = free.last(node);
        if (start == firstPage && end == lastPage) {
            free.remove(start);
        } else if (start == firstPage) {
            free.resize(node, lastPage + 1, end);
        } else {
            free.resize(node, start, firstPage - 1);
            if (end != lastPage) {
                free.insert(lastPage + 1, end);
            }
        }
    }

    private static long roundUpToPowerOfTwo(long pages) {
        return pages == 1 ? 1 : Long.highestOneBit(pages - 1) << 1;
    }
}
