// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.KernelParameter.Effect;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An audit in a few lines: each prerequisite has its line, and what fails has its remedy. */
class BriefTest {
    private static final String CARD =
            Hosts.function("02:00.0 VGA compatible controller [0300]: Maker Card [1234:0003]");
    private static final String DISK = Hosts.function("03:00.0 SATA controller [0106]: Maker Disk [1234:0005]");

    @TempDir
    private Path folder;

    private final MadeUpVendor vendor = new MadeUpVendor("v")
            .rule(CoherencyRule.PER_DEVICE)
            .unit("v0", Answer.YES, Answer.YES)
            .unit("v1", Answer.NO, Answer.NO)
            .has("02:00.0", "v0", Answer.YES)
            .has("03:00.0", "v1", Answer.NO);

    private List<String> lines(String log, List<String> functions, String... assigned) throws IOException {
        return Brief.of(new Hosts(folder)
                .vendors(vendor)
                .lspci(functions.toArray(String[]::new))
                .text("dmesg.txt", log)
                .audit("6.6", assigned));
    }

    /** Returns the lines before they are broken. */
    private List<String> brief(String log, List<String> functions, String... assigned) throws IOException {
        return String.join("\n", lines(log, functions, assigned))
                .replaceAll("\n {6}(?! )", " ")
                .lines()
                .toList();
    }

