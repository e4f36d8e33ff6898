// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.riscv.fmt.FaultRecord;
import org.iommu4j.riscv.reg.Registers;

/**
 * A unit's fault queue, read on demand. "Fault/Event-Queue (FQ)".
 *
 * <p>Not thread-safe: its unit locks.
 */
final class FaultQueue {
    private static final int LOST = (int) (Registers.MEMORY_FAULT.mask() | Registers.OVERFLOW.mask());

    private final SystemMemory memory;
    private final RegisterWindow window;
    private final QueueMemory ring;
    private int head;

    FaultQueue(SystemMemory memory, RegisterWindow window, QueueMemory ring) {
        this.memory = memory;
        this.window = window;
        this.ring = ring;
    }

    /** Receives records. */
    @FunctionalInterface
    interface Sink {
        /** Receives the first word of a record, and its address. */
        void fault(long word0, long address);
    }

    /**
     * Removes the records so far, oldest first; none when the unit is gone.
     *
     * @return whether the unit lost some since the last call
     */
    boolean read(Sink sink) {
        int tail = window.read32(Registers.FQT);
        if (tail < 0 || tail >= ring.entries()) {
            return false;
        }
        while (head != tail) {
            long at = ring.base() + (long) head * FaultRecord.BYTES;
            sink.fault(memory.load(at), memory.load(at + FaultRecord.IOTVAL));
            head = (head + 1) & (ring.entries() - 1);
        }
        window.write32(Registers.FQH, head);
        int status = window.read32(Registers.FQCSR);
        boolean lost = (status & LOST) != 0 && status != -1;
        if (lost) {
            // Until they are cleared nothing is recorded.
            window.write32(Registers.FQCSR, (int) Registers.ENABLE.mask() | LOST);
        }
        return lost && Registers.OVERFLOW.isSet(status);
    }
}
