// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.iommu4j.DmaFault;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.BitField;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;

/**
 * The unit behind its registers. The monitor orders what is said to it.
 *
 * <p>A unit that did not complete an invalidation is broken for good, since nobody knows what it still has: it gets no
 * further one, and frames that it may still use are counted and never freed.
 */
final class Unit {
    static final int WINDOW_SIZE = 4096;
    static final int CAP = 0x00;
    static final BitField VERSION = BitField.bits(7, 0, "VERSION");
    static final BitField SC = BitField.bit(8, "SC");

    private static final int TABLE = 0x08;
    private static final int FIRST = 0x10;
    private static final int LAST = 0x18;
    private static final int INVAL = 0x20;
    private static final long ALL = 1;
    private static final long DEVICE = 2;
    private static final long PAGES = 3;
    private static final BitField ID = BitField.bits(31, 16, "ID");

    private static final int ADDRESS = 0x28;
    private static final int FAULT = 0x30;
    private static final BitField F = BitField.bit(63, "F");
    private static final BitField O = BitField.bit(62, "O");
    private static final BitField W = BitField.bit(61, "W");
    private static final BitField REASON = BitField.bits(23, 16, "REASON");
    private static final BitField FAULT_ID = BitField.bits(15, 0, "ID");
    private static final String[] REASONS = {
        "", "blocked", "malformed table", "address too large", "not mapped", "no right", "PASID"
    };

    /** What a register reads as when the unit is gone. */
    private static final long GONE = -1L;

    /** Logical steps until the driver gives up. */
    private static final long DEADLINE = 1000;

    /** No log is longer, so that a unit whose registers keep their values can't hold the driver up. */
    private static final int MOST_FAULTS = 1 << 16;

    private final RegisterWindow window;
    private final Waiter waiter;
    private final BooleanSupplier idle; // made once, so that waiting allocates nothing
    private final List<DmaFault> faults = new ArrayList<>();
    private final AtomicLong quarantined = new AtomicLong();
    private long overflows;
    private boolean broken;
    private boolean released;

    Unit(RegisterWindow window, Waiter waiter) {
        this.window = window;
        this.waiter = waiter;
        this.idle = () -> window.read64(INVAL) == 0;
    }

    /** Has the unit use a device table, whatever it was doing before; returns whether it confirmed. */
    synchronized boolean turnOn(long deviceTable) {
        boolean ready = waiter.await(idle, DEADLINE); // firmware may have left something
        window.write64(TABLE, deviceTable);
        return ready && complete(ALL);
    }

    /** Turns translation off and gives the registers back; returns whether the unit confirmed. */
    synchronized boolean turnOff() {
        window.write64(TABLE, 0);
        broken = false; // a last try, and what it completes is forgotten
        boolean confirmed = complete(ALL);
        readFaults();
        released = true;
        window.release();
        return confirmed;
    }

    /** Has the unit forget a requester's entry; returns whether it did. */
    synchronized boolean forgetDevice(int requesterId) {
        return complete(DEVICE | ID.of(requesterId));
    }

    /** Has the unit forget pages of a top table, and the tables that lead to them; returns whether it did. */
    synchronized boolean forgetPages(long top, long first, long last) {
        window.write64(FIRST, first);
        window.write64(LAST, last);
        return complete(PAGES | top);
    }

    private boolean complete(long command) {
        if (!broken) {
            window.write64(INVAL, command);
            broken = !waiter.await(idle, DEADLINE);
        }
        return !broken;
    }

    synchronized boolean isBroken() {
        return broken;
    }

    /** Makes the refusal after an invalidation that did not complete, or was not begun on a broken unit. */
    static IommuException refusal(boolean wasBroken, String what) {
        return wasBroken
                ? new IommuException(Errno.EIO, what + ": the unit is broken since an earlier invalidation")
                : new IommuException(Errno.ETIMEDOUT, what + ": the unit did not complete an invalidation");
    }

    /** Counts frames that are never freed. */
    void quarantine(long frames) {
        quarantined.addAndGet(frames);
    }

    long quarantined() {
        return quarantined.get();
    }

    synchronized List<DmaFault> takeFaults() {
        readFaults();
        List<DmaFault> taken = List.copyOf(faults);
        faults.clear();
        return taken;
    }

    synchronized long faultOverflows() {
        return overflows;
    }

    private void readFaults() {
        for (int taken = 0; taken < MOST_FAULTS && !released; taken++) {
            long fault = window.read64(FAULT);
            long address = window.read64(ADDRESS);
            if (fault == GONE || address == GONE || !F.isSet(fault)) {
                return;
            }
            window.write64(FAULT, 0);
            overflows += O.get(fault);
            int reason = (int) REASON.get(fault);
            faults.add(new DmaFault(
                    MinimalVendor.UNIT,
                    PciAddress.of(0, (int) FAULT_ID.get(fault)),
                    DmaFault.NO_PASID,
                    address,
                    W.isSet(fault),
                    reason,
                    reason < REASONS.length ? REASONS[reason] : "unknown"));
        }
    }
}
