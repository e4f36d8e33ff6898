// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.Hex;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * Memory that takes the place of drivers' buffers which a device must not reach, or can't.
 *
 * <p>A bounce buffer has whole pages of its own, so that a device which reaches its pages reaches nothing else. The
 * pool grows by blocks of 256 KiB up to its limit; a buffer lies in one block. Its metadata lies elsewhere, out of a
 * device's reach. Thread-safe. Source: {@code kernel/dma/swiotlb.c}; areas of CPUs are not modelled.
 */
final class BouncePool {
    private static final int BLOCK_ORDER = 6;
    private static final int PAGES = 1 << BLOCK_ORDER;
    private static final int PAGE_SHIFT = 12;

    private final SystemMemory memory;
    private final FrameAllocator frames;

    /** Physical addresses of the blocks; published by {@link #blocks}. */
    private final long[] bases;

    /** One bit for each page of a block that is taken. */
    private final long[] taken;

    /** For each page the first one of its buffer, and for that one what it stands for. */
    private final int[] firsts;

    private final long[] originals;
    private final long[] sizes;
    private final DmaDirection[] directions;
    private volatile int blocks;

    /** Makes an empty pool. */
    BouncePool(SystemMemory memory, FrameAllocator frames, long limit) {
        this.memory = memory;
        this.frames = frames;
        int most = (int) (limit / DmaOptions.BOUNCE_BLOCK);
        bases = new long[most];
        taken = new long[most];
        firsts = new int[most * PAGES];
        originals = new long[most * PAGES];
        sizes = new long[most * PAGES];
        directions = new DmaDirection[most * PAGES];
    }

    /**
     * Takes a bounce buffer, with whatever it held before: {@link #fill} it before a device reaches it.
     *
     * @param original the driver's buffer
     * @param size its bytes
     * @param length bytes of the bounce buffer, whole pages, at least the size
     * @param alignment of its start, a power of two of at least a page
     * @return its physical address
     * @throws IommuException EINVAL (longer than 256 KiB), ENOMEM (the pool is full, or no frames for a new block)
     */
    long take(long original, long size, long length, long alignment, DmaDirection direction) {
        if (length > DmaOptions.BOUNCE_BLOCK) {
            throw new IommuException(
                    Errno.EINVAL, "a bounce buffer of " + Hex.of(length) + " bytes, expected 0x40000 at most");
        }
        return place((int) (length >>> PAGE_SHIFT), (int) (alignment >>> PAGE_SHIFT), original, size, direction);
    }

    /**
     * Fills a bounce buffer: with the driver's data where the device may read it, and zeros up to its end.
     *
     * @param keepsData {@link DmaRules#bounceKeepsData}
     */
    void fill(long start, long size, long length, DmaDirection direction, boolean keepsData) {
        boolean copies = keepsData || direction.toDevice();
        if (copies) {
            copyIn(start, size);
        }
        long kept = copies ? size : 0;
        MemoryBytes.zero(memory, start + kept, length - kept);
    }

    private synchronized long place(int pages, int alignment, long original, long size, DmaDirection direction) {
        long wanted = pages == PAGES ? -1L : (1L << pages) - 1;
        for (int block = 0; block < blocks; block++) {
            for (int page = 0; page + pages <= PAGES; page += alignment) {
                if ((taken[block] & (wanted << page)) == 0) {
                    return note(block, page, pages, original, size, direction);
                }
            }
        }
        if (blocks == bases.length) {
            throw new IommuException(
                    Errno.ENOMEM, "no bounce buffer of " + pages + " pages left in " + blocks + " blocks of 256 KiB");
        }
        bases[blocks] = frames.allocate(BLOCK_ORDER);
        blocks++;
        return note(blocks - 1, 0, pages, original, size, direction);
    }

    private long note(int block, int page, int pages, long original, long size, DmaDirection direction) {
        taken[block] |= (pages == PAGES ? -1L : (1L << pages) - 1) << page;
        int first = block * PAGES + page;
        for (int i = first; i < first + pages; i++) {
            firsts[i] = first;
        }
        originals[first] = original;
        sizes[first] = size;
        directions[first] = direction;
        return bases[block] + ((long) page << PAGE_SHIFT);
    }

    /** Returns whether an address lies in a block. */
    boolean contains(long physicalAddress) {
        return block(physicalAddress) >= 0;
    }

    /** Returns whether a bounce buffer that starts here stands for so many bytes in this direction. */
    boolean isTaken(long start, long size, DmaDirection direction) {
        int page = page(start);
        return firsts[page] == page && sizes[page] == size && directions[page] == direction && isPage(start);
    }

    /**
     * Copies part of a bounce buffer to the driver's buffer.
     *
     * @throws IommuException EINVAL when the part is not inside what the buffer stands for
     */
    void copyOut(long physicalAddress, long size) {
        MemoryBytes.copy(memory, physicalAddress, original(physicalAddress, size), size);
    }

    /**
     * Copies part of a driver's buffer to its bounce buffer.
     *
     * @throws IommuException EINVAL when the part is not inside what the buffer stands for
     */
    void copyIn(long physicalAddress, long size) {
        MemoryBytes.copy(memory, original(physicalAddress, size), physicalAddress, size);
    }

    /** Gives a bounce buffer back. */
    synchronized void free(long start) {
        int first = page(start);
        int block = first / PAGES;
        for (int i = first; i < (block + 1) * PAGES && firsts[i] == first; i++) {
            taken[block] &= ~(1L << (i - block * PAGES));
            firsts[i] = -1;
        }
    }

    /** Returns how many pages are taken. */
    synchronized int takenPages() {
        int pages = 0;
        for (int block = 0; block < blocks; block++) {
            pages += Long.bitCount(taken[block]);
        }
        return pages;
    }

    /** Frees the blocks; those with a buffer that a device may still reach are kept for good. */
    synchronized void close() {
        for (int block = 0; block < blocks; block++) {
            if (taken[block] == 0) {
                frames.free(bases[block], BLOCK_ORDER);
            }
        }
        blocks = 0;
    }

    private long original(long physicalAddress, long size) {
        int page = page(physicalAddress);
        int first = firsts[page];
        if (first < 0) {
            throw new IommuException(Errno.EINVAL, "no bounce buffer is at " + Hex.of(physicalAddress));
        }
        long start = bases[first / PAGES] + ((long) (first % PAGES) << PAGE_SHIFT);
        long offset = physicalAddress - start;
        if (offset + size > sizes[first]) {
            throw new IommuException(
                    Errno.EINVAL,
                    Hex.of(size) + " bytes from byte " + Hex.of(offset) + " on of a buffer of " + Hex.of(sizes[first]));
        }
        return originals[first] + offset;
    }

    private int page(long physicalAddress) {
        int block = block(physicalAddress);
        return block * PAGES + (int) ((physicalAddress - bases[block]) >>> PAGE_SHIFT);
    }

    private int block(long physicalAddress) {
        for (int block = 0; block < blocks; block++) {
            if (Long.compareUnsigned(physicalAddress - bases[block], DmaOptions.BOUNCE_BLOCK) < 0) {
                return block;
            }
        }
        return -1;
    }

    private static boolean isPage(long address) {
        return (address & ((1L << PAGE_SHIFT) - 1)) == 0;
    }
}
