// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.function.BooleanSupplier;
import org.iommu4j.intel.fmt.InvalidationDescriptor;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.intel.reg.ExtendedCapability;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The invalidation queue, VT-d 6.5.2: 256 descriptors, and a status word in a frame after them.
 *
 * <p>Descriptors have 128 bits, or 256 where the unit supports scalable mode, used or not, as in Linux. A batch ends
 * with one wait descriptor, which writes a number that no earlier one wrote. Hardware reads the queue and writes the
 * status through the caches, whatever ECAP.C is, so nothing here is written back. Each batch is awaited under the lock,
 * so the queue is empty when the next begins. A batch takes less than half of the queue, so there is room to repeat it.
 * Errors of an earlier kernel's queue in FSTS are cleared, as in Linux's {@code enable_drhd_fault_handling}: they
 * outlive the queue and prevent fetching.
 *
 * <p>When a batch does not complete, FSTS holds the reason. A device that did not answer in time (ITE) aborted its
 * batch, which is repeated. A descriptor that the unit did not accept (IQE) stops the queue permanently. A response
 * that fits no request (ICE) is reported. Source: {@code qi_check_fault}.
 */
final class InvalidationQueue implements Invalidator {
    private static final Logger LOG = LoggerFactory.getLogger(InvalidationQueue.class);

    private static final int ENTRIES = 256;
    private static final int MAX_BATCH = ENTRIES / 2 - 2;

    /** The bits of FSTS about a queue; the unit fetches nothing while IQE or ITE is set. */
    private static final long ERRORS = DmarRegisters.IQE.mask() | DmarRegisters.ICE.mask() | DmarRegisters.ITE.mask();

    /** Maximum number of repeats for a device that did not answer. */
    private static final int RETRIES = 2;

    private final String unit;
    private final SystemMemory memory;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final boolean drainWrites;
    private final boolean drainReads;
    private final boolean throttlesDeviceTlbs;
    private final boolean wide;
    private final int size;
    private final long base;
    private final long status;
    private final BooleanSupplier done = this::isDone;
    private int tail;
    private int pending;
    private boolean failed;
    private boolean draining;
    private int number;

    InvalidationQueue(
            String unit,
            SystemMemory memory,
            RegisterWindow window,
            Waiter waiter,
            Capability cap,
            ExtendedCapability ecap,
            long frames) {
        this.unit = unit;
        this.memory = memory;
        this.window = window;
        this.waiter = waiter;
        this.drainWrites = cap.drainsWrites();
        this.drainReads = cap.drainsReads();
        this.throttlesDeviceTlbs = ecap.throttlesDeviceTlbs();
        this.wide = ecap.scalableMode();
        this.size = wide ? InvalidationDescriptor.WIDE_SIZE : InvalidationDescriptor.SIZE;
        this.base = frames;
        this.status = frames + (long) ENTRIES * size;
    }

    /** Returns the order of the queue's frames: one or two for descriptors, and one for the status. */
    static int framesOrder(ExtendedCapability ecap) {
        return ecap.scalableMode() ? 2 : 1;
    }

