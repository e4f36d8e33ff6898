// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Kernels whose number does not say which rules hold. */
class VendorKernelTest {
    private static final String EL9 = "5.14.0-570.23.1.el9_6.x86_64";
    private static final String AMD = """
            AMD-Vi: Using global IVHD EFR:0x246577efa2254afa, EFR2:0x0
            pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40
            pci 0000:02:00.0: Adding to iommu group 2
            """;

    /** Two units, and a listing of which function is behind which. */
    private static final String UNITS = """
            IOMMU: dmar0
            IOMMU Group 1 00:02.0 VGA compatible controller: Intel
            IOMMU: dmar1
            IOMMU Group 2 02:00.0 Ethernet controller: Intel
            """;

    @TempDir
    private Path folder;

    private HostEvidence host(String kernel, String log, String groups) throws IOException {
        HostInputs inputs = HostInputs.withInstalledVendors();
        inputs.path(Files.writeString(
                folder.resolve("dmesg.txt"),
                "Linux version " + kernel + " (x@y) #1\nDMAR-IR: Enabled IRQ remapping in x2apic mode\n" + log));
        if (!groups.isEmpty()) {
            inputs.path(Files.writeString(folder.resolve("groups.txt"), groups));
        }
        return inputs.read();
    }

    private static Audit audit(HostEvidence host, String... assigned) {
        return new Auditor(IommuVendors.load())
                .audit(
                        host,
                        Optional.empty(),
                        Arrays.stream(assigned).map(PciAddress::parse).toList());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {EL9, "4.18.0-553.el8_10.x86_64", "5.15.0-200.131.27.el8uek.x86_64", "5.14.21-150500.55.7-default"
            })
    void whereTheRulesDifferTheAnswerIsUnknownAndThatIsSaid(String kernel) throws IOException {
        Audit audit = audit(host(kernel, Hosts.UNIT0 + Hosts.UNIT1, UNITS), "02:00.0");
        assertThat(Hosts.device(audit, "02:00.0").guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(Hosts.device(audit, "02:00.0").why().get(0).text()).contains("PER_MACHINE", "PER_DEVICE");
        assertThat(Hosts.device(audit, "00:02.0").guest())
                .as("by all rules, for its own unit can't block no-snoop")
                .isEqualTo(Guest.NONCOHERENT);
        Assignment asked = audit.assignment();
        assertThat(asked).isNotNull();
        assertThat(asked.guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(asked.dmaCcIommu()).isEqualTo(Answer.UNKNOWN);
        assertThat(audit.rule()).isNull();
        assertThat(audit.linux()).hasToString(kernel);
        assertThat(audit.warnings()).anyMatch(line -> line.contains("is a vendor's kernel"));
        assertThat(Headline.verdict(audit)).contains("UNKNOWN", "PER_MACHINE, PER_DOMAIN, PER_DEVICE");
    }

    @ParameterizedTest
    @ValueSource(strings = {Hosts.UNIT0, Hosts.UNIT1})
    void whereAllUnitsAreAlikeTheAnswerStands(String unit) throws IOException {
        Audit audit = audit(host(
                EL9,
                unit,
                "IOMMU: dmar" + (unit.equals(Hosts.UNIT0) ? 0 : 1)
                        + "\nIOMMU Group 2 02:00.0 Ethernet controller: Intel\n"));
        assertThat(Hosts.device(audit, "02:00.0").guest())
                .isEqualTo(unit.equals(Hosts.UNIT0) ? Guest.NONCOHERENT : Guest.COHERENT);
        assertThat(audit.warnings()).noneMatch(line -> line.contains("vendor's kernel"));
    }

    @Test
    void amdsAnswerIsOneUnderAllRules() throws IOException {
        Audit audit = audit(host(EL9, AMD, ""), "02:00.0");
        assertThat(audit.rule()).isEqualTo(CoherencyRule.ALWAYS);
        assertThat(Hosts.device(audit, "02:00.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(audit.warnings()).noneMatch(line -> line.contains("vendor's kernel"));
    }

    @Test
    void theOperatorsReleaseDecides() throws IOException {
        HostEvidence host = host(EL9, Hosts.UNIT0 + Hosts.UNIT1, UNITS);
        Audit audit = new Auditor(IommuVendors.load()).audit(host, Optional.of(LinuxRelease.named("6.12")), List.of());
        assertThat(audit.rule()).isEqualTo(CoherencyRule.PER_DEVICE);
        assertThat(Hosts.device(audit, "02:00.0").guest()).isEqualTo(Guest.COHERENT);
    }

    @Test
    void ofAllReleasesOnlyThoseWithOtherRulesAreAsked() throws IOException {
        LinuxRelease kernel = LinuxRelease.of(EL9);
        assertThat(VendorKernel.ruleSets(kernel, host(EL9, Hosts.UNIT0, UNITS), IommuVendors.load()))
                .hasToString("[5.15, 5.19, 6.2, 6.6]");
        assertThat(VendorKernel.ruleSets(kernel, host(EL9, AMD, ""), IommuVendors.load()))
                .hasSizeLessThan(7);
    }
}
