// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.Arrays;

/** Where in a file each page is: a hash table of primitives, because a dump may have millions of pages. */
final class PageIndex {
    private static final long FREE = -1;
    private static final long MIX = 0x9e3779b97f4a7c15L;

    /** Page numbers, at a power of two of places of which at most half are taken. */
    private long[] pages = new long[1024];

    private long[] positions = new long[1024];
    private int size;
    private long repeated;
    private long firstRepeated = FREE;

    PageIndex() {
        Arrays.fill(pages, FREE);
    }

    /** Notes a page; a later place replaces an earlier one. */
    void put(long page, long position) {
        if (2 * size >= pages.length) {
            grow();
        }
        int slot = slot(page);
        if (pages[slot] == page) {
            if (repeated++ == 0) {
                firstRepeated = page;
            }
        } else {
            pages[slot] = page;
            size++;
        }
        positions[slot] = position;
    }

    /** Returns the place of a page, or -1 when there is none. */
    long position(long page) {
        int slot = slot(page);
        return pages[slot] == page ? positions[slot] : -1;
    }

    int size() {
        return size;
    }

    /** Returns how often a page was noted that was there already. */
    long repeated() {
        return repeated;
    }

    /** Returns the first such page, or -1. */
    long firstRepeated() {
        return firstRepeated;
    }

    private int slot(long page) {
        int mask = pages.length - 1;
        int slot = (int) ((page * MIX) >>> 32) & mask;
        while (pages[slot] != page && pages[slot] != FREE) {
            slot = (slot + 1) & mask;
        }
        return slot;
    }

    private void grow() {
        long[] oldPages = pages;
        long[] oldPositions = positions;
        pages = new long[2 * oldPages.length];
        positions = new long[2 * oldPages.length];
        Arrays.fill(pages, FREE);
        for (int i = 0; i < oldPages.length; i++) {
            if (oldPages[i] != FREE) {
                int slot = slot(oldPages[i]);
                pages[slot] = oldPages[i];
                positions[slot] = oldPositions[i];
            }
        }
    }
}
