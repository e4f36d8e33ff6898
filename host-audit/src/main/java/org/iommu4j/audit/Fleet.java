// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;

/**
 * Audits many captures on all processors.
 *
 * <p>Each entry of a directory is a host: a tar, a directory with a {@code sys/} tree, or a directory with other inputs
 * of one host. An entry that can't be used becomes a row with the reason.
 */
public final class Fleet {
    private final Auditor auditor;
    private final Supplier<HostInputs> inputs;
    private final Optional<LinuxRelease> release;

    /**
     * Makes one.
     *
     * @param inputs makes a reader for each host
     * @param release the release to answer by; empty for each host's own
     */
    public Fleet(Auditor auditor, Supplier<HostInputs> inputs, Optional<LinuxRelease> release) {
        this.auditor = Objects.requireNonNull(auditor, "auditor");
        this.inputs = Objects.requireNonNull(inputs, "inputs");
        this.release = Objects.requireNonNull(release, "release");
    }

    /**
     * Returns the hosts of a directory, sorted by name.
     *
     * @throws InputException when the directory can't be read or is empty
     */
    public static List<Path> hosts(Path directory) {
        if (!Files.isDirectory(directory)) {
            throw new InputException(directory
                    + (Files.exists(directory)
                            ? ": is not a directory, expected one with a capture per host"
                            : ": no such directory, expected one with a capture per host"));
        }
        try (Stream<Path> entries = Files.list(directory)) {
            List<Path> hosts = entries.filter(
                            entry -> !entry.getFileName().toString().startsWith("."))
                    .sorted()
                    .toList();
            if (hosts.isEmpty()) {
                throw new InputException(directory + ": is empty, expected one capture per host");
            }
            return hosts;
        } catch (IOException e) {
            throw InputException.of(directory.toString(), "can't be read as a directory of captures", e);
        }
    }

    /**
     * Audits hosts.
     *
     * @param progress runs after each, on any thread
     * @return a row each, in the hosts' order
     */
    public List<FleetRow> audit(List<Path> hosts, Runnable progress) {
        Objects.requireNonNull(hosts, "hosts");
        Objects.requireNonNull(progress, "progress");
        ExecutorService pool = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
        try {
            List<Future<FleetRow>> pending = new ArrayList<>();
            for (Path host : hosts) {
                pending.add(pool.submit(() -> {
                    FleetRow row = audit(host);
                    progress.run();
                    return row;
                }));
            }
            List<FleetRow> rows = new ArrayList<>();
            for (Future<FleetRow> row : pending) {
                rows.add(row.get());
            }
            // A host that ran out of memory may have been beside a greedy one; now each has all memory for itself.
            for (int i = 0; i < hosts.size(); i++) {
                if (rows.get(i).outOfMemory()) {
                    rows.set(i, audit(hosts.get(i)));
                }
            }
            return rows;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InputException("interrupted", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        } finally {
            pool.shutdownNow();
        }
    }

    /**
     * Every failure of a host, errors of the machine included, is reported in its own row and affects no other.
     */
    private FleetRow audit(Path host) {
        String name = host.getFileName().toString();
        try {
            Audit audit = auditor.audit(inputs.get().path(host).read(), release, List.of());
            return FleetRow.of(Files.isDirectory(host) ? name : audit.host(), audit);
        } catch (InputException e) {
            String message = e.getMessage();
            return FleetRow.unusable(name, message == null ? e.toString() : message);
        } catch (OutOfMemoryError e) {
            return FleetRow.outOfMemory(name);
        } catch (RuntimeException | Error e) {
            return FleetRow.unusable(name, "a bug in iommu4j, please report it: " + e + place(e));
        }
    }

    private static String place(Throwable failure) {
        StackTraceElement[] trace = failure.getStackTrace();
        return trace.length == 0 ? "" : " at " + trace[0];
    }
}
