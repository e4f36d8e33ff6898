// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.bits.Hex;
import org.iommu4j.platform.ProcessMemory;

/**
 * A range of a process's memory, whose pages are pinned while an area of some IOAS, or an access, uses them.
 *
 * <p>Areas that were copied share one object. A page is pinned and charged once, whatever uses it. Thread-safe. Source:
 * {@code struct iopt_pages}.
 */
final class UserPages extends AreaPages {
    private static final int PAGE_SHIFT = 12;
    private static final int BATCH = 512;

    /** The last page that can be pinned: with more a mapping of 8 TiB is resident, and no memory would be left. */
    private static final long LAST_PAGE = Integer.MAX_VALUE - 8;

    private final ProcessMemory memory;
    private final Accounting accounting;
    private final long base;
    private final boolean writable;
    private final boolean file;
    private IommufdUser user;

    private final PinnedRuns runs = new PinnedRuns();

    /** How many pages are pinned, and how many of them are charged. */
    private long pinned;

    private long charged;

    /**
     * Makes a range.
     *
     * @param memory the process's, or a file's
     * @param user who is charged
     * @param virtualAddress first byte, at any offset in its page
     * @param writable whether devices may write, so that the pages must be writable
     * @param file whether it is a file's memory, which another process may take over
     */
    UserPages(
            ProcessMemory memory,
            IommufdUser user,
            Accounting accounting,
            long virtualAddress,
            boolean writable,
            boolean file) {
        this.memory = memory;
        this.user = user;
        this.accounting = accounting;
        this.base = virtualAddress & -PAGE_SIZE;
        this.writable = writable;
        this.file = file;
    }

    @Override
    boolean writable() {
        return writable;
    }

    @Override
    boolean isMemory() {
        return true;
    }

    @Override
    int prot() {
        return Prot.CACHE;
    }

    /** Returns whether it is a file's memory, which another process may take over. */
    boolean isFile() {
        return file;
    }

    @Override
    long virtualAddress(long offset) {
        return base + offset;
    }

    /**
     * {@inheritDoc} Those that somebody has pinned already are used once more.
     *
     * @throws IommuException EFAULT, of a file EINVAL; ENOMEM
     */
    @Override
    synchronized void pin(long offset, long length) {
        long last = (offset + (length - 1)) >>> PAGE_SHIFT;
        if (offset >>> PAGE_SHIFT > LAST_PAGE) {
            throw new IommuException(Errno.ENOMEM, "page " + (offset >>> PAGE_SHIFT) + " of one mapping");
        }
        int first = page(offset);
        int end = (int) Math.min(last, LAST_PAGE) + 1;
        int done = first;
        try {
            while (done < end) {
                int run = runs.find(done);
                int next;
                if (run >= 0) {
                    next = Math.min(end, runs.end(run));
                    runs.use(done, next);
                } else {
                    next = Math.min(end, done + BATCH);
                    if (-1 - run < runs.size()) {
                        next = Math.min(next, runs.first(-1 - run));
                    }
                    pinRun(done, next - done);
                }
                done = next;
            }
            if (last > LAST_PAGE) {
                throw new IommuException(Errno.ENOMEM, (last + 1) + " pages in one mapping");
            }
        } catch (RuntimeException failure) {
            unpin((long) first << PAGE_SHIFT, (long) (done - first) << PAGE_SHIFT, false);
            throw failure;
        }
    }

    private static int page(long offset) {
        return (int) (offset >>> PAGE_SHIFT);
    }

    private void pinRun(int first, int count) {
        long[] batch = new long[count];
        pin(base + ((long) first << PAGE_SHIFT), count, batch);
        try {
            for (long frame : batch) {
                if (memory.isReserved(frame)) {
                    throw new IommuException(
                            Errno.EFAULT, "frame " + Hex.of(frame) + " is no RAM, which iommufd does not map");
                }
            }
        } catch (RuntimeException failure) {
            for (long frame : batch) {
                memory.unpin(frame, false);
            }
            throw failure;
        }
        runs.add(first, batch);
        pinned += count;
    }

    @Override
    synchronized void charge() {
        if (pinned > charged) {
            accounting.charge(user, pinned - charged);
            charged = pinned;
        }
    }

    private void pin(long address, int count, long[] into) {
        try {
            memory.pin(address, count, writable, into);
        } catch (IommuException refusal) {
            // Source: memfd_pin_folios.
            throw file && refusal.errno() == Errno.EFAULT
                    ? new IommuException(Errno.EINVAL, "not in the file: " + refusal.getMessage())
                    : refusal;
        }
    }

    @Override
    synchronized void unpin(long offset, long length, boolean dirty) {
        if (length == 0) {
            return;
        }
        int first = page(offset);
        int end = page(offset + length - 1) + 1;
        if (!runs.has(first, end)) {
            throw new IllegalStateException("pages " + first + " to " + (end - 1) + " are not pinned");
        }
        boolean written = dirty && writable;
        pinned -= runs.release(first, end, frame -> memory.unpin(frame, written));
        if (pinned < charged) {
            accounting.uncharge(user, charged - pinned);
            charged = pinned;
        }
    }

    @Override
    synchronized long physicalAddress(long offset) {
        int page = page(offset);
        return runs.frame(run(page), page) + (offset & (PAGE_SIZE - 1));
    }

    @Override
    synchronized long contiguous(long offset, long length) {
        int run = run(page(offset));
        while (true) {
            int end = runs.end(run);
            long bytes = ((long) end << PAGE_SHIFT) - offset;
            if (bytes >= length) {
                return length;
            }
            long after = runs.frame(run, end);
            run++;
            if (run == runs.size() || runs.first(run) != end || runs.frame(run, end) != after) {
                return bytes;
            }
        }
    }

    private int run(int page) {
        int run = runs.find(page);
        if (run < 0) {
            throw new IllegalStateException("page " + page + " is not pinned");
        }
        return run;
    }

    /**
     * Charges another process for the pages from now on. Source: {@code iommufd_ioas_change_process}.
     *
     * @return who was charged until now
     * @throws IommuException ENOMEM; nothing has changed
     */
    synchronized IommufdUser moveTo(IommufdUser next) {
        IommufdUser before = user;
        accounting.charge(next, charged);
        accounting.uncharge(before, charged);
        user = next;
        return before;
    }
}
