// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;

/** Contexts with one port in place of another. */
final class Ports {
    private Ports() {}

    static VendorContext withMemory(VendorContext context, SystemMemory memory) {
        return with(context, memory, context.frames(), context.registers(), context.waiter());
    }

    static VendorContext withFrames(VendorContext context, FrameAllocator frames) {
        return with(context, context.memory(), frames, context.registers(), context.waiter());
    }

    static VendorContext withRegisters(VendorContext context, RegisterSpace registers) {
        return with(context, context.memory(), context.frames(), registers, context.waiter());
    }

    static VendorContext withWaiter(VendorContext context, Waiter waiter) {
        return with(context, context.memory(), context.frames(), context.registers(), waiter);
    }

    private static VendorContext with(
            VendorContext context, SystemMemory memory, FrameAllocator frames, RegisterSpace registers, Waiter waiter) {
        return new VendorContext(
                memory,
                frames,
                registers,
                waiter,
                context.firmware(),
                context.topology(),
                context.bootOptions(),
                context.release());
    }
}
