// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TextSectionsTest {
    private static final String LOG = """
            [    0.100000] pci 0000:03:00.0: [10de:2484] type 00 class 0x030000
            [    0.110000] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 29a00f0505e
            [    0.120000] DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da
            """;
    private static final String GROUPS = """
            IOMMU Group 4:
            \t03:00.0 VGA compatible controller [0300]: Maker Graphics [10de:2484]
            \t03:00.1 Audio device [0403]: Maker Sound [10de:228b]
            """;
    private static final String LSPCI = """
            03:00.0 VGA compatible controller: Maker Graphics (rev a1)
            \tControl: I/O+ Mem+ BusMaster+
            \tCapabilities: [78] Express (v2) Endpoint, MSI 00
            \t\tDevCtl:\tCorrErr+ NonFatalErr+ FatalErr+ UnsupReq+
            \t\t\tRlxdOrd+ ExtTag+ PhantFunc- AuxPwr- NoSnoop+
            \tKernel driver in use: vfio-pci

            05:00.0 Non-Volatile memory controller: Maker Disk
            \tKernel driver in use: nvme
            """;

    @TempDir
    private Path folder;

    private HostEvidence read(String text) throws IOException {
        return HostInputs.withInstalledVendors()
                .path(Files.writeString(folder.resolve("post.txt"), text))
                .read();
    }

    private static FunctionEvidence function(HostEvidence host, String address) {
        return host.function(PciAddress.parse(address)).orElseThrow();
    }

    @ParameterizedTest
    @ValueSource(strings = {"LGP", "LPG", "GLP", "GPL", "PLG", "PGL"})
    void allPartsOfATextAreReadInAnyOrder(String order) throws IOException {
        StringBuilder text = new StringBuilder("My card is slow.\n\n");
        for (int i = 0; i < order.length(); i++) {
            text.append(order.charAt(i) == 'L' ? LOG : order.charAt(i) == 'G' ? GROUPS : LSPCI)
                    .append("\nAnd this:\n\n");
        }
        HostEvidence host = read(text.toString());

        assertThat(host.units()).containsOnlyKeys("dmar0", "dmar1");
        assertThat(host.groups()).containsOnlyKeys(4);
        assertThat(host.groups().get(4).members())
                .containsExactly(PciAddress.parse("03:00.0"), PciAddress.parse("03:00.1"));
        FunctionEvidence graphics = function(host, "03:00.0");
        assertThat(graphics.noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(graphics.driver().orElseThrow().value()).isEqualTo("vfio-pci");
        assertThat(graphics.deviceId().orElseThrow()).isEqualTo(0x2484);
        assertThat(function(host, "05:00.0").driver().orElseThrow().value()).isEqualTo("nvme");
        assertThat(host.inputs()).singleElement().asString().endsWith("post.txt");
        assertThat(host.contradictions()).isEmpty();
    }

    @Test
    void partsNeedNoEmptyLineBetween() throws IOException {
        HostEvidence host = read(LOG + GROUPS + LSPCI);
        assertThat(host.units()).hasSize(2);
        assertThat(host.groups().get(4).members()).hasSize(2);
        assertThat(function(host, "05:00.0").group()).isEmpty();
        assertThat(function(host, "05:00.0").driver().orElseThrow().value()).isEqualTo("nvme");
    }

    /** Such a listing lists no function that is in no group, so it is none of lspci's, which lists all. */
    @Test
    void aListingOfGroupsWithItsMembersAtTheMarginIsNoOutputOfLspci() throws IOException {
        HostEvidence host = read("IOMMU Group 0:\n00:00.0 Host bridge: Maker Bridge\n\nIOMMU Group 1:\n"
                + "00:02.0 VGA compatible controller: Maker Graphics\n\n" + LOG);
        assertThat(host.groups()).containsOnlyKeys(0, 1);
        assertThat(host.function(PciAddress.parse("03:00.0"))).as("of the log").isPresent();
    }

    @Test
    void theGroupInADetailOfLspciBeginsNoListing() throws IOException {
        HostEvidence host = read("05:00.0 Non-Volatile memory controller: Maker Disk\n\tIOMMU group: 7\n"
                + "\tKernel driver in use: nvme\n\n" + LOG);
        FunctionEvidence disk = function(host, "05:00.0");
        assertThat(disk.group().orElseThrow().value()).isEqualTo(7);
        assertThat(disk.driver().orElseThrow().value()).isEqualTo("nvme");
    }

    @Test
    void linesOfOtherPartsAreNoLinesOfTheLog() throws IOException {
        assertThat(read(GROUPS + "\n" + LOG).kernelLines())
                .isNotEmpty()
                .allSatisfy(line -> assertThat(line.value()).startsWith("DMAR"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Linux host 6.8.12-4-pve #1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 (2024-11-06T15:04Z) x86_64 GNU/Linux",
                "          Kernel: Linux 6.8.12-4-pve",
                "proxmox-ve: 8.2.0 (running kernel: 6.8.12-4-pve)",
                "System:    Host: tower Kernel: 6.8.12-4-pve arch: x86_64 bits: 64",
                "BOOT_IMAGE=/boot/vmlinuz-6.8.12-4-pve root=/dev/sda3 ro quiet",
                "[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.8.12-4-pve root=/dev/sda3 ro quiet",
                "[    9.000000] CPU: 1 PID: 77 Comm: kvm Tainted: P        W  O       6.8.12-4-pve #1",
                "[    9.000000] CPU: 1 UID: 0 PID: 77 Comm: kvm Not tainted 6.8.12-4-pve #1 PVE"
            })
    void theReleaseIsReadWhereverItStands(String line) throws IOException {
        HostEvidence host = read(LOG + "\n" + line + "\n\n" + LSPCI);
        assertThat(host.linux().orElseThrow()).hasToString("6.8.12-4-pve");
        assertThat(function(host, "05:00.0").driver().orElseThrow().value()).isEqualTo("nvme");
    }

    @Test
    void theFirstLineOfABootTakesPrecedenceOverTheNameOfItsImage() throws IOException {
        HostEvidence host = read("""
                [    0.000000] Linux version 6.1.0-13-amd64 (d@d) #1
                [    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.8.12-4-pve root=/dev/sda3 ro
                [    9.000000] CPU: 1 PID: 77 Comm: kvm Not tainted 6.5.0-1 #1
                """);
        assertThat(host.linux().orElseThrow()).hasToString("6.1.0-13-amd64");
        assertThat(host.warnings()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "BOOT_IMAGE=/vmlinuz root=/dev/sda3 ro",
                "BOOT_IMAGE=/boot/vmlinuz-linux root=/dev/sda3 ro",
                "BOOT_IMAGE=/boot/vmlinuz-lts-6.8 root=/dev/sda3 ro"
            })
    void anImageWithoutAReleaseInItsNameTellsNone(String commandLine) throws IOException {
        HostEvidence host = read(commandLine + "\n" + GROUPS);
        assertThat(host.linux()).isEmpty();
        assertThat(host.groups()).containsOnlyKeys(4);
    }

    @Test
    void aTextOfNothingButTheKernelsNameIsAnInput() throws IOException {
        assertThat(read("Linux host 6.8.12-4-pve #1 SMP x86_64 GNU/Linux\n").linux())
                .isPresent();
    }
}
