// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.jspecify.annotations.Nullable;

/**
 * The areas of an IOAS, disjoint, in unsigned order of IOVA.
 *
 * <p>A balanced tree (a treap), whose nodes hold the largest gap below them: a hole is found without looking at all
 * areas. Under the lock of its IOAS. Source: {@code area_itree} of {@code struct io_pagetable}.
 */
final class AreaTree {
    /** What {@link #hole} returns where nothing fits; no hole starts at the last byte. */
    static final long NO_HOLE = -1L;

    private @Nullable IoasArea root;
    private int size;

    // What a search for a hole looks for, and finds.
    private long from;
    private long limit;
    private long length;
    private long alignment;
    private long offset;
    private long found;
    private boolean ended;

    int size() {
        return size;
    }

    boolean isEmpty() {
        return root == null;
    }

    /** Returns the lowest area that ends at or after an address, or null. */
    @Nullable
    IoasArea endingFrom(long address) {
        IoasArea best = null;
        IoasArea node = root;
        while (node != null) {
            if (Long.compareUnsigned(node.last, address) >= 0) {
                best = node;
                node = node.left;
            } else {
                node = node.right;
            }
        }
        return best;
    }

    /** Returns the lowest area that shares a byte with {@code [first, last]}, or null. */
    @Nullable
    IoasArea overlapping(long first, long last) {
        IoasArea area = endingFrom(first);
        return area != null && Long.compareUnsigned(area.iova, last) <= 0 ? area : null;
    }

    /** Returns the lowest area, or null. */
    @Nullable
    IoasArea first() {
        return endingFrom(0);
    }

    /** Returns the area after one, or null. */
    @Nullable
    IoasArea after(IoasArea area) {
        return area.last == -1L ? null : endingFrom(area.last + 1);
    }

    /** Adds an area that overlaps none. */
    void insert(IoasArea area) {
        IoasArea before = startingBelow(area.iova);
        IoasArea next = endingFrom(area.iova);
        area.left = null;
        area.right = null;
        area.gap = area.iova - (before == null ? 0 : before.last + 1);
        pull(area);
        root = insert(root, area);
        if (next != null) {
            next.gap = next.iova - area.last - 1;
            refresh(root, next);
        }
        size++;
    }

    /** Removes an area. */
    void remove(IoasArea area) {
        IoasArea before = startingBelow(area.iova);
        IoasArea next = after(area);
        root = remove(root, area);
        if (next != null) {
            next.gap = next.iova - (before == null ? 0 : before.last + 1);
            refresh(root, next);
        }
        size--;
    }

    /**
     * Finds the lowest place without an area.
     *
     * @param first first address of the range to search
     * @param last its last address
     * @param bytes length of the hole, above 0
     * @param align alignment of its start before {@code pageOffset} is set in it, a power of two
     * @param pageOffset bits to set in the start
     * @return the start, or {@link #NO_HOLE}
     */
    long hole(long first, long last, long bytes, long align, long pageOffset) {
        from = first;
        limit = last;
        length = bytes;
        alignment = align;
        offset = pageOffset;
        found = NO_HOLE;
        ended = false;
        if (search(root) || ended) {
            return found;
        }
        IoasArea top = root;
        while (top != null && top.right != null) {
            top = top.right;
        }
        if (top == null) {
            fits(first, last);
        } else if (top.last != -1L) {
            fits(higher(top.last + 1, first), last);
        }
        return found;
    }

    /** Looks into the gaps of a subtree, lowest first; returns whether the search is over. */
    private boolean search(@Nullable IoasArea node) {
        if (node == null || Long.compareUnsigned(node.largestGap, length) < 0) {
            return false;
        }
        long gapStart = node.iova - node.gap;
        if (Long.compareUnsigned(gapStart, from) > 0 && search(node.left)) {
            return true;
        }
        if (Long.compareUnsigned(gapStart, limit) > 0) {
            ended = true;
            return true;
        }
        if (node.gap != 0 && fits(higher(gapStart, from), lower(node.iova - 1, limit))) {
            return true;
        }
        if (Long.compareUnsigned(node.iova, limit) >= 0) {
            ended = true;
            return true;
        }
        return search(node.right);
    }

    private boolean fits(long first, long last) {
        if (Long.compareUnsigned(first, last) > 0 || Long.compareUnsigned(last - first, length - 1) < 0) {
            return false;
        }
        long start = ((first + alignment - 1) & -alignment) | offset;
        if (Long.compareUnsigned(start, first) < 0
                || Long.compareUnsigned(start, last) > 0
                || Long.compareUnsigned(last - start, length - 1) < 0) {
            return false;
        }
        found = start;
        return true;
    }

    private @Nullable IoasArea startingBelow(long address) {
        IoasArea best = null;
        IoasArea node = root;
        while (node != null) {
            if (Long.compareUnsigned(node.iova, address) < 0) {
                best = node;
                node = node.right;
            } else {
                node = node.left;
            }
        }
        return best;
    }

    private static IoasArea insert(@Nullable IoasArea node, IoasArea area) {
        if (node == null) {
            return area;
        }
        IoasArea top = node;
        if (Long.compareUnsigned(area.iova, node.iova) < 0) {
            IoasArea child = insert(node.left, area);
            node.left = child;
            if (child.priority() > node.priority()) {
                node.left = child.right;
                child.right = node;
                top = child;
            }
        } else {
            IoasArea child = insert(node.right, area);
            node.right = child;
            if (child.priority() > node.priority()) {
                node.right = child.left;
                child.left = node;
                top = child;
            }
        }
        pull(node);
        pull(top);
        return top;
    }

    private static @Nullable IoasArea remove(@Nullable IoasArea node, IoasArea area) {
        if (node == null) {
            throw new IllegalStateException("no area at IOVA 0x" + Long.toHexString(area.iova));
        }
        if (node.iova == area.iova) {
            return merge(node.left, node.right);
        }
        if (Long.compareUnsigned(area.iova, node.iova) < 0) {
            node.left = remove(node.left, area);
        } else {
            node.right = remove(node.right, area);
        }
        pull(node);
        return node;
    }

    private static @Nullable IoasArea merge(@Nullable IoasArea lower, @Nullable IoasArea upper) {
        if (lower == null) {
            return upper;
        }
        if (upper == null) {
            return lower;
        }
        if (lower.priority() > upper.priority()) {
            lower.right = merge(lower.right, upper);
            pull(lower);
            return lower;
        }
        upper.left = merge(lower, upper.left);
        pull(upper);
        return upper;
    }

    /** Computes the largest gaps anew from a changed node up. */
    private static void refresh(@Nullable IoasArea node, IoasArea changed) {
        if (node == null) {
            return;
        }
        if (node != changed) {
            refresh(Long.compareUnsigned(changed.iova, node.iova) < 0 ? node.left : node.right, changed);
        }
        pull(node);
    }

    private static void pull(IoasArea node) {
        long largest = node.gap;
        IoasArea left = node.left;
        if (left != null) {
            largest = higher(largest, left.largestGap);
        }
        IoasArea right = node.right;
        if (right != null) {
            largest = higher(largest, right.largestGap);
        }
        node.largestGap = largest;
    }

    private static long higher(long a, long b) {
        return Long.compareUnsigned(a, b) >= 0 ? a : b;
    }

    private static long lower(long a, long b) {
        return Long.compareUnsigned(a, b) <= 0 ? a : b;
    }
}
