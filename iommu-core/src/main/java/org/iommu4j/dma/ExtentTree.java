// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.Arrays;

/**
 * Disjoint extents of pages, sorted, in a balanced tree that lives in arrays.
 *
 * <p>A treap: a node's place follows from its extent and its priority, a hash of its number, so the same calls build
 * the same tree. Each node holds the longest extent below it, so that a search skips subtrees without room. Only {@link
 * #ensureCapacity} allocates. Not thread-safe.
 */
final class ExtentTree {
    /** No block fits. */
    static final long NONE = -1;

    /** Number of the null node; its longest extent is 0 pages. */
    private static final int NULL = 0;

    private long[] first;
    private long[] last;
    private long[] longest;
    private int[] left;
    private int[] right;

    private int root;
    private int size;

    /** Freed nodes, chained by {@link #left}. */
    private int spare;

    /** Nodes used at least once, with the null node. */
    private int touched = 1;

    /** The second result of {@link #split}. */
    private int splitRight;

    ExtentTree(int capacity) {
        first = new long[capacity + 1];
        last = new long[capacity + 1];
        longest = new long[capacity + 1];
        left = new int[capacity + 1];
        right = new int[capacity + 1];
    }

    /** Returns the number of extents. */
    int size() {
        return size;
    }

    /** Makes room for a total number of extents. */
    void ensureCapacity(int extents) {
        if (extents < first.length) {
            return;
        }
        int length = Math.max(extents + 1, first.length * 2);
        first = Arrays.copyOf(first, length);
        last = Arrays.copyOf(last, length);
        longest = Arrays.copyOf(longest, length);
        left = Arrays.copyOf(left, length);
        right = Arrays.copyOf(right, length);
    }

    /** Adds an extent that overlaps none; both ends inclusive. */
    void insert(long firstPage, long lastPage) {
        int node = take();
        first[node] = firstPage;
        last[node] = lastPage;
        left[node] = NULL;
        right[node] = NULL;
        pull(node);
        int lower = split(root, firstPage);
        root = merge(merge(lower, node), splitRight);
        size++;
    }

    /** Removes the extent that starts at this page. */
    void remove(long firstPage) {
        root = remove(root, firstPage);
        size--;
    }

    /** Sets new ends for a node's extent, between its neighbours. */
    void resize(int node, long firstPage, long lastPage) {
        first[node] = firstPage;
        last[node] = lastPage;
        pullTo(root, node);
    }

    /** Returns the node of the last extent that starts at or below this page, or 0. */
    int floor(long page) {
        int found = NULL;
        int node = root;
        while (node != NULL) {
            if (first[node] <= page) {
                found = node;
                node = right[node];
            } else {
                node = left[node];
            }
        }
        return found;
    }

    /** Returns the node of the first extent that starts at or above this page, or 0. */
    int ceiling(long page) {
        int found = NULL;
        int node = root;
        while (node != NULL) {
            if (first[node] >= page) {
                found = node;
                node = left[node];
            } else {
                node = right[node];
            }
        }
        return found;
    }

    long first(int node) {
        return first[node];
    }

    long last(int node) {
        return last[node];
    }

    /**
     * Finds the highest block inside an extent.
     *
     * @param pages its length
     * @param alignment of its first page, a power of two
     * @param limit the last page allowed
     * @return its first page, or {@link #NONE}
     */
    long highestFit(long pages, long alignment, long limit) {
        return highestFit(root, pages, alignment, limit);
    }

    private long highestFit(int node, long pages, long alignment, long limit) {
        if (longest[node] < pages) {
            return NONE;
        }
        if (first[node] <= limit) {
            long above = highestFit(right[node], pages, alignment, limit);
            if (above != NONE) {
                return above;
            }
            long end = Math.min(last[node], limit);
            long block = (end - pages + 1) & -alignment;
            if (end - pages + 1 >= 0 && block >= first[node]) {
                return block;
            }
        }
        return highestFit(left[node], pages, alignment, limit);
    }

    private int take() {
        if (spare != NULL) {
            int node = spare;
            spare = left[node];
            return node;
        }
        if (touched == first.length) {
            throw new IllegalStateException("no room for extent number " + touched + ", expected it to be ensured");
        }
        return touched++;
    }

    private int remove(int node, long firstPage) {
        if (node == NULL) {
            throw new IllegalStateException("no extent starts at page 0x" + Long.toHexString(firstPage));
        }
        if (first[node] == firstPage) {
            int rest = merge(left[node], right[node]);
            left[node] = spare;
            spare = node;
            return rest;
        }
        if (firstPage < first[node]) {
            left[node] = remove(left[node], firstPage);
        } else {
            right[node] = remove(right[node], firstPage);
        }
        pull(node);
        return node;
    }

    /**
     * Splits a tree in two; returns the extents that start below the page, and leaves the rest in {@link #splitRight}.
     */
    private int split(int node, long page) {
        if (node == NULL) {
            splitRight = NULL;
            return NULL;
        }
        if (first[node] < page) {
            right[node] = split(right[node], page);
            pull(node);
            return node;
        }
        int lower = split(left[node], page);
        left[node] = splitRight;
        pull(node);
        splitRight = node;
        return lower;
    }

    private int merge(int lower, int upper) {
        if (lower == NULL) {
            return upper;
        }
        if (upper == NULL) {
            return lower;
        }
        if (priority(lower) > priority(upper)) {
            right[lower] = merge(right[lower], upper);
            pull(lower);
            return lower;
        }
        left[upper] = merge(lower, left[upper]);
        pull(upper);
        return upper;
    }

    private void pullTo(int from, int node) {
        if (from != node) {
            pullTo(first[node] < first[from] ? left[from] : right[from], node);
        }
        pull(from);
    }

    private void pull(int node) {
        long own = last[node] - first[node] + 1;
        longest[node] = Math.max(own, Math.max(longest[left[node]], longest[right[node]]));
    }

    /** Spreads node numbers over all ints; odd multipliers keep them distinct. */
    private static int priority(int node) {
        int mixed = node * 0x9e3779b9;
        mixed = (mixed ^ (mixed >>> 15)) * 0x85ebca6b;
        return mixed ^ (mixed >>> 13);
    }
}
