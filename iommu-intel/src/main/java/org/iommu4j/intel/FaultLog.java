// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayDeque;
import java.util.List;
import org.iommu4j.DmaFault;
import org.iommu4j.intel.fmt.FaultRecord;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A unit's primary fault log: the fault recording registers, VT-d 7.2.
 *
 * <p>Read on demand, with the fault event masked: the ports deliver no interrupts. Linux reads it in {@code
 * dmar_fault}. The newest {@value #KEPT} faults are kept until a caller takes them.
 */
final class FaultLog {
    /** Maximum number of faults kept until a caller takes them. */
    static final int KEPT = 1024;

    private static final Logger LOG = LoggerFactory.getLogger(FaultLog.class);

    /** The addresses of interrupts: 0xfee00000 to 0xfeefffff. */
    private static final long INTERRUPTS = 0xfee00000L;

    private final String unit;
    private final int segment;
    private final RegisterWindow window;
    private final int offset;
    private final int records;
    private final ArrayDeque<DmaFault> waiting = new ArrayDeque<>();
    private long overflows;
    private boolean stopped;

    FaultLog(String unit, int segment, RegisterWindow window, Capability cap) {
        this.unit = unit;
        this.segment = segment;
        this.window = window;
        this.offset = cap.faultRecordOffset();
        this.records = cap.faultRecords();
    }

    /** Reads, keeps and clears all pending faults, oldest first. */
    synchronized void drain() {
        if (stopped) {
            return;
        }
        int status = window.read32(DmarRegisters.FSTS.offset());
        if (status == -1 || (status & (DmarRegisters.PPF.mask() | DmarRegisters.PFO.mask())) == 0) {
            return;
        }
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
            keep(decode(low, high));
            index = (index + 1) % records;
        }
        if ((status & DmarRegisters.PFO.mask()) != 0) {
            window.write32(DmarRegisters.FSTS.offset(), (int) DmarRegisters.PFO.mask());
            overflows++;
            LOG.warn("{}: fault log overflowed, later faults were lost", unit);
        }
    }

    /** Reads the pending faults for the last time: the driver gives up the registers afterwards. */
    synchronized void stop() {
        drain();
        stopped = true;
    }

    private void keep(DmaFault fault) {
        LOG.warn("{}", fault);
        if (waiting.size() == KEPT) {
            waiting.removeFirst();
            overflows++;
        }
        waiting.addLast(fault);
    }

    /** Moves the kept faults to a list, oldest first. */
    synchronized void take(List<DmaFault> into) {
        into.addAll(waiting);
        waiting.clear();
    }

    /** Returns how often faults were lost: by the unit, or because no caller took them. */
    synchronized long overflows() {
        return overflows;
    }

    private DmaFault decode(long low, long high) {
        int reason = (int) FaultRecord.FR.get(high);
        boolean interrupt = FaultRecord.isInterrupt(reason);
        return new DmaFault(
                unit,
                PciAddress.of(segment, (int) FaultRecord.SID.get(high)),
                !interrupt && FaultRecord.PP.isSet(high) ? (int) FaultRecord.PV.get(high) : DmaFault.NO_PASID,
                interrupt ? INTERRUPTS : FaultRecord.FI.getInPlace(low),
                interrupt || !FaultRecord.T1.isSet(high),
                reason,
                FaultRecord.describe(low, high));
    }
}
