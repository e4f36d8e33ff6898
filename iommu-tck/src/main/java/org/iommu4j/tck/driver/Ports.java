// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;

/** Ports of a driver that do what a test tells them. */
final class Ports {
    private Ports() {}

    /** Returns a context with another memory and other frames. */
    static VendorContext with(VendorContext context, SystemMemory memory, FrameAllocator frames) {
        return with(context, memory, frames, context.registers(), context.waiter());
    }

    static VendorContext withMemory(VendorContext context, SystemMemory memory) {
        return with(context, memory, context.frames());
    }

    static VendorContext withFrames(VendorContext context, FrameAllocator frames) {
        return with(context, context.memory(), frames);
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
