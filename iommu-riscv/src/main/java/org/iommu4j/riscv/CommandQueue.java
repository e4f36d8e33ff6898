// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.function.BooleanSupplier;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.riscv.fmt.Command;
import org.iommu4j.riscv.reg.Registers;

/**
 * A unit's command queue: commands in a ring, and a fence that ends each group of them. "Command-Queue (CQ)".
 *
 * <p>Not thread-safe: its unit locks. Allocates nothing after construction.
 */
final class CommandQueue {
    /** Logical steps that a unit may take for all commands in the ring; Linux waits 90 seconds. */
    private static final long DEADLINE = 2_000_000;

    private final SystemMemory memory;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final QueueMemory ring;
    private final BooleanSupplier hasRoom = this::hasRoom;
    private final BooleanSupplier isDone = this::isDone;
    private int tail;
    private int head;

    /** A command was not added, because the ring stayed full. */
    private boolean full;

    CommandQueue(SystemMemory memory, RegisterWindow window, Waiter waiter, QueueMemory ring) {
        this.memory = memory;
        this.window = window;
        this.waiter = waiter;
        this.ring = ring;
    }

    /** Adds a command. The unit executes it with the next {@link #complete}, or earlier. */
    void add(long word0, long word1) {
        if (next(tail) == head && !waiter.await(hasRoom, DEADLINE)) {
            full = true;
            return;
        }
        long at = ring.base() + (long) tail * Command.BYTES;
        memory.store(at, word0);
        memory.store(at + Long.BYTES, word1);
        tail = next(tail);
    }

    /**
     * Has the unit execute all commands added so far, and waits for the last.
     *
     * @return false when that took too long, or the unit stopped at a command
     */
    boolean complete() {
        add(Command.fence(), 0);
        if (full) {
            full = false;
            return false;
        }
        window.write32(Registers.CQT, tail);
        return waiter.await(isDone, DEADLINE) && head == tail;
    }

    private boolean hasRoom() {
        window.write32(Registers.CQT, tail);
        readHead();
        return next(tail) != head;
    }

    /** Returns whether there is nothing to wait for: all is executed, or the queue has stopped. */
    private boolean isDone() {
        readHead();
        return head == tail || (window.read32(Registers.CQCSR) & Registers.COMMAND_ERRORS) != 0;
    }

    private void readHead() {
        int value = window.read32(Registers.CQH);
        // All ones, or an index outside the ring: the unit is gone, and nothing is executed.
        if (value >= 0 && value < ring.entries()) {
            head = value;
        }
    }

    private int next(int index) {
        return (index + 1) & (ring.entries() - 1);
    }
}
