// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.BitField;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;
import org.jspecify.annotations.Nullable;

/**
 * The commands of one unit, GCMD and GSTS of VT-d 11.4.4, and whether the unit still accepts any.
 *
 * <p>A unit that did not finish a write-buffer flush or an invalidation is broken permanently: its view of memory and
 * its caches are unknown. On and off commands still go to a broken unit, so that it can be stopped.
 */
final class UnitCommands {
    /** Time limit for hardware, in the waiter's logical steps. */
    static final long DEADLINE_TICKS = 1_000_000;

    /** Sticky commands of GCMD: a 0 turns the function off, so interrupt remapping that is on is written as on. */
    static final long STICKY = DmarRegisters.TE.mask()
            | DmarRegisters.EAFL.mask()
            | DmarRegisters.QIE.mask()
            | DmarRegisters.IRE.mask()
            | DmarRegisters.CFI.mask();

    private static final String BROKEN = "broken since an invalidation did not complete";

    private final String unit;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final boolean needsWriteBufferFlush;
    private final BooleanSupplier done = this::isDone;
    private long command;
    private long awaitedMask;
    private long awaitedValue;

    /** The reason why requests are refused, null while they are accepted. */
    private volatile @Nullable String unusable;

    /**
     * Makes the commands of a unit; the hardware is not changed.
     *
     * @param needsWriteBufferFlush CAP.RWBF
     */
    UnitCommands(String unit, RegisterWindow window, Waiter waiter, boolean needsWriteBufferFlush) {
        this.unit = unit;
        this.window = window;
        this.waiter = waiter;
        this.needsWriteBufferFlush = needsWriteBufferFlush;
    }

    // ---- commands ------------------------------------------------------------------------------------------------

    /**
     * Takes over the state that firmware or an earlier kernel left.
     *
     * @throws IommuException ENODEV when the registers read all ones
     */
    synchronized void takeOver() {
        int status = window.read32(DmarRegisters.GSTS.offset());
        if (status == -1) {
            throw new IommuException(Errno.ENODEV, unit + ": GSTS reads all ones, the unit is gone");
        }
        command = status & STICKY;
    }

    /** Returns whether a function is on, as left or as last set. */
    synchronized boolean isOn(BitField bit) {
        return (command & bit.mask()) != 0;
    }

    /**
     * Turns a function of the unit on or off.
     *
     * @param bit a sticky command
     * @throws IommuException ETIMEDOUT
     */
    synchronized void turn(BitField bit, boolean on) {
        command = on ? command | bit.mask() : command & ~bit.mask();
        window.write32(DmarRegisters.GCMD.offset(), (int) command);
        await(bit, on ? bit.mask() : 0);
    }

    /**
     * Issues a one-time command.
     *
     * @param statusWhenDone the value of the bit in GSTS afterwards, in place
     * @throws IommuException ETIMEDOUT
     */
    synchronized void issue(BitField bit, long statusWhenDone) {
        window.write32(DmarRegisters.GCMD.offset(), (int) (command | bit.mask()));
        await(bit, statusWhenDone);
    }

    private void await(BitField bit, long value) {
        awaitedMask = bit.mask();
        awaitedValue = value;
        if (!waiter.await(done, DEADLINE_TICKS)) {
            throw new IommuException(
                    Errno.ETIMEDOUT,
                    unit + ": GSTS did not follow command " + bit.name() + ", expected bit " + bit.low() + " to be "
                            + (value == 0 ? 0 : 1));
        }
    }

    private boolean isDone() {
        int status = window.read32(DmarRegisters.GSTS.offset());
        return status != -1 && (status & awaitedMask) == awaitedValue;
    }

    /**
     * Makes the unit see stored entries, where CAP.RWBF asks for it: VT-d 6.8.
     *
     * @throws IommuException ETIMEDOUT, the unit is broken from now on; EIO
     */
    void flushWriteBuffer() {
        if (needsWriteBufferFlush) {
            checkUsable();
            try {
                issue(DmarRegisters.WBF, 0);
            } catch (IommuException e) {
                breakDown();
                throw e;
            }
        }
    }

    // ---- whether the unit takes any --------------------------------------------------------------------------------

    /** Refuses all later requests: the unit's view of memory and its caches are unknown. */
    void breakDown() {
        unusable = BROKEN;
    }

    /** Refuses all later requests: the driver is closed. */
    void stop() {
        unusable = "stopped, its driver is closed";
    }

    /**
     * Throws when the unit is broken or stopped.
     *
     * @throws IommuException EIO
     */
    void checkUsable() {
        String reason = unusable;
        if (reason != null) {
            throw new IommuException(Errno.EIO, unit + ": " + reason);
        }
    }
}
