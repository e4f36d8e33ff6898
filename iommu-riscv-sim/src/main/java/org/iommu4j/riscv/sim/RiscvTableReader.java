// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.ImageFabric;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableListing;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.jspecify.annotations.Nullable;

/**
 * Reads the device directory of a unit in a memory image, and the tables below.
 *
 * <p>It has a unit of its own over the image, with the dumped registers, and asks it for contexts and translations. MSI
 * page tables are named and not listed.
 */
final class RiscvTableReader implements TableReader {
    // Offsets of registers
    private static final int CAPABILITIES = 0;
    private static final int FCTL = 8;
    private static final int DDTP = 16;

    private static final long RESERVED_CAPABILITIES = 3L << 12 | 1L << 20 | 0xfffL << 44;
    private static final long RESERVED_DDTP = 0x1fL << 5 | 0x3ffL << 54;
    private static final long KNOWN_FCTL = 7;
    private static final int INDEX_BITS = 9;

    private final TableListing memory;
    private final RiscvUnit unit;
    private final Features features;
    private final long ddtp;
    private final boolean bigEndian;
    private final int levels;

    private RiscvTableReader(Features features, long fctl, long ddtp, Fabric memory) {
        this.memory = new TableListing(memory);
        this.features = features;
        this.ddtp = ddtp;
        unit = new RiscvUnit(spec(features.capabilities, Map.of("fctl", fctl)), new ImageFabric(memory));
        unit.writeRegister64(DDTP, ddtp);
        unit.step();
        bigEndian = Features.BE.isSet(fctl);
        levels = Control.mode(ddtp) - Control.BARE;
    }

    private static TranslationUnitSpec spec(long capabilities, Map<String, Long> others) {
        Map<String, Long> registers = new HashMap<>(others);
        registers.put(Features.REGISTER, capabilities & ~Features.NOT_MODELLED);
        return new TranslationUnitSpec(RiscvSilicon.NAME, "image", 0, 0, RiscvUnit.WINDOW_BYTES, registers);
    }

    /** Makes a reader as {@code TranslationUnitProvider.reader} specifies. */
    static Optional<TableReader> of(RegisterDump registers, Fabric memory) {
        OptionalLong capabilities = registers.read64(CAPABILITIES);
        long fctl = registers.read64(FCTL).orElse(0);
        if (capabilities.isEmpty()
                || (capabilities.getAsLong() & RESERVED_CAPABILITIES) != 0
                || !Features.isUnit(capabilities.getAsLong() & ~Features.NOT_MODELLED)
                || (fctl & ~KNOWN_FCTL) != 0) {
            return Optional.empty();
        }
        long ddtp = registers
                .read64(DDTP)
                .orElseThrow(() -> new IllegalArgumentException("the registers of a RISC-V IOMMU at 0x"
                        + Long.toHexString(registers.registerBase())
                        + " lack the word at offset 0x10, ddtp, the address of its device directory"));
        boolean hasDirectory = Control.mode(ddtp) > Control.BARE;
        if ((ddtp & RESERVED_DDTP) != 0
                || Control.mode(ddtp) > Control.LARGEST_MODE
                || (hasDirectory && !memory.isMemory(Control.root(ddtp)))) {
            throw new IllegalArgumentException("register ddtp is " + Hex.of(ddtp)
                    + ", expected reserved bits of 0, a mode of 0 to 4 and a directory in the memory");
        }
        Features features = new Features(spec(capabilities.getAsLong(), Map.of()));
        return Optional.of(new RiscvTableReader(features, fctl, ddtp, memory));
    }

    @Override
    public String describe() {
        return "RISC-V IOMMU, "
                + switch (Control.mode(ddtp)) {
                    case Control.OFF -> "off: nothing passes";
                    case Control.BARE -> "bare: everything passes";
                    default ->
                        "device directory of " + levels + (levels == 1 ? " level" : " levels") + " at "
                                + Hex.of(Control.root(ddtp));
                };
    }

    @Override
    public String faultReason(int code) {
        return Cause.text(code);
    }

    @Override
    public synchronized long translate(int sourceId, int pasid, long address, int flags) {
        unit.caches().reset(); // the image may have changed
        return unit.translate(sourceId, pasid, address, flags);
    }

    @Override
    public synchronized void visit(TableVisitor visitor) {
        unit.caches().reset();
        if (levels > 0) {
            memory.make(visitor, () -> directory(Control.root(ddtp), levels - 1, 0, -1, visitor));
        }
    }

    @Override
    public synchronized void visit(int sourceId, TableVisitor visitor) {
        unit.caches().reset();
        if (levels > 0 && unit.translator().devices().has(Control.mode(ddtp), sourceId)) {
            memory.make(visitor, () -> directory(Control.root(ddtp), levels - 1, 0, sourceId, visitor));
        }
    }

    // --- directories ---

    private long word(long at, boolean bigEndianWord) {
        long word = memory.read(at, true);
        return bigEndianWord ? Long.reverseBytes(word) : word;
    }

    /**
     * Lists a table of the device directory.
     *
     * @param level 0 for contexts
     * @param first the first device id of the table
     * @param only the one device that is asked for, or -1
     */
    private void directory(long table, int level, int first, int only, TableVisitor visitor) {
        int leafBits = features.msiFlat ? 6 : 7;
        int shift = level == 0 ? 0 : leafBits + INDEX_BITS * (level - 1);
        int ids = DeviceDirectory.DEVICE_ID_BITS - shift;
        int entries = level == 0 ? 1 << leafBits : 1 << Math.min(INDEX_BITS, ids);
        for (int i = 0; i < entries; i++) {
            int device = first + (i << shift);
            if (only >= 0 && only >>> shift != device >>> shift) {
                continue;
            }
            if (level == 0) {
                device(device, visitor);
                continue;
            }
            long at = table + i * 8L;
            long entry = word(at, bigEndian);
            if (!PageDirectory.isValid(entry)) {
                continue;
            }
            long next = PageDirectory.next(entry);
            if (PageDirectory.isMalformed(entry) || !memory.isMemory(next)) {
                problem(at, "the device directory's entry for devices from " + Hex.of(device), entry, visitor);
            } else if (memory.enter(next)) {
                directory(next, level - 1, device, only, visitor);
                memory.leave();
            } else if (memory.isNewTable(next)) {
                visitor.problem("the device directory's table at " + Hex.of(next) + " is inside itself");
            }
        }
    }

