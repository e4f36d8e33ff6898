// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Arrays;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/**
 * The pinned pages of a range: runs of neighbours that have contiguous frames and the same number of uses.
 *
 * <p>Memory grows with the runs and not with the pages, since a guest's memory is mostly contiguous: two words each.
 * A page has at most 2^24 - 1 uses, and a frame an address below 2^52. Runs are sorted and never adjoin when they could
 * be one. Finding a page is logarithmic in the runs. Not thread-safe. Source: the
 * role is that of {@code struct iopt_pages}' interval trees and {@code pinned_pfns}.
 */
final class PinnedRuns {
    /** Words of a run: its first page and how many; its first frame, and above it how many uses. */
    private static final int WORDS = 2;

    private static final int USES_SHIFT = 40;
    private static final int MOST_USES = (1 << 24) - 1;
    private static final long FRAME_MASK = (1L << USES_SHIFT) - 1;
    private static final int PAGE_SHIFT = 12;
    private static final long[] NO_RUNS = {};

    private long[] runs = NO_RUNS;
    private int size;

    /** Returns how many runs there are. */
    int size() {
        return size;
    }

    /** Returns the page after those of a run. */
    int end(int run) {
        return first(run) + count(run);
    }

    /** Returns the first page of a run. */
    int first(int run) {
        return (int) (runs[WORDS * run] >>> 32);
    }

    private int count(int run) {
        return (int) runs[WORDS * run];
    }

    private int uses(int run) {
        return (int) (runs[WORDS * run + 1] >>> USES_SHIFT);
    }

    private long frame(int run) {
        return (runs[WORDS * run + 1] & FRAME_MASK) << PAGE_SHIFT;
    }

    private void setCount(int run, int count) {
        runs[WORDS * run] = (long) first(run) << 32 | count;
    }

    private void addUses(int run, int more) {
        runs[WORDS * run + 1] += (long) more << USES_SHIFT;
    }

    /** Returns the physical address of a page, which is in that run. */
    long frame(int run, int page) {
        return frame(run) + (long) (page - first(run)) * AreaPages.PAGE_SIZE;
    }

    /** Returns the run of a page, or the run after it as a negative number: {@code -1 - run}. */
    int find(int page) {
        int low = 0;
        int after = size;
        while (low < after) {
            int middle = (low + after) >>> 1;
            if (first(middle) <= page) {
                low = middle + 1;
            } else {
                after = middle;
            }
        }
        return after > 0 && page < end(after - 1) ? after - 1 : -1 - after;
    }

    /** Returns whether all pages from one to before another are pinned. */
    boolean has(int from, int to) {
        int page = from;
        for (int run = find(page); page < to; run++) {
            if (run < 0 || run >= size || first(run) > page) {
                return false;
            }
            page = end(run);
        }
        return true;
    }

    /** Adds pages that are not pinned yet, by the physical address of each, with one use. */
    void add(int page, long[] frames) {
        int done = 0;
        while (done < frames.length) {
            int next = done + 1;
            while (next < frames.length && frames[next] == frames[next - 1] + AreaPages.PAGE_SIZE) {
                next++;
            }
            insert(-1 - find(page + done), page + done, next - done, frames[done], 1);
            mergeAt(page + done);
            done = next;
        }
        mergeAt(page + done);
    }

    /**
     * Adds a use to all pages from one to before another, which are pinned.
     *
     * @throws IommuException ENOMEM (too many uses of a page); nothing has changed
     */
    void use(int from, int to) {
        for (int run = find(from); run >= 0 && run < size && first(run) < to; run++) {
            if (uses(run) == MOST_USES) {
                throw new IommuException(Errno.ENOMEM, "page " + from + " has " + MOST_USES + " uses");
            }
        }
        splitAt(from);
        splitAt(to);
        for (int run = find(from); run >= 0 && run < size && first(run) < to; run++) {
            addUses(run, 1);
        }
        mergeAt(from);
        mergeAt(to);
    }

    /**
     * Takes a use from all pages from one to before another, which are pinned.
     *
     * @return how many pages have none any more
     */
    int release(int from, int to, LastUse lastUse) {
        splitAt(from);
        splitAt(to);
        int freed = 0;
        int start = find(from);
        int kept = start;
        int run = start;
        for (; run < size && first(run) < to; run++) {
            addUses(run, -1);
            if (uses(run) == 0) {
                for (int page = 0; page < count(run); page++) {
                    lastUse.of(frame(run) + page * AreaPages.PAGE_SIZE);
                }
                freed += count(run);
            } else {
                move(run, kept++);
            }
        }
        remove(kept, run);
        mergeAt(from);
        mergeAt(to);
        return freed;
    }

    /** Is told of each page whose last use has ended. */
    @FunctionalInterface
    interface LastUse {
        /** Takes the page's physical address. */
        void of(long frame);
    }

    private void splitAt(int page) {
        int run = find(page);
        if (run >= 0 && first(run) < page) {
            insert(run + 1, page, end(run) - page, frame(run, page), uses(run));
            setCount(run, page - first(run));
        }
    }

    private void mergeAt(int page) {
        int run = find(page);
        if (run > 0
                && first(run) == page
                && end(run - 1) == page
                && uses(run - 1) == uses(run)
                && frame(run - 1, page) == frame(run)) {
            setCount(run - 1, count(run - 1) + count(run));
            remove(run, run + 1);
        }
    }

    private void insert(int run, int page, int pages, long at, int used) {
        if (WORDS * size == runs.length) {
            runs = Arrays.copyOf(runs, WORDS * (size + (size >> 1) + 1));
        }
        copy(run, run + 1, size - run);
        runs[WORDS * run] = (long) page << 32 | pages;
        runs[WORDS * run + 1] = (long) used << USES_SHIFT | at >>> PAGE_SHIFT;
        size++;
    }

    private void remove(int from, int to) {
        copy(to, from, size - to);
        size -= to - from;
        if (size == 0) {
            runs = NO_RUNS;
        }
    }

    private void move(int from, int to) {
        if (from != to) {
            copy(from, to, 1);
        }
    }

    private void copy(int from, int to, int count) {
        System.arraycopy(runs, WORDS * from, runs, WORDS * to, WORDS * count);
    }
}
