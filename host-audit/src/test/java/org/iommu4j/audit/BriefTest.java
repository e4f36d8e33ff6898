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

    private List<String> brief(String log, List<String> functions, String... assigned) throws IOException {
        return Brief.of(new Hosts(folder)
                .vendors(vendor)
                .lspci(functions.toArray(String[]::new))
                .text("dmesg.txt", log)
                .audit("6.6", assigned));
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
                        "WARN  02:00.0 VGA compatible controller: Maker Card: group 1, with 1 other (SATA",
                        "      controller) [another slot, or ACS in firmware]",
                        "FAIL  03:00.0 of its group has driver ahci [unbind, or assign it too]");
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "nouveau"))))
                .contains("WARN  02:00.0 has driver nouveau [vfio-pci.ids=1234:0003]");
    }

    @Test
    void memoryThatFirmwareKeepsFails() throws IOException {
        vendor.has("02:00.0", "v0", Answer.YES, Regions.DIRECT);
        assertThat(brief(Hosts.LOG, List.of(CARD + Hosts.in(1, "vfio-pci"))))
                .anyMatch(line -> line.startsWith("FAIL  02:00.0: firmware reserves memory"));
    }

    @Test
    void aGuestThatIsNotCoherentIsWarnedOfWithItsCost() throws IOException {
        assertThat(brief(Hosts.LOG, List.of(DISK + Hosts.in(2, "vfio-pci")), "03:00.0"))
                .endsWith(
                        "WARN  guests are not coherent with 03:00.0",
                        "      [they work, but slower: WBINVD flushes the host's caches]");
    }

    @Test
    void anIommuThatIsOffFailsWithWhatTurnsItOn() throws IOException {
        vendor.parameter("v_iommu", "on", Effect.ENABLES);
        String log = "Linux version 6.1.0-9-amd64 (x@y) #1\nRun /init as init process\n";
        assertThat(brief(log, List.of(CARD)))
                .contains("FAIL  IOMMU off [boot with v_iommu=on]")
                .contains(
                        "WARN  coherent: NONCOHERENT behind v1, COHERENT behind v0; the device's unit is",
                        "      unknown [turn the IOMMU on first]")
                .anyMatch(line -> line.startsWith("FAIL  interrupt remapping off"));
    }

    @Test
    void manyDevicesStayWithinTheLinesAndNothingNamesTheHost() throws IOException {
        String[] functions = new String[9];
        for (int i = 0; i < functions.length; i++) {
            functions[i] = CARD.replace("02:00.0", "02:0" + i + ".0") + Hosts.in(i, "nouveau");
        }
        List<String> lines = brief(Hosts.LOG, List.of(functions));
        assertThat(lines)
                .hasSizeLessThanOrEqualTo(Brief.LINES)
                .contains("      7 more devices to assign [iommu4j audit --brief --assign BDF]");
        assertThat(lines).noneMatch(line -> line.contains("dmesg.txt") || line.contains(folder.toString()));
    }
}
