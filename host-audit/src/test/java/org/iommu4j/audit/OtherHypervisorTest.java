// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Hosts on which Xen has the IOMMU. */
class OtherHypervisorTest {
    private static final String LOG = """
            Linux version 6.1.62-1.fc37.x86_64 (x@y) #1 SMP
            %s
            pci 0000:00:00.0: [8086:9b61] type 00 class 0x060000
            pci 0000:00:14.0: [8086:02ed] type 00 class 0x0c0330
            Run /init as init process
            """;

    @TempDir
    private Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Booting paravirtualized kernel on Xen",
                "Booting paravirtualized kernel on Xen PV",
                "Xen version: 4.17.2 (preserve-AD)",
                "Hypervisor detected: Xen PV"
            })
    void aLinuxThatXenRunsAnswersNothingAboutGuests(String line) throws IOException {
        Audit audit = new Hosts(folder).text("dmesg.txt", LOG.formatted(line)).audit("6.1", "00:14.0");
        assertThat(audit.iommuInUse()).isEqualTo(Answer.UNKNOWN);
        assertThat(audit.devices()).hasSize(2).allSatisfy(device -> {
            assertThat(device.guest()).isEqualTo(Guest.UNKNOWN);
            assertThat(device.assignable()).isEqualTo(Answer.UNKNOWN);
        });
        Assignment asked = audit.assignment();
        assertThat(asked).isNotNull();
        assertThat(asked.assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(asked.guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(audit.warnings()).singleElement().asString().contains("Xen", "xl dmesg", "Snoop Control");
        assertThat(audit.hints()).isEmpty();
        assertThat(Headline.verdict(audit)).contains("UNKNOWN", "Xen has the IOMMU");
        assertThat(audit.ruleInWords()).contains("no rule", "Xen");
        assertThat(Headline.lines(audit)).contains(new Line("settle it", "sudo xl dmesg | grep -i snoop"));
    }

    @ParameterizedTest
    @CsvSource({"enabled, it blocks no-snoop", "not enabled, no-snoop may pass"})
    void xensOwnAnswerIsRepeated(String state, String words) throws IOException {
        String own = "(XEN) Xen version 4.17.2 (x@y)\n(XEN) Command line: iommu=no-snoop\n"
                + "(XEN) Intel VT-d Snoop Control " + state + ".\n(XEN) [VT-D]DMAR:[DMA Read] Request device\n";
        Audit alone = new Hosts(folder).text("xl-dmesg.txt", own).audit("6.1");
        assertThat(alone.warnings()).singleElement().asString().contains(words);
        assertThat(alone.units()).isEmpty();
        Audit console = new Hosts(folder)
                .text("console.txt", own + LOG.formatted("Booting paravirtualized kernel on Xen"))
                .audit("6.1");
        assertThat(console.warnings()).singleElement().asString().contains(words);
    }

    @Test
    void aLaterBootWithoutXenIsLinuxsOwn() throws IOException {
        Audit audit = new Hosts(folder)
                .text("log.txt", LOG.formatted("Booting paravirtualized kernel on Xen") + LOG.formatted("native"))
                .audit("6.1");
        assertThat(audit.iommuInUse()).isEqualTo(Answer.NO);
    }

    @Test
    void aTreeNamesXenToo() throws IOException {
        Files.createDirectories(folder.resolve("tree/sys/hypervisor"));
        Files.createDirectories(folder.resolve("tree/sys/bus/pci/devices"));
        Files.writeString(folder.resolve("tree/sys/hypervisor/type"), "xen\n");
        Audit audit = new Hosts(folder).tree(folder.resolve("tree")).audit("6.1");
        assertThat(audit.ruleInWords()).contains("Xen");
    }
}
