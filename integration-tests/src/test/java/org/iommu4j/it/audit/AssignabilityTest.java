// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.ReservedRegion;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.AuditedGroup;
import org.iommu4j.audit.Guest;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.workbench.audit.AuditJson;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Whether VFIO takes a device: each thing that stands against it, and null where nobody knows. */
class AssignabilityTest {
    private static final String UNIT = "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f050da\n";
    private static final String BOOT = "Linux version 6.1.0-9-amd64 (x@y) #1\n" + UNIT;
    private static final String REMAPPED = "DMAR-IR: Enabled IRQ remapping in x2apic mode\n";
    private static final String IN_USE = "DMAR: Intel(R) Virtualization Technology for Directed I/O\n";
    private static final String USER_SPACE = "Run /init as init process\n";

    private static final String LISTING = """
            00:19.0 Ethernet controller [0200]: Maker LAN [8086:1502]
            \tKernel driver in use: e1000e
            \tIOMMU group: 3
            00:1b.0 Audio device [0403]: Maker Sound [8086:1e20]
            \tKernel driver in use: snd_hda_intel
            \tIOMMU group: 4
            02:00.0 VGA compatible controller [0300]: Maker Graphics [1002:6798]
            \tKernel driver in use: vfio-pci
            \tIOMMU group: 5
            02:00.1 Audio device [0403]: Maker Graphics' Sound [1002:aaa0]
            \tKernel driver in use: snd_hda_intel
            \tIOMMU group: 5
            """;

    @TempDir
    private Path folder;

    private Audit audit(boolean includeAll, String log) throws IOException {
        Path table = Files.write(folder.resolve("DMAR.dat"), HandMadeTables.dmar(includeAll));
        Path lspci = Files.writeString(folder.resolve("lspci.txt"), LISTING);
        if (log.isEmpty()) {
            return Audits.of(table, lspci);
        }
        return Audits.of(table, lspci, Files.writeString(folder.resolve("dmesg.txt"), log));
    }

    private static AuditedDevice device(Audit audit, String address) {
        return audit.device(PciAddress.parse(address)).orElseThrow();
    }

    private static void assertRefused(Audit audit, String address, String... words) {
        AuditedDevice device = device(audit, address);
        assertThat(device.assignable()).isEqualTo(Answer.NO);
        assertThat(device.obstacles()).anySatisfy(obstacle -> {
            assertThat(obstacle.text()).contains(words);
            assertThat(obstacle.source()).isNotBlank();
        });
    }

    @Test
    void nothingStandsAgainstADeviceAloneInItsGroup() throws IOException {
        AuditedDevice sound = device(audit(true, BOOT + REMAPPED + IN_USE), "00:1b.0");
        assertThat(sound.assignable()).isEqualTo(Answer.YES);
        assertThat(sound.obstacles()).isEmpty();
    }

    @Test
    void memoryThatIsMappedOneToOneStandsAgainstIt() throws IOException {
        assertRefused(audit(true, BOOT + REMAPPED + IN_USE), "00:19.0", "0x7a000000 to 0x7affffff", "DIRECT");
    }

    @Test
    void thatMemoryIsNoMatterForGraphicsAndUsbWhoeverTellsTheClass() throws IOException {
        for (String kind : List.of(
                "USB controller [0c03]",
                "USB controller",
                "USB Controller",
                "VGA compatible controller [0300]",
                "VGA compatible controller",
                "Display controller")) {
            AuditedDevice device = at19(kind);
            assertThat(device.reservedRegions())
                    .as(kind)
                    .anyMatch(region -> region.type() == ReservedRegion.Type.DIRECT_RELAXABLE);
            assertThat(device.assignable()).as(kind).isEqualTo(Answer.YES);
        }
        for (String kind : List.of("Ethernet controller [0200]", "Communication controller [0780]")) {
            assertThat(at19(kind).assignable()).as(kind).isEqualTo(Answer.NO);
        }
        // Of a class that no input tells, nor its name decides, that is unknown.
        AuditedDevice unknown = at19("Strange new controller");
        assertThat(unknown.reservedRegions()).isNull();
        assertThat(unknown.assignable()).isEqualTo(Answer.UNKNOWN);
    }

    private AuditedDevice at19(String kind) throws IOException {
        Path table = Files.write(folder.resolve("DMAR.dat"), HandMadeTables.dmar(true));
        Path log = Files.writeString(folder.resolve("dmesg.txt"), BOOT + REMAPPED + IN_USE);
        Path lspci = Files.writeString(
                folder.resolve("lspci.txt"),
                "00:19.0 " + kind + ": Maker Thing\n\tKernel driver in use: vfio-pci\n\tIOMMU group: 3\n");
        return device(Audits.of(table, lspci, log), "00:19.0");
    }

