// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.StateDigest;

/**
 * What the three queues have alike: base, head, tail, control and status.
 *
 * <p>Source: manual, "Memory-mapped register interface". Turning a queue on or off is left to a step, until which it is
 * busy. Writes that the manual leaves unspecified: a new base is ignored while the queue is on; a write of the control
 * register while it is busy is taken.
 */
abstract class MemoryQueue {
    /** The bits that all control registers have. */
    private static final BitField ENABLE = bit(0, "en");

    private static final BitField INTERRUPT_ENABLE = bit(1, "ie");
    private static final BitField ON = bit(16, "on");
    private static final BitField BUSY = bit(17, "busy");

    /** The first error of all queues; the others have the bits above. */
    static final BitField MEMORY_FAULT = bit(8, "mf");

    private static final BitField LOG2_SIZE_MINUS_1 = bits(4, 0, "LOG2SZ-1");
    private static final BitField PPN = bits(53, 10, "PPN");

    final Interrupts interrupts;
    private final int cause;
    private final int entryBytes;
    private final boolean unitReads;
    private final long ppnBits;

    private long base;

    /** Unsigned, as all below; log2 of a queue's entries is up to 32. */
    private int head;

    private int tail;
    private boolean enabled;
    private boolean on;
    private boolean interruptEnabled;

    /** The reasons for an interrupt that last until software clears them, as bits of the control register. */
    private int reasons;

    /**
     * Makes a queue that is off.
     *
     * @param cause the bit of ipsr
     * @param unitReads whether the unit takes entries from the queue, or else puts them in
     */
    MemoryQueue(Interrupts interrupts, Features features, int cause, int entryBytes, boolean unitReads) {
        ppnBits = features.ppnBits;
        this.interrupts = interrupts;
        this.cause = cause;
        this.entryBytes = entryBytes;
        this.unitReads = unitReads;
    }

    void reset() {
        base = 0;
        head = 0;
        tail = 0;
        enabled = false;
        on = false;
        interruptEnabled = false;
        reasons = 0;
    }

    // --- registers ---

    final long base() {
        return base;
    }

    final void writeBase(long value) {
        if (!on) {
            base = value & (ppnBits | LOG2_SIZE_MINUS_1.mask());
            // Software's own index is valid again.
            if (unitReads) {
                tail = 0;
            } else {
                head = 0;
            }
        }
    }

    final int head() {
        return head;
    }

    final int tail() {
        return tail;
    }

    /** Writes the index that is software's: the tail of what the unit reads, the head of what it writes. */
    final void writeIndex(int value) {
        if (unitReads) {
            tail = value & indexMask();
        } else {
            head = value & indexMask();
        }
    }

    private int indexMask() {
        return (int) ((2L << LOG2_SIZE_MINUS_1.get(base)) - 1);
    }

    final int control() {
        return (int) ((enabled ? ENABLE.mask() : 0)
                | (interruptEnabled ? INTERRUPT_ENABLE.mask() : 0)
                | reasons
                | (on ? ON.mask() : 0)
                | (enabled != on ? BUSY.mask() : 0));
    }

    final void writeControl(int value) {
        boolean enable = ENABLE.isSet(value);
        reasons &= ~value;
        if (enable && !enabled) {
            reasons = 0;
            if (unitReads) {
                head = 0;
            } else {
                tail = 0;
            }
        }
        enabled = enable;
        interruptEnabled = INTERRUPT_ENABLE.isSet(value);
        updateInterrupt();
    }

    /** Turns the queue on or off if that is to be done, and returns whether it was. */
    final boolean turnOnOrOff() {
        boolean worked = on != enabled;
        on = enabled;
        return worked;
    }

    // --- errors and interrupts ---

    /** Returns whether the queue is on and may be used, which an error prevents. */
    final boolean isRunning() {
        return on && enabled && !hasStopped();
    }

    final boolean isOn() {
        return on && enabled;
    }

    /** Returns whether an error stops the queue. */
    abstract boolean hasStopped();

    final boolean has(BitField reason) {
        return reason.isSet(reasons);
    }

    /** Sets an error, or another bit that is an interrupt's reason. */
    final void set(BitField reason) {
        reasons |= (int) reason.mask();
        updateInterrupt();
    }

    /** Raises the interrupt again if its condition lasts. */
    final void updateInterrupt() {
        if (reasons != 0) {
            interrupt();
        }
    }

    final void interrupt() {
        if (interruptEnabled) {
            interrupts.raise(cause);
        }
    }

    // --- entries ---

    final boolean isEmpty() {
        return head == tail;
    }

    final boolean isFull() {
        return ((tail + 1) & indexMask()) == head;
    }

    final long headAddress() {
        return address(head);
    }

    final long tailAddress() {
        return address(tail);
    }

    private long address(int index) {
        return (PPN.get(base) << 12) + Integer.toUnsignedLong(index) * entryBytes;
    }

    final void advanceHead() {
        head = (head + 1) & indexMask();
    }

    final void advanceTail() {
        tail = (tail + 1) & indexMask();
    }

    void addTo(StateDigest digest) {
        digest.add(base);
        digest.add((long) head << 32 | Integer.toUnsignedLong(tail));
        digest.add(control());
    }
}
