// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.function.Consumer;
import org.iommu4j.sim.spi.TableVisitor;

/**
 * Passes a visit on, counts its problems, and ends one that would not end: tables that a damaged dump has pointing at
 * each other unfold to more entries than anybody can read.
 */
public final class GuardedVisitor implements TableVisitor {
    /** How many problems are told one by one. */
    private static final int TOLD = 20;

    /** What a table costs, because its reader looks at this many entries. */
    private static final int ENTRIES = 512;

    private final TableVisitor to;
    private final Consumer<String> told;
    private final long limit;
    private long left;
    private long problems;

    /**
     * Makes a guard.
     *
     * @param to who is visited
     * @param told who hears of problems, a line each
     * @param limit how many entries may be visited; a table counts as 512
     */
    public GuardedVisitor(TableVisitor to, Consumer<String> told, long limit) {
        this.to = to;
        this.told = told;
        this.limit = limit;
        this.left = limit;
    }

    /** The visit has gone on for long enough. */
    public static final class LimitException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        LimitException(String message) {
            super(message);
        }
    }

    @Override
    public void requester(int requesterId, int pasid, String translation, long root) {
        spend(1);
        to.requester(requesterId, pasid, translation, root);
    }

    @Override
    public void table(int level, long entryAddress, long entry, long iova) {
        spend(ENTRIES);
        to.table(level, entryAddress, entry, iova);
    }

    @Override
    public void mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
        spend(1);
        to.mapping(iova, physicalAddress, size, prot, snoopForced, entry, level);
    }

    @Override
    public void problem(String line) {
        spend(1);
        if (problems++ < TOLD) {
            told.accept(line);
        }
    }

    /** Tells what was not told yet, and returns how many problems there were. */
    public long finish() {
        if (problems > TOLD) {
            told.accept((problems - TOLD) + " more like these");
        }
        return problems;
    }

    private void spend(int entries) {
        left -= entries;
        if (left < 0) {
            throw new LimitException("more than " + limit + " entries, so these tables are damaged or very large;"
                    + " --device shows one requester, --limit more entries");
        }
    }
}
