// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.LongUnaryOperator;

/**
 * Everything in a requester's tables.
 *
 * @param root what they hang from
 * @param directories entries that point to tables
 * @param leaves entries that map pages; one for each slot where a page has several
 */
record Tables(
        TableFormat format, TableFormat.Root root, SortedMap<Slot, Long> directories, SortedMap<Slot, Long> leaves) {
    /** Where an entry is: the first address that it translates, and the level of its table. */
    record Slot(long iova, int level) implements Comparable<Slot> {
        private static final Comparator<Slot> ORDER =
                Comparator.comparingLong(Slot::iova).thenComparingInt(Slot::level);

        @Override
        public int compareTo(Slot other) {
            return ORDER.compare(this, other);
        }

        @Override
        public String toString() {
            return "0x" + Long.toHexString(iova) + " level " + level;
        }
    }

    /** A page that is mapped. */
    record Page(long iova, long physicalAddress, long size, boolean read, boolean write, long entry, int level) {}

    /** Reads tables from their root down. */
    static Tables read(TableFormat format, LongUnaryOperator memory, TableFormat.Root root) {
        Tables tables = new Tables(format, root, new TreeMap<>(), new TreeMap<>());
        tables.descend(memory, root.table(), root.levels(), 0);
        return tables;
    }

    private void descend(LongUnaryOperator memory, long table, int level, long iova) {
        for (int i = 0; i < 512; i++) {
            long entry = memory.applyAsLong(table + i * 8L);
            long at = iova + ((long) i << TableFormat.shift(level));
            if (!format.isPresent(entry)) {
                continue;
            }
            if (format.isLeaf(entry, level)) {
                leaves.put(new Slot(at, level), entry);
            } else {
                directories.put(new Slot(at, level), entry);
                descend(memory, entry & TableFormat.ADDRESS, format.levelBelow(entry, level), at);
            }
        }
    }

    /** Returns the pages in the order of their addresses, each once. */
    List<Page> pages() {
        List<Page> pages = new ArrayList<>();
        leaves.forEach((slot, entry) -> {
            long size = 1L << format.leafShift(entry, slot.level());
            if (slot.iova() % size == 0) {
                pages.add(new Page(
                        slot.iova(),
                        entry & TableFormat.ADDRESS & -size,
                        size,
                        permits(slot, entry, false),
                        permits(slot, entry, true),
                        entry,
                        slot.level()));
            }
        });
        return pages;
    }

    /** A right counts where every entry on the way has it. */
    private boolean permits(Slot leaf, long entry, boolean write) {
        boolean permitted = format.permits(entry, write);
        for (int level = leaf.level() + 1; level <= root.levels(); level++) {
            long above = leaf.iova() & -(1L << TableFormat.shift(level));
            Long directory = directories.get(new Slot(above, level));
            permitted &= directory == null || format.permits(directory, write);
        }
        return permitted;
    }
}
