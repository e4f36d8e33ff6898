// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.Auditor;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The processors of a host, by what its log and its listings print. */
class ProcessorsTest {
    private static final String UNIT = "Linux version 6.10.0 (x@y) #1\n[    0.1] DMAR: dmar0: reg_base_addr fed90000"
            + " ver 1:0 cap d2008c40660462 ecap f0505a\n";

    @TempDir
    private Path folder;

    private HostEvidence read(String text) throws IOException {
        return new HostInputs(IommuVendors.load())
                .path(Files.writeString(folder.resolve("host.txt"), text))
                .read();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "smpboot: CPU0: AMD EPYC 7763 64-Core Processor (family: 0x19, model: 0x1, stepping: 0x1) | SVM",
                "smpboot: CPU0: AMD QEMU TCG CPU version 2.5+ (family: 0xf, model: 0x6b, stepping: 0x1) | SVM",
                "smpboot: CPU0: Hygon C86 7185 32-core Processor (family: 0x18, model: 0x0, stepping: 0x2) | SVM",
                "smpboot: CPU0: Intel(R) Xeon(R) CPU E5-2666 v3 @ 2.90GHz (family: 0x6, model: 0x3f) | VMX",
                "CPU0: Genuine Intel(R) CPU 0000 @ 2.40GHz stepping 02 | VMX"
            })
    void theLogNamesThem(String line, HardwareVirtualization extension) throws IOException {
        assertThat(read(UNIT + "[    0.2] " + line + "\n").virtualization())
                .map(Fact::value)
                .contains(extension);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "vendor_id\t: AuthenticAMD | SVM",
                "vendor_id\t: GenuineIntel | VMX",
                "Vendor ID:             HygonGenuine | SVM"
            })
    void aListingNamesThem(String line, HardwareVirtualization extension) throws IOException {
        assertThat(read("processor\t: 0\n" + line.replace("\\t", "\t") + "\ncpu family\t: 6\n\n" + UNIT)
                        .virtualization())
                .map(Fact::value)
                .contains(extension);
    }

    @Test
    void whatElseALogSaysOfAProcessorNamesNone() throws IOException {
        assertThat(read(UNIT
                                + "[    0.2] mce: CPU0: Thermal monitoring enabled (TM1)\n"
                                + "[    0.3] x86: CPU0: Package 0\n")
                        .virtualization())
                .isEmpty();
    }

    @Test
    void theirMakerDecidesOnTheCostAndNotTheUnits() throws IOException {
        assertThat(cost(UNIT)).contains("MTRRs");
        assertThat(cost(UNIT + "[    0.2] smpboot: CPU0: AMD EPYC 7763 64-Core Processor (family: 0x19)\n"))
                .contains("guest PAT is honoured")
                .doesNotContain("MTRRs");
    }

    private String cost(String log) throws IOException {
        Audit audit =
                new Auditor(IommuVendors.load()).audit(read(log), Optional.of(LinuxRelease.named("6.10")), List.of());
        return audit.cost();
    }

    @Test
    void aCaptureKeepsTheMakerAlone() {
        String log = "[    0.2] smpboot: CPU0: AMD EPYC 7763 64-Core Processor (family: 0x19)\n"
                + "[    0.3] smpboot: CPU0: Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz (family: 0x6)\n";
        assertThat(new LogEssence(IommuVendors.load()).of(log.getBytes(StandardCharsets.US_ASCII)))
                .isEqualTo("smpboot: CPU0: AMD \nsmpboot: CPU0: Intel(R)\n");
    }

    @Test
    void aCaptureKeepsThatTheKernelDoesNotKnowTheAcsOverrideAndNoOtherParameter() {
        String log = "[    0.1] Unknown kernel command line parameters \"secret=1 pcie_acs_override=downstream x=2\","
                + " will be passed to user space.\n";
        assertThat(new LogEssence(IommuVendors.load()).of(log.getBytes(StandardCharsets.US_ASCII)))
                .isEqualTo("Unknown kernel command line parameters pcie_acs_override\n");
    }
}
