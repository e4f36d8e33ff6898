// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.function.BooleanSupplier;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.reg.Registers;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;

/**
 * A unit's command buffer, 48882 section 2.4: 512 commands in a ring, and a word that completion waits store to.
 *
 * <p>Completion waits store, as in Linux, or interrupt where {@link #INTERRUPT} is set. Of an interrupt only the status
 * register's bit is read. The function's MSI capability, which is left unchanged, decides whether and where the message
 * is sent.
 *
 * <p>Not thread-safe: its unit locks. Allocates nothing after construction.
 */
final class CommandBuffer {
    /**
     * Parameter and value that make completion waits interrupt: {@code iommu4j.amd=completion_interrupt}. Linux has no
     * such parameter.
     */
    static final String PARAMETER = "iommu4j.amd";

    static final String INTERRUPT = "completion_interrupt";

    /** Logical steps that a unit may take for all commands in the ring; Linux waits 100,000 microseconds. */
    static final long DEADLINE = 2_000_000;

    private static final int LOG_ENTRIES = 9;
    private static final int BYTES = Command.BYTES << LOG_ENTRIES;
    private static final int ORDER = 1;

    /** Number of frames that it uses. */
    static final long FRAMES = (1L << ORDER) + 1;

    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final boolean interrupts;
    private final long base;
    private final long completion;
    private final BooleanSupplier hasRoom = this::hasRoom;
    private final BooleanSupplier hasStored = this::hasStored;
    private final BooleanSupplier hasInterrupted = this::hasInterrupted;
    private int tail;
    private int head;
    private long sequence;

    /**
     * Allocates the frames.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    CommandBuffer(VendorContext context, RegisterWindow window) {
        this.memory = context.memory();
        this.frames = context.frames();
        this.window = window;
        this.waiter = context.waiter();
        this.interrupts = context.bootOptions().has(PARAMETER, INTERRUPT);
        this.base = frames.allocate(ORDER);
        try {
            this.completion = frames.allocate(0);
        } catch (RuntimeException e) {
            frames.free(base, ORDER);
            throw e;
        }
        memory.store(completion, 0);
    }

    /** Sets the buffer's address in the unit; the unit's fetching is off. */
    void program() {
        tail = 0;
        head = 0;
        window.write64(Registers.CMD_BUF_BAR.offset(), base | Registers.LENGTH.of(LOG_ENTRIES));
        window.write64(Registers.CMD_BUF_HEAD.offset(), 0);
        window.write64(Registers.CMD_BUF_TAIL.offset(), 0);
    }

    /** Returns whether completion waits interrupt. */
    boolean interrupts() {
        return interrupts;
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
        boolean added;
        if (interrupts) {
            // Clears the bit of the last wait, so that this wait's interrupt is seen and sent.
            window.write64(Registers.STATUS.offset(), Registers.COM_WAIT_INT.mask());
            added = add(Command.completionInterrupt(), 0);
        } else {
            sequence++;
            added = add(Command.completionWait(completion), sequence);
        }
        if (!added) {
            return false;
        }
        window.write64(Registers.CMD_BUF_TAIL.offset(), tail);
        return waiter.await(interrupts ? hasInterrupted : hasStored, DEADLINE);
    }

    /** Frees the frames, which the unit no longer uses. */
    void free() {
        frames.free(base, ORDER);
        frames.free(completion, 0);
    }

    private boolean hasRoom() {
        window.write64(Registers.CMD_BUF_TAIL.offset(), tail);
        long value = window.read64(Registers.CMD_BUF_HEAD.offset());
        // All ones, or an offset outside the ring: the unit is gone, and no slot becomes free.
        if ((value & ~Registers.POINTER.mask()) != 0 || value >= BYTES) {
            return false;
        }
        head = (int) value;
        return next(tail) != head;
    }

    private boolean hasStored() {
        return memory.load(completion) - sequence >= 0;
    }

    private boolean hasInterrupted() {
        long status = window.read64(Registers.STATUS.offset());
        // A unit that is gone reads as all ones.
        return status != -1L && Registers.COM_WAIT_INT.isSet(status);
    }

    private static int next(int offset) {
        return (offset + Command.BYTES) & (BYTES - 1);
    }
}
