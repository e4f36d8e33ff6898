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
 * The commands of one unit and its control register, and whether the unit still accepts any.
 *
 * <p>This object's monitor serializes commands and changes of the control register. A unit whose commands did not
 * complete is broken permanently: every later command is refused at once, because the contents of its caches are
 * unknown. A stopped unit gets no commands either: its queues may have another owner.
 */
final class UnitCommands {
    private static final Logger LOG = LoggerFactory.getLogger(UnitCommands.class);

    private final String unit;
    private final RegisterWindow window;
    private final CommandBatch batch;
    private final Runnable readErrors;
    private long control;
    private volatile boolean broken;

    /** True once its queues may no longer be used. */
    private volatile boolean stopped;

    /** The last event about commands in the log when the unit broke. */
    private volatile @Nullable String lastError;

    /**
     * Makes the commands of a unit; the hardware is not changed.
     *
     * @param control the value of the control register
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

    /** Returns the value of the control register. */
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
     * Begins a batch; the caller holds this monitor until it is answered. A unit that accepts no commands answers that
     * it did not execute it.
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
        LOG.error("{} did not complete an invalidation; it is broken from now on", unit);
        // Events read earlier are about commands that did complete.
        lastError = null;
        readErrors.run();
    }

    /** Records an event about commands for the refusal. */
    void noteError(String text) {
        lastError = text;
    }

    // --- whether the unit accepts any ---

    /** Returns whether it accepts no more commands, because some did not complete or it was stopped. */
    boolean broken() {
        return broken || stopped;
    }

    /** Returns whether the unit's queues may no longer be used. */
    boolean stopped() {
        return stopped;
    }

    /** Refuses all later commands: the driver is closed. */
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
