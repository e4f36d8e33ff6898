// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_HEAD;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_LOG_INT;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_LOG_RUN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_OVERFLOW;
import static org.iommu4j.sim.amdvi.AmdViRegisters.EVENT_TAIL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.HW_EVENT_LOWER;
import static org.iommu4j.sim.amdvi.AmdViRegisters.HW_EVENT_STATUS;
import static org.iommu4j.sim.amdvi.AmdViRegisters.HW_EVENT_UPPER;
import static org.iommu4j.sim.amdvi.AmdViRegisters.STATUS;

import org.iommu4j.sim.spi.Fabric;

/**
 * The ring in memory to which the unit writes events, snooped. The caller of each method holds the unit's lock.
 *
 * <p>Source: 48882, section 2.5, "Event Logging". The unit owns the tail, software the head; one entry stays free. An
 * event that finds no room is lost, sets EventOverflow and stops the log.
 */
final class AmdViEventLog {
    private static final int BAR_PLACE = RegisterFile.place(EVENT_BAR);
    private static final int HEAD_PLACE = RegisterFile.place(EVENT_HEAD);
    private static final int TAIL_PLACE = RegisterFile.place(EVENT_TAIL);
    private static final int STATUS_PLACE = RegisterFile.place(STATUS);
    private static final int UPPER_PLACE = RegisterFile.place(HW_EVENT_UPPER);
    private static final int LOWER_PLACE = RegisterFile.place(HW_EVENT_LOWER);
    private static final int HW_STATUS_PLACE = RegisterFile.place(HW_EVENT_STATUS);

    private final RegisterFile registers;
    private final Fabric fabric;
    private final boolean hardwareErrorRegisters;

    AmdViEventLog(RegisterFile registers, Fabric fabric, boolean hardwareErrorRegisters) {
        this.registers = registers;
        this.fabric = fabric;
        this.hardwareErrorRegisters = hardwareErrorRegisters;
    }

    /** Writes an event, if the log runs. */
    void write(long word0, long address) {
        if (!EVENT_LOG_RUN.isSet(registers.get(STATUS_PLACE))) {
            return;
        }
        long bar = registers.get(BAR_PLACE);
        long tail = registers.get(TAIL_PLACE);
        long next = (tail + Event.BYTES) % Rings.bytes(bar);
        if (next == registers.get(HEAD_PLACE)) {
            registers.clearBits(STATUS_PLACE, EVENT_LOG_RUN.mask());
            registers.setBits(STATUS_PLACE, EVENT_OVERFLOW.mask());
            return;
        }
        long at = Rings.base(bar) + tail;
        fabric.write(at + 8, address, true);
        fabric.write(at, word0, true); // with the code last: software that polls the code then sees the whole event
        registers.set(TAIL_PLACE, next);
        registers.setBits(STATUS_PLACE, EVENT_LOG_INT.mask());
    }

    /** Writes a hardware error, and also sets the hardware error registers where the unit has them. */
    void writeHardwareError(long word0, long address) {
        if (hardwareErrorRegisters) {
            boolean valid = AmdViRegisters.HEV.isSet(registers.get(HW_STATUS_PLACE));
            registers.set(UPPER_PLACE, word0);
            registers.set(LOWER_PLACE, address);
            registers.setBits(HW_STATUS_PLACE, AmdViRegisters.HEV.mask() | (valid ? AmdViRegisters.HEO.mask() : 0));
        }
        write(word0, address);
    }
}
