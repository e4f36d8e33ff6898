// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.Prot;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/**
 * Silicon of nobody's, which the command finds as it finds everybody's.
 *
 * <p>Registers: 0x0 a magic number, 0x8 the root, 0x10 the number of levels. The root has a word for each of 512
 * requesters: the top table, bit 0 valid, bit 1 the same for PASID 5, bit 2 blocked. An entry: bit 0 read, bit 1 write,
 * bit 2 a table, bit 3 blocks no-snoop. Fault 1: no entry; fault 2: no permission.
 */
public final class LadderSilicon implements TranslationUnitProvider {
    static final long MAGIC = 0x726564_64616cL;
    static final long READ = 1;
    static final long WRITE = 2;
    static final long TABLE = 4;
    static final long SNOOP = 8;

    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;

    @Override
    public String name() {
        return "ladder";
    }

    @Override
    public List<MachineDescription> machines() {
        return List.of();
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        return Optional.empty();
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        throw new IllegalArgumentException("a ladder can be read, not built");
    }

    @Override
    public Optional<TableReader> reader(RegisterDump registers, Fabric memory) {
        if (registers.read64(0).orElse(0) != MAGIC) {
            return Optional.empty();
        }
        long root =
                registers.read64(8).orElseThrow(() -> new IllegalArgumentException("register 0x8 (root) is missing"));
        int levels = (int) registers
                .read64(0x10)
                .orElseThrow(() -> new IllegalArgumentException("register 0x10 (levels) is missing"));
        return Optional.of(new Reader(root, levels, memory));
    }

    private record Reader(long root, int levels, Fabric memory) implements TableReader {
        @Override
        public String describe() {
            return "ladder of " + levels + " levels, root at 0x" + Long.toHexString(root);
        }

        @Override
        public void visit(TableVisitor visitor) {
            for (int requesterId = 0; requesterId < 512; requesterId++) {
                visit(requesterId, visitor);
            }
        }

        @Override
        public void visit(int requesterId, TableVisitor visitor) {
            if (requesterId >>> 9 != 0) {
                return;
            }
            if (!memory.isMemory(root + requesterId * 8L)) {
                if (requesterId == 0) {
                    visitor.problem("the root at 0x" + Long.toHexString(root) + " is not in memory");
                }
                return;
            }
            long entry = memory.read(root + requesterId * 8L, true);
            if ((entry & 4) != 0) {
                visitor.requester(requesterId, TableVisitor.NO_PASID, "blocked", -1);
            }
            if ((entry & 1) != 0) {
                visitor.requester(requesterId, TableVisitor.NO_PASID, "plain", entry & ADDRESS);
                walk(visitor, entry & ADDRESS, levels, 0, new HashSet<>());
            }
            if ((entry & 2) != 0) {
                visitor.requester(requesterId, 5, "plain", entry & ADDRESS);
                walk(visitor, entry & ADDRESS, levels, 0, new HashSet<>());
            }
        }

        private void walk(TableVisitor visitor, long table, int level, long iova, Set<Long> above) {
            if (!memory.isMemory(table)) {
                visitor.problem("the table at 0x" + Long.toHexString(table) + " is not in memory");
                return;
            }
            if (!above.add(table)) {
                visitor.problem("the table at 0x" + Long.toHexString(table) + " is inside itself");
                return;
            }
            long span = 1L << (3 + 9 * level);
            for (int i = 0; i < 512; i++) {
                long entry = memory.read(table + i * 8L, true);
                long at = iova + i * span;
                if ((entry & TABLE) != 0) {
                    visitor.table(level, table + i * 8L, entry, at);
                    walk(visitor, entry & ADDRESS, level - 1, at, above);
                } else if ((entry & (READ | WRITE)) != 0) {
                    visitor.mapping(at, entry & ADDRESS, span, prot(entry), (entry & SNOOP) != 0, entry, level);
                }
            }
            above.remove(table);
        }

        private static int prot(long entry) {
            return ((entry & READ) != 0 ? Prot.READ : 0) | ((entry & WRITE) != 0 ? Prot.WRITE : 0);
        }

        @Override
        public long translate(int requesterId, int pasid, long address, int flags) {
            long entry = memory.read(root + requesterId * 8L, true);
            if ((entry & (pasid == TableVisitor.NO_PASID ? 1 : 2)) == 0) {
                return Translation.fault(1);
            }
            for (int level = levels; level > 0; level--) {
                int shift = 3 + 9 * level;
                entry = memory.read((entry & ADDRESS) + (address >>> shift & 511) * 8L, true);
                if ((entry & TABLE) == 0) {
                    long offset = address & ((1L << shift) - 1);
                    return (entry & (RequestFlags.writes(flags) ? WRITE : READ)) == 0
                            ? Translation.fault(2)
                            : Translation.to((entry & ADDRESS) + offset, (entry & SNOOP) != 0);
                }
            }
            return Translation.fault(2);
        }

        @Override
        public String faultReason(int code) {
            return code == 1 ? "no entry" : "not permitted";
        }
    }
}
