// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.function.Consumer;
import org.iommu4j.sim.spi.TableVisitor;

/**
 * Passes a visit on, counts its problems, and stops an endless one: tables of a damaged dump that point at each other
 * give more entries than anyone can read.
 */
public final class GuardedVisitor implements TableVisitor {
    /** How many problems are reported one by one. */
    private static final int REPORTED = 20;

    /** What a table costs, because its reader looks at this many entries. */
    private static final int ENTRIES = 512;

    private final TableVisitor to;
    private final Consumer<String> report;
    private final long limit;
    private long left;
    private long problems;

    /**
     * Makes a guard.
     *
     * @param to the visitor to pass the visit on to
     * @param report receives problems, one line each
     * @param limit how many entries may be visited; each table adds 512
     */
    public GuardedVisitor(TableVisitor to, Consumer<String> report, long limit) {
        this.to = to;
        this.report = report;
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
    public void requester(int sourceId, int pasid, String translation, long root) {
        spend(1);
        to.requester(sourceId, pasid, translation, root);
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
        if (problems++ < REPORTED) {
            report.accept(line);
        }
    }

    /** Reports the number of problems not reported one by one, and returns the number of all. */
    public long finish() {
        if (problems > REPORTED) {
            report.accept((problems - REPORTED) + " more like these");
        }
        return problems;
    }

    private void spend(int entries) {
        left -= entries;
        if (left < 0) {
            throw new LimitException("more than " + limit + " entries, so these tables are damaged or very large;"
                    + " --device shows one requester, --limit allows more entries");
        }
    }
}
