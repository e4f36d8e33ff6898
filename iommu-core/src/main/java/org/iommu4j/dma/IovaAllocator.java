// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

/**
 * Allocates ranges of IOVA from the top down, each aligned to the next power of two that holds it. A range of fewer
 * than 32 pages takes all of that power of two.
 *
 * <p>Records free and allocated ranges, so that freeing a range that is not allocated is refused. Uses more heap only
 * when more ranges are allocated than ever before; freeing never does. Not thread-safe. Source of the policy: {@code
 * alloc_iova_fast}, {@code alloc_iova} with {@code size_aligned}; the caches of freed ranges, which make Linux's
 * addresses depend on the CPU, are not modelled.
 */
final class IovaAllocator {
    /** No room. Page 0 is never allocated. */
    static final long NONE = ExtentTree.NONE;

    private static final int INITIAL_CAPACITY = 64;

    /** Ranges below this number of pages are rounded up. Source: {@code IOVA_RANGE_CACHE_MAX_SIZE}. */
    private static final long ROUNDED = 32;

    private final ExtentTree free = new ExtentTree(INITIAL_CAPACITY);
    private final ExtentTree given = new ExtentTree(INITIAL_CAPACITY);

    /** Number of free extents before any allocation; each allocated range can add one. */
    private int freeWhenIdle;

    /** Number of ranges that are retired and never freed. */
    private int withheld;

    /**
     * Makes an allocator.
     *
     * @param firstPage the first page; page 0 is reserved, since address 0 looks like no address
     * @param lastPage the last page; none below the first
     */
    IovaAllocator(long firstPage, long lastPage) {
        long start = Math.max(1, firstPage);
        if (lastPage >= start) {
            free.insert(start, lastPage);
        }
        freeWhenIdle = free.size();
    }

    /** Reserves pages permanently, both ends inclusive; call it before any allocation. */
    void reserve(long firstPage, long lastPage) {
        if (given.size() != 0) {
            throw new IllegalStateException("pages are reserved after " + given.size() + " ranges were allocated");
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
     * Allocates the highest range with room.
     *
     * @param pages at least 1
     * @param limit the last page allowed
     * @return its first page, or {@link #NONE}
     */
    long allocate(long pages, long limit) {
        long taken = taken(pages);
        long block = free.highestFit(taken, roundUpToPowerOfTwo(pages), limit);
        if (block == NONE) {
            return NONE;
        }
        int out = given.size() + withheld + 1;
        given.ensureCapacity(out);
        free.ensureCapacity(freeWhenIdle + out);
        carve(free.floor(block), block, block + taken - 1);
        given.insert(block, block + pages - 1);
        return block;
    }

    /** Returns whether exactly this range is allocated. */
    boolean isGiven(long firstPage, long pages) {
        int node = given.floor(firstPage);
        return node != 0 && given.first(node) == firstPage && given.last(node) == firstPage + pages - 1;
    }

    /** Retires an allocated range, so that it can't be freed twice; it is not free yet. */
    void retire(long firstPage, long pages) {
        if (!isGiven(firstPage, pages)) {
            throw new IllegalStateException(
                    pages + " pages at page 0x" + Long.toHexString(firstPage) + " are not allocated");
        }
        given.remove(firstPage);
        withheld++;
    }

    /** Frees a retired range. */
    void free(long firstPage, long pages) {
        long lastPage = firstPage + taken(pages) - 1;
        int below = free.floor(lastPage);
        if (below != 0 && free.last(below) >= firstPage) {
            throw new IllegalStateException(
                    pages + " pages at page 0x" + Long.toHexString(firstPage) + " are already free");
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

    /** Returns how many ranges are allocated. */
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

    private static long taken(long pages) {
        return pages < ROUNDED ? roundUpToPowerOfTwo(pages) : pages;
    }

    private static long roundUpToPowerOfTwo(long pages) {
        return pages == 1 ? 1 : Long.highestOneBit(pages - 1) << 1;
    }
}
