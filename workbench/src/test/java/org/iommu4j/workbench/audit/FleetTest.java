// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.host.HostInputs;
import org.iommu4j.workbench.host.InputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FleetTest {
    private static final String LOG = """
            Linux version 6.8.0-40-generic (buildd@x) #40
            DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f050da
            """;

    @TempDir
    private Path folder;

    private static List<FleetRow> audit(Path folder, Runnable progress) {
        return new Fleet(new Auditor(IommuVendors.load()), HostInputs::withInstalledSilicon, Optional.empty())
                .audit(Fleet.hosts(folder), progress);
    }

    /** The bar makes a step for each host, also for one that can't be used. */
    @Test
    void eachHostIsAStepAndARowInOrder() throws IOException {
        for (int i = 0; i < 40; i++) {
            Path host = Files.createDirectory(folder.resolve(String.format("host%02d", i)));
            Files.writeString(host.resolve("dmesg.txt"), i == 7 ? "nothing\n" : LOG);
        }
        AtomicInteger steps = new AtomicInteger();
        List<FleetRow> rows = audit(folder, steps::incrementAndGet);
        assertThat(steps).hasValue(40);
        assertThat(rows).extracting(FleetRow::host).isSorted().hasSize(40).startsWith("host00", "host01");
        assertThat(rows.get(7).audit()).isEmpty();
        assertThat(rows.get(7).error()).contains("nothing known");
        assertThat(rows.get(8).audit()).isPresent();
    }

    @Test
    void aCellThatASpreadsheetWouldTakeForAFormulaIsText() throws IOException {
        Path host = Files.createDirectory(folder.resolve("=cmd|' C calc'!A0,\"x"));
        Files.writeString(host.resolve("dmesg.txt"), LOG);
        assertThat(Fleet.csv(audit(folder, () -> {})).lines().skip(1))
                .singleElement()
                .asString()
                .startsWith("\"'=cmd|' C calc'!A0,\"\"x\",6.8,");
    }

    @Test
    void aTopologyThatCannotBeLeavesTheOtherHostsTheirRows() throws IOException {
        Files.writeString(Files.createDirectory(folder.resolve("good")).resolve("dmesg.txt"), LOG);
        Path odd = folder.resolve("odd/sys");
        Path devices = Files.createDirectories(odd.resolve("bus/pci/devices"));
        Files.createDirectories(odd.resolve("devices/0000:00:04.0/0000:02:00.0"));
        Files.createDirectory(devices.resolve("0000:00:04.0"));
        Path link = Path.of("../../../devices/0000:00:04.0/0000:02:00.0");
        Files.createSymbolicLink(devices.resolve("0000:02:00.0"), link);
        Files.createSymbolicLink(
                devices.resolve("0000:00:04.0/physfn"), Path.of("..").resolve(link));
        List<FleetRow> rows = audit(folder, () -> {});
        assertThat(rows).extracting(FleetRow::host).containsExactly("good", "odd");
        assertThat(rows).allMatch(row -> row.audit().isPresent());
    }

    @Test
    void aDirectoryOfNothingIsRefused() {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> Fleet.hosts(folder))
                .withMessageContaining("is empty");
        assertThatExceptionOfType(InputException.class).isThrownBy(() -> Fleet.hosts(folder.resolve("absent")));
    }
}
