// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;

import org.iommu4j.bits.BitField;

/** A queue that the unit writes records into: faults, or page requests. */
class RecordQueue extends MemoryQueue {
    static final BitField OVERFLOW = bit(9, "of");

    private final Memory memory;
    private final Control control;

    RecordQueue(Interrupts interrupts, Features features, int cause, int entryBytes, Memory memory, Control control) {
        super(interrupts, features, cause, entryBytes, false);
        this.memory = memory;
        this.control = control;
    }

    @Override
    final boolean hasStopped() {
        return has(MEMORY_FAULT) || has(OVERFLOW);
    }

    /** Writes a record of two words, and of two more if there is room for them, and returns whether it did. */
    final boolean write(long word0, long word1, long word2, long word3, boolean four) {
        if (!isRunning()) {
            return false;
        }
        if (isFull()) {
            set(OVERFLOW);
            return false;
        }
        long at = tailAddress();
        int last = (four ? 3 : 1) * Long.BYTES;
        if (!memory.isWritable(at) || !memory.isWritable(at + last)) {
            set(MEMORY_FAULT);
            return false;
        }
        boolean bigEndian = control.isBigEndian();
        if (four) {
            memory.write(at + 3 * Long.BYTES, word3, bigEndian);
            memory.write(at + 2 * Long.BYTES, word2, bigEndian);
        }
        memory.write(at + Long.BYTES, word1, bigEndian);
        memory.write(at, word0, bigEndian);
        advanceTail();
        interrupt();
        return true;
    }
}
