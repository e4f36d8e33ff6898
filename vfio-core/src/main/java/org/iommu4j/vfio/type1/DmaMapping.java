// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Arrays;
import java.util.TreeMap;
import org.iommu4j.Prot;
import org.iommu4j.platform.ProcessMemory;
import org.jspecify.annotations.Nullable;

/**
 * One mapping of a container. Under the container's lock. Source: {@code struct vfio_dma}.
 *
 * <p>While the container has a domain, every page of the mapping is pinned and mapped in all domains. Without one, only
 * the pages are pinned that a driver asked for.
 */
final class DmaMapping {
    private static final int BITS = 64;

    /** A page that a driver pinned, in whose memory, and how often. Source: {@code struct vfio_pfn}. */
    static final class DriverPin {
        final ProcessMemory process;
        final long frame;
        private long count = 1;

        DriverPin(ProcessMemory process, long frame) {
            this.process = process;
            this.frame = frame;
        }
    }

    /** First I/O virtual address. */
    final long iova;

    /** Bytes. */
    final long size;

    /** The rights that the user gives devices: {@link Prot#READ}, {@link Prot#WRITE} or both. */
    final int prot;

    /** Whose memory it is, and who is charged. */
    ProcessMemory process;

    /** In whose memory its pages were pinned when they were mapped; a new virtual address does not change that. */
    ProcessMemory pinner;

    /** Its address in the process. */
    long virtualAddress;

    /** Whether the user has taken the virtual address back, and has not named a new one. */
    boolean virtualAddressInvalid;

    /** Whether its pages are pinned and mapped in the domains. */
    boolean mapped;

    /**
     * One bit for each smallest page, while written pages are tracked, and a word of room for {@link #report} to shift.
     */
    private long @Nullable [] written;

    /** log2 of the size of the smallest page when tracking began. */
    private int writtenShift;

    /** By page of the mapping. */
    private @Nullable TreeMap<Long, DriverPin> driverPins;

    DmaMapping(ProcessMemory process, long iova, long virtualAddress, long size, int prot) {
        this.process = process;
        this.pinner = process;
        this.iova = iova;
        this.virtualAddress = virtualAddress;
        this.size = size;
        this.prot = prot;
    }

    /** Returns the last I/O virtual address, inclusive: the end of the topmost mapping would overflow. */
    long last() {
        return iova + (size - 1);
    }

    /** Returns whether devices may write, so that its pages are dirty afterwards. */
    boolean writable() {
        return (prot & Prot.WRITE) != 0;
    }

    // ---- written pages ---------------------------------------------------------------------------------------------

    /** Begins to track written pages: what drivers have pinned counts as written. */
    void track(int pageShift) {
        writtenShift = pageShift;
        written = new long[words(pages()) + 1];
        markPinned();
    }

    void stopTracking() {
        written = null;
    }

    private long pages() {
        return size >>> writtenShift;
    }

    private void markPinned() {
        if (driverPins != null) {
            driverPins.keySet().forEach(page -> markWritten(page << PinnedPages.PAGE_SHIFT));
        }
    }

    private void markWritten(long offset) {
        if (written != null) {
            long page = offset >>> writtenShift;
            written[(int) (page / BITS)] |= 1L << page;
        }
    }

    /** Marks all pages, while they are tracked. */
    void markAllWritten() {
        if (written != null) {
            int whole = (int) (pages() / BITS);
            Arrays.fill(written, 0, whole, -1L);
            written[whole] |= (1L << pages()) - 1;
        }
    }

    /** Forgets which pages were written, but for those that drivers have pinned. Source: {@code bitmap_clear}. */
    void clearWritten() {
        if (written != null) {
            int whole = (int) (pages() / BITS);
            Arrays.fill(written, 0, whole, 0);
            written[whole] &= -(1L << pages());
            markPinned();
        }
    }

    /**
     * Writes this mapping's bits into a bitmap that begins at another address, in whole words as Linux does.
     *
     * <p>Linux shifts its own bitmap for that. What the shift moves behind the mapping's last page stays there, and the
     * next report shows it again, moved once more: pages count as written that this mapping does not have. The bits of
     * the user's first word stay set too. Source: {@code update_user_bitmap}.
     *
     * @param base the address of the bitmap's first bit
     * @return whether the user's memory has room for all of them; if not, the words are written for which it has
     */
    boolean report(long base, long[] bitmap) {
        long[] own = written;
        if (own == null) {
            throw new IllegalStateException("written pages of " + this + " are not tracked");
        }
        long first = (iova - base) >>> writtenShift;
        int shift = (int) (first % BITS);
        int count = words(pages() + shift);
        int at = (int) Math.min(first / BITS, bitmap.length);
        if (shift != 0) {
            for (int i = count - 1; i > 0; i--) {
                own[i] = own[i] << shift | own[i - 1] >>> (BITS - shift);
            }
            own[0] <<= shift;
            if (at == bitmap.length) {
                return false;
            }
            own[0] |= bitmap[at];
        }
        int room = Math.min(count, bitmap.length - at);
        System.arraycopy(own, 0, bitmap, at, room);
        return room == count;
    }

    private static int words(long bits) {
        return Math.toIntExact((bits + BITS - 1) / BITS);
    }

    // ---- pages that drivers pinned ---------------------------------------------------------------------------------

    /** Returns whether a driver has pinned the page at an offset, which is then charged already. */
    boolean pinnedByDriver(long offset) {
        return driverPins != null && driverPins.containsKey(offset >>> PinnedPages.PAGE_SHIFT);
    }

    /** Pins a page that a driver has pinned once more, and returns its frame, or -1 where none has. */
    long pinAgain(long page) {
        DriverPin pin = driverPins == null ? null : driverPins.get(page);
        if (pin == null) {
            return -1;
        }
        pin.count++;
        return pin.frame;
    }

    /** Records that a driver has pinned a page. */
    void addDriverPin(long page, DriverPin pin) {
        TreeMap<Long, DriverPin> pins = driverPins;
        if (pins == null) {
            pins = new TreeMap<>();
            driverPins = pins;
        }
        pins.put(page, pin);
        markWritten(page << PinnedPages.PAGE_SHIFT);
    }

    /** Takes a driver's pin of a page back; returns what is to unpin, or null where there was none or others remain. */
    @Nullable
    DriverPin removeDriverPin(long page) {
        TreeMap<Long, DriverPin> pins = driverPins;
        DriverPin pin = pins == null ? null : pins.get(page);
        if (pins == null || pin == null || --pin.count != 0) {
            return null;
        }
        pins.remove(page);
        return pin;
    }

    /** Returns whether drivers have pinned pages. */
    boolean hasDriverPins() {
        return driverPins != null && !driverPins.isEmpty();
    }

    /** Returns how many pages drivers have pinned. */
    int driverPins() {
        return driverPins == null ? 0 : driverPins.size();
    }

    @Override
    public String toString() {
        return "0x" + Long.toHexString(iova) + "+0x" + Long.toHexString(size);
    }
}
