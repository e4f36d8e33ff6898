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
import org.iommu4j.audit.Auditor;
import org.iommu4j.audit.Fleet;
import org.iommu4j.audit.FleetRow;
import org.iommu4j.audit.Headline;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.Printable;
import org.iommu4j.workbench.output.Csv;
import org.iommu4j.workbench.output.Json;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The audit of a directory of captures, one row per host. */
public final class FleetReport {
    private static final int WIDTH = 100;
    private static final int HOST_WIDTH = 28;

    private final List<FleetRow> rows;

    private FleetReport(List<FleetRow> rows) {
        this.rows = rows;
    }

    /**
     * Audits all hosts of a directory on all processors.
     *
     * @param inputs makes a reader for each host
     * @param terminal whether to show a bar on the terminal
     * @throws org.iommu4j.host.InputException when the directory can't be read or is empty
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

    /**
     * Returns whether for some host it is not known that all guests are coherent, or its driver is known to break its
     * promise that they are.
     */
    public boolean anyNotCoherent() {
        return rows.stream()
                .anyMatch(row -> row.audit().isPresent() && !row.audit().get().reliablyCoherent());
    }

    /** Returns a table for people, one line for each host. */
    public String text() {
        Table table = new Table(
                WIDTH,
                1,
                "host",
                "linux",
                "guest",
                "units",
                "can't block",
                "devices",
                "nonc.",
                "unkn.",
                "false pr.",
                "verdict");
        for (FleetRow row : rows) {
            String[] line = row.cells().toArray(String[]::new);
            line[0] = Printable.cut(line[0], HOST_WIDTH);
            table.row(line);
        }
        StringBuilder text = new StringBuilder();
        table.print(text, null);
        return text.toString();
    }

    /** Returns comma-separated values with a header (RFC 4180). */
    public String csv() {
        StringBuilder text = new StringBuilder(Csv.row(FleetRow.COLUMNS));
        rows.forEach(row -> text.append(Csv.row(row.cells())));
        return text.toString();
    }

    /** Returns one JSON object a line. */
    public String jsonLines() {
        StringBuilder text = new StringBuilder();
        for (FleetRow row : rows) {
            ObjectNode node = JsonNodeFactory.instance.objectNode();
            node.put("host", row.host());
            node.put("error", row.error());
            node.put("linux", row.audit().map(audit -> audit.linux().toString()).orElse(null));
            node.put("guest", row.audit().map(audit -> audit.overall().name()).orElse(null));
            node.put("verdict", row.audit().map(Headline::verdict).orElse(null));
            node.put("units", row.audit().map(audit -> audit.units().size()).orElse(null));
            node.put("devices", row.audit().map(audit -> audit.devices().size()).orElse(null));
            ArrayNode noncoherent = node.putArray("noncoherent");
            row.noncoherent().forEach(address -> noncoherent.add(address.toString()));
            ArrayNode promises = node.putArray("falsePromises");
            row.audit().ifPresent(audit -> audit.falsePromises().forEach(promise -> promises.add(promise.text())));
            ArrayNode contradictions = node.putArray("contradictions");
            row.audit().ifPresent(audit -> audit.contradictions().forEach(contradictions::add));
            node.put(
                    "warnings",
                    row.audit().map(audit -> audit.warnings().size()).orElse(null));
            text.append(Json.line(node)).append('\n');
        }
        return text.toString();
    }
}
