// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Of a log a capture keeps what the audit reads, and nothing that names a host, a card or a user. */
class LogEssenceTest {
    private final LogEssence essence = new LogEssence(IommuVendors.load());

    private String of(String line) {
        return essence.of(line.getBytes(StandardCharsets.UTF_8));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', quoteCharacter = '`', textBlock = """
            Linux version 6.1.0-9-amd64 (me@myhost) (gcc) #1 SMP Debian 6.1.27-1 (2023) ~\
             Linux version 6.1.0-9-amd64 (builder) Debian 6.1.27-0
            Linux version 5.15.0-1-generic (b@myhost) (Ubuntu 5.15.0-1.1-generic 5.15.39) ~\
             Linux version 5.15.0-1-generic (builder) Debian 5.15.39-0
            Linux version 6.6.1 (me@myhost) (gcc) #1 SMP ~ Linux version 6.6.1 (builder)
            Command line: root=/dev/myhost intel_iommu=on ~ Command line: intel_iommu=on
            Kernel command line: host=myhost amd_iommu=off ~ Kernel command line: amd_iommu=off
            iommu: Adding device 0000:00:02.0 to group 1 ~ iommu: Adding device 0000:00:02.0 to group 1
            iommu: Removing device 0000:00:02.0 from group 1 ~ iommu: Removing device 0000:00:02.0 from group 1
            pci 0000:00:02.0: Adding to iommu group 1 ~ 0000:00:02.0: Adding to iommu group 1
            pci 0000:00:02.0: Removing from iommu group 1 ~ 0000:00:02.0: Removing from iommu group 1
            vfio-pci 0000:00:02.0: Adding kernel taint for vfio-noiommu group on device myhost ~\
             0000:00:02.0: Adding kernel taint for vfio-noiommu group on device
            Booting paravirtualized kernel on Xen myhost ~ Booting paravirtualized kernel on Xen
            Xen version: 4.17.1 (of myhost) ~ Xen version: 4.17.1
            Hypervisor detected: Microsoft Hyper-V of myhost ~ Hypervisor detected: Microsoft Hyper-V
            Hypervisor detected: Xen HVM ~ Hypervisor detected: Xen HVM
            Hypervisor detected: Xen ~ Hypervisor detected: Xen
            Hypervisor detected: KVM ~ Hypervisor detected: KVM
            pci 0000:00:02.0: [8086:1616] type 00 class 0x030000 conventional ~\
             pci 0000:00:02.0: [8086:1616] type 00 class 0x030000
            ACPI: DMAR 0x000000001FFE3083 0000B8 (v01 MYHOST BXPC) ~ `ACPI: DMAR 0x000000001FFE3083 `
            Run /sbin/init as init process ~ Run /sbin/init as init process
            Freeing unused kernel image memory ~ Freeing unused kernel
            smpboot: CPU0: Intel(R) Xeon(R) of myhost ~ smpboot: CPU0: Intel(R)
            CPU0: AMD EPYC 7313 of myhost ~ `smpboot: CPU0: AMD `
            Unknown kernel command line parameters "h=myhost pcie_acs_override=downstream", will be passed ~\
             Unknown kernel command line parameters pcie_acs_override
            iommu: Default domain type: Translated ~ iommu: Default domain type: Translated
            vfio-pci: probe of 0000:01:00.0 failed with error -22 ~\
             vfio-pci: probe of 0000:01:00.0 failed with error -22
            vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -22 ~\
             vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -22
            Warning: PCIe ACS overrides enabled; This may allow ~ Warning: PCIe ACS overrides enabled; This may allow
            DMAR: IOMMU enabled ~ DMAR: IOMMU enabled
            pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40 ~ pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40
            [Firmware Bug]: DMAR: No firmware reserved region ~ [Firmware Bug]: DMAR: No firmware reserved region
            (XEN) Intel VT-d Snoop Control enabled of myhost ~ (XEN) Intel VT-d Snoop Control enabled
            (XEN) Command line: name=myhost ~ (XEN)
            systemd[1]: Hostname set to <myhost>. ~ `systemd[1]: `
            """)
    void ofALineThePartThatIsReadStays(String line, String kept) {
        assertThat(of(line)).isEqualTo(kept + "\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "[    0.0] ",
                "<5>[    0.0][    T0] ",
                "kern  :info  : [Fri Apr  7 10:00:01 2023] ",
                "Nov 28 10:00:00 myhost kernel: [    0.0] ",
                "Nov 28 10:00:00 myhost kernel[1]: [    0.0] ",
                "2026-11-28T10:00:00.000000+00:00 myhost kernel: "
            })
    void whatALoggerPutsBeforeAMessageGoes(String prefix) {
        assertThat(of(prefix + "DMAR: IOMMU enabled")).isEqualTo("DMAR: IOMMU enabled\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "e1000e eth0: (PCI Express) aa:bb:cc:dd:ee:ff",
                "myhost login: me",
                "Unknown kernel command line parameters \"h=myhost\", will be passed to user space.",
                "Hypervisor detected: myhost",
                "Hypervisors detected: KVM",
                "Linux versions 6.1",
                "of Linux version 6.1.0 (me@myhost)",
                "CPU1: Intel(R) of myhost",
                "usb 1-1: Product: AMD-Vi of myhost",
                "pci 0000:00:02.0: [8086:1616] type 00 of myhost",
                "ACPI: MSDM 0x000000001FFE3083 0000B8 (v03 MYHOST)",
                "Running /init as init process of myhost",
                "libvirtd[123]: error: DMAR: IOMMU disabled, says myhost",
                "Nov 28 10:00:02 myhost libvirtd[123]: error: kernel: DMAR: IOMMU disabled",
                "<30>[    5.0] program: DMAR: IOMMU enabled on myhost",
                "[    5.0] cloud-init[500]: DMAR-IR: Enabled IRQ remapping in mode of myhost"
            })
    void otherLinesGo(String line) {
        assertThat(of(line)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            DMAR: of aa:bb:cc:dd:ee:ff | DMAR: of XX:XX:XX:XX:XX:XX
            DMAR: of AA-BB-CC-DD-EE-FF | DMAR: of XX:XX:XX:XX:XX:XX
            DMAR: of 01234567-89ab-cdef-0123-456789abcdef | DMAR: of XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX
            DMAR: built by (me@myhost) | DMAR: built by (builder)
            """)
    void ofALineThatStaysAddressesAndUsersAreLeftOut(String line, String kept) {
        assertThat(of(line)).isEqualTo(kept + "\n");
    }

    @Test
    void controlCharactersPartNoAddressAndALongLineIsCut() {
        assertThat(of("DMAR:\ta\u0001a:bb:cc:dd:ee:ff\rmyhost")).isEqualTo("DMAR: XX:XX:XX:XX:XX:XX\n");
        assertThat(of("DMAR: " + "x".repeat(TextLines.MAX_LINE) + "myhost")).hasSize(TextLines.MAX_LINE + 1);
    }
}
