// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
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

    /** A unit that stops answering: every wait times out while it is silent. */
    static final class Silence implements Waiter {
        private final Waiter waiter;
        private boolean silent;

        private Silence(Waiter waiter) {
            this.waiter = waiter;
        }

        void silent(boolean value) {
            silent = value;
        }

        @Override
        public boolean await(BooleanSupplier condition, long ticks) {
            return !silent && waiter.await(condition, ticks);
        }
    }

    /** Has the driver wait by something that can be silenced; the last that was made. */
    static final class Silencer {
        private Silence silence;

        VendorContext apply(VendorContext context) {
            silence = new Silence(context.waiter());
            return new VendorContext(
                    context.memory(),
                    context.frames(),
                    context.registers(),
                    silence,
                    context.firmware(),
                    context.topology(),
                    context.bootOptions(),
                    context.release());
        }

        /** Does something while the unit is silent. */
        void during(Runnable work) {
            silence.silent(true);
            try {
                work.run();
            } finally {
                silence.silent(false);
            }
        }
    }

    /** Frames that are counted, and can all be gone. */
    static final class CountedFrames implements FrameAllocator {
        private final FrameAllocator frames;
        private long calls;
        private boolean exhausted;

        CountedFrames(FrameAllocator frames) {
            this.frames = frames;
        }

        /** Returns how many allocations were asked for. */
        long calls() {
            return calls;
        }

        void exhausted(boolean value) {
            exhausted = value;
        }

        @Override
        public long allocate(int order) {
            calls++;
            if (exhausted) {
                throw new IommuException(Errno.ENOMEM, "no frame of order " + order + " is left");
            }
            return frames.allocate(order);
        }

        @Override
        public void free(long physicalAddress, int order) {
            frames.free(physicalAddress, order);
        }

        @Override
        public long inUse() {
            return frames.inUse();
        }
    }
}
