// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;

/**
 * Injects one failure: the n-th call that can fail, over all ports wrapped by one instance.
 *
 * <p>What counts, and how it fails: a frame allocation (ENOMEM), a wait (a time-out), a register read (all ones, as of
 * hardware that is gone), a pin (EFAULT) and a charge (ENOMEM). Calls that give back never fail. Run an operation with
 * n = 1, 2, 3, ... until {@link #fired()} stays false, and look after each that nothing leaked.
 */
public final class FailNth {
    private final AtomicLong remaining = new AtomicLong();
    private final AtomicLong calls = new AtomicLong();
    private final AtomicBoolean fired = new AtomicBoolean();

    /** Makes an injector that injects nothing yet. */
    public FailNth() {}

    /**
     * Makes the n-th fallible call from now on fail.
     *
     * @param n 1 for the next
     */
    public void arm(long n) {
        if (n < 1) {
            throw new IllegalArgumentException("n is " + n + ", expected at least 1");
        }
        fired.set(false);
        calls.set(0);
        remaining.set(n);
    }

    /** Stops injecting. */
    public void disarm() {
        remaining.set(0);
    }

    /** Returns whether the failure happened since it was armed. */
    public boolean fired() {
        return fired.get();
    }

    /** Returns how many fallible calls were seen since it was armed. */
    public long calls() {
        return calls.get();
    }

    /** Wraps frames. */
    public FrameAllocator frames(FrameAllocator target) {
        Objects.requireNonNull(target, "target");
        return new FrameAllocator() {
            @Override
            public long allocate(int order) {
                if (failNow()) {
                    throw new IommuException(Errno.ENOMEM, "injected: no frame of order " + order);
                }
                return target.allocate(order);
            }

            @Override
            public void free(long physicalAddress, int order) {
                target.free(physicalAddress, order);
            }

            @Override
            public long inUse() {
                return target.inUse();
            }
        };
    }

    /** Wraps waiting. */
    public Waiter waiter(Waiter target) {
        Objects.requireNonNull(target, "target");
        return (BooleanSupplier condition, long ticks) -> {
            Objects.requireNonNull(condition, "condition");
            return !failNow() && target.await(condition, ticks);
        };
    }

    /** Wraps registers. */
    public RegisterSpace registers(RegisterSpace target) {
        Objects.requireNonNull(target, "target");
        return (physicalBase, size) -> {
            RegisterWindow window = target.map(physicalBase, size);
            return new RegisterWindow() {
                @Override
                public int read8(int offset) {
                    return failNow() ? 0xff : window.read8(offset);
                }

                @Override
                public int read16(int offset) {
                    return failNow() ? 0xffff : window.read16(offset);
                }

                @Override
                public int read32(int offset) {
                    return failNow() ? -1 : window.read32(offset);
                }

                @Override
                public long read64(int offset) {
                    return failNow() ? -1L : window.read64(offset);
                }

                @Override
                public void write8(int offset, int value) {
                    window.write8(offset, value);
                }

                @Override
                public void write16(int offset, int value) {
                    window.write16(offset, value);
                }

                @Override
                public void write32(int offset, int value) {
                    window.write32(offset, value);
                }

                @Override
                public void write64(int offset, long value) {
                    window.write64(offset, value);
                }

                @Override
                public void release() {
                    window.release();
                }
            };
        };
    }

    /** Wraps a user's memory. */
    public ProcessMemory processMemory(ProcessMemory target) {
        Objects.requireNonNull(target, "target");
        return new ProcessMemory() {
            @Override
            public long translate(long virtualAddress) {
                return target.translate(virtualAddress);
            }

            @Override
            public void pin(long virtualAddress, int count, boolean write, long[] frames) {
                Objects.requireNonNull(frames, "frames");
                if (failNow()) {
                    throw new IommuException(Errno.EFAULT, "injected: can't pin 0x" + Long.toHexString(virtualAddress));
                }
                target.pin(virtualAddress, count, write, frames);
            }

            @Override
            public void unpin(long frame, boolean dirty) {
                target.unpin(frame, dirty);
            }

            @Override
            public boolean isReserved(long frame) {
                return target.isReserved(frame);
            }

            @Override
            public long pinned() {
                return target.pinned();
            }

            @Override
            public void charge(long pages) {
                if (failNow()) {
                    throw new IommuException(Errno.ENOMEM, "injected: can't charge " + pages + " pages");
                }
                target.charge(pages);
            }

            @Override
            public void uncharge(long pages) {
                target.uncharge(pages);
            }

            @Override
            public long charged() {
                return target.charged();
            }
        };
    }

    private boolean failNow() {
        calls.incrementAndGet();
        if (remaining.get() > 0 && remaining.decrementAndGet() == 0) {
            fired.set(true);
            return true;
        }
        return false;
    }
}
