// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Groups that no input lists, and why functions are in one. */
class AuditedGroupsTest {
    private static final String HOST_BRIDGE = Hosts.function("00:00.0 Host bridge [0600]: Maker Host [1234:0001]");
    private static final String ENDPOINT =
            Hosts.express("05:00.0 VGA compatible controller [0300]: Maker Card [1234:0002]", "Endpoint", true);

    @TempDir
    private Path folder;

    private Hosts host;

    @BeforeEach
    void oneUnitForAll() throws IOException {
        host = new Hosts(folder).dmar(Hosts.unit(0xfed9_1000L, true));
    }

    private static String rootPort(String ids) {
        return Hosts.port("00:02.0 PCI bridge [0604]: Maker Port [" + ids + "]", "Root Port (Slot+)", "03", "05");
    }

    private static String upstream() {
        return Hosts.port("03:00.0 PCI bridge [0604]: Maker Switch [1234:0004]", "Upstream Port", "04", "05");
    }

    private static String downstream(boolean on) {
        return Hosts.port("04:00.0 PCI bridge [0604]: Maker Switch [1234:0005]", "Downstream Port (Slot-)", "05", "05")
                + Hosts.acs(on);
    }

    /** Firmware leaves ACS off; Linux turns it on once it has found an IOMMU, before it forms groups. */
    @Test
    void whereNothingTellsThatTheIommuIsInUseGroupsAreAsLinuxFormsThemWithAcsOn() throws IOException {
        Audit audit = host.lspci(
                        HOST_BRIDGE, rootPort("1234:0003") + Hosts.acs(false), upstream(), downstream(false), ENDPOINT)
                .audit("6.1");

        assertThat(audit.iommuInUse()).isEqualTo(Answer.UNKNOWN);
        assertThat(Hosts.groups(audit)).containsExactly("00:00.0", "00:02.0", "03:00.0", "04:00.0", "05:00.0");
        assertThat(audit.warnings())
                .anyMatch(warning -> warning.contains("no input lists groups") && warning.contains("ACS turned on"));
    }

    @Test
    void whereTheIommuIsInUseAcsIsAsLinuxLeftIt() throws IOException {
        Audit audit = host.lspci(
                        HOST_BRIDGE, rootPort("1234:0003") + Hosts.acs(false), upstream(), downstream(true), ENDPOINT)
                .text("dmesg.txt", Hosts.LOG + Hosts.UNIT1)
                .audit("6.1");

        assertThat(Hosts.groups(audit)).containsExactly("00:00.0", "00:02.0 03:00.0 04:00.0 05:00.0");
        assertThat(audit.groups().get(1).together())
                .extracting(Reason::text)
                .containsExactly("port 0000:00:02.0 does not isolate the functions below it (its ACS is off)");
    }

    /** An upstream port alone in its device has nobody to be kept apart from. */
    @Test
    void onlyPortsThatDoNotIsolateAreBlamed() throws IOException {
        Audit audit = host.lspci(HOST_BRIDGE, rootPort("1234:0003"), upstream(), downstream(false), ENDPOINT)
                .audit("6.1");

        assertThat(Hosts.groups(audit)).containsExactly("00:00.0", "00:02.0 03:00.0 04:00.0 05:00.0");
        assertThat(audit.groups().get(1).together())
                .extracting(Reason::text)
                .containsExactly("port 0000:00:02.0 does not isolate the functions below it (no ACS)");
    }

    @Test
    void aPortThatIsolatesInItsOwnWayIsNotBlamed() throws IOException {
        Audit audit = host.lspci(HOST_BRIDGE, rootPort("8086:8c10"), upstream(), downstream(false), ENDPOINT)
                .audit("6.1");

        assertThat(Hosts.groups(audit)).containsExactly("00:00.0", "00:02.0", "03:00.0", "04:00.0", "05:00.0");
    }

    @Test
    void aBridgeToConventionalPciIsBlamedForGivingAllRequestsOneId() throws IOException {
        Audit audit = host.lspci(
                        HOST_BRIDGE,
                        rootPort("1234:0003") + Hosts.acs(false),
                        Hosts.port(
                                "03:00.0 PCI bridge [0604]: Maker Bridge [1234:0006]",
                                "PCI-Express to PCI/PCI-X Bridge",
                                "04",
                                "04"),
                        Hosts.function("04:01.0 Ethernet controller [0200]: Maker Card [1234:0007]"))
                .audit("6.1");

        assertThat(Hosts.groups(audit)).containsExactly("00:00.0", "00:02.0", "03:00.0 04:01.0");
        assertThat(audit.groups().get(2).together())
                .extracting(Reason::text)
                .containsExactly("bridge 0000:03:00.0 to conventional PCI gives all requests one requester ID");
    }

    @Test
    void groupsExistOnlyWhereTheIommuIsInUse() throws IOException {
        Audit audit = host.text(
                        "groups.txt", "IOMMU Group 1 00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]\n")
                .audit("6.1");
        assertThat(audit.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(audit.warnings()).noneMatch(warning -> warning.contains("whether Linux uses the IOMMU"));

        Audit listed = new Hosts(Files.createDirectory(folder.resolve("listed")))
                .dmar(Hosts.unit(0xfed9_1000L, true))
                .lspci(HOST_BRIDGE, ENDPOINT + "\tIOMMU group: 7\n")
                .audit("6.1");
        assertThat(listed.iommuInUse()).isEqualTo(Answer.YES);
    }
}
