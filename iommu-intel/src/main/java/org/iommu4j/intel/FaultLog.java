// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.intel.fmt.FaultRecord;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A unit's primary fault log: the fault recording registers, VT-d 7.2.
 *
 * <p>Read on demand, with the fault event masked: the ports have no interrupts to hand out. Linux reads it in {@code
 * dmar_fault}.
 */
final class FaultLog {
    private static final Logger LOG = LoggerFactory.getLogger(FaultLog.class);

    private final String unit;
    private final int segment;
    private final RegisterWindow window;
    private final int offset;
    private final int records;

    FaultLog(String unit, int segment, RegisterWindow window, Capability cap) {
        this.unit = unit;
        this.segment = segment;
        this.window = window;
        this.offset = cap.faultRecordOffset();
        this.records = cap.faultRecords();
    }

    /** Logs and clears all pending faults, oldest first, and returns how many there were. */
    synchronized int drain() {
        int status = window.read32(DmarRegisters.FSTS.offset());
        if (status == -1 || (status & (DmarRegisters.PPF.mask() | DmarRegisters.PFO.mask())) == 0) {
            return 0;
        }
        int found = 0;
        int index = (int) DmarRegisters.FRI.get(status) % records;
        for (int i = 0; i < records; i++) {
            int record = offset + index * FaultRecord.SIZE;
            long high = window.read64(record + 8);
            if (high == -1L || !FaultRecord.F.isSet(high)) {
                break;
            }
            long low = window.read64(record);
            // F is the last bit of the record's last 32 bits; writing 1 frees the record.
            window.write32(record + 12, Integer.MIN_VALUE);
            found++;
            if (LOG.isWarnEnabled()) {
                LOG.warn("{}: {}", unit, describe(segment, low, high));
            }
            index = (index + 1) % records;
        }
        if ((status & DmarRegisters.PFO.mask()) != 0) {
            window.write32(DmarRegisters.FSTS.offset(), (int) DmarRegisters.PFO.mask());
            LOG.warn("{}: fault log overflowed, later faults were lost", unit);
        }
        return found;
    }

    /** Says a fault in one line. */
    static String describe(int segment, long low, long high) {
        int reason = (int) FaultRecord.FR.get(high);
        return "DMA " + (FaultRecord.T1.isSet(high) ? "read" : "write") + " by "
                + PciAddress.of(segment, (int) FaultRecord.SID.get(high)) + " to 0x"
                + Long.toHexString(FaultRecord.FI.getInPlace(low)) + " blocked, reason 0x"
                + Integer.toHexString(reason) + ": " + FaultRecord.reason(reason);
    }
}
