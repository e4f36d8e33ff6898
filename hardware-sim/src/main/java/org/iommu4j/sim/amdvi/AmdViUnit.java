// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.sim.amdvi.AmdViRegisters.CMD_BUF_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.CMD_BUF_RUN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_HEAD;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_TAIL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.CONTROL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.DEV_TAB_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_HEAD;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_LOG_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_LOG_RUN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_OVERFLOW;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_TAIL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EXCLUSION_BASE;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EXCLUSION_LIMIT;
import static org.iommu4j.sim.amdvi.AmdViRegisters.IOMMU_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.STATUS;

import org.iommu4j.bits.Access;
import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * An AMD-Vi translation unit.
 *
 * <p>{@link #translate} takes the lock only to log a fault. A translation that is under way while another thread's
 * invalidation completes may still return the old page, as a request in flight would have had it; the caches never
 * keep it.
 */
final class AmdViUnit implements TranslationUnit {
    private static final int PAGE_SLOTS = 256;
    private static final int DIRECTORY_SLOTS = 64;
    private static final int PHYSICAL_BITS = 52;
    /** Bits 63:20 of every address that is an interrupt's, not memory's. Source: 48882, section 2.1. */
    private static final long INTERRUPT_RANGE = 0xfee;

    /** Of {@link #modes}: the unit is on. */
    private static final int TRANSLATING = 1;
    /** Of {@link #modes}: there is an exclusion range. */
    private static final int EXCLUDING = 2;

    private static final int DEV_TAB_PLACE = RegisterFile.place(DEV_TAB_BAR);
    private static final int COMMAND_BAR_PLACE = RegisterFile.place(COMMAND_BAR);
    private static final int COMMAND_HEAD_PLACE = RegisterFile.place(COMMAND_HEAD);
    private static final int COMMAND_TAIL_PLACE = RegisterFile.place(COMMAND_TAIL);
    private static final int EVENT_BAR_PLACE = RegisterFile.place(EVENT_BAR);
    private static final int EVENT_HEAD_PLACE = RegisterFile.place(EVENT_HEAD);
    private static final int EVENT_TAIL_PLACE = RegisterFile.place(EVENT_TAIL);
    private static final int CONTROL_PLACE = RegisterFile.place(CONTROL);
    private static final int EXCLUSION_BASE_PLACE = RegisterFile.place(EXCLUSION_BASE);
    private static final int EXCLUSION_LIMIT_PLACE = RegisterFile.place(EXCLUSION_LIMIT);
    private static final int STATUS_PLACE = RegisterFile.place(STATUS);

    private final TranslationUnitSpec spec;
    private final Fabric fabric;
    private final Features features;

    private final RegisterFile registers = new RegisterFile();
    private final DeviceTableCache devices = new DeviceTableCache();
    private final WalkCache pages = new WalkCache(PAGE_SLOTS);
    private final WalkCache directories = new WalkCache(DIRECTORY_SLOTS);
    private final TableWalker walker;
    private final EventLog events;
    private final CommandBuffer commands;
    /** What {@link #translate} has to know of the registers each time, of the bits below. */
    private volatile int modes;

    /** Guards the registers' changes, the rings and what is decided under them. */
    private final Object lock = new Object();

    /**
     * Makes a unit as it is at power-on.
     *
     * @throws IllegalArgumentException when EFR is missing
     */
    AmdViUnit(TranslationUnitSpec spec, Fabric fabric) {
        this.spec = spec;
        this.fabric = fabric;
        this.features = new Features(spec.register("EFR"), spec.registers().getOrDefault("CAP", 0L));
        this.walker = new TableWalker(fabric, pages, directories);
        this.events = new EventLog(registers, fabric, features.hardwareErrorRegisters);
        this.commands = new CommandBuffer(registers, fabric, events, devices, pages, directories, features);
        powerOn();
    }

    private void powerOn() {
        registers.clear();
        registers.set(RegisterFile.place(AmdViRegisters.EFR), spec.register("EFR"));
        registers.set(RegisterFile.place(AmdViRegisters.EFR2), spec.registers().getOrDefault("EFR2", 0L));
        long smallest = AmdViRegisters.RING_LENGTH.of(8);
        registers.set(COMMAND_BAR_PLACE, smallest);
        registers.set(EVENT_BAR_PLACE, smallest);
        registers.set(RegisterFile.place(AmdViRegisters.PPR_BAR), smallest);
        updateModes();
    }

    @Override
    public TranslationUnitSpec spec() {
        return spec;
    }

    @Override
    public int readRegister32(int offset) {
        checkAligned(offset, 4);
        int place = RegisterFile.place(offset);
        return place < 0 ? 0 : (int) (registers.get(place) >>> ((offset & 4) * 8));
    }

    @Override
    public long readRegister64(int offset) {
        checkAligned(offset, 8);
        int place = RegisterFile.place(offset);
        return place < 0 ? 0 : registers.get(place);
    }

    @Override
    public void writeRegister32(int offset, int value) {
        checkAligned(offset, 4);
        int place = RegisterFile.place(offset);
        if (place >= 0) {
            synchronized (lock) {
                int shift = (offset & 4) * 8;
                long half = 0xffffffffL << shift;
                // The other half stays; writing a 1 that stays would clear a bit of that mode.
                Register register = AmdViRegisters.ALL.get(place);
                long rest = registers.get(place) & ~half & ~register.mask(Access.WRITE_1_TO_CLEAR);
                write(place, rest | ((long) value << shift & half));
            }
        }
    }

    @Override
    public void writeRegister64(int offset, long value) {
        checkAligned(offset, 8);
        int place = RegisterFile.place(offset);
        if (place >= 0) {
            synchronized (lock) {
                write(place, value);
            }
        }
    }

    private static void checkAligned(int offset, int bytes) {
        if (offset % bytes != 0) {
            throw new IllegalStateException("access of " + bytes + " bytes at register offset 0x"
                    + Integer.toHexString(offset) + " is not aligned");
        }
    }

    /** What the manual leaves undefined, such as moving a ring that runs, is ignored. */
    private void write(int place, long value) {
        long status = registers.get(STATUS_PLACE);
        if (place == CONTROL_PLACE) {
            writeControl(value);
        } else if (place == COMMAND_BAR_PLACE) {
            if (!CMD_BUF_RUN.isSet(status)) {
                registers.write(place, value);
                registers.set(COMMAND_HEAD_PLACE, 0);
                registers.set(COMMAND_TAIL_PLACE, 0);
            }
        } else if (place == EVENT_BAR_PLACE) {
            if (!EVENT_LOG_RUN.isSet(status)) {
                registers.write(place, value);
                registers.set(EVENT_HEAD_PLACE, 0);
                registers.set(EVENT_TAIL_PLACE, 0);
            }
        } else if (place == COMMAND_HEAD_PLACE) {
            writePointer(place, value, COMMAND_BAR_PLACE, CMD_BUF_RUN.isSet(status));
        } else if (place == COMMAND_TAIL_PLACE) {
            writePointer(place, value, COMMAND_BAR_PLACE, false);
        } else if (place == EVENT_HEAD_PLACE) {
            writePointer(place, value, EVENT_BAR_PLACE, false);
        } else if (place == EVENT_TAIL_PLACE) {
            writePointer(place, value, EVENT_BAR_PLACE, EVENT_LOG_RUN.isSet(status));
        } else {
            registers.write(place, value);
        }
        updateModes();
    }

    private void updateModes() {
        boolean on = IOMMU_EN.isSet(registers.get(CONTROL_PLACE));
        boolean excluding = AmdViRegisters.EXCL_EN.isSet(registers.get(EXCLUSION_BASE_PLACE));
        modes = (on ? TRANSLATING : 0) | (excluding ? EXCLUDING : 0);
    }

    private void writePointer(int place, long value, int barPlace, boolean hardwareOwnsIt) {
        if (!hardwareOwnsIt && AmdViRegisters.RING_POINTER.getInPlace(value) < Rings.bytes(registers.get(barPlace))) {
            registers.write(place, value);
        }
    }

    /**
     * Starts and stops the rings.
     *
     * <p>The command buffer starts when CmdBufEn and IommuEn become 1 together. The log starts at any write of EventLogEn
     * while EventOverflow is clear, which is how software resumes after an overflow.
     */
    private void writeControl(long value) {
        boolean couldRun = commandsEnabled();
        registers.write(CONTROL_PLACE, value);
        if (!commandsEnabled()) {
            registers.clearBits(STATUS_PLACE, CMD_BUF_RUN.mask());
        } else if (!couldRun) {
            registers.setBits(STATUS_PLACE, CMD_BUF_RUN.mask());
        }
        long control = registers.get(CONTROL_PLACE);
        if (!IOMMU_EN.isSet(control) || !EVENT_LOG_EN.isSet(control)) {
            registers.clearBits(STATUS_PLACE, EVENT_LOG_RUN.mask());
        } else if (!EVENT_OVERFLOW.isSet(registers.get(STATUS_PLACE))) {
            registers.setBits(STATUS_PLACE, EVENT_LOG_RUN.mask());
        }
    }

    private boolean commandsEnabled() {
        long control = registers.get(CONTROL_PLACE);
        return IOMMU_EN.isSet(control) && CMD_BUF_EN.isSet(control);
    }

    @Override
    public long translate(int requesterId, int pasid, long address, boolean write) {
        int modes = this.modes;
        if ((modes & TRANSLATING) == 0 || address >>> 20 == INTERRUPT_RANGE) {
            return untranslated(address);
        }
        // Before the entry is looked up: of what an invalidation overtakes from here on, nothing is cached.
        long pagesEpoch = pages.epoch();
        long directoriesEpoch = directories.epoch();
        int slot = devices.slot(requesterId);
        long sequence = devices.sequence(slot);
        long word0 = devices.word0(slot);
        long word1 = devices.word1(slot);
        if (!devices.holds(slot, requesterId, sequence)) {
            return translateReadingEntry(requesterId, pasid, address, write, modes, pagesEpoch, directoriesEpoch);
        }
        return translate(requesterId, pasid, address, write, word0, word1, modes, pagesEpoch, directoriesEpoch);
    }

    private long translateReadingEntry(
            int requesterId,
            int pasid,
            long address,
            boolean write,
            int modes,
            long pagesEpoch,
            long directoriesEpoch) {
        long epoch = devices.epoch();
        long bar = registers.get(DEV_TAB_PLACE);
        long offset = (long) requesterId * DeviceTableEntry.BYTES;
        if (offset >= (AmdViRegisters.DEV_TAB_SIZE.get(bar) + 1) << 12) {
            return pageFault(requesterId, 0, 0, address, write, 0);
        }
        long at = AmdViRegisters.DEV_TAB_BASE.getInPlace(bar) + offset;
        long word0 = fabric.read(at, true);
        long word1 = fabric.read(at + 8, true);
        if (word0 == -1L && !fabric.isMemory(at)) {
            synchronized (lock) {
                events.writeHardwareError(
                        Event.hardwareError(Event.DEV_TAB_HARDWARE_ERROR, requesterId, 0, direction(write)), at);
            }
            return Translation.fault(Event.DEV_TAB_HARDWARE_ERROR);
        }
        if (DeviceTableEntry.V.isSet(word0)) {
            long word2 = fabric.read(at + 16, true);
            long word3 = fabric.read(at + 24, true);
            boolean reserved = DeviceTableEntry.hasReservedBits(word0, word1, word2, word3, features);
            if (reserved || DeviceTableEntry.isImpossible(word0, word2, features)) {
                long flags = direction(write) | (reserved ? Event.RZ.mask() : 0);
                synchronized (lock) {
                    events.write(Event.request(Event.ILLEGAL_DEV_TABLE_ENTRY, requesterId, 0, flags), address & ~3L);
                }
                return Translation.fault(Event.ILLEGAL_DEV_TABLE_ENTRY);
            }
        }
        devices.put(requesterId, word0, word1 & ~DeviceTableCache.FAULT_LOGGED, epoch);
        return translate(requesterId, pasid, address, write, word0, word1, modes, pagesEpoch, directoriesEpoch);
    }

    private long translate(
            int requesterId,
            int pasid,
            long address,
            boolean write,
            long word0,
            long word1,
            int modes,
            long pagesEpoch,
            long directoriesEpoch) {
        if (!DeviceTableEntry.V.isSet(word0)) {
            return untranslated(address);
        }
        int domainId = (int) DeviceTableEntry.DOMAIN_ID.get(word1);
        if (pasid != NO_PASID) {
            return guestPageFault(requesterId, pasid, word1, address, write);
        }
        if (!DeviceTableEntry.TV.isSet(word0)) {
            return pageFault(requesterId, domainId, word1, address, write, 0);
        }
        if ((modes & EXCLUDING) != 0 && isExcluded(address, word1)) {
            return untranslated(address);
        }
        long wanted = write ? DeviceTableEntry.IW.mask() : DeviceTableEntry.IR.mask();
        if ((word0 & wanted) == 0) {
            return pageFault(requesterId, domainId, word1, address, write, Event.PR.mask() | Event.PE.mask());
        }
        int levels = (int) DeviceTableEntry.MODE.get(word0);
        if (levels == 0) {
            return untranslated(address);
        }
        if (TableWalker.isBeyond(address, levels)) {
            return pageFault(requesterId, domainId, word1, address, write, Event.PR.mask());
        }
        long page = pages.lookup(domainId, address);
        if (page == 0) {
            page = walker.walk(
                    domainId, address, DeviceTableEntry.ROOT.getInPlace(word0), levels, pagesEpoch, directoriesEpoch);
            if (page >= 0) {
                return failedWalk(page, requesterId, domainId, word1, address, write);
            }
        }
        long wantedOfPage = write ? PageTableEntry.IW.mask() : PageTableEntry.IR.mask();
        if ((page & wantedOfPage) == 0) {
            return pageFault(requesterId, domainId, word1, address, write, Event.PR.mask() | Event.PE.mask());
        }
        return Translation.to(
                PageTableEntry.ADDRESS.getInPlace(page) + (address & WalkCache.offsetMask(page)),
                PageTableEntry.FC.isSet(page));
    }

    /** Passes an address on as it is; one that no physical memory could have is refused without an event. */
    private static long untranslated(long address) {
        return address >>> PHYSICAL_BITS == 0 ? Translation.to(address, false) : Translation.fault(Event.IO_PAGE_FAULT);
    }

    private boolean isExcluded(long address, long word1) {
        long base = registers.get(EXCLUSION_BASE_PLACE);
        return (AmdViRegisters.EXCL_ALLOW.isSet(base) || DeviceTableEntry.EX.isSet(word1))
                && Long.compareUnsigned(address, AmdViRegisters.EXCL_BASE.getInPlace(base)) >= 0
                && Long.compareUnsigned(address, registers.get(EXCLUSION_LIMIT_PLACE) | 0xfff) <= 0;
    }

    private static long direction(boolean write) {
        return write ? Event.RW.mask() : 0;
    }

    private long failedWalk(long result, int requesterId, int domainId, long word1, long address, boolean write) {
        if (!TableWalker.isUnreadable(result)) {
            return pageFault(requesterId, domainId, word1, address, write, result);
        }
        synchronized (lock) {
            events.writeHardwareError(
                    Event.hardwareError(Event.PAGE_TAB_HARDWARE_ERROR, requesterId, domainId, direction(write)),
                    TableWalker.unreadableEntry(result));
        }
        return Translation.fault(Event.PAGE_TAB_HARDWARE_ERROR);
    }

    private long pageFault(int requesterId, int domainId, long word1, long address, boolean write, long flags) {
        return logPageFault(
                requesterId,
                word1,
                Event.request(Event.IO_PAGE_FAULT, requesterId, domainId, flags | direction(write)),
                address);
    }

    private long guestPageFault(int requesterId, int pasid, long word1, long address, boolean write) {
        return logPageFault(requesterId, word1, Event.guestRequest(requesterId, pasid, direction(write)), address);
    }

    private long logPageFault(int requesterId, long word1, long event, long address) {
        if (!DeviceTableEntry.SA.isSet(word1)) {
            synchronized (lock) {
                if (!DeviceTableEntry.SE.isSet(word1) || !devices.markFaultLogged(requesterId)) {
                    events.write(event, address);
                }
            }
        }
        return Translation.fault(Event.IO_PAGE_FAULT);
    }

    @Override
    public boolean step() {
        synchronized (lock) {
            return commands.step();
        }
    }

    @Override
    public void reset() {
        synchronized (lock) {
            powerOn();
            devices.reset();
            pages.reset();
            directories.reset();
        }
    }

    @Override
    public void addTo(StateDigest digest) {
        synchronized (lock) {
            registers.addTo(digest);
            devices.addTo(digest);
            pages.addTo(digest);
            directories.addTo(digest);
        }
    }
}
