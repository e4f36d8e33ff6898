// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.iommu4j.witness.Witnesses;
import org.opentest4j.TestAbortedException;

/**
 * Where a test gets its QEMUs: one version, and all that the test started of it.
 *
 * <p>{@link QemuExtension} makes one for each test and stops what was started when the test is over, however it ended.
 * No test stops a QEMU.
 */
final class QemuLab implements AutoCloseable {
    private final Qemu qemu;
    private final Deque<QemuProcess> started = new ArrayDeque<>();

    QemuLab(Qemu qemu) {
        this.qemu = qemu;
    }

    /** Returns which QEMU it is. */
    Qemu qemu() {
        return qemu;
    }

    /**
     * Starts a q35 machine.
     *
     * @param memoryBytes RAM from address 0 on
     * @param arguments what to add to the command line
     */
    QemuProcess start(long memoryBytes, List<String> arguments) {
        QemuProcess process = new QemuProcess(qemu, memoryBytes, arguments);
        if (started.isEmpty()) {
            Witnesses.used(qemu.toString());
        }
        started.push(process);
        return process;
    }

    /**
     * Ends the calling test as skipped, since this QEMU is no witness for it.
     *
     * @param reason what it lacks
     * @return never; so that callers can write {@code throw}
     */
    TestAbortedException unfit(String reason) {
        return Witnesses.unfit(qemu.toString(), reason);
    }

    /** Stops what was started, last first. */
    @Override
    public void close() {
        RuntimeException problem = null;
        while (!started.isEmpty()) {
            try {
                started.pop().close();
            } catch (RuntimeException e) {
                if (problem == null) {
                    problem = e;
                } else {
                    problem.addSuppressed(e);
                }
            }
        }
        if (problem != null) {
            throw problem;
        }
    }
}
