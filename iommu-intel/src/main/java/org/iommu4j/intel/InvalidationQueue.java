// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.function.BooleanSupplier;
import org.iommu4j.intel.fmt.InvalidationDescriptor;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;

/**
 * The invalidation queue, VT-d 6.5.2: 256 descriptors of 128 bits in one frame, and a status word in a second one.
 *
 * <p>A batch ends with one wait descriptor that writes a number which no earlier one wrote. Hardware reads the queue
 * and writes the status through the caches whatever ECAP.C says, so that nothing here is written back. Since each batch
 * is awaited under the lock, the queue is empty when the next begins and can't overflow.
 */
final class InvalidationQueue implements Invalidator {
    /** Queue and status. */
    static final int FRAMES_ORDER = 1;

    private static final int ENTRIES = SystemMemory.FRAME_SIZE / InvalidationDescriptor.SIZE;
    private static final int MAX_BATCH = ENTRIES - 2;

    private final SystemMemory memory;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final boolean drainWrites;
    private final boolean drainReads;
    private final long base;
    private final long status;
    private final BooleanSupplier done = this::isDone;
    private int tail;
    private int pending;
    private boolean failed;
    private int number;

    InvalidationQueue(SystemMemory memory, RegisterWindow window, Waiter waiter, Capability cap, long frames) {
        this.memory = memory;
        this.window = window;
        this.waiter = waiter;
        this.drainWrites = cap.drainsWrites();
        this.drainReads = cap.drainsReads();
        this.base = frames;
        this.status = frames + SystemMemory.FRAME_SIZE;
    }

    static long allocate(SystemMemory memory, FrameAllocator frames) {
        long queue = frames.allocate(FRAMES_ORDER);
        memory.storeRun(queue, 0, 0, SystemMemory.FRAME_WORDS);
        memory.storeRun(queue + SystemMemory.FRAME_SIZE, 0, 0, SystemMemory.FRAME_WORDS);
        return queue;
    }

    /** Tells the unit where the queue is; to be called while queued invalidation is off. */
    void program() {
        window.write64(DmarRegisters.IQT.offset(), 0);
        // QS 0 is one frame, DW 0 is 128 bits.
        window.write64(DmarRegisters.IQA.offset(), DmarRegisters.IQA_BASE.getInPlace(base));
    }

    @Override
    public void contextCache(int granularity, int domainId, int sourceId) {
        add(InvalidationDescriptor.contextCache(granularity, domainId, sourceId), 0);
    }

    @Override
    public void iotlb(int granularity, int domainId, long address, int mask, boolean leavesOnly) {
        add(
                InvalidationDescriptor.iotlb(granularity, domainId, drainWrites, drainReads),
                granularity == InvalidationDescriptor.PAGE
                        ? InvalidationDescriptor.pages(address, mask, leavesOnly)
                        : 0);
    }

    @Override
    public boolean complete() {
        if (pending != 0) {
            submit();
        }
        boolean complete = !failed;
        failed = false;
        return complete;
    }

    @Override
    public String state() {
        long head = window.read64(DmarRegisters.IQH.offset());
        long descriptor = base + (head & (SystemMemory.FRAME_SIZE - InvalidationDescriptor.SIZE));
        return DmarRegisters.IQH.decode(head) + ", tail at descriptor " + tail + ", at head "
                + InvalidationDescriptor.decode(memory.load(descriptor), memory.load(descriptor + 8));
    }

    private void add(long low, long high) {
        put(low, high);
        if (++pending == MAX_BATCH) {
            submit();
        }
    }

    private void submit() {
        number++;
        put(InvalidationDescriptor.wait(number), InvalidationDescriptor.waitAddress(status));
        pending = 0;
        window.write64(DmarRegisters.IQT.offset(), DmarRegisters.QT.of(tail));
        failed |= !waiter.await(done, IntelUnit.DEADLINE_TICKS);
    }

    private void put(long low, long high) {
        long slot = base + (long) tail * InvalidationDescriptor.SIZE;
        memory.store(slot, low);
        memory.store(slot + 8, high);
        tail = (tail + 1) % ENTRIES;
    }

    private boolean isDone() {
        return (int) memory.load(status) == number;
    }
}
