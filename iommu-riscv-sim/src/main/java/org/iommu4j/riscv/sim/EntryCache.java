// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * A cache of words by two keys, in sets of four, which many threads read without a lock.
 *
 * <p>The tag says whose the word is, and is never 0. The place is the number of a page, shifted by {@link
 * #SIZE_BITS}, and the size of what the word covers, one of {@link Pte}'s.
 *
 * <p>A set is one run of 16 words: a sequence number, four entries of tag, place and word, and the way to replace next.
 * A writer makes the number odd first; who reads it odd or changed has a miss. A word that was read from memory before
 * an invalidation began is not put in.
 */
final class EntryCache {
    /** Returned when nothing is cached; never a word. */
    static final long MISS = 0;

    static final int SIZE_BITS = 3;
    private static final int SIZE_MASK = (1 << SIZE_BITS) - 1;

    private static final int SETS = 256;
    private static final int WAYS = 4;
    private static final int SET_SHIFT = 4;
    private static final int ENTRY = 3;
    private static final int NEXT_WAY = 15;

    /** Ranges of fewer pages are looked up page by page. */
    private static final int FEW_PAGES = 32;

    private static final long[] NONE = {};
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

    private final Epoch epoch;

    /** Allocated at the first fill. */
    private volatile long[] words = NONE;

    /** The sizes that were ever cached, as bits. A fill sets its bit before it looks at the epoch. */
    private volatile int sizes;

    EntryCache(Epoch epoch) {
        this.epoch = epoch;
    }

    /** Returns the word of the smallest size that covers a page, or {@link #MISS}. */
    long find(long tag, long page) {
        for (int left = sizes; left != 0; left &= left - 1) {
            int size = Integer.numberOfTrailingZeros(left);
            long word = lookup(tag, place(page, size));
            if (word != MISS) {
                return word;
            }
        }
        return MISS;
    }

    private static long place(long page, int size) {
        return (page & (-1L << span(size))) << SIZE_BITS | size;
    }

    private static int span(int size) {
        return Pte.shift(size) - Pte.shift(0);
    }

    private long lookup(long tag, long place) {
        long[] w = words;
        if (w.length == 0) {
            return MISS;
        }
        int set = set(tag, place);
        long sequence = (long) WORD.getAcquire(w, set);
        long word = MISS;
        for (int at = set + 1; at < set + 1 + WAYS * ENTRY; at += ENTRY) {
            if (w[at] == tag && w[at + 1] == place) {
                word = w[at + 2];
                break;
            }
        }
        VarHandle.loadLoadFence();
        return (sequence & 1) == 0 && (long) WORD.getOpaque(w, set) == sequence ? word : MISS;
    }

    private static int set(long tag, long place) {
        long mixed = (tag * 0x9e3779b97f4a7c15L ^ place) * 0xbf58476d1ce4e5b9L;
        return (int) ((mixed >>> 40) & (SETS - 1)) << SET_SHIFT;
    }

    /** Caches the word that covers a page, unless it was read before an invalidation, or the set is busy. */
    void fill(long tag, long page, int size, long word, long readInEpoch) {
        long[] w = words.length == 0 ? allocate() : words;
        if ((sizes >>> size & 1) == 0) {
            addSize(size);
        }
        long place = place(page, size);
        int set = set(tag, place);
        long sequence = (long) WORD.getAcquire(w, set);
        if ((sequence & 1) != 0 || !WORD.compareAndSet(w, set, sequence, sequence + 1)) {
            return;
        }
        if (epoch.current() == readInEpoch) {
            int at = set + 1 + ENTRY * wayToFill(w, set, tag, place);
            w[at] = tag;
            w[at + 1] = place;
            w[at + 2] = word;
        }
        WORD.setRelease(w, set, sequence + 2);
    }

    private synchronized long[] allocate() {
        if (words.length == 0) {
            words = new long[SETS << SET_SHIFT];
        }
        return words;
    }

    private synchronized void addSize(int size) {
        sizes |= 1 << size;
    }

    private static int wayToFill(long[] w, int set, long tag, long place) {
        int free = -1;
        for (int way = WAYS - 1; way >= 0; way--) {
            int at = set + 1 + ENTRY * way;
            if (w[at] == tag && w[at + 1] == place) {
                return way;
            }
            if (w[at] == 0) {
                free = way;
            }
        }
        if (free >= 0) {
            return free;
        }
        int way = (int) w[set + NEXT_WAY];
        w[set + NEXT_WAY] = (way + 1L) % WAYS;
        return way;
    }

    /**
     * Drops words.
     *
     * @param tagMask the bits of their tags that matter, -1 for all
     * @param tag what those bits are
     * @param first the first of a range of pages that they meet
     * @param last the last page of the range
     * @param kept bits of words that stay, if any of them is set
     */
    void remove(long tagMask, long tag, long first, long last, long kept) {
        epoch.advance();
        long[] w = words;
        if (tagMask == -1L && last - first < FEW_PAGES) {
            for (int left = sizes; left != 0; left &= left - 1) {
                int size = Integer.numberOfTrailingZeros(left);
                long pages = 1L << span(size);
                for (long page = first & -pages; page <= last; page += pages) {
                    clear(w, set(tag, place(page, size)), tagMask, tag, first, last, kept);
                }
            }
        } else if (sizes != 0) {
            for (int set = 0; set < w.length; set += 1 << SET_SHIFT) {
                clear(w, set, tagMask, tag, first, last, kept);
            }
        }
    }

    private static void clear(long[] w, int set, long tagMask, long tag, long first, long last, long kept) {
        if (w.length == 0) {
            return; // a fill has told its size, and allocates
        }
        long sequence = lock(w, set);
        for (int at = set + 1; at < set + 1 + WAYS * ENTRY; at += ENTRY) {
            if (w[at] != 0 && ((w[at] ^ tag) & tagMask) == 0 && (w[at + 2] & kept) == 0) {
                long page = w[at + 1] >>> SIZE_BITS;
                long pages = 1L << span((int) w[at + 1] & SIZE_MASK);
                if (page <= last && first < page + pages) {
                    Arrays.fill(w, at, at + ENTRY, 0);
                }
            }
        }
        WORD.setRelease(w, set, sequence + 2);
    }

    /** Drops the words of some tags, whatever they cover. */
    void remove(long tagMask, long tag) {
        remove(tagMask, tag, 0, Long.MAX_VALUE, 0);
    }

    private static long lock(long[] w, int set) {
        while (true) {
            long sequence = (long) WORD.getAcquire(w, set);
            if ((sequence & 1) == 0 && WORD.compareAndSet(w, set, sequence, sequence + 1)) {
                return sequence;
            }
            Thread.onSpinWait();
        }
    }

    /** Drops everything and what replacement remembers. For one thread only. */
    void reset() {
        epoch.advance();
        if (sizes != 0) {
            Arrays.fill(words, 0);
            sizes = 0;
        }
    }

    void addTo(StateDigest digest) {
        long[] w = words;
        for (int i = 0; i < w.length; i++) {
            // Sequence numbers only count changes.
            if ((i & NEXT_WAY) != 0 && w[i] != 0) {
                digest.add(i);
                digest.add(w[i]);
            }
        }
        digest.add(-1L);
    }
}