    @Test
    void anExclusionRangeOnAmdIsMappedOneToOneAndStandsAgainstIt() throws IOException {
        Path lspci = Files.writeString(folder.resolve("lspci.txt"), LISTING);
        Path table = Files.write(folder.resolve("IVRS.dat"), HandMadeTables.ivrsWithExclusionRange(0x8c0));
        Audit audit = Audits.of(table, lspci);
        assertRefused(audit, "00:19.0", "0x7a000000 to 0x7affffff", "DIRECT");
        assertThat(device(audit, "00:1b.0").obstacles())
                .noneMatch(obstacle -> obstacle.text().contains("DIRECT"));
    }

    @Test
    void aSisterWithADriverStandsAgainstItAndIsNamed() throws IOException {
        Audit audit = audit(true, BOOT + REMAPPED + IN_USE);
        assertRefused(audit, "02:00.0", "0000:02:00.1 of the same group is bound to snd_hda_intel");
        assertThat(device(audit, "02:00.1").assignable())
                .as("its sister has vfio-pci")
                .isEqualTo(Answer.YES);
        AuditedGroup group = audit.groups().stream()
                .filter(each -> each.id() == 5)
                .findFirst()
                .orElseThrow();
        assertThat(group.viable()).isEqualTo(Answer.NO);
        assertThat(group.blame()).singleElement().asString().contains("0000:02:00.1", "snd_hda_intel");
    }

    @Test
    void interruptsThatAreNotRemappedStandAgainstItAndTheWayRoundIsNamedWithItsPrice() throws IOException {
        for (String log : List.of(
                BOOT + "DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.\n"
                        + IN_USE,
                BOOT + IN_USE + USER_SPACE)) {
            Audit audit = audit(true, log);
            assertRefused(audit, "00:1b.0", "interrupts are not remapped");
            assertThat(audit.hints())
                    .anySatisfy(hint ->
                            assertThat(hint.text()).contains("allow_unsafe_interrupts=1", "inject any interrupt"));
        }
        assertThat(audit(true, BOOT + REMAPPED + IN_USE).hints())
                .noneMatch(hint -> hint.text().contains("allow_unsafe_interrupts"));
    }

    @Test
    void aHostWhoseIommuIsNotUsedGivesNothing() throws IOException {
        Audit audit = audit(true, BOOT + REMAPPED + USER_SPACE);
        assertRefused(audit, "00:1b.0", "no IOMMU is in use");
        assertThat(audit.hints()).anyMatch(hint -> hint.text().contains("boot with intel_iommu=on"));
        assertThat(audit(true, BOOT + REMAPPED + IN_USE).hints())
                .noneMatch(hint -> hint.text().contains("intel_iommu=on"));
    }

    @Test
    void whatNoUnitTranslatesForIsRefused() throws IOException {
        Audit audit = audit(false, BOOT + REMAPPED + IN_USE);
        assertRefused(audit, "00:1b.0", "no IOMMU translates for it");
        assertThat(Audits.text(audit))
                .filteredOn(line -> line.contains(" 00:1b.0 "))
                .singleElement()
                .asString()
                .doesNotContain("COHERENT");
        assertThat(audit.candidates()).extracting(AuditedDevice::address).doesNotContain(PciAddress.parse("00:1b.0"));
    }

    @Test
    void whatNoInputTellsIsNullAndNamed() throws IOException {
        Audit audit = audit(true, "");
        AuditedDevice sound = device(audit, "00:1b.0");
        assertThat(sound.assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(sound.obstacles())
                .extracting(Reason::text)
                .contains("it is unknown whether Linux remaps interrupts");
        assertThat(sound.guest()).isEqualTo(Guest.UNKNOWN);
        for (JsonNode node : JsonMapper.shared().readTree(AuditJson.of(audit)).get("devices")) {
            if (node.get("address").asString().equals("0000:00:1b.0")) {
                assertThat(node.get("assignable").isNull()).isTrue();
                assertThat(node.get("enforceCacheCoherency").isNull()).isTrue();
                assertThat(node.get("guest").asString()).isEqualTo("UNKNOWN");
            }
        }
        assertThat(audit.warnings())
                .anyMatch(warning -> warning.contains("is unknown whether Linux remaps interrupts"))
                .anyMatch(warning -> warning.contains("registers of dmar0 are unknown"));
    }
}
