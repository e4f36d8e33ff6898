// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

/**
 * Commands that a unit executes together, with one wait and one answer.
 *
 * <p>Only a batch adds commands, and {@link UnitCommands#begin} returns it only to a thread that holds the unit's
 * monitor. So a method with a batch as parameter runs under that lock. A unit has one batch, which is reused. Allocates
 * nothing.
 */
final class CommandBatch {
    private final CommandBuffer buffer;
    private final Runnable overdue;
    private boolean open;

    /** The unit accepts no commands. */
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
     * Starts a new batch; only for {@link UnitCommands}.
     *
     * @param takesCommands whether the unit may be asked; otherwise nothing is added, and the answer is false
     */
    void begin(boolean takesCommands) {
        open = true;
        refused = !takesCommands;
        full = false;
    }

    /** Adds a command, unless an earlier one found no room. */
    void add(long word0, long word1) {
        checkOpen();
        if (!refused && !full) {
            full = !buffer.add(word0, word1);
        }
    }

    /**
     * Makes the unit execute the added commands, and ends the batch.
     *
     * @return false when the unit is broken or off, or did not execute the commands in time
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
            throw new IllegalStateException("this batch of commands was already answered");
        }
    }
}
