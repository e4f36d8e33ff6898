// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Hosts whose vendor no table shows: what drivers print, what class a function has, and groups do. */
class VendorsWithoutTablesTest {
    private static final String DISK = "01:00.0 Non-Volatile memory controller: A maker of disks";

    @TempDir
    private Path folder;

    private Hosts host;

    @BeforeEach
    void begin() {
        host = new Hosts(folder);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "pci 0000:00:00.2: AMD-Vi: IOMMU performance counters supported",
                "pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40",
                "AMD-Vi: Found IOMMU at 0000:00:00.2 cap 0x40",
                "AMD-Vi: Enabling IOMMU at 0000:00:00.2 cap 0x40"
            })
    void aLineOfAmdsDriverNamesAUnitAndGroupsAreBehindIt(String line) throws IOException {
        Audit audit = host.text(
                        "dmesg.txt",
                        line + "\nAMD-Vi: Using global IVHD EFR:0x58f77ef22294a5a, EFR2:0x0\n"
                                + "pci 0000:01:00.0: Adding to iommu group 12\n")
                .audit("6.8", "01:00.0");
        assertThat(audit.unit("0000:00:00.2").orElseThrow().description().registers())
                .containsEntry("EFR", 0x58f77ef22294a5aL);
        assertThat(Hosts.device(audit, "01:00.0").unit()).isEqualTo("0000:00:00.2");
        assertThat(Hosts.device(audit, "01:00.0").translated()).isEqualTo(Answer.YES);
        assertThat(Hosts.device(audit, "01:00.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(audit.rule()).isEqualTo(CoherencyRule.ALWAYS);
    }

    @Test
    void ofSeveralUnitsNoneIsNamedAndTheAnswerStands() throws IOException {
        Audit audit = host.text("dmesg.txt", """
                        pci 0000:60:00.2: AMD-Vi: Found IOMMU cap 0x40
                        pci 0000:40:00.2: AMD-Vi: Found IOMMU cap 0x40
                        pci 0000:41:00.0: Adding to iommu group 12
                        """).audit("6.8");
        assertThat(audit.units()).hasSize(2);
        assertThat(Hosts.device(audit, "41:00.0").unit()).isNull();
        assertThat(Hosts.device(audit, "41:00.0").candidates()).containsExactly("0000:40:00.2", "0000:60:00.2");
        assertThat(Hosts.device(audit, "41:00.0").guest()).isEqualTo(Guest.COHERENT);
    }

    @ParameterizedTest
    @CsvSource({
        "'00:00.2 IOMMU [0806]: Advanced Micro Devices, Inc. [AMD] Starship/Matisse IOMMU [1022:1481]', true",
        "'00:00.2 IOMMU: Advanced Micro Devices, Inc. [AMD] Starship/Matisse IOMMU', true",
        "'00:00.2 IOMMU: Advanced Micro Devices, Inc. [AMD/ATI] RD890S/RD990 IOMMU', true",
        "'00:00.2 IOMMU [0806]: Red Hat, Inc. RISC-V IOMMU [1b36:0014]', false",
        "'00:00.2 Non-Essential Instrumentation: Advanced Micro Devices, Inc. [AMD] Something', false"
    })
    void aFunctionOfTheClassShowsAmdsUnit(String title, boolean amd) throws IOException {
        Audit audit = host.lspci(Hosts.function(title) + Hosts.function(DISK) + Hosts.in(3, "nvme"))
                .audit("6.8");
        assertThat(audit.rule()).isEqualTo(amd ? CoherencyRule.ALWAYS : null);
        assertThat(Hosts.device(audit, "01:00.0").guest()).isEqualTo(amd ? Guest.COHERENT : Guest.UNKNOWN);
        if (amd) {
            assertThat(Hosts.device(audit, "00:00.2").translated()).isEqualTo(Answer.NO);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.",
                "AMD-Vi: AMD IOMMUv2 driver by Joerg Roedel <jroedel@suse.de>",
                "AMD-Vi: Unknown option - 'on'",
                "DMAR: IOMMU enabled",
                "DMAR: IOMMU disabled"
            })
    void aLineThatDriversPrintOnEveryMachineShowsNone(String line) throws IOException {
        Audit audit = host.text("dmesg.txt", "Linux version 6.8.0 (x@y) #1\n" + line + "\n")
                .audit("6.8");
        assertThat(audit.rule()).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "DMAR: Host address width 39",
                "DMAR: RMRR base: 0x000000bdffd000 end: 0x000000bdffffff",
                "DMAR: No ATSR found",
                "DMAR-IR: Queued invalidation will be enabled to support x2apic and Intr-remapping.",
                "DRHD: handling fault status reg 2",
                "ACPI: DMAR 0x000000007B7E7000 0000A8 (v01 INTEL  EDK2     00000002      01000013)"
            })
    void aLineOfIntelsDriverShowsIntel(String line) throws IOException {
        Audit audit = host.text("dmesg.txt", "Linux version 6.8.0 (x@y) #1\n" + line + "\n")
                .audit("6.8");
        assertThat(audit.rule()).isEqualTo(CoherencyRule.PER_DEVICE);
        assertThat(audit.units()).isEmpty();
    }

    @Test
    void whereUnitsOfTwoVendorsAreGroupsTellNothingOfUnits() throws IOException {
        Audit audit = host.lspci(
                        Hosts.function("00:00.2 IOMMU [0806]: Advanced Micro Devices, Inc. [AMD] IOMMU [1022:1481]")
                                + Hosts.function(DISK)
                                + Hosts.in(3, "nvme"))
                .text("dmesg.txt", "DMAR: Host address width 39\n")
                .audit("6.8");
        assertThat(Hosts.device(audit, "01:00.0").translated()).isEqualTo(Answer.UNKNOWN);
    }
}
