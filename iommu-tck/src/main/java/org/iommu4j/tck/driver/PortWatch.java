// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;

/**
 * Looks at what a driver does with registers, memory and the waiter: polls without waiting, accesses outside windows,
 * windows that are kept. Can pull the hardware out, after which reads are all ones and writes are lost.
 *
 * <p>For one thread.
 */
final class PortWatch {
    /** Looks at one word, with nothing else in between, that are no poll yet. */
    private static final int FEW = 16;

    /** More reads of hardware that is gone than any driver needs for what a test does. */
    private static final long ENDLESS = 100_000;

    private final List<String> outside = new ArrayList<>();
    private boolean watching;
    private boolean waiting;
    private boolean timingOut;
    private long lastPlace = -1;
    private int looks;
    private int mostLooks;
    private long waits;
    private long longestWait;
    private long shortestWait = Long.MAX_VALUE;
    private int openWindows;
    private long readsLeft = Long.MAX_VALUE;
    private long readsOfNothing;

    /** Returns a context whose registers, memory and waiter are watched. */
    VendorContext in(VendorContext context) {
        Waiter waiter = context.waiter();
        RegisterSpace registers = context.registers();
        return context.withWaiter((condition, ticks) -> await(waiter, condition, ticks))
                .withRegisters((base, size) -> new Window(registers.map(base, size), size))
                .withMemory(watched(context.memory()));
    }

    private SystemMemory watched(SystemMemory memory) {
        SteppedMemory stepped = new SteppedMemory(memory);
        stepped.tell((access, address, value) -> {
            switch (access) {
                case LOAD, COMPARE_AND_SET -> look(Long.MIN_VALUE | address);
                case STORE, STORE_RUN -> act();
                case LEADING_CLEAR, LEADING_SET, WRITE_BACK -> {
                    // Neither a look at one word nor an act that changes what is seen there.
                }
            }
        });
        return stepped;
    }

    /** From now on looks and waits are counted. */
    void start() {
        watching = true;
    }

    /** Has every wait be a time-out, in which nothing happens. */
    void timeOut(boolean on) {
        timingOut = on;
    }

    /** Pulls the hardware out after some more reads. */
    void goneAfter(long reads) {
        readsLeft = reads;
    }

    boolean isGone() {
        return readsLeft < 0;
    }

    long waits() {
        return waits;
    }

    /** Returns how many windows were mapped and not released. */
    int openWindows() {
        return openWindows;
    }

    void assertNoPolling() {
        assertThat(mostLooks)
                .as("looks at one register or word in a row, outside of a wait")
                .isLessThanOrEqualTo(FEW);
    }

    void assertWaitsEnd() {
        assertThat(longestWait).as("ticks of the longest wait").isLessThan(Integer.MAX_VALUE);
        assertThat(shortestWait).as("ticks of the shortest wait").isPositive();
    }

    void assertInsideWindows() {
        assertThat(outside).as("accesses outside of windows").isEmpty();
    }

    private boolean await(Waiter waiter, BooleanSupplier condition, long ticks) {
        if (watching) {
            waits++;
            longestWait = Math.max(longestWait, ticks);
            shortestWait = Math.min(shortestWait, ticks);
            lastPlace = -1;
        }
        boolean outer = waiting;
        waiting = true;
        try {
            return timingOut ? condition.getAsBoolean() : waiter.await(condition, ticks);
        } finally {
            waiting = outer;
        }
    }

    private void look(long place) {
        if (!watching || waiting) {
            return;
        }
        looks = place == lastPlace ? looks + 1 : 1;
        lastPlace = place;
        mostLooks = Math.max(mostLooks, looks);
    }

    private void act() {
        lastPlace = -1;
    }

    private final class Window implements RegisterWindow {
        private final RegisterWindow window;
        private final int size;
        private final int number;
        private boolean released;

        private Window(RegisterWindow window, int size) {
            this.window = window;
            this.size = size;
            number = ++openWindows;
        }

        private boolean read(int offset, int bytes) {
            check(offset, bytes);
            look((long) number << 32 | offset);
            readsLeft--;
            if (readsLeft >= 0) {
                return true;
            }
            if (++readsOfNothing > ENDLESS) {
                throw new AssertionError(
                        "more than " + ENDLESS + " reads of registers that are all ones, the last at 0x"
                                + Integer.toHexString(offset) + ": an endless wait");
            }
            return false;
        }

        private boolean write(int offset, int bytes) {
            check(offset, bytes);
            act();
            return !isGone();
        }

        private void check(int offset, int bytes) {
            if (released || offset < 0 || offset > size - bytes || offset % bytes != 0) {
                outside.add(bytes + " bytes at 0x" + Integer.toHexString(offset) + " of a window of " + size + " bytes"
                        + (released ? ", which was released" : ""));
            }
        }

        @Override
        public int read8(int offset) {
            return read(offset, 1) ? window.read8(offset) : 0xff;
        }

        @Override
        public int read16(int offset) {
            return read(offset, 2) ? window.read16(offset) : 0xffff;
        }

        @Override
        public int read32(int offset) {
            return read(offset, 4) ? window.read32(offset) : -1;
        }

        @Override
        public long read64(int offset) {
            return read(offset, 8) ? window.read64(offset) : -1L;
        }

        @Override
        public void write8(int offset, int value) {
            if (write(offset, 1)) {
                window.write8(offset, value);
            }
        }

        @Override
        public void write16(int offset, int value) {
            if (write(offset, 2)) {
                window.write16(offset, value);
            }
        }

        @Override
        public void write32(int offset, int value) {
            if (write(offset, 4)) {
                window.write32(offset, value);
            }
        }

        @Override
        public void write64(int offset, long value) {
            if (write(offset, 8)) {
                window.write64(offset, value);
            }
        }

        @Override
        public void release() {
            if (!released) {
                released = true;
                openWindows--;
            }
            window.release();
        }
    }
}
