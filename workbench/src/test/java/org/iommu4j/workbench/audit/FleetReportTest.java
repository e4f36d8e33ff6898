// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.iommu4j.audit.Auditor;
import org.iommu4j.host.HostInputs;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FleetReportTest {
    @TempDir
    private Path folder;

    @Test
    void aCellThatASpreadsheetWouldTakeForAFormulaIsText() throws IOException {
        Path host = Files.createDirectory(folder.resolve("=cmd|' C calc'!A0,\"x"));
        Files.writeString(host.resolve("dmesg.txt"), """
            Linux version 6.8.0-40-generic (buildd@x) #40
            DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f050da
            """);
        FleetReport report = FleetReport.of(
                folder, new Auditor(IommuVendors.load()), HostInputs::withInstalledVendors, Optional.empty(), false);
        assertThat(report.csv().lines().skip(1))
                .singleElement()
                .asString()
                .startsWith("\"'=cmd|' C calc'!A0,\"\"x\",6.8,");
    }
}
