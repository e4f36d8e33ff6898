// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.HashSet;
import java.util.Set;
import org.iommu4j.Prot;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Reads the tables in a memory image as the unit would: with {@link LegacyTables} and {@link SecondStage}, and translating
 * with a {@link VtdUnit} of its own.
 */
final class VtdTableReader implements TableReader {
    /** Entries read for one requester before it is given up; more than 1 TiB of 4K pages. */
    private static final long MOST_ENTRIES = 1L << 29;

    private final TranslationUnit unit;
    private final Fabric memory;
    private final long rootTable;
    private final boolean on;
    private final LegacyTables legacy;
    private final SecondStage secondStage;
    private final boolean snoop;

    VtdTableReader(
            TranslationUnit unit,
            VtdCapabilities capabilities,
            int hostAddressWidth,
            Fabric memory,
            long rootTableRegister,
            boolean on) {
        this.unit = unit;
        this.memory = memory;
        this.on = on;
        rootTable = VtdRegisters.RTA.getInPlace(rootTableRegister);
        legacy = new LegacyTables(capabilities, hostAddressWidth, memory);
        secondStage = new SecondStage(capabilities, hostAddressWidth);
        snoop = capabilities.coherent;
    }

    @Override
    public String describe() {
        return "Intel VT-d, legacy mode, root table at 0x" + Long.toHexString(rootTable)
                + (on ? "" : ", translation off (GSTS.TES is 0)");
    }

    @Override
    public void visit(TableVisitor visitor) {
        if (!memory.isMemory(rootTable)) {
            visitor.problem("root table at 0x" + Long.toHexString(rootTable) + " is no memory");
            return;
        }
        for (int bus = 0; bus < 256; bus++) {
            int reason = ContextCache.reason(legacy.context(rootTable, bus << 8));
            if (reason == FaultReason.ROOT_NOT_PRESENT) {
                continue;
            }
            if (isRootProblem(reason)) {
                visitor.problem("bus 0x" + Integer.toHexString(bus) + ": " + FaultReason.describe(reason));
                continue;
            }
            for (int function = 0; function < 256; function++) {
                visit(bus << 8 | function, visitor);
            }
        }
    }

    private static boolean isRootProblem(int reason) {
        return reason == FaultReason.ROOT_ACCESS
                || reason == FaultReason.ROOT_RESERVED
                || reason == FaultReason.CONTEXT_ACCESS;
    }

    @Override
    public void visit(int requesterId, TableVisitor visitor) {
        long context = legacy.context(rootTable, requesterId);
        if (ContextCache.isFault(context)) {
            int reason = ContextCache.reason(context);
            if (reason != FaultReason.ROOT_NOT_PRESENT && reason != FaultReason.CONTEXT_NOT_PRESENT) {
                visitor.problem("requester " + name(requesterId) + ": " + FaultReason.describe(reason));
            }
            return;
        }
        int levels = ContextCache.levels(context);
        String domain = ", domain " + ContextCache.domainId(context);
        if (ContextCache.type(context) == LegacyTables.TT_PASS_THROUGH) {
            visitor.requester(requesterId, TableVisitor.NO_PASID, "pass-through" + domain, -1);
            return;
        }
        String deviceTlb = ContextCache.type(context) == LegacyTables.TT_DEVICE_TLB ? ", device TLB" : "";
        long root = ContextCache.table(context);
        visitor.requester(
                requesterId, TableVisitor.NO_PASID, "second stage, " + levels + " levels" + domain + deviceTlb, root);
        new SecondStageVisit(visitor).table(root, levels, 0, SecondStage.R | SecondStage.W);
    }

    /** One requester's tables. */
    private final class SecondStageVisit {
        private final TableVisitor visitor;
        private final Set<Long> above = new HashSet<>();
        private final Set<Long> reported = new HashSet<>();
        private long entries;

        SecondStageVisit(TableVisitor visitor) {
            this.visitor = visitor;
        }

        void table(long table, int level, long start, long rights) {
            if (!memory.isMemory(table)) {
                problem(table, "table of level " + level + " at 0x" + Long.toHexString(table) + " is no memory");
            } else if (!above.add(table)) {
                problem(table, "table at 0x" + Long.toHexString(table) + " is in itself, again at level " + level);
            } else {
                for (int index = 0; index < 512; index++) {
                    entry(table + index * 8L, level, start | (long) index << SecondStage.shift(level), rights);
                }
                above.remove(table);
            }
        }

        private void entry(long entryAddress, int level, long iova, long rightsAbove) {
            if (entries >= MOST_ENTRIES) {
                return;
            }
            entries++;
            if (entries == MOST_ENTRIES) {
                visitor.problem("more than " + MOST_ENTRIES + " entries, the rest is left out");
                return;
            }
            long entry = memory.read(entryAddress, snoop);
            long rights = rightsAbove & entry;
            if ((entry & (SecondStage.R | SecondStage.W)) == 0) {
                return;
            }
            boolean leaf = SecondStage.isLeaf(level, entry);
            if (leaf ? secondStage.leafHasReserved(level, entry) : secondStage.tableHasReserved(level, entry)) {
                problem(
                        entryAddress,
                        "entry 0x" + Long.toHexString(entry) + " of level " + level + " at 0x"
                                + Long.toHexString(entryAddress) + " has reserved bits");
            } else if (leaf) {
                visitor.mapping(
                        iova,
                        SecondStage.address(entry),
                        1L << SecondStage.shift(level),
                        prot(rights),
                        (entry & SecondStage.SNP) != 0,
                        entry,
                        level);
            } else {
                visitor.table(level, entryAddress, entry, iova);
                table(SecondStage.address(entry), level - 1, iova, rights);
            }
        }

        private void problem(long where, String line) {
            if (reported.add(where)) {
                visitor.problem(line);
            }
        }
    }

    @Override
    public long translate(int requesterId, int pasid, long address, boolean write) {
        return unit.translate(requesterId, pasid, address, write);
    }

    @Override
    public String faultReason(int code) {
        return FaultReason.describe(code);
    }

    private static int prot(long rights) {
        return ((rights & SecondStage.R) != 0 ? Prot.READ : 0) | ((rights & SecondStage.W) != 0 ? Prot.WRITE : 0);
    }

    private static String name(int requesterId) {
        return String.format("%02x:%02x.%x", requesterId >>> 8, (requesterId >>> 3) & 31, requesterId & 7);
    }
}
