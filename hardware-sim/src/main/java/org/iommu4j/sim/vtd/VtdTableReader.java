// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.Prot;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.TableListing;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Reads the tables in a memory image as the unit would: with {@link VtdLegacyTables}, {@link VtdScalableTables},
 * {@link FirstStage} and {@link SecondStage}, and translates with its own {@link VtdUnit}.
 *
 * <p>For nested translation only the requester is reported; its first-stage tables are at guest addresses.
 */
final class VtdTableReader implements TableReader {
    private final TranslationUnit unit;
    private final TableListing memory;
    private final long rootTable;
    private final boolean on;
    private final VtdLegacyTables legacy;
    private final VtdScalableTables scalableTables;
    private final FirstStage firstStage;
    private final SecondStage secondStage;
    private final boolean snoop;
    private final boolean scalable;
    private final WideCache.Entry context = new WideCache.Entry();
    private final WideCache.Entry entry = new WideCache.Entry();

    VtdTableReader(
            TranslationUnit unit,
            VtdCapabilities capabilities,
            int hostAddressWidth,
            Fabric memory,
            long rootTableRegister,
            boolean on) {
        this.unit = unit;
        this.memory = new TableListing(memory);
        this.on = on;
        rootTable = VtdRegisters.RTA.getInPlace(rootTableRegister);
        legacy = new VtdLegacyTables(capabilities, hostAddressWidth, this.memory);
        scalableTables = new VtdScalableTables(capabilities, hostAddressWidth, this.memory);
        firstStage = new FirstStage(capabilities, hostAddressWidth);
        secondStage = new SecondStage(capabilities, hostAddressWidth);
        scalable = VtdRegisters.TTM.get(rootTableRegister) == 1;
        snoop = capabilities.coherent;
    }

    @Override
    public String describe() {
        return "Intel VT-d, " + (scalable ? "scalable" : "legacy") + " mode, root table at 0x"
                + Long.toHexString(rootTable) + (on ? "" : ", translation off (GSTS.TES is 0)");
    }

    @Override
    public void visit(TableVisitor visitor) {
        memory.make(visitor, () -> visitAll(visitor));
    }

    @Override
    public void visit(int requesterId, TableVisitor visitor) {
        // A source id is a requester id, of 16 bits.
        if (requesterId >>> 16 == 0) {
            memory.make(visitor, () -> visitRequester(requesterId, visitor));
        }
    }

    private void visitAll(TableVisitor visitor) {
        if (!memory.isMemory(rootTable)) {
            visitor.problem("root table at 0x" + Long.toHexString(rootTable) + " is no memory");
            return;
        }
        // An entry of a root table covers 256 functions, in scalable mode 128.
        int functions = scalable ? 128 : 256;
        for (int first = 0; first < 0x10000; first += functions) {
            int reason = contextReason(first);
            if (reason == FaultReason.ROOT_NOT_PRESENT || reason == FaultReason.SM_ROOT_NOT_PRESENT) {
                continue;
            }
            if (isRootProblem(reason)) {
                visitor.problem("bus 0x" + Integer.toHexString(first >>> 8) + ": " + FaultReason.describe(reason));
                continue;
            }
            for (int function = 0; function < functions; function++) {
                visitRequester(first | function, visitor);
            }
        }
    }

    /** Returns why a requester has no context; 0 when it has one. */
    private int contextReason(int requesterId) {
        if (scalable) {
            scalableTables.readContext(rootTable, requesterId, context);
            return VtdScalableTables.isRefusal(context) ? VtdScalableTables.reason(context) : 0;
        }
        long legacyContext = legacy.context(rootTable, requesterId);
        return ContextCache.isFault(legacyContext) ? ContextCache.reason(legacyContext) : 0;
    }

    private static boolean isRootProblem(int reason) {
        return switch (reason) {
            case FaultReason.ROOT_ACCESS,
                    FaultReason.ROOT_RESERVED,
                    FaultReason.CONTEXT_ACCESS,
                    FaultReason.SM_ROOT_ACCESS,
                    FaultReason.SM_ROOT_RESERVED,
                    FaultReason.SM_CONTEXT_ACCESS -> true;
            default -> false;
        };
    }

    private static boolean isAbsence(int reason) {
        return switch (reason) {
            case FaultReason.ROOT_NOT_PRESENT,
                    FaultReason.CONTEXT_NOT_PRESENT,
                    FaultReason.SM_ROOT_NOT_PRESENT,
                    FaultReason.SM_CONTEXT_NOT_PRESENT,
                    FaultReason.SM_DIRECTORY_NOT_PRESENT,
                    FaultReason.SM_PASID_NOT_PRESENT -> true;
            default -> false;
        };
    }

