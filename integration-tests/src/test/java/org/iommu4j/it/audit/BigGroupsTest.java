// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.iommu4j.audit.Assignment;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.Hosts;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.workbench.audit.AuditHtml;
import org.iommu4j.workbench.audit.AuditJson;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Groups of more functions than a report can name one by one for each of them. */
class BigGroupsTest {
    private static final int MANY = 4_000;
    private static final String CLAIM = "Linux iommu_group_claim_dma_owner";

    @TempDir
    Path folder;

    @Test
    @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void thousandsOfBoundFunctionsInOneGroupAreToldInSecondsAndInFewWords() throws IOException {
        Audit audit = host(MANY, unused -> "e1000e").audit("6.1");

        AuditedDevice first = Hosts.device(audit, "00:00.0");
        assertThat(first.assignable()).isEqualTo(Answer.NO);
        assertThat(first.obstacles()).hasSize(9);
        assertThat(first.obstacles().get(0).text()).startsWith("0000:00:00.1 of the same group is bound to e1000e");
        assertThat(first.obstacles().get(8).text()).isEqualTo("and 3991 more of the same group");
        assertThat(first.why()).containsAll(first.obstacles()).hasSizeLessThan(20);
        assertThat(first.hints())
                .filteredOn(hint -> hint.source().equals(CLAIM))
                .singleElement()
                .satisfies(hint -> assertThat(hint.text())
                        .startsWith("assign 0000:00:00.0, ")
                        .contains(" and 3991 more of group 1 to the same guest"));
        assertThat(audit.groups())
                .singleElement()
                .satisfies(group -> assertThat(group.blame())
                        .as("what is told once is told in full")
                        .hasSize(MANY));

        assertThat(AuditJson.of(audit).length()).isLessThan(MANY * 4_096);
        assertThat(AuditHtml.of(audit).length()).isLessThan(MANY * 4_096);
    }

    @Test
    @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void thousandsOfFunctionsOfUnknownDriverAreToldInFewWordsToo() throws IOException {
        AuditedDevice last = Hosts.device(host(MANY, unused -> "").audit("6.1"), "0f:13.7");
        assertThat(last.assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(last.obstacles()).hasSize(9);
        assertThat(last.obstacles().get(8).text()).isEqualTo("and 3991 more of the same group");
    }

    @Test
    @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void aVirtualMachineGetsAllButTwoOfThousands() throws IOException {
        String[] all =
                IntStream.range(0, MANY - 2).mapToObj(BigGroupsTest::address).toArray(String[]::new);
        Assignment asked = host(MANY, unused -> "e1000e").audit("6.1", all).assignment();
        assertThat(asked).isNotNull();
        assertThat(asked.assignable()).isEqualTo(Answer.NO);
        assertThat(asked.obstacles())
                .extracting(Reason::text)
                .containsExactly(
                        address(MANY - 2) + " of the same group is bound to e1000e",
                        address(MANY - 1) + " of the same group is bound to e1000e");
    }

    @Test
    void anOrdinaryGroupIsToldInFull() throws IOException {
        Audit audit = host(9, unused -> "e1000e").audit("6.1");
        AuditedDevice middle = Hosts.device(audit, "00:00.4");
        assertThat(middle.obstacles())
                .extracting(reason -> reason.text().substring(0, 12))
                .containsExactly(
                        "0000:00:00.0",
                        "0000:00:00.1",
                        "0000:00:00.2",
                        "0000:00:00.3",
                        "0000:00:00.5",
                        "0000:00:00.6",
                        "0000:00:00.7",
                        "0000:00:01.0");
        assertThat(middle.hints())
                .extracting(Reason::text)
                .contains("assign "
                        + Assignment.join(audit.groups().get(0).devices())
                        + " of group 1 to the same guest as well, or unbind from the driver");
    }

    @Test
    void oneMoreThanIsNamedIsCounted() throws IOException {
        AuditedDevice first = Hosts.device(host(10, unused -> "e1000e").audit("6.1"), "00:00.0");
        assertThat(first.obstacles()).hasSize(9);
        assertThat(first.obstacles().get(8).text()).isEqualTo("and 1 more of the same group");
    }

    @Test
    void aFunctionWhoseDriverIsNoObstacleIsNotCountedAgainstTheOthers() throws IOException {
        Audit audit =
                host(10, function -> function == 0 ? "vfio-pci" : "e1000e").audit("6.1");
        assertThat(Hosts.device(audit, "00:00.0").obstacles()).hasSize(9);
        assertThat(Hosts.device(audit, "00:00.1").obstacles()).hasSize(8);
    }

    @Test
    void directRegionsOfABigGroupAreCountedForEachOfItsFunctions() throws IOException {
        int functions = 12;
        for (int i = 0; i < functions; i++) {
            Path function = folder.resolve("sys/bus/pci/devices/" + address(i));
            Files.createDirectories(function);
            Files.writeString(function.resolve("class"), "0x020000\n");
            Path devices = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/1/devices"));
            Files.createDirectories(devices.resolve(address(i)));
        }
        Files.writeString(
                folder.resolve("sys/kernel/iommu_groups/1/reserved_regions"),
                "0x00000000000a0000 0x00000000000bffff direct\n0x00000000fee00000 0x00000000feefffff msi\n");
        AuditedDevice last = Hosts.device(
                new Hosts(folder)
                        .tree(folder)
                        .text("dmesg.txt", Hosts.LOG + Hosts.UNIT0)
                        .audit("6.6"),
                "00:01.3");
        assertThat(last.assignable()).isEqualTo(Answer.NO);
        List<String> regions = last.obstacles().stream()
                .filter(reason -> reason.source().contains("require_direct"))
                .map(Reason::text)
                .toList();
        assertThat(regions).hasSize(9).last().isEqualTo("and 4 more of the same group");
        assertThat(regions.get(0)).startsWith("0000:00:00.0 needs memory 0xa0000 to 0xbffff");
    }

    /** A host whose functions are all in group 1; a driver without a name is not known. */
    private Hosts host(int functions, IntFunction<String> driver) throws IOException {
        StringBuilder listing = new StringBuilder();
        for (int i = 0; i < functions; i++) {
            listing.append(address(i))
                    .append(" Ethernet controller [0200]: Maker Card [8086:10d3]\n\tIOMMU group: 1\n");
            if (!driver.apply(i).isEmpty()) {
                listing.append("\tKernel driver in use: ")
                        .append(driver.apply(i))
                        .append('\n');
            }
            listing.append('\n');
        }
        return new Hosts(folder)
                .dmar(Hosts.unit(0xfed9_0000L, true))
                .text("lspci.txt", listing.toString())
                .text("dmesg.txt", Hosts.LOG + Hosts.UNIT0);
    }

    private static String address(int function) {
        return PciAddress.of(0, function).toString();
    }
}
