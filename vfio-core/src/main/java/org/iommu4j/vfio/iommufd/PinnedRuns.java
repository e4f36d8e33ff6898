// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Arrays;

/**
 * The pinned pages of a range: runs of neighbours that have contiguous frames and the same number of uses.
 *
 * <p>Memory grows with the runs and not with the pages, since a guest's memory is mostly contiguous. Runs are sorted
 * and never adjoin when they could be one. Finding a page is logarithmic in the runs. Not thread-safe. Source: the
 * role is that of {@code struct iopt_pages}' interval trees and {@code pinned_pfns}.
 */
final class PinnedRuns {
    private static final int[] NO_PAGES = {};
    private static final long[] NO_FRAMES = {};

    private int[] first = NO_PAGES;
    private int[] count = NO_PAGES;
    private int[] uses = NO_PAGES;
    private long[] frame = NO_FRAMES;
    private int size;

    /** Returns how many runs there are. */
    int size() {
        return size;
    }

    /** Returns the page after those of a run. */
    int end(int run) {
        return first[run] + count[run];
    }

    /** Returns the first page of a run. */
    int first(int run) {
        return first[run];
    }

    /** Returns the physical address of a page, which is in that run. */
    long frame(int run, int page) {
        return frame[run] + (long) (page - first[run]) * UserPages.PAGE_SIZE;
    }

    /** Returns the run of a page, or the run after it as a negative number: {@code -1 - run}. */
    int find(int page) {
        int found = Arrays.binarySearch(first, 0, size, page);
        if (found >= 0) {
            return found;
        }
        int after = -1 - found;
        return after > 0 && page < end(after - 1) ? after - 1 : found;
    }

    /** Returns whether all pages from one to before another are pinned. */
    boolean has(int from, int to) {
        int page = from;
        for (int run = find(page); page < to; run++) {
            if (run < 0 || run >= size || first[run] > page) {
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
            while (next < frames.length && frames[next] == frames[next - 1] + UserPages.PAGE_SIZE) {
                next++;
            }
            insert(-1 - find(page + done), page + done, next - done, frames[done], 1);
            mergeAt(page + done);
            done = next;
        }
        mergeAt(page + done);
    }

    /** Adds a use to all pages from one to before another, which are pinned. */
    void use(int from, int to) {
        splitAt(from);
        splitAt(to);
        for (int run = find(from); run >= 0 && run < size && first[run] < to; run++) {
            uses[run]++;
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
        for (; run < size && first[run] < to; run++) {
            if (--uses[run] == 0) {
                for (int page = 0; page < count[run]; page++) {
                    lastUse.of(frame[run] + page * UserPages.PAGE_SIZE);
                }
                freed += count[run];
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
        if (run >= 0 && first[run] < page) {
            insert(run + 1, page, end(run) - page, frame(run, page), uses[run]);
            count[run] = page - first[run];
        }
    }

    private void mergeAt(int page) {
        int run = find(page);
        if (run > 0
                && first[run] == page
                && end(run - 1) == page
                && uses[run - 1] == uses[run]
                && frame(run - 1, page) == frame[run]) {
            count[run - 1] += count[run];
            remove(run, run + 1);
        }
    }

    private void insert(int run, int page, int pages, long at, int used) {
        if (size == first.length) {
            int capacity = size + (size >> 1) + 1;
            first = Arrays.copyOf(first, capacity);
            count = Arrays.copyOf(count, capacity);
            uses = Arrays.copyOf(uses, capacity);
            frame = Arrays.copyOf(frame, capacity);
        }
        copy(run, run + 1, size - run);
        first[run] = page;
        count[run] = pages;
        uses[run] = used;
        frame[run] = at;
        size++;
    }

    private void remove(int from, int to) {
        copy(to, from, size - to);
        size -= to - from;
        if (size == 0) {
            first = count = uses = NO_PAGES;
            frame = NO_FRAMES;
        }
    }

    private void move(int from, int to) {
        if (from != to) {
            copy(from, to, 1);
        }
    }

    private void copy(int from, int to, int runs) {
        System.arraycopy(first, from, first, to, runs);
        System.arraycopy(count, from, count, to, runs);
        System.arraycopy(uses, from, uses, to, runs);
        System.arraycopy(frame, from, frame, to, runs);
    }
}
