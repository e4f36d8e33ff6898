// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.Prot;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.TableListing;
import org.iommu4j.sim.spi.TableVisitor;

/**
 * Lists the page tables of one requester in an image: those of its first stage, or else of its second.
 *
 * <p>What a page translates to, and with which rights, the unit itself says, piece by piece where a second stage or an
 * interrupt file divides it. Pages that a request without privilege can't use are left out.
 */
final class StageLister {
    private static final int ENTRIES = 512;
    private static final int RUN = 16;

    /** What a piece counts in a listing: about the words that the unit reads for it. */
    private static final int WORDS_OF_A_PIECE = 8;

    private final TableListing memory;
    private final TableVisitor visitor;
    private final RiscvUnit unit;
    private final Features features;
    private final int process;
    private final boolean bigEndian;

    /** Whether tables are at guests' addresses, which the second stage translates. */
    private final boolean ofGuest;

    private final DeviceContext context;
    private final Request request = new Request();

    StageLister(
            TableListing memory,
            TableVisitor visitor,
            RiscvUnit unit,
            Features features,
            DeviceContext context,
            int process,
            boolean first,
            boolean bigEndian) {
        this.memory = memory;
        this.visitor = visitor;
        this.unit = unit;
        this.features = features;
        this.context = context;
        this.process = process;
        this.bigEndian = bigEndian;
        ofGuest = first && context.hasSecondStage();
    }

    /**
     * Lists tables from the root down.
     *
     * @param root the address of the top table, a guest's if tables are at such addresses
     * @param rootEntries 512, or 2048 of a second stage
     */
    void list(long root, int levels, int rootEntries) {
        list(root, levels - 1, 0, rootEntries, 12 + 9 * levels);
    }

    /** Returns the physical address of a table, -1 if a guest's address has none. */
    static long physical(RiscvUnit unit, DeviceContext context, long address) {
        Request request = new Request();
        request.begin(Request.UNTRANSLATED, context.device, -1, address);
        request.wanted = Pte.R;
        long page = unit.translator().second().implicit(request, context, address, false);
        return page == 0 ? -1 : Pte.translate(page, address);
    }

    private void list(long address, int level, long iova, int entries, int addressBits) {
        long table = ofGuest ? physical(unit, context, address) : address;
        if (table < 0 || !memory.isMemory(table)) {
            if (memory.isNewTable(address)) {
                visitor.problem("the level " + (level + 1) + " table for IOVA " + Hex.of(iova) + " is at "
                        + (ofGuest ? "guest address " : "") + Hex.of(address)
                        + (table < 0 ? ", which has no second stage" : ", outside the memory"));
            }
            return;
        }
        if (!memory.enter(table)) {
            if (memory.isNewTable(table)) {
                visitor.problem("the level " + (level + 1) + " table for IOVA " + Hex.of(iova) + " at " + Hex.of(table)
                        + " is inside itself");
            }
            return;
        }
        for (int i = 0; i < entries; ) {
            long first = iova + ((long) i << (12 + 9 * level));
            // The upper half of a first stage's addresses has ones above.
            boolean upper = entries == ENTRIES && 12 + 9 * (level + 1) == addressBits && i >= ENTRIES / 2;
            i += entry(table, i, level, upper ? first | -1L << (addressBits - 1) : first);
        }
        memory.leave();
    }

    /** Lists what an entry leads to, and returns how many entries that is. */
    private int entry(long table, int index, int level, long iova) {
        long at = table + index * 8L;
        long pte = word(at);
        if ((pte & Pte.V) == 0) {
            return 1;
        }
        long entry = Pte.decode(pte, level, features.reservedPteBits);
        if (entry == 0) {
            if (memory.isNewEntry(at)) {
                visitor.problem("the level " + (level + 1) + " entry at " + Hex.of(at) + " for IOVA " + Hex.of(iova)
                        + " is malformed: " + Hex.of(pte));
            }
            return 1;
        }
        if (!Pte.isLeaf(entry)) {
            visitor.table(level + 1, at, pte, iova);
            list(Pte.address(entry), level - 1, iova, ENTRIES, 0);
            return 1;
        }
        boolean run = Pte.shiftOf(entry) == 16 && level == 0 && index % RUN == 0 && isRepeated(at, pte);
        pieces(at, pte, level, iova, run ? 16 : 12 + 9 * level);
        return run ? RUN : 1;
    }

    private long word(long at) {
        long word = memory.read(at, true);
        return bigEndian ? Long.reverseBytes(word) : word;
    }

    private boolean isRepeated(long at, long pte) {
        for (int i = 1; i < RUN; i++) {
            if (((word(at + i * 8L) ^ pte) & ~(Pte.A | Pte.D)) != 0) {
                return false;
            }
        }
        return true;
    }

    /** Returns whether a request without privilege has a right, and reaches memory. */
    private boolean may(long address, long right) {
        request.begin(Request.UNTRANSLATED, context.device, process, address);
        request.wanted = right;
        unit.translator().translate(request);
        return request.cause == Cause.NONE && !request.isForMrif();
    }

    private void pieces(long at, long pte, int level, long iova, int shift) {
        long end = iova + (1L << shift);
        for (long next = iova; next != end; ) {
            for (int i = 0; i < WORDS_OF_A_PIECE; i++) {
                memory.count();
            }
            // No page is for writing alone.
            int prot = (may(next, Pte.W) ? Prot.WRITE : 0) | (may(next, Pte.R) ? Prot.READ : 0);
            long size = 4096;
            if (prot != 0) {
                size = Math.min(1L << request.shift, 1L << shift);
                visitor.mapping(next, request.translated, size, prot, false, pte, level + 1);
            } else if (request.cause != Cause.READ_PAGE_FAULT && memory.isNewEntry(at)) {
                visitor.problem("the page at " + Hex.of(at) + " for IOVA " + Hex.of(next) + ": "
                        + (request.isForMrif() ? "an interrupt file in memory" : Cause.text(request.cause)));
            }
            next += size;
        }
    }
}
