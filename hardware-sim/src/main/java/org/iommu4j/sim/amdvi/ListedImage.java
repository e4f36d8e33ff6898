// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.function.Supplier;
import org.iommu4j.Prot;
import org.iommu4j.sim.spi.TableListing;
import org.iommu4j.sim.spi.TableVisitor;

/** One listing of {@link AmdViTableReader}: the memory, and the visitor that receives its tables. */
record ListedImage(TableListing memory, TableVisitor visitor) {
    /** Returns whether there is a table at an address, and reports a problem otherwise. */
    boolean isMemory(long table, Supplier<String> what) {
        boolean there = memory.isMemory(table);
        if (!there && memory.isNewTable(table)) {
            visitor.problem(what.get() + " is at 0x" + Long.toHexString(table) + ", outside the memory");
        }
        return there;
    }

    /** Enters a table that can be listed, until {@link #leave}; otherwise reports why not, and returns false. */
    boolean enter(long table, Supplier<String> what) {
        if (!isMemory(table, what)) {
            return false;
        }
        boolean entered = memory.enter(table);
        if (!entered && memory.isNewTable(table)) {
            visitor.problem(what.get() + " is at 0x" + Long.toHexString(table) + ", inside itself");
        }
        return entered;
    }

    /** See {@link TableListing#leave}. */
    void leave() {
        memory.leave();
    }

    /** See {@link TableListing#isNewEntry}. */
    boolean isNewEntry(long entryAddress) {
        return memory.isNewEntry(entryAddress);
    }

    /** Returns an entry of a table that is in memory. */
    long entry(long address) {
        return memory.read(address, true);
    }

    /** Counts one more piece of a page: see {@link TableListing#count}. */
    void count() {
        memory.count();
    }

    /** Returns {@link Prot} READ and WRITE for the IR and IW of an entry. */
    static int prot(long rights) {
        return (PageTableEntry.IR.isSet(rights) ? Prot.READ : 0) | (PageTableEntry.IW.isSet(rights) ? Prot.WRITE : 0);
    }
}
