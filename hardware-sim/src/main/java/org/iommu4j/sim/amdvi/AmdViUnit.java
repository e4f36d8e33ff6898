// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.sim.amdvi.AmdViRegisters.CMD_BUF_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.CMD_BUF_RUN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_HEAD;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_TAIL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.CONTROL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_HEAD;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_LOG_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_LOG_RUN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_OVERFLOW;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_TAIL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.IOMMU_EN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.STATUS;

import org.iommu4j.bits.Access;
import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * An AMD-Vi translation unit.
 *
 * <p>Requests take the lock only to log a fault. A translation in progress while another thread's invalidation
 * completes may still return the old page, as for a request in flight; the caches never keep it.
 */
final class AmdViUnit implements TranslationUnit {
    private static final int COMMAND_BAR_PLACE = RegisterFile.place(COMMAND_BAR);
    private static final int COMMAND_HEAD_PLACE = RegisterFile.place(COMMAND_HEAD);
    private static final int COMMAND_TAIL_PLACE = RegisterFile.place(COMMAND_TAIL);
    private static final int EVENT_BAR_PLACE = RegisterFile.place(EVENT_BAR);
    private static final int EVENT_HEAD_PLACE = RegisterFile.place(EVENT_HEAD);
    private static final int EVENT_TAIL_PLACE = RegisterFile.place(EVENT_TAIL);
    private static final int CONTROL_PLACE = RegisterFile.place(CONTROL);
    private static final int STATUS_PLACE = RegisterFile.place(STATUS);

    private final TranslationUnitSpec spec;
    private final AmdViFeatures features;

    private final RegisterFile registers = new RegisterFile();
    private final Caches caches = new Caches();
    private final Translator translator;
    private final AmdViPprLog pageRequests;
    private final AmdViCommandBuffer commands;
    /** The register bits that {@link Translator} needs for each request, in its layout. */
    private volatile int modes;

    /** Guards changes of the registers, the rings and all state that depends on them. */
    private final Object lock = new Object();

    /**
     * Makes a unit in its power-on state.
     *
     * @throws IllegalArgumentException when EFR is missing
     */
    AmdViUnit(TranslationUnitSpec spec, Fabric fabric) {
        this.spec = spec;
        this.features = new AmdViFeatures(
                spec.register("EFR"),
                spec.registers().getOrDefault("EFR2", 0L),
                spec.registers().getOrDefault("CAP", 0L));
        AmdViEventLog events = new AmdViEventLog(registers, fabric, features.hardwareErrorRegisters);
        Faults faults = new Faults(events, caches.devices, lock);
        this.translator = new Translator(registers, fabric, features, caches, faults);
        this.pageRequests = new AmdViPprLog(registers, fabric, features, events);
        this.commands = new AmdViCommandBuffer(registers, fabric, events, caches, features, pageRequests);
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
                // The other half stays; rewriting its 1 bits would clear those that clear by writing 1.
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

    /** Writes that the manual leaves undefined, such as moving a running ring, are ignored. */
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
        } else if (AmdViPprLog.owns(place)) {
            pageRequests.writeRegister(place, value);
        } else {
            registers.write(place, value);
        }
        updateModes();
    }

    private void updateModes() {
        long control = registers.get(CONTROL_PLACE);
        modes = (IOMMU_EN.isSet(control) ? Translator.TRANSLATING : 0)
                | (AmdViRegisters.GT_EN.isSet(control) ? Translator.GUESTS : 0)
                | (features.gcr3OfGuests && AmdViRegisters.GCR3_TRP_MODE.isSet(control)
                        ? Translator.GCR3_OF_GUESTS
                        : 0);
    }

    private void writePointer(int place, long value, int barPlace, boolean hardwareOwnsIt) {
        if (!hardwareOwnsIt && AmdViRegisters.RING_POINTER.getInPlace(value) < Rings.bytes(registers.get(barPlace))) {
            registers.write(place, value);
        }
    }

    /**
     * Starts and stops the rings.
     *
     * <p>The command buffer starts when CmdBufEn and IommuEn become 1 together. The log starts at any write of
     * EventLogEn while EventOverflow is clear, which is how software resumes after an overflow.
     */
    private void writeControl(long value) {
        boolean couldRun = commandsEnabled();
        registers.write(CONTROL_PLACE, value);
        if (!commandsEnabled()) {
            registers.clearBits(STATUS_PLACE, CMD_BUF_RUN.mask());
            commands.abandon();
        } else if (!couldRun) {
            registers.setBits(STATUS_PLACE, CMD_BUF_RUN.mask());
        }
        long control = registers.get(CONTROL_PLACE);
        if (!IOMMU_EN.isSet(control) || !EVENT_LOG_EN.isSet(control)) {
            registers.clearBits(STATUS_PLACE, EVENT_LOG_RUN.mask());
        } else if (!EVENT_OVERFLOW.isSet(registers.get(STATUS_PLACE))) {
            registers.setBits(STATUS_PLACE, EVENT_LOG_RUN.mask());
        }
        pageRequests.controlWritten();
    }

    private boolean commandsEnabled() {
        long control = registers.get(CONTROL_PLACE);
        return IOMMU_EN.isSet(control) && CMD_BUF_EN.isSet(control);
    }

    @Override
    public long translate(int requesterId, int pasid, long address, int flags) {
        return translator.translate(requesterId, pasid, address, direction(flags), modes);
    }

    @Override
    public long requestTranslation(int requesterId, int pasid, long address, int flags) {
        return translator.translate(requesterId, pasid, address, direction(flags) | Event.TR.mask(), modes);
    }

    @Override
    public long passTranslated(int requesterId, int pasid, long address, int flags) {
        return translator.translate(requesterId, pasid, address, direction(flags) | Translator.PRETRANSLATED, modes);
    }

    /** Returns the flags of an event that a request of these flags would have. */
    static long direction(int flags) {
        return RequestFlags.writes(flags) ? Event.RW.mask() : 0;
    }

    @Override
    public void requestPage(int requesterId, int pasid, long address, int flags, int group) {
        synchronized (lock) {
            pageRequests.arrive(requesterId, pasid, address, flags, group);
        }
    }

    @Override
    public boolean completeInvalidation(int requesterId, int tags, int count) {
        synchronized (lock) {
            return commands.complete(requesterId, tags, count);
        }
    }

    @Override
    public void timeOutInvalidations(int tags) {
        synchronized (lock) {
            commands.timeOut(tags);
        }
    }

    @Override
    public boolean step() {
        synchronized (lock) {
            // Page requests last: software that does not wait for them sees them arrive late.
            return commands.step() || pageRequests.step();
        }
    }

    @Override
    public void reset() {
        synchronized (lock) {
            powerOn();
            commands.abandon();
            pageRequests.reset();
            caches.reset();
        }
    }

    @Override
    public void addTo(StateDigest digest) {
        synchronized (lock) {
            registers.addTo(digest);
            commands.addTo(digest);
            pageRequests.addTo(digest);
            caches.addTo(digest);
        }
    }
}
