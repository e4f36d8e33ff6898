// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.Arrays;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * The log of faults: primary logging's fault-recording registers or advanced logging's memory, FSTS and the fault
 * event.
 *
 * <p>Source: VT-d 7.2 and 11.4.7. Threads that translate take its lock only to record a fault, and not even then once
 * the log in use has overflowed.
 */
final class VtdFaultLog {
    private static final long F = VtdRegisters.F.mask();
    private static final long PFO = VtdRegisters.PFO.mask();
    private static final long PPF = VtdRegisters.PPF.mask();
    private static final long AFO = VtdRegisters.AFO.mask();
    private static final long APF = VtdRegisters.APF.mask();
    private static final long IQE = VtdRegisters.IQE.mask();
    private static final long ICE = VtdRegisters.ICE.mask();
    private static final long ITE = VtdRegisters.ITE.mask();

    /** Argument of {@link #record}: not a memory request. T1 and T2 show it; AT is 0. */
    static final int PAGE_REQUEST = -1;

    private final EventControl event = new EventControl(VtdRegisters.FECTL);

    /** Low and high word of each record. */
    private final long[] records;

    /** Index of the record for the next fault. */
    private int next;

    private final MemoryFaultLog memory;

    /** The overflow bit of the log in use: AFO for the one in memory, PFO for the registers. */
    private volatile long overflow = PFO;

    /** FSTS without FRI. */
    private volatile long status;

    /** FRI: index of the first pending fault. */
    private int firstPending;

    VtdFaultLog(int count, Fabric fabric) {
        records = new long[2 * count];
        memory = new MemoryFaultLog(fabric);
    }

    /** Uses the log in memory that AFLOG describes, from its first record on. */
    synchronized void setMemoryLog(long aflog) {
        memory.take(aflog);
    }

    /** Chooses the log in memory, or the registers. */
    synchronized void useMemoryLog(boolean inMemory) {
        overflow = inMemory ? AFO : PFO;
    }

    /**
     * Records a blocked request, unless the log has overflowed.
     *
     * @param addressType as coded in AT, or {@link #PAGE_REQUEST}
     */
    void record(int requesterId, int pasid, long address, boolean write, int addressType, int reason) {
        if ((status & overflow) != 0) {
            return;
        }
        long low = VtdRegisters.FI.getInPlace(address);
        boolean pageRequest = addressType == PAGE_REQUEST;
        long high = (write || pageRequest ? 0 : VtdRegisters.T1.mask())
                | (pageRequest ? VtdRegisters.T2.mask() : VtdRegisters.AT.of(addressType))
                | (pasid == TranslationUnit.NO_PASID ? 0 : VtdRegisters.PP.mask() | VtdRegisters.PV.of(pasid))
                | VtdRegisters.FR.of(reason)
                | VtdRegisters.SID.of(requesterId);
        synchronized (this) {
            if ((status & overflow) != 0) {
                return;
            }
            if (overflow == AFO) {
                recordInMemory(low, high);
            } else {
                recordInRegister(low, high);
            }
        }
    }

    private void recordInRegister(long low, long high) {
        if ((records[2 * next + 1] & F) != 0) {
            raise(PFO);
            return;
        }
        records[2 * next] = low;
        records[2 * next + 1] = F | high;
        if ((status & PPF) == 0) {
            firstPending = next;
            raise(PPF);
        }
        next = 2 * (next + 1) == records.length ? 0 : next + 1;
    }

    private void recordInMemory(long low, long high) {
        if (memory.isFull()) {
            raise(AFO);
            return;
        }
        boolean first = memory.isEmpty();
        memory.append(low, high);
        if (first) {
            raise(APF);
        }
    }

    /** Records an invalidation queue error. */
    synchronized void queueError() {
        raise(IQE);
    }

    /** Records that a device did not answer an invalidation. */
    synchronized void deviceTimeOut() {
        raise(ITE);
    }

    /** Records an answer of a device to an invalidation that is not outstanding. */
    synchronized void unexpectedCompletion() {
        raise(ICE);
    }

    /** Returns whether the queue is stopped by an error. */
    boolean isQueueStopped() {
        return (status & (IQE | ITE)) != 0;
    }

    private void raise(long condition) {
        // A condition that arises while software has others to service raises no new interrupt.
        boolean first = status == 0;
        status |= condition;
        if (first) {
            event.raise();
        }
    }

    synchronized int readStatus() {
        return (int) (status | VtdRegisters.FRI.of(firstPending));
    }

    synchronized void writeStatus(int written) {
        status = VtdRegisters.FSTS.afterWrite(status, written);
        noticeService();
    }

    synchronized int readControl() {
        return event.value();
    }

    synchronized void writeControl(int written) {
        event.write(written);
    }

    /** Reads a 64-bit half of a record; even halves are low. */
    synchronized long readRecord(int half) {
        return records[half];
    }

    /** Writes a 64-bit half of a record; only F in the high half is writable. */
    synchronized void writeRecord(int half, long written) {
        if ((half & 1) != 0) {
            records[half] = VtdRegisters.FRCD_HIGH.afterWrite(records[half], written);
            for (int i = 1; i < records.length; i += 2) {
                if ((records[i] & F) != 0) {
                    return;
                }
            }
            status &= ~PPF;
            noticeService();
        }
    }

    private void noticeService() {
        if (status == 0) {
            event.serviced();
        }
    }

    synchronized void reset() {
        Arrays.fill(records, 0);
        next = 0;
        status = 0;
        firstPending = 0;
        overflow = PFO;
        memory.reset();
        event.reset();
    }

    synchronized void addTo(StateDigest digest) {
        for (long word : records) {
            digest.add(word);
        }
        digest.add(next);
        digest.add(status);
        digest.add(firstPending);
        digest.add(overflow);
        memory.addTo(digest);
        event.addTo(digest);
    }
}
