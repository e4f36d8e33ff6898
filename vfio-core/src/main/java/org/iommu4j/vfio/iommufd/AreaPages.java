// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.IommuException;

/** What areas map: a range of bytes, whose pages are found when they are needed. Source: {@code struct iopt_pages}. */
abstract class AreaPages {
    /** Size of a page of the CPU, in bytes. */
    static final long PAGE_SIZE = 4096;

    /** The most bytes that are mapped at once, unsigned. Source: {@code iopt_alloc_pages}. */
    static final long LONGEST = -1L - PAGE_SIZE;

    /** Returns whether devices may write. */
    abstract boolean writable();

    /** Returns whether the pages are RAM, which is pinned, and which drivers of emulated devices may use. */
    abstract boolean isMemory();

    /** Returns the {@link org.iommu4j.Prot} bits that its mappings have besides those that the user asked for. */
    abstract int prot();

    /** Returns the address of a byte where it comes from: addresses that Linux chooses are aligned like it. */
    abstract long virtualAddress(long offset);

    /**
     * Finds and pins the pages of a range of bytes; all or nothing. {@link #charge} follows.
     *
     * @throws IommuException EFAULT, ENOMEM
     */
    abstract void pin(long offset, long length);

    /**
     * Charges the pages that were pinned since the last time. Linux maps first: what refuses to map a page does so
     * before a limit does. Source: {@code pfn_reader_update_pinned}.
     *
     * @throws IommuException ENOMEM; they stay pinned
     */
    abstract void charge();

    /** Ends a use of the pages of a range of bytes; the last use unpins them, and they are charged no longer. */
    abstract void unpin(long offset, long length, boolean dirty);

    /** Returns the physical address of a byte whose page is pinned. */
    abstract long physicalAddress(long offset);

    /** Returns how many bytes from one on, at most so many, have contiguous physical addresses; all are pinned. */
    abstract long contiguous(long offset, long length);

    /** Returns whether the memory was taken away for good, so that nothing of it is mapped any more. */
    boolean isRevoked() {
        return false;
    }
}