    /**
     * Allocates cleared frames.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    static long allocate(SystemMemory memory, FrameAllocator frames, ExtendedCapability ecap) {
        int order = framesOrder(ecap);
        long queue = frames.allocate(order);
        for (int i = 0; i < 1 << order; i++) {
            memory.storeRun(queue + (long) i * SystemMemory.FRAME_SIZE, 0, 0, SystemMemory.FRAME_WORDS);
        }
        return queue;
    }

    /** Sets the queue's address in the unit; call it while queued invalidation is off. */
    void program() {
        int left = window.read32(DmarRegisters.FSTS.offset()) & (int) ERRORS;
        if (left != 0) {
            LOG.info("{}: an earlier queue left {}", unit, DmarRegisters.FSTS.decode(left));
            window.write32(DmarRegisters.FSTS.offset(), left);
        }
        window.write64(DmarRegisters.IQT.offset(), 0);
        // QS 0 is one frame; 256 wide descriptors take two.
        long shape = wide ? DmarRegisters.IQA_DW.mask() | DmarRegisters.QS.of(1) : 0;
        window.write64(DmarRegisters.IQA.offset(), DmarRegisters.IQA_BASE.getInPlace(base) | shape);
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
    public void pasidCache(int granularity, int domainId, int pasid) {
        add(InvalidationDescriptor.pasidCache(granularity, domainId, pasid), 0);
    }

    @Override
    public void pasidIotlb(int granularity, int domainId, int pasid, long address, int mask, boolean leavesOnly) {
        add(
                InvalidationDescriptor.pasidIotlb(granularity, domainId, pasid),
                granularity == InvalidationDescriptor.PASID_PAGE
                        ? InvalidationDescriptor.pages(address, mask, leavesOnly)
                        : 0);
    }

    @Override
    public void deviceTlb(DeviceTlb tlb, int pasid, long address, int mask) {
        int sourceId = tlb.requesterId();
        // For a virtual function Linux names the physical one, whose functions are throttled together.
        int physicalFunction = throttlesDeviceTlbs ? sourceId : 0;
        if (pasid == PasidEntry.NO_PASID) {
            add(
                    InvalidationDescriptor.deviceTlb(sourceId, tlb.queueDepth(), physicalFunction),
                    InvalidationDescriptor.devicePages(address, mask));
        } else {
            add(
                    InvalidationDescriptor.pasidDeviceTlb(sourceId, tlb.queueDepth(), physicalFunction, pasid),
                    InvalidationDescriptor.pasidDevicePages(address, mask));
        }
    }

    @Override
    public void pageGroupResponse(int requesterId, int pasid, int group, int code) {
        add(
                InvalidationDescriptor.pageGroupResponse(requesterId, pasid, code),
                InvalidationDescriptor.pageGroup(group));
    }

    @Override
    public void drainPageRequests() {
        draining = true;
        submit();
        draining = false;
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
        return DmarRegisters.IQH.decode(head) + ", tail at descriptor " + tail + ", at head " + descriptorAt(head);
    }

    private String descriptorAt(long head) {
        long at = base + (head & ((long) ENTRIES * size - size));
        return InvalidationDescriptor.decode(memory.load(at), memory.load(at + 8));
    }

    private void add(long low, long high) {
        put(low, high);
        if (++pending == MAX_BATCH) {
            submit();
        }
    }

    private void submit() {
        int count = pending;
        pending = 0;
        int start = tail - count;
        boolean complete = ring();
        for (int i = 0; !complete && i < RETRIES && mayAskAgain(); i++) {
            for (int k = 0; k < count; k++) {
                long slot = slot(start + k);
                put(memory.load(slot), memory.load(slot + 8));
            }
            start = tail - count;
            complete = ring();
        }
        failed |= !complete;
    }

    /** Ends a batch with a wait, submits it to the unit and awaits it. */
    private boolean ring() {
        number++;
        put(
                draining ? InvalidationDescriptor.waitForPageRequests(number) : InvalidationDescriptor.wait(number),
                InvalidationDescriptor.waitAddress(status));
        window.write64(DmarRegisters.IQT.offset(), (long) tail * size);
        return waiter.await(done, UnitCommands.DEADLINE_TICKS);
    }

    /** Reports the errors, and returns whether the batch was aborted because a device was too slow. */
    private boolean mayAskAgain() {
        int fault = window.read32(DmarRegisters.FSTS.offset());
        if (fault == -1) {
            return false;
        }
        if (DmarRegisters.ICE.isSet(fault)) {
            LOG.warn("{}: a device answered an invalidation that was not requested", unit);
            window.write32(DmarRegisters.FSTS.offset(), (int) DmarRegisters.ICE.mask());
        }
        if (DmarRegisters.IQE.isSet(fault)) {
            LOG.error("{}: the invalidation queue has stopped at {}", unit, state());
            return false;
        }
        if (DmarRegisters.ITE.isSet(fault)) {
            LOG.warn("{}: a device did not answer an invalidation in time, repeating it", unit);
            window.write32(DmarRegisters.FSTS.offset(), (int) DmarRegisters.ITE.mask());
            return true;
        }
        return false;
    }

    private void put(long low, long high) {
        long slot = slot(tail);
        memory.store(slot, low);
        memory.store(slot + 8, high);
        if (wide) {
            memory.store(slot + 16, 0);
            memory.store(slot + 24, 0);
        }
        tail = (tail + 1) & (ENTRIES - 1);
    }

    private long slot(int index) {
        return base + (long) (index & (ENTRIES - 1)) * size;
    }

    private boolean isDone() {
        return (int) memory.load(status) == number;
    }
}
