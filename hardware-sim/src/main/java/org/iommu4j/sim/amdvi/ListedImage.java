// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.HashSet;
import java.util.Set;
import org.iommu4j.Prot;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.TableVisitor;

/**
 * The memory of which {@link AmdViTableReader} lists the tables, and how much of it one listing may still read.
 *
 * <p>Each table is listed once for a requester and PASID, so that neither a loop nor tables that share tables make much of
 * little; and one listing reads a bounded number of entries, whatever an image says.
 */
final class ListedImage {
    private static final long MOST_ENTRIES = 1L << 30;

    private final Fabric memory;
    private final TableVisitor visitor;
    private final Set<Long> seen = new HashSet<>();
    private long entriesLeft = MOST_ENTRIES;

    ListedImage(Fabric memory, TableVisitor visitor) {
        this.memory = memory;
        this.visitor = visitor;
    }

    TableVisitor visitor() {
        return visitor;
    }

    /** Begins with another requester or PASID, for which each table may be listed again. */
    void begin() {
        seen.clear();
    }

    /** Returns whether a table can be listed, and reports why not otherwise; it can once. */
    boolean enter(long table, String what) {
        if (entriesLeft <= 0) {
            return false;
        }
        if (!memory.isMemory(table)) {
            visitor.problem(what + " is at 0x" + Long.toHexString(table) + ", outside the memory");
            return false;
        }
        if (!seen.add(table)) {
            visitor.problem(what + " is at 0x" + Long.toHexString(table)
                    + ", where a table of this requester was listed already: inside itself, or in two places");
            return false;
        }
        return true;
    }

    /** Returns an entry of a table that was entered; 0 once the listing has read too much. */
    long entry(long address) {
        if (entriesLeft > 0 && --entriesLeft == 0) {
            visitor.problem("gave up after " + MOST_ENTRIES + " entries");
        }
        return entriesLeft == 0 ? 0 : memory.read(address, true);
    }

    /** Returns {@link Prot} READ and WRITE for the IR and IW of an entry. */
    static int prot(long rights) {
        return (PageTableEntry.IR.isSet(rights) ? Prot.READ : 0) | (PageTableEntry.IW.isSet(rights) ? Prot.WRITE : 0);
    }
}
