// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.function.BooleanSupplier;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.reg.Registers;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;

/**
 * A unit's command buffer, 48882 section 2.4: 512 commands in a ring, and a word that completion waits store to.
 *
 * <p>Not thread-safe: its unit locks. Allocates nothing after construction.
 */
final class CommandBuffer {
    /** Logical steps that a unit may take for all commands in the ring; Linux waits 2 seconds. */
    static final long DEADLINE = 2_000_000;

    private static final int LOG_ENTRIES = 9;
    private static final int BYTES = Command.BYTES << LOG_ENTRIES;
    private static final int ORDER = 1;

    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final long base;
    private final long completion;
    private final BooleanSupplier hasRoom = this::hasRoom;
    private final BooleanSupplier isComplete = this::isComplete;
    private int tail;
    private int head;
    private long sequence;

    /**
     * Takes the frames.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    CommandBuffer(SystemMemory memory, FrameAllocator frames, RegisterWindow window, Waiter waiter) {
        this.memory = memory;
        this.frames = frames;
        this.window = window;
        this.waiter = waiter;
        this.base = frames.allocate(ORDER);
        try {
            this.completion = frames.allocate(0);
        } catch (RuntimeException e) {
            frames.free(base, ORDER);
            throw e;
        }
        memory.store(completion, 0);
    }

    /** Tells the unit where the buffer is; the unit's fetching is off. */
    void program() {
        tail = 0;
        head = 0;
        window.write64(Registers.CMD_BUF_BAR.offset(), base | Registers.LENGTH.of(LOG_ENTRIES));
        window.write64(Registers.CMD_BUF_HEAD.offset(), 0);
        window.write64(Registers.CMD_BUF_TAIL.offset(), 0);
    }

    /**
     * Adds a command, which the unit may execute from now on.
     *
     * @return false when the ring stayed full
     */
    boolean add(long word0, long word1) {
        if (next(tail) == head && !waiter.await(hasRoom, DEADLINE)) {
            return false;
        }
        memory.store(base + tail, word0);
        memory.store(base + tail + 8, word1);
        tail = next(tail);
        return true;
    }

    /**
     * Lets the unit execute all commands added so far and waits for the last.
     *
     * @return false when that took too long
     */
    boolean complete() {
        sequence++;
        if (!add(Command.completionWait(completion), sequence)) {
            return false;
        }
        window.write64(Registers.CMD_BUF_TAIL.offset(), tail);
        return waiter.await(isComplete, DEADLINE);
    }

    /** Frees the frames, which the unit does not use any more. */
    void free() {
        frames.free(base, ORDER);
        frames.free(completion, 0);
    }

    private boolean hasRoom() {
        window.write64(Registers.CMD_BUF_TAIL.offset(), tail);
        long value = window.read64(Registers.CMD_BUF_HEAD.offset());
        // All ones, or an offset that the ring does not have: the unit is gone, and nothing becomes free.
        if ((value & ~Registers.POINTER.mask()) != 0 || value >= BYTES) {
            return false;
        }
        head = (int) value;
        return next(tail) != head;
    }

    private boolean isComplete() {
        return memory.load(completion) - sequence >= 0;
    }

    private static int next(int offset) {
        return (offset + Command.BYTES) & (BYTES - 1);
    }
}
