// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.bits.Hex;
import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.ImageFabric;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableListing;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;

/**
 * Reads the device table of an AMD-Vi unit in a memory image, and the tables below.
 *
 * <p>Listing shares its checks with the unit. {@link #translate} works like a unit without caches, with translation on
 * even if the dumped unit's was off. A requester whose entry has V 0 has no tables: its requests pass untranslated.
 */
final class AmdViTableReader implements TableReader {
    private static final int REQUESTERS = 1 << 16;
    private static final int ENTRIES_PER_PAGE = 4096 / AmdViDeviceTableEntry.BYTES;
    /** Every feature, assumed for a unit whose EFR was not read. */
    private static final long ALL_FEATURES = 0x00130013000099dbL;

    private static final long ALL_FEATURES_2 = 1L << 3;

    private final RegisterDump registers;
    private final TableListing memory;
    private final long deviceTable;
    private final int entries;
    private final AmdViFeatures features;
    private final Caches caches = new Caches();
    private final Translator translator;
    private final int modes;
    private final boolean gcr3OfGuests;

    private AmdViTableReader(RegisterDump registers, Fabric memory, long bar) {
        this.registers = registers;
        this.memory = new TableListing(memory);
        this.deviceTable = AmdViRegisters.DEV_TAB_BASE.getInPlace(bar);
        this.entries = Math.min(((int) AmdViRegisters.DEV_TAB_SIZE.get(bar) + 1) * ENTRIES_PER_PAGE, REQUESTERS);
        long efr = word(AmdViRegisters.EFR).orElse(ALL_FEATURES);
        this.features = new AmdViFeatures(efr, word(AmdViRegisters.EFR2).orElse(ALL_FEATURES_2), AmdViUnitProvider.CAP);
        RegisterFile file = new RegisterFile();
        file.write(RegisterFile.place(AmdViRegisters.DEV_TAB_BAR), bar);
        for (Register register : new Register[] {AmdViRegisters.EXCLUSION_LIMIT, AmdViRegisters.EXCLUSION_BASE}) {
            word(register).ifPresent(value -> file.write(RegisterFile.place(register), value));
        }
        gcr3OfGuests = features.gcr3OfGuests
                && AmdViRegisters.GCR3_TRP_MODE.isSet(
                        word(AmdViRegisters.CONTROL).orElse(-1L));
        modes = Translator.TRANSLATING | Translator.GUESTS | (gcr3OfGuests ? Translator.GCR3_OF_GUESTS : 0);
        Fabric image = new ImageFabric(memory);
        AmdViEventLog noLog = new AmdViEventLog(file, image, false);
        translator = new Translator(file, image, features, caches, new Faults(noLog, caches.devices, this));
    }

    /** Makes a reader as {@code TranslationUnitProvider.reader} specifies. */
    static Optional<TableReader> of(RegisterDump registers, Fabric memory) {
        OptionalLong commands = registers.read64(AmdViRegisters.COMMAND_BAR.offset());
        OptionalLong events = registers.read64(AmdViRegisters.EVENT_BAR.offset());
        if ((commands.isEmpty() && events.isEmpty())
                || !hasShape(AmdViRegisters.COMMAND_BAR, commands)
                || !hasShape(AmdViRegisters.EVENT_BAR, events)) {
            return Optional.empty();
        }
        checkLength(AmdViRegisters.COMMAND_BAR, commands);
        checkLength(AmdViRegisters.EVENT_BAR, events);
        long bar = registers
                .read64(AmdViRegisters.DEV_TAB_BAR.offset())
                .orElseThrow(() -> new IllegalArgumentException("the registers of an AMD-Vi unit at 0x"
                        + Long.toHexString(registers.registerBase())
                        + " lack the word at offset 0x0, DevTabBar, the address of its device table"));
        long base = AmdViRegisters.DEV_TAB_BASE.getInPlace(bar);
        if (!hasShape(AmdViRegisters.DEV_TAB_BAR, OptionalLong.of(bar)) || base == 0 || !memory.isMemory(base)) {
            throw new IllegalArgumentException("register " + AmdViRegisters.DEV_TAB_BAR.decode(bar)
                    + (base == 0
                            ? " was never written, expected the address of a device table"
                            : ": expected reserved bits of 0 and the address of a device table in the memory"));
        }
        return Optional.of(new AmdViTableReader(registers, memory, bar));
    }

    /** Returns whether a register's reserved bits are 0, if it was read. */
    private static boolean hasShape(Register register, OptionalLong word) {
        return word.isEmpty() || (word.getAsLong() & register.layout().reserved(0)) == 0;
    }

    private static void checkLength(Register bar, OptionalLong word) {
        if (word.isPresent() && AmdViRegisters.RING_LENGTH.get(word.getAsLong()) < Rings.SMALLEST_LENGTH) {
            throw new IllegalArgumentException("register " + bar.decode(word.getAsLong()) + ": length "
                    + AmdViRegisters.RING_LENGTH.get(word.getAsLong()) + " is reserved, expected 8 to 15");
        }
    }

