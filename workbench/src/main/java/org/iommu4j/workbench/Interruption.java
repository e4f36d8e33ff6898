// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * Ctrl-C, for a command that has a part of its answer by then: it is asked whether to stop, and the process waits until
 * the part is printed. The process's exit code is then {@value Main#EXIT_INTERRUPTED}, whatever the command returns.
 */
final class Interruption implements BooleanSupplier, AutoCloseable {
    /** How long the process waits, in seconds: nobody may be reading what the command prints. */
    private static final int PATIENCE = 30;

    private final CountDownLatch closed = new CountDownLatch(1);
    private final Thread hook = new Thread(this::await, "interruption");
    private volatile boolean asked;

    /** Watches nothing yet. */
    Interruption() {}

    /** Returns one that the end of this process interrupts, until it is closed. */
    static Interruption watch() {
        Interruption interruption = new Interruption();
        Runtime.getRuntime().addShutdownHook(interruption.hook);
        return interruption;
    }

    /** Returns what runs when the process ends; it lasts until the command has printed its part. */
    Thread hook() {
        return hook;
    }

    private void await() {
        asked = true;
        try {
            closed.await(PATIENCE, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // ends the wait, which is all that this thread does
        }
    }

    /** Returns whether to stop. */
    @Override
    public boolean getAsBoolean() {
        return asked;
    }

    /** Lets the process end: all is printed. */
    @Override
    public void close() {
        closed.countDown();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            asked = true; // the process is ending; the hook waits for nothing any more
        }
    }
}
