// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.bits.BitField;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;
import org.jspecify.annotations.Nullable;

/**
 * The unit behind its registers. The monitor orders what is said to it.
 *
 * <p>A unit that did not complete a flush is broken for good, since nobody knows what it still has.
 */
final class Unit {
    static final int WINDOW_SIZE = 4096;
    static final int CAP = 0x00;
    static final BitField VERSION = BitField.bits(7, 0, "VERSION");
    static final BitField SC = BitField.bit(8, "SC");

    private static final int TABLE = 0x08;
    private static final int FLUSH = 0x10;
    private static final long DEADLINE = 1000; // logical steps

    private final RegisterWindow window;
    private final Waiter waiter;
    private final BooleanSupplier flushed; // made once, so that waiting allocates nothing
    private boolean broken;

    Unit(RegisterWindow window, Waiter waiter) {
        this.window = window;
        this.waiter = waiter;
        this.flushed = () -> window.read64(FLUSH) == 0;
    }

    /** Has the unit use a device table and nothing of before; returns whether it confirmed. */
    synchronized boolean turnOn(long deviceTable) {
        window.write64(TABLE, deviceTable);
        return flush() == null;
    }

    /** Turns translation off and gives the registers back; returns whether the unit confirmed. */
    synchronized boolean turnOff() {
        broken = false; // a last try
        boolean confirmed = turnOn(0);
        window.release();
        return confirmed;
    }

    /** Has the unit forget all; returns null, or why it did not: ETIMEDOUT, and EIO from then on. */
    synchronized @Nullable Errno flush() {
        if (broken) {
            return Errno.EIO;
        }
        window.write64(FLUSH, 1);
        broken = !waiter.await(flushed, DEADLINE);
        return broken ? Errno.ETIMEDOUT : null;
    }
}
