// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.iommu4j.host.CountedRemark;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.KernelRemark;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What Linux, firmware and QEMU said, and what an audit answers because of it. */
class RemarksTest {
    private static final String BOOT = """
            Linux version 6.8.0 (x@y) #1
            ACPI: RSDP 0x00000000000F05B0 000024 (v02 ALASKA)
            ACPI: FACP 0x000000007B7E7000 000114 (v06 ALASKA A M I    01072009 AMI  00010013)
            %sRun /init as init process
            """;

    @TempDir
    private Path folder;

    private Hosts host;

    @BeforeEach
    void begin() {
        host = new Hosts(folder);
    }

    private Audit audit(String log, String... assigned) throws IOException {
        return host.text("dmesg.txt", log).audit("6.8", assigned);
    }

    private static List<KernelRemark> remarks(Audit audit) {
        return audit.remarks().stream().map(CountedRemark::remark).toList();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[  312.000000] vfio-pci 0000:04:00.1: DMAR: Device is ineligible for IOMMU domain attach due "
                        + "to platform RMRR"
                        + " requirement.  Contact your platform vendor.",
                "[  312.100000] vfio-pci 0000:04:00.1: Device is ineligible for IOMMU domain attach due to "
                        + "platform RMRR"
                        + " requirement.  Contact your platform vendor.",
                "[  312.200000] vfio-pci 0000:04:00.1: Firmware has requested this device have a 1:1 IOMMU "
                        + "mapping, rejecting"
                        + " configuring the device without a 1:1 mapping. Contact your platform vendor."
            })
    void whatLinuxRefusedIsRefused(String line) throws IOException {
        Audit audit = audit(line + "\n", "04:00.1");
        Assignment asked = audit.assignment();
        assertThat(asked).isNotNull();
        assertThat(asked.assignable()).isEqualTo(Answer.NO);
        assertThat(asked.obstacles().get(0).text())
                .startsWith("Linux refused 0000:04:00.1 at 312 s: firmware reserves");
        assertThat(Hosts.device(audit, "04:00.1").assignableWithGroup()).isEqualTo(Answer.NO);
        assertThat(remarks(audit))
                .singleElement()
                .extracting(KernelRemark::kind)
                .isEqualTo(KernelRemark.Kind.REFUSED);
    }

    @Test
    void theLineOfIntelsDriverAloneNamesTheVendor() throws IOException {
        Audit audit =
                audit("pci 0000:04:00.1: DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR\n");
        assertThat(audit.rule()).isEqualTo(CoherencyRule.PER_DEVICE);
        assertThat(audit.vendors()).containsExactly("intel");
        assertThat(Headline.units(audit)).isEqualTo("none known of intel");
    }

    @ParameterizedTest
    @CsvSource({
        "DMAR, 'DMAR: Setting identity map for device 0000:01:00.0 [0xbdffd000 - 0xbdffffff]', 010700, NO",
        "old, 'IOMMU: Setting identity map for device 0000:01:00.0 [0xbdffd000 - 0xbdffffff]', 010700, NO",
        "USB, 'DMAR: Setting identity map for device 0000:01:00.0 [0xbdffd000 - 0xbdffffff]', 0c0330, YES",
        "other, 'DMAR: Setting identity map for device 0000:09:00.0 [0xbdffd000 - 0xbdffffff]', 010700, UNKNOWN"
    })
    void whatAnOldKernelMapsOneToOneIsAReservedRegion(String name, String line, String type, Answer assignable)
            throws IOException {
        Audit audit =
                audit(Hosts.LOG + Hosts.UNIT1 + "pci 0000:01:00.0: [1000:0072] type 00 class 0x" + type + "\n" + line
                        + "\n"
                        + "IOMMU: nothing\n");
        Answer found = host.text("groups.txt", "IOMMU: dmar1\nIOMMU Group 1 01:00.0 Something: a device\n")
                .audit("6.8")
                .device(Hosts.device(audit, "01:00.0").address())
                .orElseThrow()
                .assignableWithGroup();
        assertThat(found).as(name).isEqualTo(assignable);
    }

    @Test
    void relaxedRegionsKeepNoDevice() throws IOException {
        Audit audit = host.text("groups.txt", "IOMMU: dmar1\nIOMMU Group 1 01:00.0 Something: a device\n")
                .text(
                        "dmesg.txt",
                        Hosts.LOG + Hosts.UNIT1 + "Intel-IOMMU: assuming all RMRRs are relaxable. This can lead to"
                                + " instability or data loss\n")
                .audit("6.8");
        assertThat(Hosts.device(audit, "01:00.0").assignableWithGroup()).isEqualTo(Answer.YES);
        assertThat(remarks(audit))
                .singleElement()
                .extracting(KernelRemark::kind)
                .isEqualTo(KernelRemark.Kind.RELAXED);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "DMAR: [DMA Read NO_PASID] Request device [03:00.1] fault addr 0xfffe0000 [fault reason 0x06] "
                        + "PTE Read access"
                        + " is not set | its read of address 0xfffe0000, fault reason 0x06 | nothing that it may read",
                "DMAR: [DMA Write] Request device [03:00.1] fault addr fffe0000 [fault reason 02] Present bit "
                        + "in context"
                        + " entry is clear | its write to address 0xfffe0000, fault reason 0x02 | DMA alias",
                "DMAR:[DMA Write] Request device [03:00.1] fault addr fffe0000 | its write to address 0xfffe0000 |"
                        + " its access was blocked",
                "DMAR: [INTR-REMAP] Request device [03:00.1] fault index 1c [fault reason 38] Blocked an "
                        + "interrupt request"
                        + " | interrupt through entry 0x1c, fault reason 0x26 | another function's entry",
                "AMD-Vi: Event logged [IO_PAGE_FAULT device=03:00.1 domain=0x000a address=0x00000000fffe0000 "
                        + "flags=0x0020]"
                        + " | IO_PAGE_FAULT at address 0x00000000fffe0000 | nothing that the device may access",
                "ahci 0000:03:00.1: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000a address=0xfffe0000 flags=0x0020]"
                        + " | IO_PAGE_FAULT at address 0xfffe0000 | nothing that the device may access",
                "AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=0000:03:00.1 address=0x110] | IOTLB_INV_TIMEOUT | ATS"
            })
    void aFaultNamesDeviceAddressAndLikelyCauseOnce(String line, String text, String meaning) throws IOException {
        Audit audit = audit(line + "\n" + line.replace("fffe0000", "fffe1000") + "\n");
        assertThat(audit.remarks()).singleElement().satisfies(found -> {
            assertThat(found.count()).isEqualTo(2);
            assertThat(found.remark().kind()).isEqualTo(KernelRemark.Kind.FAULT);
            assertThat(found.remark().device()).hasToString("Optional[0000:03:00.1]");
            assertThat(found.remark().text()).contains(text);
            assertThat(found.reason().text()).contains("(2 times): ").contains(meaning);
        });
        assertThat(audit.devices())
                .as("a fault's requester id may be no function's")
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "DMAR: [Firmware Bug]: Your BIOS is broken; bad RMRR [0x000000003e2e0000-0x000000003e2fffff] | "
                        + "FIRMWARE_BUG"
                        + " | bad RMRR",
                "[Firmware Bug]: AMD-Vi: IOAPIC[9] not in IVRS table | FIRMWARE_BUG | IOAPIC[9] not in IVRS",
                "DMAR: IOMMU feature sc_support inconsistent | UNITS_DIFFER | differ in snoop control",
                "Warning: PCIe ACS overrides enabled; This may allow non-IOMMU protected peer-to-peer DMA | "
                        + "NO_ISOLATION |"
                        + " overrides ACS",
                "AMD-Vi: Disabling interrupt remapping | NO_REMAPPING | interrupt remapping off",
                "vfio-pci: probe of 0000:01:00.0 failed with error -22 | PROBE_FAILED | error -22",
                "vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -22 | PROBE_FAILED | error -22",
                "vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param | "
                        + "NO_REMAPPING | found"
                        + " no interrupt remapping",
                "DMAR: No DMAR devices found | OFF | no unit"
            })
    void whatAnOperatorMustKnowIsSaid(String line, KernelRemark.Kind kind, String text) throws IOException {
        assertThat(remarks(audit(line + "\n"))).singleElement().satisfies(remark -> {
            assertThat(remark.kind()).isEqualTo(kind);
            assertThat(remark.text()).contains(text);
        });
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "vfio 0000:01:00.0: group 12 is not viable",
                "qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0: vfio 0000:01:00.0: group 12 is not viable",
                "Jan  1 21:08:33 host libvirtd[812]: internal error: vfio 0000:01:00.0: group 12 is not viable",
                "vfio error: 0000:01:00.0: group 12 is not viable"
            })
    void aGroupThatQemuFoundNotViableIsNamed(String line) throws IOException {
        Audit audit = audit(
                line + "\nPlease ensure all devices within the iommu_group are bound to their vfio bus driver.\n");
        AuditedDevice device = Hosts.device(audit, "01:00.0");
        assertThat(device.group()).hasValue(12);
        assertThat(device.assignable()).isEqualTo(Answer.NO);
        assertThat(device.assignableWithGroup()).as("with its group").isNotEqualTo(Answer.NO);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "vfio-pci: probe of 0000:01:00.0 failed with error -22 | error -22: EINVAL: it is in no IOMMU group",
                "vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -16 | error -16: EBUSY: another",
                "vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -19 | error -19: ENODEV: it does"
            })
    void aFailedProbeRefusesTheDeviceWithTheMeaningOfItsError(String line, String text) throws IOException {
        Audit audit = audit(line + "\n", "01:00.0");
        AuditedDevice device = Hosts.device(audit, "01:00.0");
        assertThat(device.assignable()).isEqualTo(Answer.NO);
        assertThat(device.obstacles()).first().satisfies(reason -> {
            assertThat(reason.text()).startsWith("vfio-pci refused it with " + text);
            assertThat(reason.source()).isEqualTo("Linux vfio_pci_core_register_device");
        });
        assertThat(Headline.lines(audit))
                .anyMatch(said -> said.label().equals("refused") && said.text().contains(text));
    }

    @Test
    void aProbeThatFailedBeforeVfioHadTheDeviceRefusesNothing() throws IOException {
        Audit audit = host.text("dmesg.txt", "vfio-pci: probe of 0000:01:00.0 failed with error -16\n")
                .text("lspci.txt", "01:00.0 VGA compatible controller: A card\n\tKernel driver in use: vfio-pci\n")
                .audit("6.8");
        assertThat(Hosts.device(audit, "01:00.0").driver()).isEqualTo("vfio-pci");
        assertThat(Hosts.device(audit, "01:00.0").assignable()).isEqualTo(Answer.UNKNOWN);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0: vfio 0000:01:00.0: failed to setup container"
                        + " for group 12: Failed to set iommu for container: Operation not permitted",
                "qemu: vfio 0000:01:00.0: failed to setup container for group 12: failed to set iommu for container:"
                        + " Operation not permitted"
            })
    void aGroupThatQemuCouldNotUseIsRefusedWithTheLikelyCause(String line) throws IOException {
        Audit audit = audit(line + "\n", "01:00.0");
        AuditedDevice device = Hosts.device(audit, "01:00.0");
        assertThat(device.group()).hasValue(12);
        assertThat(device.assignable()).isEqualTo(Answer.NO);
        assertThat(device.obstacles().get(0).text())
                .isEqualTo("Linux refused 0000:01:00.0: QEMU could not use its group 12: Operation not permitted");
        assertThat(audit.remarks())
                .singleElement()
                .satisfies(found -> assertThat(found.reason().text()).contains("interrupts are not remapped", "RMRR"));
    }

    @Test
    void aDeviceForWhichQemuFoundNoGroupIsRefused() throws IOException {
        assertThat(Hosts.device(
                                audit("vfio 0000:01:00.0: no iommu_group found: No such file or directory\n"),
                                "01:00.0")
                        .assignableWithGroup())
                .isEqualTo(Answer.NO);
    }

    @Test
    void aWholeLogWithoutATableShowsThatFirmwareHasItOff() throws IOException {
        Audit off = audit(String.format(BOOT, ""));
        assertThat(off.iommuInUse()).isEqualTo(Answer.NO);
        assertThat(off.hints()).singleElement().asString().contains("turn the IOMMU", "no table");
        Audit on = new Hosts(folder)
                .text("on.txt", String.format(BOOT, "ACPI: DMAR 0x000000007B7E8000 0000A8 (v01 INTEL  EDK2)\n"))
                .audit("6.8");
        assertThat(on.hints()).noneMatch(hint -> hint.text().contains("no table"));
    }

    /** No setting of its firmware turns an IOMMU on: its host gives it one, or not. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "Hypervisor detected: KVM\n",
                "Hypervisor detected: VMware\n",
                "pci 0000:00:02.0: [1af4:1041] type 00 class 0x020000\n"
            })
    void aVirtualMachineIsNotSentIntoItsFirmware(String line) throws IOException {
        Audit audit = audit(String.format(BOOT, line));
        assertThat(audit.iommuInUse()).isEqualTo(Answer.NO);
        assertThat(audit.hints())
                .singleElement()
                .asString()
                .startsWith("give this virtual machine an IOMMU on its own host: with QEMU intel-iommu");
        assertThat(Brief.of(audit)).contains("FAIL  IOMMU off [give this virtual machine an IOMMU on its own host]");
    }

    @Test
    void aWholeDumpWithoutATableShowsThatFirmwareHasItOff() throws IOException {
        Audit audit = host.text("acpidump.txt", dump("FACP") + dump("DSDT")).audit("6.8");
        assertThat(audit.iommuInUse()).isEqualTo(Answer.NO);
        assertThat(audit.hints()).singleElement().asString().contains("turn the IOMMU");
        assertThat(new Hosts(folder).text("one.txt", dump("FACP")).audit("6.8").iommuInUse())
                .as("one table of many")
                .isEqualTo(Answer.UNKNOWN);
    }

    private static String dump(String signature) {
        byte[] table = new byte[36];
        System.arraycopy(signature.getBytes(StandardCharsets.US_ASCII), 0, table, 0, 4);
        table[4] = 36;
        HexFormat hex = HexFormat.ofDelimiter(" ").withUpperCase();
        StringBuilder text = new StringBuilder(signature + " @ 0x0000000000000000\n");
        for (int at = 0; at < table.length; at += 16) {
            text.append(String.format(
                    "    %04X: %s  ................%n", at, hex.formatHex(table, at, Math.min(at + 16, table.length))));
        }
        return text + "\n";
    }
}
