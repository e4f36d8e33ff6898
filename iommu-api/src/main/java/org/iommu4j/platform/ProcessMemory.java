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

    /** Returns the physical address of a virtual one, or {@link #UNMAPPED} [process-translate-1]. */
    long translate(long virtualAddress);

    /**
     * Pins pages for long-term DMA, all or nothing [pin-1].
     *
     * @param virtualAddress 4 KiB aligned
     * @param count how many pages, 1 to the length of {@code frames}
     * @param write whether the device will write; the pages must be writable
     * @param frames receives the physical address of each page [pin-2]
     * @throws org.iommu4j.IommuException EFAULT when a page is not mapped or not writable, as none is from bit 63 on;
     *     nothing is pinned [pin-3]
     */
    void pin(long virtualAddress, int count, boolean write, long[] frames);

    /**
     * Unpins one page [unpin-1].
     *
     * @param frame its physical address
     * @param dirty whether the device may have written it
     */
    void unpin(long frame, boolean dirty);

    /**
     * Returns whether a frame is no RAM, such as the registers of a device that the process has mapped [no-ram-1].
     *
     * <p>To pin such a frame only finds it, to unpin it does nothing, and it is not to be charged. Source: {@code
     * is_invalid_reserved_pfn}.
     *
     * @param frame a physical address that {@link #pin} found
     */
    default boolean isReserved(long frame) {
        return false;
    }

    /** Returns how many pins are held; a page pinned twice counts twice [pinned-1]. */
    long pinned();

    /**
     * Charges pages to RLIMIT_MEMLOCK [charge-1].
     *
     * @param pages how many, not negative
     * @throws org.iommu4j.IommuException ENOMEM when the limit would be exceeded and the process lacks CAP_IPC_LOCK;
     *     nothing is charged [charge-2]
     */
    void charge(long pages);

    /**
     * Takes a charge back [uncharge-1].
     *
     * @param pages how many, not negative and not more than are charged
     */
    void uncharge(long pages);

    /** Returns how many pages are charged [charged-1]. */
    long charged();
}
