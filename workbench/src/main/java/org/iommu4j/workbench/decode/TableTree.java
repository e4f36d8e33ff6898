// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.io.PrintWriter;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.TableVisitor;
import org.jspecify.annotations.Nullable;

/**
 * Prints tables as a tree: a requester, below it its tables, in them their mappings.
 *
 * <p>Mappings of one table that continue each other with the same size and rights are one line with their count and the
 * entry of the first. So are requesters behind each other that have no tables and the same treatment.
 */
public final class TableTree implements TableVisitor {
    private static final int INDENT = 2;

    private final PrintWriter out;
    private final WalkPath path = new WalkPath();
    private final StringBuilder line = new StringBuilder();
    private boolean empty = true;

    // Requesters without tables that are not printed yet; none while the text is empty.
    private String plain = "";
    private int plainFirst;
    private int plainLast;

    // The run that is not printed yet; none while its count is 0.
    private long count;
    private long iova;
    private long physicalAddress;
    private long size;
    private int prot;
    private boolean snoopForced;
    private long entry;
    private int level;

    /** Makes a printer. */
    public TableTree(PrintWriter out) {
        this.out = out;
    }

    @Override
    public void requester(int sourceId, int pasid, String translation, long root) {
        printRun();
        empty = false;
        path.clear();
        boolean alone = root != -1 || pasid != NO_PASID;
        if (alone || sourceId != plainLast + 1 || !translation.equals(plain)) {
            printPlain();
        }
        if (alone) {
            line.append(Notation.requester(sourceId, pasid)).append("  ").append(translation);
            if (root != -1) {
                line.append(", top table ").append(Hex.of(root));
            }
            print();
            return;
        }
        if (plain.isEmpty()) {
            plain = translation;
            plainFirst = sourceId;
        }
        plainLast = sourceId;
    }

    /** Prints the requesters without tables that were held back, because more of the same might have come. */
    private void printPlain() {
        if (plain.isEmpty()) {
            return;
        }
        line.append(Notation.device(plainFirst));
        if (plainFirst != plainLast) {
            line.append(" to ").append(Notation.device(plainLast));
            line.append(" (").append(plainLast - plainFirst + 1).append(')');
        }
        line.append("  ").append(plain);
        print();
        plain = "";
    }

    @Override
    public void table(int tableLevel, long entryAddress, long tableEntry, long tableIova) {
        printPlain();
        printRun();
        path.ascendTo(tableLevel);
        indent();
        line.append('L').append(tableLevel).append(' ').append(Hex.of(tableIova));
        line.append("  table by ").append(Hex.of(tableEntry));
        line.append(" at ").append(Hex.of(entryAddress));
        print();
        path.descend(tableLevel, entryAddress, tableEntry);
    }

    @Override
    public void mapping(long at, long to, long bytes, int rights, boolean snoop, long leaf, int leafLevel) {
        boolean continues = count != 0
                && at == iova + count * size
                && to == physicalAddress + count * size
                && bytes == size
                && rights == prot
                && snoop == snoopForced
                && leafLevel == level;
        if (continues) {
            count++;
            return;
        }
        printPlain();
        printRun();
        path.ascendTo(leafLevel);
        count = 1;
        iova = at;
        physicalAddress = to;
        size = bytes;
        prot = rights;
        snoopForced = snoop;
        entry = leaf;
        level = leafLevel;
    }

    /** Ends a run, so that the tree is right up to the problem; {@link GuardedVisitor} reports it. */
    @Override
    public void problem(String text) {
        printPlain();
        printRun();
    }

    /**
     * Prints what is left.
     *
     * @param asked the source id asked for, null for all: printed when there is no entry
     */
    public void finish(@Nullable Integer asked) {
        printPlain();
        printRun();
        if (empty) {
            out.append(asked == null ? "any requester" : Notation.device(asked)).append("  no entry\n");
        }
    }

    private void printRun() {
        if (count == 0) {
            return;
        }
        indent();
        line.append('L').append(level).append(' ');
        Notation.left(line, Hex.of(iova), 18 - INDENT * path.depth());
        line.append(" -> ");
        Notation.left(line, Hex.of(physicalAddress), 14);
        Notation.right(line, count == 1 ? Notation.size(size) : count + " x " + Notation.size(size), 12);
        line.append("  ");
        Notation.left(line, Notation.permission(prot), 2);
        line.append(snoopForced ? "  snoop forced  " : "                ").append(Hex.of(entry));
        if (count != 1) {
            line.append(" ...");
        }
        print();
        count = 0;
    }

    private void indent() {
        line.append(" ".repeat(INDENT * (1 + path.depth())));
    }

    private void print() {
        out.append(line).append('\n');
        line.setLength(0);
    }
}
