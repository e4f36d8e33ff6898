// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.Guest;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.workbench.audit.AuditHtml;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** AMD's units: their own PCI functions, and what firmware and registers say of their features. */
class UnitFunctionTest {
    private static final long EFR = 0x58f77ef22294a5aL;

    private static final String LISTING = """
            00:00.2 IOMMU [0806]: Advanced Micro Devices IOMMU [1022:1451]
            \tIOMMU group: 0
            01:00.0 Ethernet controller [0200]: Maker LAN [8086:1502]
            \tIOMMU group: 1
            """;

    @TempDir
    private Path folder;

    private Path lspci() throws IOException {
        return Files.writeString(folder.resolve("lspci.txt"), LISTING);
    }

    private Path log(long efr, long efr2) throws IOException {
        return Files.writeString(folder.resolve("dmesg.txt"), String.format("""
                [ 0.0] Linux version 6.1.0-9-amd64 (x@y) #1
                [ 0.5] pci 0000:00:00.2: AMD-Vi: Extended features (0x%x, 0x%x): PPR NX GT IA PC GA_vAPIC
                [ 0.6] AMD-Vi: Interrupt remapping enabled
                """, efr, efr2));
    }

    private Path table(long image) throws IOException {
        return Files.write(folder.resolve("IVRS.dat"), HandMadeTables.ivrs(image));
    }

    /** With and without the table: nobody assigns an IOMMU, and no verdict counts it. */
    @Test
    void aUnitsOwnFunctionIsNoDeviceForAGuest() throws IOException {
        for (Audit audit : new Audit[] {Audits.of(table(EFR), lspci(), log(EFR, 0)), Audits.of(lspci(), log(EFR, 0))}) {
            AuditedDevice unit = audit.device(PciAddress.parse("00:00.2")).orElseThrow();
            assertThat(unit.isIommu()).isTrue();
            assertThat(unit.matters()).isFalse();
            assertThat(unit.assignable()).isEqualTo(Answer.NO);
            assertThat(audit.candidates())
                    .extracting(AuditedDevice::address)
                    .containsExactly(PciAddress.parse("01:00.0"));
            assertThat(Audits.text(audit)).noneMatch(line -> line.contains(" 00:00.2 "));
            assertThat(AuditHtml.of(audit)).contains("1 bridge or IOMMU, never assigned");
        }
        Audit audit = Audits.of(table(EFR), lspci(), log(EFR, 0));
        assertThat(audit.overall()).isEqualTo(Guest.COHERENT);
        assertThat(Audits.text(audit).get(0)).contains("every device leaves its guest COHERENT");
    }

    @Test
    void featuresThatFirmwareAndRegistersAgreeAboutAreNotDoubted() throws IOException {
        Audit audit = Audits.of(table(EFR), lspci(), log(EFR, 0));
        assertThat(audit.warnings()).noneMatch(warning -> warning.contains("EFR"));
        assertThat(audit.unit("ivhd0").orElseThrow().description().registers()).containsEntry("EFR", EFR);
    }

    @Test
    void featuresThatDifferAreNamedWithBothValues() throws IOException {
        long other = EFR ^ 0x100;
        Audit audit = Audits.of(table(EFR), lspci(), log(other, 0));
        assertThat(audit.warnings())
                .anyMatch(warning -> warning.contains("0x" + Long.toHexString(EFR))
                        && warning.contains("0x" + Long.toHexString(other)));
        assertThat(audit.unit("ivhd0").orElseThrow().description().registers())
                .as("Linux believes the firmware")
                .containsEntry("EFR", EFR);
    }

    /** A log of before EFR2 does not say that it is 0. */
    @Test
    void whatALogDoesNotPrintIsUnknown() throws IOException {
        Path old = Files.writeString(folder.resolve("old.txt"), """
                [ 0.0] Linux version 5.15.0-1-amd64 (x@y) #1
                [ 0.5] pci 0000:00:00.2: AMD-Vi: Extended features (0x58f77ef22294a5a): PPR NX GT IA PC GA_vAPIC
                """);
        Audit audit = Audits.of(old, Files.write(folder.resolve("IVRS.dat"), HandMadeTables.ivrs(EFR)));
        assertThat(audit.warnings()).noneMatch(warning -> warning.contains("EFR"));
    }
}
