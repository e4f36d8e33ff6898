// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.jspecify.annotations.Nullable;

/**
 * One host of a fleet.
 *
 * @param host the capture's name
 * @param audit the audit, empty when the capture can't be used
 * @param error why it can't be used
 * @param outOfMemory whether it can't be used because memory ran out
 */
public record FleetRow(
        String host, Optional<Audit> audit, @Nullable String error, boolean outOfMemory) {
    /** The columns' names, for CSV and tables. */
    public static final List<String> COLUMNS = List.of(
            "host",
            "linux",
            "guest",
            "units",
            "cantBlock",
            "devices",
            "noncoherent",
            "unknown",
            "falsePromises",
            "verdict");

    /** Refuses what is missing. */
    public FleetRow {
        Objects.requireNonNull(host, "host");
        Objects.requireNonNull(audit, "audit");
    }

    /** Returns the row of a host that was audited. */
    static FleetRow of(String host, Audit audit) {
        return new FleetRow(host, Optional.of(audit), null, false);
    }

    /** Returns the row of a host that can't be used. */
    static FleetRow unusable(String host, String error) {
        return new FleetRow(host, Optional.empty(), error, false);
    }

    /** Returns the row of a host for which there is not enough memory. */
    static FleetRow outOfMemory(String host) {
        return new FleetRow(
                host,
                Optional.empty(),
                "needs more memory than Java may use, expected more, for example by JAVA_TOOL_OPTIONS=-Xmx4g",
                true);
    }

    /** Returns the cells of a host in the order of {@link #COLUMNS}. */
    public List<String> cells() {
        if (audit.isEmpty()) {
            return List.of(host, "", "ERROR", "", "", "", "", "", "", Objects.requireNonNullElse(error, ""));
        }
        Audit found = audit.get();
        return List.of(
                host,
                found.linux().toString(),
                found.overall().name(),
                Integer.toString(found.units().size()),
                Long.toString(found.units().stream()
                        .filter(unit -> unit.description().abilities().blocksNoSnoop() == Answer.NO)
                        .count()),
                Integer.toString(found.devices().size()),
                Integer.toString(noncoherent().size()),
                Integer.toString(Headline.addresses(found, Guest.UNKNOWN).size()),
                Integer.toString(found.falsePromises().size()),
                Headline.verdict(found));
    }

    /** Returns the devices that make a guest not coherent. */
    public List<PciAddress> noncoherent() {
        return audit.map(found -> Headline.addresses(found, Guest.NONCOHERENT)).orElse(List.of());
    }
}
