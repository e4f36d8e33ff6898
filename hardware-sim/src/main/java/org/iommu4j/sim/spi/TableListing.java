// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Objects;
import java.util.Set;

/**
 * The memory of which a {@link TableReader} lists the tables, and the bounds that keep a listing from going on for
 * ever, with any image. The rules are the same for every vendor's tables:
 *
 * <ul>
 *   <li>A table that is in itself, however far down, is a loop: it is named once and not listed again there.
 *   <li>A table that is in several places is listed in each, for there the unit finds its pages too.
 *   <li>What can't be followed is told once, and not in each place that leads to it.
 *   <li>Of tables that are listed for the first time an image has no more than it is large. All other words that are
 *       read are counted, for a few tables that are in several places can unfold to more than people read; and after
 *       {@link #MOST_WORDS} of them a listing ends, with one problem.
 * </ul>
 *
 * <p>The image stays as it is: writes are swallowed. Belongs to one thread.
 */
public final class TableListing extends ImageFabric {
    /** Words that one listing may read besides tables that it has not listed yet: 131,072 tables once more. */
    public static final long MOST_WORDS = 1L << 26;

    private final Set<Long> listed = new HashSet<>();
    private final Set<Long> told = new HashSet<>();

    // The tables that the listing is in, from the top down, and which of them it had not listed yet.
    private long[] path = new long[8];
    private boolean[] isNew = new boolean[8];
    private int depth;
    private long wordsLeft;

    /** The listing has read enough. */
    private static final class EndException extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** Makes listings of the tables in an image. */
    public TableListing(Fabric memory) {
        super(memory);
    }

    /**
     * Makes one listing, with nothing listed and nothing told.
     *
     * @param visitor told as the last problem when the listing ends because it has read too much
     * @param listing reads from here, and tells the visitor
     */
    public void make(TableVisitor visitor, Runnable listing) {
        Objects.requireNonNull(visitor, "visitor");
        Objects.requireNonNull(listing, "listing");
        depth = 0;
        listed.clear();
        told.clear();
        wordsLeft = MOST_WORDS;
        try {
            listing.run();
        } catch (EndException e) {
            visitor.problem("more than " + MOST_WORDS
                    + " words read besides new tables, so these are damaged or in very many places; the rest is left"
                    + " out");
        }
    }

    /**
     * Goes into a table, until {@link #leave}.
     *
     * @return whether it is there to be listed; false, and nothing to leave, when it is a loop
     */
    public boolean enter(long table) {
        for (int i = 0; i < depth; i++) {
            if (path[i] == table) {
                return false;
            }
        }
        if (depth == path.length) {
            path = Arrays.copyOf(path, depth * 2);
            isNew = Arrays.copyOf(isNew, depth * 2);
        }
        isNew[depth] = listed.add(table);
        path[depth++] = table;
        return true;
    }

    /** Goes out of the table that was entered last. */
    public void leave() {
        depth--;
    }

    /** Returns whether a problem with a table as a whole was not told yet, which is to be done now. */
    public boolean isNewTable(long table) {
        return told.add(table | 1); // tables and entries are at multiples of 8
    }

    /** Returns whether a problem with an entry was not told yet, which is to be done now. */
    public boolean isNewEntry(long entryAddress) {
        return told.add(entryAddress);
    }

    /** Counts as much as a word: for what a reader tells without reading. */
    public void count() {
        if (wordsLeft == 0) {
            throw new EndException();
        }
        wordsLeft--;
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        if (depth == 0 || !isNew[depth - 1]) {
            count();
        }
        return super.read(physicalAddress, snoop);
    }
}