    private OptionalLong word(Register register) {
        return registers.read64(register.offset());
    }

    @Override
    public String describe() {
        OptionalLong control = word(AmdViRegisters.CONTROL);
        String on = control.isEmpty()
                ? "control register not read"
                : AmdViRegisters.IOMMU_EN.isSet(control.getAsLong()) ? "translation on" : "translation off (IommuEn 0)";
        return "AMD-Vi unit, device table of " + entries + " entries at " + Hex.of(deviceTable) + ", " + on;
    }

    @Override
    public void visit(TableVisitor visitor) {
        memory.make(visitor, () -> visitAll(visitor));
    }

    @Override
    public void visit(int requesterId, TableVisitor visitor) {
        memory.make(visitor, () -> visitAny(requesterId, visitor));
    }

    private void visitAll(TableVisitor visitor) {
        for (int first = 0; first < entries; first += ENTRIES_PER_PAGE) {
            long page = deviceTable + (long) first * AmdViDeviceTableEntry.BYTES;
            if (!memory.isMemory(page)) {
                visitor.problem("the device table's page for requesters " + Hex.of(first) + " to "
                        + Hex.of(first + ENTRIES_PER_PAGE - 1) + " is at " + Hex.of(page) + ", outside the memory");
                continue;
            }
            for (int requesterId = first; requesterId < first + ENTRIES_PER_PAGE; requesterId++) {
                visitRequester(requesterId, visitor);
            }
        }
    }

    private void visitAny(int requesterId, TableVisitor visitor) {
        if (requesterId < 0 || requesterId >= entries) {
            return;
        }
        long at = deviceTable + (long) requesterId * AmdViDeviceTableEntry.BYTES;
        if (!memory.isMemory(at)) {
            visitor.problem("the device table entry of requester " + Hex.of(requesterId) + " is at " + Hex.of(at)
                    + ", outside the memory");
            return;
        }
        visitRequester(requesterId, visitor);
    }

    private void visitRequester(int requesterId, TableVisitor visitor) {
        long at = deviceTable + (long) requesterId * AmdViDeviceTableEntry.BYTES;
        long word0 = memory.read(at, true);
        if (!AmdViDeviceTableEntry.V.isSet(word0)) {
            return;
        }
        long word1 = memory.read(at + 8, true);
        long word2 = memory.read(at + 16, true);
        long word3 = memory.read(at + 24, true);
        String domain = ", domain " + AmdViDeviceTableEntry.DOMAIN_ID.get(word1);
        boolean reserved = AmdViDeviceTableEntry.hasReservedBits(word0, word1, word2, word3, features);
        if (reserved || AmdViDeviceTableEntry.isImpossible(word0, word2, features)) {
            visitor.requester(requesterId, TableVisitor.NO_PASID, "illegal entry" + domain, -1);
            visitor.problem("the device table entry of requester " + Hex.of(requesterId) + " at " + Hex.of(at)
                    + (reserved
                            ? " has bits set that are reserved on this unit: "
                            : " asks for levels that this unit lacks: ")
                    + AmdViDeviceTableEntry.LAYOUT.decode(word0, word1, word2, word3));
            return;
        }
        long rights = AmdViDeviceTableEntry.rights(word0);
        int levels = (int) AmdViDeviceTableEntry.MODE.get(word0);
        boolean blocked = !AmdViDeviceTableEntry.TV.isSet(word0) || rights == 0;
        boolean guests = !blocked && AmdViDeviceTableEntry.GV.isSet(word0);
        ListedImage image = new ListedImage(memory, visitor);
        if (blocked) {
            visitor.requester(requesterId, TableVisitor.NO_PASID, "blocked" + domain, -1);
        } else if (guests && AmdViDeviceTableEntry.GIOV.isSet(word0)) {
            // Its requests without PASID go through PASID 0's tables, which come first.
        } else if (levels == 0) {
            String only = AmdViDeviceTableEntry.IW.isSet(rights)
                    ? AmdViDeviceTableEntry.IR.isSet(rights) ? "" : ", write only"
                    : ", read only";
            visitor.requester(requesterId, TableVisitor.NO_PASID, "identity" + only + domain, -1);
        } else {
            long root = AmdViDeviceTableEntry.ROOT.getInPlace(word0);
            visitor.requester(
                    requesterId,
                    TableVisitor.NO_PASID,
                    "host tables, " + levels + (levels == 1 ? " level" : " levels") + domain,
                    root);
            new HostTableLister(image).list(root, levels, 0, rights);
        }
        if (guests) {
            long kept = DeviceTableCache.kept(word0, word2, word3, gcr3OfGuests);
            new GuestTableLister(image, memory, features, requesterId, kept, word1).list();
        }
    }

    @Override
    public long translate(int requesterId, int pasid, long address, int flags) {
        synchronized (caches) {
            caches.reset(); // requesters that share a domain id need not share tables
            return translator.translate(requesterId, pasid, address, AmdViUnit.direction(flags), modes);
        }
    }

    @Override
    public String faultReason(int code) {
        return Event.name(code);
    }
}