    @Test
    void aHostThatIsReadyPasses() throws IOException {
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "vfio-pci"))))
                .containsExactly(
                        "iommu4j audit, Linux 6.1 by the rules of 6.6",
                        "PASS  IOMMU on: v0, v1",
                        "PASS  interrupt remapping on",
                        "PASS  02:00.0 VGA compatible controller: Maker Card: group 1, alone",
                        "PASS  02:00.0: no memory reserved by firmware",
                        "WARN  02:00.0 reset unknown [cat /sys/bus/pci/devices/0000:02:00.0/reset_method]",
                        "PASS  02:00.0: no driver in the way",
                        "PASS  guests are coherent: no-snoop is blocked");
    }

    @Test
    void whoGoesAlongAndWhichDriverIsInTheWayIsSaid() throws IOException {
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "nouveau"), DISK + Hosts.in(1, "ahci")), "02:00.0"))
                .contains(
                        "WARN  02:00.0 VGA compatible controller: Maker Card: group 1, with 1 other (SATA controller)"
                                + " [another slot, or ACS in firmware]",
                        "FAIL  02:00.0 has driver nouveau, 03:00.0 of its group has driver ahci"
                                + " [unbind, or assign it too]");
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "nouveau"))))
                .contains("WARN  02:00.0 has driver nouveau [vfio-pci.ids=1234:0003]");
    }

    @Test
    void memoryThatFirmwareKeepsFails() throws IOException {
        vendor.has("02:00.0", "v0", Answer.YES, Regions.DIRECT);
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "vfio-pci"))))
                .anyMatch(line -> line.startsWith("FAIL  02:00.0: firmware reserves memory"));
    }

    /** The units may know of no memory, and the log has Linux's refusal. */
    @Test
    void whatLinuxRefusedForReservedMemoryFails() throws IOException {
        String refusal = "vfio-pci 0000:02:00.0: Firmware has requested this device have a 1:1 IOMMU mapping,"
                + " rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.\n";
        assertThat(brief(Hosts.LOG + refusal, List.of(CARD + Hosts.in(1, "vfio-pci"))))
                .anyMatch(line -> line.startsWith("FAIL  02:00.0: firmware reserves memory"))
                .noneMatch(line -> line.contains("is unknown"))
                .last()
                .isEqualTo("FAIL  VFIO refuses every device; guests would be coherent [audit --assign BDF says why]");
    }

    @Test
    void theDevicesThatVfioHasComeFirst() throws IOException {
        String network = Hosts.function("04:00.0 Ethernet controller [0200]: Maker Net [1234:0004]");
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "nouveau"), network + Hosts.in(3, "vfio-pci"))))
                .element(3)
                .asString()
                .startsWith("PASS  04:00.0 Ethernet controller");
    }

    /** An option that takes the second card as well would take it from the host. */
    @Test
    void idsOfTwoCardsAreNoRemedyForOne() throws IOException {
        String twin = Hosts.function("05:00.0 VGA compatible controller [0300]: Maker Card [1234:0003]");
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "nouveau"), twin + Hosts.in(3, "nouveau")), "02:00.0"))
                .contains("WARN  02:00.0 has driver nouveau [driverctl set-override 0000:02:00.0 vfio-pci;"
                        + " its ids take 05:00.0 too]");
    }

    @Test
    void allFunctionsOfACardAreBoundByOneOption() throws IOException {
        String audio = Hosts.function("02:00.1 Audio device [0403]: Maker Sound [1234:0006]");
        vendor.has("02:00.1", "v0", Answer.YES);
        assertThat(brief(
                        Hosts.LOG,
                        List.of(CARD + Hosts.in(1, "nouveau"), audio + Hosts.in(1, "snd_hda_intel")),
                        "02:00.0"))
                .contains("FAIL  02:00.0 has driver nouveau, 02:00.1 of its group has driver snd_hda_intel"
                        + " [vfio-pci.ids=1234:0003,1234:0006]");
    }

    /** A log names the members of groups, and rarely what they are. */
    @Test
    void aMemberThatMayBeABridgeIsNoStranger() throws IOException {
        String port = "pci 0000:00:01.0: Adding to iommu group 1\n";
        vendor.has("00:01.0", "v0", Answer.YES);
        assertThat(brief(Hosts.LOG + port, List.of(CARD + Hosts.in(1, "vfio-pci")), "02:00.0"))
                .contains("WARN  02:00.0 VGA compatible controller: Maker Card: group 1, with 1 of unknown class,"
                        + " which stay if they are bridges [lspci -nn]");
    }

    @Test
    void theOverrideOfAcsIsWarnedOfWhereNoDeviceIsNamed() throws IOException {
        assertThat(brief(
                        Hosts.LOG + "Warning: PCIe ACS overrides enabled; This may allow non-IOMMU protected"
                                + " peer-to-peer DMA\n",
                        List.of(DISK + Hosts.in(1, "ahci"))))
                .contains("WARN  groups: isolation not real [pcie_acs_override: for trusted guests only]");
    }

    @Test
    void underXenItsCommandsAreTheRemedies() throws IOException {
        assertThat(brief("Linux version 6.1.0 (x) #1\nBooting paravirtualized kernel on Xen\n", List.of(CARD)))
                .containsExactly(
                        "iommu4j audit, Linux 6.1 by the rules of 6.6",
                        "WARN  Xen has the IOMMU and assigns devices itself; VFIO's and KVM's rules do not hold"
                                + " [xl pci-assignable-list]",
                        "WARN  coherent: unknown [sudo xl dmesg | grep -i snoop]");
    }

    @Test
    void aGuestThatIsNotCoherentIsWarnedOfWithItsCost() throws IOException {
        assertThat(brief(Hosts.LOG, List.of(DISK + Hosts.in(2, "vfio-pci")), "03:00.0"))
                .endsWith("WARN  guests are not coherent with 03:00.0"
                        + " [they work, but slower: WBINVD flushes the host's caches]");
    }

    @Test
    void anIommuThatIsOffFailsWithWhatTurnsItOn() throws IOException {
        vendor.parameter("v_iommu", "on", Effect.ENABLES);
        String log = "Linux version 6.1.0-9-amd64 (x@y) #1\nRun /init as init process\n";
        assertThat(brief(log, List.of(CARD)))
                .contains("FAIL  IOMMU off [boot with v_iommu=on]")
                .contains("WARN  coherent: NONCOHERENT behind v1, COHERENT behind v0; the device's unit is unknown"
                        + " [turn the IOMMU on first]")
                .anyMatch(line -> line.startsWith("FAIL  interrupt remapping off"));
    }

    @Test
    void manyDevicesStayWithinTheLinesAndNothingNamesTheHost() throws IOException {
        String[] functions = new String[9];
        for (int i = 0; i < functions.length; i++) {
            functions[i] = CARD.replace("02:00.0", "02:0" + i + ".0") + Hosts.in(i, "nouveau");
        }
        List<String> lines = lines(Hosts.LOG, List.of(functions));
        assertThat(lines)
                .hasSizeLessThanOrEqualTo(Brief.LINES)
                .contains("      8 more devices to assign [iommu4j audit --brief --assign BDF]")
                .allMatch(line -> line.length() <= Brief.WIDTH)
                .noneMatch(line -> line.contains("dmesg.txt") || line.contains(folder.toString()));
    }

    /** Only what is to be pasted may be longer than a terminal is wide: it is never broken. */
    @Test
    void linesFitATerminalAndWhatIsToBePastedIsWhole() throws IOException {
        String twin = Hosts.function("05:00.0 VGA compatible controller [0300]: Maker Card [1234:0003]");
        assertThat(lines(Hosts.LOG, List.of(CARD + Hosts.in(1, "nouveau"), twin + Hosts.in(3, "nouveau")), "02:00.0"))
                .contains(
                        "WARN  02:00.0 has driver nouveau",
                        "      [driverctl set-override 0000:02:00.0 vfio-pci; its ids take 05:00.0 too]")
                .allMatch(line -> line.length() <= Brief.WIDTH);
        assertThat(lines(Hosts.LOG, List.of(DISK + Hosts.in(2, "vfio-pci")), "03:00.0"))
                .allMatch(line -> line.length() <= Brief.WIDTH);
    }
}