    private void visitRequester(int requesterId, TableVisitor visitor) {
        int reason = contextReason(requesterId);
        if (reason != 0) {
            if (!isAbsence(reason)) {
                visitor.problem("requester " + name(requesterId) + ": " + FaultReason.describe(reason));
            }
        } else if (scalable) {
            visitPasids(requesterId, visitor);
        } else {
            visitLegacy(requesterId, visitor);
        }
    }

    private void visitLegacy(int requesterId, TableVisitor visitor) {
        long legacyContext = legacy.context(rootTable, requesterId);
        int levels = ContextCache.levels(legacyContext);
        String domain = ", domain " + ContextCache.domainId(legacyContext);
        int type = ContextCache.type(legacyContext);
        if (type == VtdLegacyTables.TT_PASS_THROUGH) {
            visitor.requester(requesterId, TableVisitor.NO_PASID, "pass-through" + domain, -1);
            return;
        }
        String deviceTlb = type == VtdLegacyTables.TT_DEVICE_TLB ? ", device TLB" : "";
        long root = ContextCache.table(legacyContext);
        visitor.requester(
                requesterId, TableVisitor.NO_PASID, "second stage, " + levels + " levels" + domain + deviceTlb, root);
        new Visit(visitor, levels, false, false).table(root, levels, 0, SecondStage.R | SecondStage.W);
    }

    /** Visits the tables of the context just read. */
    private void visitPasids(int requesterId, TableVisitor visitor) {
        long directory = VtdScalableTables.directory(context);
        if (!memory.isMemory(directory)) {
            visitor.problem("requester " + name(requesterId) + ": PASID directory at 0x" + Long.toHexString(directory)
                    + " is no memory");
            return;
        }
        int ridPasid = VtdScalableTables.ridPasid(context);
        int pasids = 1 << VtdScalableTables.pasidBits(context);
        if (ridPasid < pasids) {
            visitPasid(requesterId, ridPasid, TableVisitor.NO_PASID, visitor);
        } else {
            visitor.problem("requester " + name(requesterId) + ": " + FaultReason.describe(FaultReason.SM_RID_PASID));
        }
        if (!VtdScalableTables.allowsPasids(context)) {
            return;
        }
        int tableSize = 1 << VtdScalableTables.TABLE_SHIFT;
        for (int first = 0; first < pasids; first += tableSize) {
            scalableTables.readPasid(context, first, entry);
            int reason = VtdScalableTables.isRefusal(entry) ? VtdScalableTables.reason(entry) : 0;
            if (isDirectoryReason(reason)) {
                if (!isAbsence(reason)) {
                    problem(requesterId, first, reason, visitor);
                }
                continue;
            }
            for (int pasid = first; pasid < first + tableSize; pasid++) {
                if (pasid != ridPasid) {
                    visitPasid(requesterId, pasid, pasid, visitor);
                }
            }
        }
    }

    private static boolean isDirectoryReason(int reason) {
        return reason >= FaultReason.SM_DIRECTORY_ACCESS && reason <= FaultReason.SM_PASID_ACCESS;
    }

    private static void problem(int requesterId, int pasid, int reason, TableVisitor visitor) {
        visitor.problem("requester " + name(requesterId) + ", PASID " + pasid + ": " + FaultReason.describe(reason));
    }

    private void visitPasid(int requesterId, int pasid, int shownPasid, TableVisitor visitor) {
        scalableTables.readPasid(context, pasid, entry);
        if (VtdScalableTables.isRefusal(entry)) {
            int reason = VtdScalableTables.reason(entry);
            if (!isAbsence(reason)) {
                problem(requesterId, pasid, reason, visitor);
            }
            return;
        }
        String suffix = ", domain " + VtdScalableTables.domainId(entry)
                + (VtdScalableTables.allowsDeviceTlb(context) ? ", device TLB" : "");
        int firstLevels = VtdScalableTables.firstStageLevels(entry);
        int secondLevels = VtdScalableTables.secondStageLevels(entry);
        long firstRoot = VtdScalableTables.firstStageTable(entry);
        long secondRoot = VtdScalableTables.secondStageTable(entry);
        switch (VtdScalableTables.type(entry)) {
            case VtdScalableTables.PASS_THROUGH ->
                visitor.requester(requesterId, shownPasid, "pass-through" + suffix, -1);
            case VtdScalableTables.SECOND_STAGE -> {
                visitor.requester(
                        requesterId, shownPasid, "second stage, " + secondLevels + " levels" + suffix, secondRoot);
                new Visit(visitor, secondLevels, false, false)
                        .table(secondRoot, secondLevels, 0, SecondStage.R | SecondStage.W);
            }
            case VtdScalableTables.FIRST_STAGE -> {
                String snooped = VtdScalableTables.snoopsData(entry) ? ", snooped" : "";
                visitor.requester(
                        requesterId,
                        shownPasid,
                        "first stage, " + firstLevels + " levels" + suffix + snooped,
                        firstRoot);
                new Visit(visitor, firstLevels, true, VtdScalableTables.snoopsData(entry))
                        .table(firstRoot, firstLevels, 0, FirstStage.RW | FirstStage.US);
            }
            default ->
                visitor.requester(
                        requesterId,
                        shownPasid,
                        "nested, " + firstLevels + " levels over " + secondLevels + suffix,
                        secondRoot);
        }
    }

