// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.function.BooleanSupplier;
import org.iommu4j.intel.fmt.InvalidationDescriptor;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.intel.reg.ExtendedCapability;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;

/**
 * Invalidation by registers, VT-d 6.5.1, for units without a queue: one request at a time.
 *
 * <p>The granularities' numbers are those of the descriptors. The unit answers with the granularity that it performed,
 * the requested or a coarser one, or with 0 when it did nothing. Source: {@code __iommu_flush_iotlb}, which only logs
 * it.
 */
final class RegisterInvalidation implements Invalidator {
    private final RegisterWindow window;
    private final Waiter waiter;
    private final int iva;
    private final int iotlb;
    private final long drain;
    private final BooleanSupplier contextDone = this::isContextDone;
    private final BooleanSupplier iotlbDone = this::isIotlbDone;

    /** The last value read from the register. */
    private long answer;

    private boolean failed;

    RegisterInvalidation(RegisterWindow window, Waiter waiter, Capability cap, ExtendedCapability ecap) {
        this.window = window;
        this.waiter = waiter;
        this.iva = ecap.iotlbOffset();
        this.iotlb = iva + 8;
        this.drain = (cap.drainsWrites() ? DmarRegisters.IOTLB_DW.mask() : 0)
                | (cap.drainsReads() ? DmarRegisters.IOTLB_DR.mask() : 0);
    }

    @Override
    public void contextCache(int granularity, int domainId, int sourceId) {
        if (failed) {
            return;
        }
        window.write64(
                DmarRegisters.CCMD.offset(),
                DmarRegisters.ICC.mask()
                        | DmarRegisters.CIRG.of(granularity)
                        | DmarRegisters.CCMD_SID.of(sourceId)
                        | DmarRegisters.CCMD_DID.of(domainId));
        failed = !waiter.await(contextDone, UnitCommands.DEADLINE_TICKS) || DmarRegisters.CAIG.get(answer) == 0;
    }

    @Override
    public void iotlb(int granularity, int domainId, long address, int mask, boolean leavesOnly) {
        if (failed) {
            return;
        }
        if (granularity == InvalidationDescriptor.PAGE) {
            window.write64(
                    iva,
                    DmarRegisters.IVA_ADDR.getInPlace(address)
                            | DmarRegisters.IVA_AM.of(mask)
                            | (leavesOnly ? DmarRegisters.IVA_IH.mask() : 0));
        }
        window.write64(
                iotlb,
                DmarRegisters.IVT.mask()
                        | DmarRegisters.IIRG.of(granularity)
                        | drain
                        | DmarRegisters.IOTLB_DID.of(domainId));
        failed = !waiter.await(iotlbDone, UnitCommands.DEADLINE_TICKS) || DmarRegisters.IAIG.get(answer) == 0;
    }

    @Override
    public void pasidCache(int granularity, int domainId, int pasid) {
        throw needsQueue();
    }

    @Override
    public void pasidIotlb(int granularity, int domainId, int pasid, long address, int mask, boolean leavesOnly) {
        throw needsQueue();
    }

    @Override
    public void deviceTlb(DeviceTlb tlb, int pasid, long address, int mask) {
        throw needsQueue();
    }

    @Override
    public void pageGroupResponse(int requesterId, int pasid, int group, int code) {
        throw needsQueue();
    }

    @Override
    public void drainPageRequests() {
        throw needsQueue();
    }

    private static IllegalStateException needsQueue() {
        return new IllegalStateException(
                "no register invalidates PASIDs or device TLBs or answers page requests, and this unit has no queue");
    }

    @Override
    public boolean complete() {
        boolean complete = !failed;
        failed = false;
        return complete;
    }

    @Override
    public String state() {
        long command = window.read64(iotlb);
        return DmarRegisters.CCMD.decode(window.read64(DmarRegisters.CCMD.offset())) + ", IOTLB 0x"
                + Long.toHexString(command) + ", of which IAIG is " + DmarRegisters.IAIG.get(command);
    }

    // All ones, from absent hardware, reads as not done.
    private boolean isContextDone() {
        answer = window.read64(DmarRegisters.CCMD.offset());
        return !DmarRegisters.ICC.isSet(answer);
    }

    private boolean isIotlbDone() {
        answer = window.read64(iotlb);
        return !DmarRegisters.IVT.isSet(answer);
    }
}
