// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.iommu4j.LinuxRelease;
import org.iommu4j.workbench.host.HostInputs;

/** The audit of a directory of captures, one row per host. */
public final class FleetReport {
    private final List<FleetRow> rows;

    private FleetReport(List<FleetRow> rows) {
        this.rows = rows;
    }

    /**
     * Audits all hosts of a directory on all processors.
     *
     * @param inputs makes a reader for each host
     * @param terminal whether to show a bar on the terminal
     * @throws org.iommu4j.workbench.host.InputException when the directory can't be read or is empty
     */
    public static FleetReport of(
            Path directory,
            Auditor auditor,
            Supplier<HostInputs> inputs,
            Optional<LinuxRelease> release,
            boolean terminal) {
        List<Path> hosts = Fleet.hosts(directory);
        Fleet fleet = new Fleet(auditor, inputs, release);
        if (!terminal) {
            return new FleetReport(fleet.audit(hosts, () -> {}));
        }
        try (ProgressBar bar = new ProgressBarBuilder()
                .setTaskName("audit")
                .setInitialMax(hosts.size())
                .setStyle(ProgressBarStyle.ASCII)
                .build()) {
            return new FleetReport(fleet.audit(hosts, bar::step));
        }
    }

    /** Returns how many hosts there are. */
    public int size() {
        return rows.size();
    }

    /** Returns whether some capture could not be used. */
    public boolean anyUnusable() {
        return rows.stream().anyMatch(row -> row.audit().isEmpty());
    }

    /** Returns whether some host is not known to leave all its guests coherent, or is known not to though its driver says so. */
    public boolean anyNotCoherent() {
        return rows.stream()
                .anyMatch(row -> row.audit().isPresent() && !row.audit().get().reliablyCoherent());
    }

    /** Returns a table for people. */
    public String text() {
        return Fleet.text(rows);
    }

    /** Returns comma-separated values with a header (RFC 4180). */
    public String csv() {
        return Fleet.csv(rows);
    }

    /** Returns one JSON object a line. */
    public String jsonLines() {
        return Fleet.jsonLines(rows);
    }
}
