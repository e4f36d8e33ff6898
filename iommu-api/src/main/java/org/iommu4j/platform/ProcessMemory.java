// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * A user process's address space, its pinned pages and its limit on locked memory.
 *
 * <p>Pages are 4 KiB. Source: {@code pin_user_pages} with {@code FOLL_LONGTERM}, and {@code account_locked_vm}.
 */
public interface ProcessMemory {
    /** What {@link #translate} returns where nothing is mapped. */
    long UNMAPPED = -1L;

    /** Returns the physical address of a virtual one, or {@link #UNMAPPED}. */
    long translate(long virtualAddress);

    /**
     * Pins pages for long-term DMA, all or nothing.
     *
     * @param virtualAddress 4 KiB aligned
     * @param count how many pages, 1 to the length of {@code frames}
     * @param write whether the device will write; the pages must be writable
     * @param frames receives the physical address of each page
     * @throws org.iommu4j.IommuException EFAULT when a page is not mapped or not writable, as none is from bit 63 on;
     *     nothing is pinned
     */
    void pin(long virtualAddress, int count, boolean write, long[] frames);

    /**
     * Unpins one page.
     *
     * @param frame its physical address
     * @param dirty whether the device may have written it
     */
    void unpin(long frame, boolean dirty);

    /** Returns how many pins are held; a page pinned twice counts twice. */
    long pinned();

    /**
     * Charges pages to RLIMIT_MEMLOCK.
     *
     * @param pages how many, not negative
     * @throws org.iommu4j.IommuException ENOMEM when the limit would be exceeded and the process lacks CAP_IPC_LOCK
     */
    void charge(long pages);

    /**
     * Takes a charge back.
     *
     * @param pages how many, not negative and not more than are charged
     */
    void uncharge(long pages);

    /** Returns how many pages are charged. */
    long charged();
}
