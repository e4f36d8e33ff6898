// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.amd.reg.Registers;
import org.iommu4j.bits.BitField;
import org.iommu4j.platform.RegisterWindow;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The commands of one unit and its control register, and whether the unit still takes any.
 *
 * <p>Commands and changes of the control register follow each other under this object's monitor.
 * Once commands do not complete the unit is broken for good: every later one is refused at once, because what the unit
 * still remembers is unknown. Nor is anything asked of a unit that was stopped: its queues may have another owner.
 */
final class UnitCommands {
    private static final Logger LOG = LoggerFactory.getLogger(UnitCommands.class);

    private final String unit;
    private final RegisterWindow window;
    private final CommandBatch batch;
    private final Runnable readErrors;
    private long control;
    private volatile boolean broken;

    /** Its queues are not touched any more. */
    private volatile boolean stopped;

    /** The last event about commands that was in the log when the unit broke. */
    private volatile @Nullable String lastError;

    /**
     * Makes the commands of a unit; the hardware is not changed.
     *
     * @param control what the control register has
     * @param readErrors reads the log of events, and calls {@link #noteError} with each that is about commands
     */
    UnitCommands(String unit, RegisterWindow window, CommandBuffer buffer, long control, Runnable readErrors) {
        this.unit = unit;
        this.window = window;
        this.batch = new CommandBatch(buffer, this::breakDown);
        this.control = control;
        this.readErrors = readErrors;
    }

    // --- the control register ---

    /** Returns what the control register has. */
    long control() {
        return control;
    }

    /** Writes the control register. */
    void control(long value) {
        control = value;
        window.write64(Registers.CONTROL.offset(), value);
    }

    /** Turns a part of the unit on or off. */
    void turn(BitField bit, boolean on) {
        control(bit.set(control, on ? 1 : 0));
    }

    // --- commands ---

    /**
     * Begins a batch; under this monitor, until it is answered. A unit that takes no commands answers that it did not
     * execute it.
     *
     * @throws IllegalStateException without the monitor
     */
    CommandBatch begin() {
        if (!Thread.holdsLock(this)) {
            throw new IllegalStateException("commands of " + unit + " without its monitor");
        }
        batch.begin(!broken());
        return batch;
    }

    private void breakDown() {
        broken = true;
        LOG.error("{} did not complete an invalidation; it is not trusted any more", unit);
        // What was taken out before is about commands that did complete.
        lastError = null;
        readErrors.run();
    }

    /** Keeps an event about commands for the refusal. */
    void noteError(String text) {
        lastError = text;
    }

    // --- whether the unit takes any ---

    /** Returns whether it takes no commands any more, because some did not complete or it was stopped. */
    boolean broken() {
        return broken || stopped;
    }

    /** Returns whether the unit's queues may not be touched any more. */
    boolean stopped() {
        return stopped;
    }

    /** Refuses all that follows: the driver is closed. */
    void stop() {
        stopped = true;
    }

    /** Makes the refusal after commands that did not complete. */
    IommuException refusal(boolean wasBroken, String what) {
        if (stopped) {
            return new IommuException(Errno.EIO, what + ": " + unit + " is off, its driver was closed");
        }
        return wasBroken
                ? new IommuException(Errno.EIO, what + ": " + unit + " is broken, an invalidation never completed")
                : new IommuException(
                        Errno.ETIMEDOUT,
                        what + ": " + unit + " did not complete an invalidation"
                                + (lastError == null ? "" : "; it reported " + lastError));
    }

    @Override
    public String toString() {
        return unit;
    }
}
