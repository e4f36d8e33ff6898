// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Facts that only one kind of input has, and what becomes of them in the answer. */
class AuditDetailsTest {
    private static final String HOST_BRIDGE = Hosts.function("00:00.0 Host bridge [0600]: Maker Host [1234:0001]");
    private static final String CARD = Hosts.function("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]");

    @TempDir
    private Path folder;

    @Test
    void aContradictionComesBeforeAllElseBelowTheVerdict() throws IOException {
        Audit audit = new Hosts(folder)
                .lspci(HOST_BRIDGE, CARD)
                .text("one.txt", Hosts.LOG + Hosts.UNIT0)
                .text("two.txt", Hosts.LOG + Hosts.UNIT0.replace("f0505a", "f050da"))
                .audit("6.1");
        assertThat(audit.contradictions()).isNotEmpty();
        assertThat(Headline.lines(audit).get(0))
                .isEqualTo(new Line("contradiction", audit.contradictions().get(0)));
    }

    @ParameterizedTest
    @CsvSource({"direct, NO", "direct-relaxable, YES"})
    void directMemoryIsKnownFromTheGroupsOfLinuxWhereNoTableIs(String type, Answer assignable) throws IOException {
        Path tree = folder.resolve("tree");
        String card = "0000:00:03.0";
        Path device = Files.createDirectories(tree.resolve("sys/bus/pci/devices/" + card));
        Files.writeString(device.resolve("class"), "0x020000\n");
        Files.createDirectories(tree.resolve("sys/bus/pci/drivers"));
        Path unit = Files.createDirectories(tree.resolve("sys/class/iommu/dmar0/intel-iommu"));
        Files.writeString(unit.resolve("address"), "fed90000\n");
        Files.writeString(unit.resolve("version"), "1:0\n");
        Files.writeString(unit.resolve("cap"), "d2008c40660462\n");
        Files.writeString(unit.resolve("ecap"), "f0505a\n");
        Files.createSymbolicLink(device.resolve("iommu"), Path.of("../../../../class/iommu/dmar0"));
        Path group = Files.createDirectories(tree.resolve("sys/kernel/iommu_groups/4/devices/" + card))
                .getParent()
                .getParent();
        Files.createSymbolicLink(device.resolve("iommu_group"), Path.of("../../../../kernel/iommu_groups/4"));
        Files.writeString(group.resolve("reserved_regions"), "0x000000007a000000 0x000000007affffff " + type + "\n");
        Files.writeString(tree.resolve("dmesg.txt"), Hosts.LOG + "Run /init as init process\n");
        AuditedDevice audited = Hosts.device(new Hosts(folder).tree(tree).audit("6.6"), card);
        assertThat(audited.assignableWithGroup()).isEqualTo(assignable);
        assertThat(audited.obstacles().stream().map(Reason::text).anyMatch(text -> text.contains("0x7a000000")))
                .isEqualTo(assignable == Answer.NO);
        assertThat(audited.guest())
                .as("the unit's registers are those of sysfs")
                .isEqualTo(Guest.NONCOHERENT);
    }
}