    /** One requester's tables. */
    private final class Visit {
        private final TableVisitor visitor;
        private final int levels;
        private final boolean first;
        private final boolean snoopsData;

        /**
         * Begins a visit.
         *
         * @param levels the number of levels of the tables
         * @param first whether the tables belong to the first stage
         * @param snoopsData whether the first stage's requests are snooped
         */
        Visit(TableVisitor visitor, int levels, boolean first, boolean snoopsData) {
            this.visitor = visitor;
            this.levels = levels;
            this.first = first;
            this.snoopsData = snoopsData;
        }

        void table(long table, int level, long start, long rights) {
            if (!memory.isMemory(table)) {
                if (memory.isNewTable(table)) {
                    visitor.problem("table of level " + level + " at 0x" + Long.toHexString(table) + " is no memory");
                }
            } else if (!memory.enter(table)) {
                if (memory.isNewTable(table)) {
                    visitor.problem(
                            "table at 0x" + Long.toHexString(table) + " is inside itself, again at level " + level);
                }
            } else {
                for (int index = 0; index < 512; index++) {
                    entry(table + index * 8L, level, iova(start, index, level), rights);
                }
                memory.leave();
            }
        }

        /** The upper half of the first stage's addresses is at the end of the address space. */
        private long iova(long start, int index, int level) {
            boolean upper = first && index >= 256 && level == levels;
            return start | (long) (upper ? index - 512 : index) << SecondStage.shift(level);
        }

        private void entry(long entryAddress, int level, long iova, long rightsAbove) {
            long entry = memory.read(entryAddress, snoop);
            if ((entry & (first ? FirstStage.P : SecondStage.R | SecondStage.W)) == 0) {
                return;
            }
            boolean leaf = first ? FirstStage.isLeaf(level, entry) : SecondStage.isLeaf(level, entry);
            if (hasReserved(level, entry, leaf)) {
                if (memory.isNewEntry(entryAddress)) {
                    visitor.problem("entry 0x" + Long.toHexString(entry) + " of level " + level + " at 0x"
                            + Long.toHexString(entryAddress) + " has reserved bits");
                }
            } else if (leaf) {
                visitor.mapping(
                        iova,
                        first ? FirstStage.page(level, entry) : SecondStage.address(entry),
                        1L << SecondStage.shift(level),
                        first ? firstStageProt(rightsAbove & entry) : secondStageProt(rightsAbove & entry),
                        first ? snoopsData : (entry & SecondStage.SNP) != 0,
                        entry,
                        level);
            } else {
                visitor.table(level, entryAddress, entry, iova);
                table(SecondStage.address(entry), level - 1, iova, rightsAbove & entry);
            }
        }

        private boolean hasReserved(int level, long entry, boolean leaf) {
            if (first) {
                return firstStage.hasReserved(level, entry);
            }
            return leaf ? secondStage.leafHasReserved(level, entry) : secondStage.tableHasReserved(level, entry);
        }
    }

    @Override
    public long translate(int requesterId, int pasid, long address, int flags) {
        return unit.translate(requesterId, pasid, address, flags);
    }

    @Override
    public String faultReason(int code) {
        return FaultReason.describe(code);
    }

    private static int firstStageProt(long rights) {
        if ((rights & FirstStage.US) == 0) {
            return 0;
        }
        return (rights & FirstStage.RW) != 0 ? Prot.READ | Prot.WRITE : Prot.READ;
    }

    private static int secondStageProt(long rights) {
        return ((rights & SecondStage.R) != 0 ? Prot.READ : 0) | ((rights & SecondStage.W) != 0 ? Prot.WRITE : 0);
    }

    private static String name(int requesterId) {
        return String.format("%02x:%02x.%x", requesterId >>> 8, (requesterId >>> 3) & 31, requesterId & 7);
    }
}