    private void problem(long at, String what, long entry, TableVisitor visitor) {
        if (memory.isNewEntry(at)) {
            visitor.problem(
                    what + " at " + Hex.of(at) + " is malformed, or leads outside the memory: " + Hex.of(entry));
        }
    }

    private void device(int device, TableVisitor visitor) {
        Request request = new Request();
        request.begin(Request.UNTRANSLATED, device, TableVisitor.NO_PASID, 0);
        DeviceContext context = unit.translator().devices().locate(request, ddtp);
        if (context == null) {
            if (request.cause != Cause.DDT_NOT_VALID) {
                visitor.requester(device, TableVisitor.NO_PASID, Cause.text(request.cause), -1);
                visitor.problem("device " + Hex.of(device) + ": " + Cause.text(request.cause));
            }
            return;
        }
        if (!context.is(DeviceContext.PDTV)) {
            space(context, TableVisitor.NO_PASID, context.fsc, DeviceContext.PSCID.get(context.ta), visitor);
            return;
        }
        ProcessContext byDefault = context.is(DeviceContext.DPE) ? process(context, 0) : null;
        if (byDefault == null) {
            space(context, TableVisitor.NO_PASID, 0, 0, visitor);
        } else {
            space(context, TableVisitor.NO_PASID, byDefault, visitor);
        }
        if (context.firstMode != 0) {
            processes(context, DeviceContext.PPN.get(context.fsc) << 12, context.firstMode - 1, 0, visitor);
        }
    }

    private @Nullable ProcessContext process(DeviceContext context, int process) {
        Request request = new Request();
        request.begin(Request.UNTRANSLATED, context.device, process, 0);
        request.wanted = Pte.R;
        return unit.translator().processes().locate(request, context, process);
    }

    /** Lists a table of a process directory, which is at a guest's address if there is a second stage. */
    private void processes(DeviceContext context, long address, int level, int first, TableVisitor visitor) {
        long table = context.hasSecondStage() ? StageLister.physical(unit, context, address) : address;
        String where = "the process directory's table of device " + Hex.of(context.device) + " at " + Hex.of(address);
        if (table < 0 || !memory.isMemory(table) || !memory.enter(table)) {
            if (memory.isNewTable(address)) {
                visitor.problem(where + " is outside the memory, or inside itself");
            }
            return;
        }
        int shift = level == 0 ? 0 : 8 + INDEX_BITS * (level - 1);
        int entries = level == 0 ? 256 : level == 1 ? 512 : 8;
        for (int i = 0; i < entries; i++) {
            int process = first + (i << shift);
            long at = table + (long) i * (level == 0 ? 16 : 8);
            long entry = word(at, context.is(DeviceContext.SBE));
            if (!PageDirectory.isValid(entry)) {
                continue;
            }
            if (level > 0 && PageDirectory.isMalformed(entry)) {
                problem(at, "the process directory's entry for processes from " + Hex.of(process), entry, visitor);
            } else if (level > 0) {
                processes(context, PageDirectory.next(entry), level - 1, process, visitor);
            } else {
                ProcessContext found = process(context, process);
                if (found != null) {
                    space(context, process, found, visitor);
                } else {
                    problem(at, "the context of process " + Hex.of(process), entry, visitor);
                }
            }
        }
        memory.leave();
    }

    // --- address spaces ---

    private void space(DeviceContext context, int process, ProcessContext of, TableVisitor visitor) {
        space(context, process, of.fsc(), DeviceContext.PSCID.get(of.ta()), visitor);
    }

    private void space(DeviceContext context, int process, long fsc, long pscid, TableVisitor visitor) {
        int mode = (int) DeviceContext.MODE.get(fsc);
        boolean first = mode != Features.MODE_BARE;
        StringBuilder text = new StringBuilder();
        if (first) {
            text.append("first stage, ")
                    .append(Features.levels(mode))
                    .append(" levels, PSCID ")
                    .append(pscid);
        }
        if (context.hasSecondStage()) {
            text.append(first ? "; " : "")
                    .append("second stage, ")
                    .append(Features.levels(context.secondMode))
                    .append(" levels, GSCID ")
                    .append(context.gscid());
        }
        if (context.msis) {
            text.append("; MSI table at ").append(Hex.of(context.msiTable));
        }
        long guestRoot = DeviceContext.PPN.get(fsc) << 12;
        long root = !first
                ? context.hasSecondStage() ? context.secondRoot : -1
                : context.hasSecondStage() ? StageLister.physical(unit, context, guestRoot) : guestRoot;
        visitor.requester(context.device, process, text.length() == 0 ? "identity" : text.toString(), root);
        unit.caches().reset(); // others may use the same PSCID or GSCID for other tables
        StageLister lister = new StageLister(
                memory,
                visitor,
                unit,
                features,
                context,
                process,
                first,
                first ? context.is(DeviceContext.SBE) : bigEndian);
        if (first) {
            lister.list(guestRoot, Features.levels(mode), 512);
        } else if (context.hasSecondStage()) {
            lister.list(context.secondRoot, Features.levels(context.secondMode), 2048);
        }
    }
}
