// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

/**
 * The commands that a unit is asked to execute together, with one wait and one answer.
 *
 * <p>Only a batch adds commands, and {@link UnitCommands#begin} gives it only to a thread that holds the unit's
 * monitor: a method that takes a batch is under that lock. A unit has one batch, which is used again. Allocates
 * nothing.
 */
final class CommandBatch {
    private final CommandBuffer buffer;
    private final Runnable overdue;
    private boolean open;

    /** The unit takes no commands. */
    private boolean refused;

    /** The buffer stayed full, so that a command is missing. */
    private boolean full;

    /**
     * Makes the batch of a unit.
     *
     * @param overdue runs when the unit did not execute a batch, or not in time
     */
    CommandBatch(CommandBuffer buffer, Runnable overdue) {
        this.buffer = buffer;
        this.overdue = overdue;
    }

    /**
     * Starts anew, for {@link UnitCommands} alone.
     *
     * @param takesCommands whether the unit may be asked; otherwise nothing is added, and the answer is false
     */
    void begin(boolean takesCommands) {
        open = true;
        refused = !takesCommands;
        full = false;
    }

    /** Adds a command, unless one before it found no room. */
    void add(long word0, long word1) {
        checkOpen();
        if (!refused && !full) {
            full = !buffer.add(word0, word1);
        }
    }

    /**
     * Has the unit execute what was added, and ends the batch.
     *
     * @return false when the unit is broken or off, or did not do it in time
     */
    boolean complete() {
        checkOpen();
        open = false;
        if (refused) {
            return false;
        }
        if (!full && buffer.complete()) {
            return true;
        }
        overdue.run();
        return false;
    }

    private void checkOpen() {
        if (!open) {
            throw new IllegalStateException("this batch of commands was answered");
        }
    }
}
