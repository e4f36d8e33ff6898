// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GroupListingReaderTest {
    private static final Source SOURCE = new Source("groups.txt", Rank.LSPCI);

    private static HostEvidence read(String text) {
        EvidenceBuilder host = HostEvidence.builder("host");
        GroupListingReader.read(text.lines().toList(), SOURCE, host);
        return host.build();
    }

    /** Group by address without its domain. */
    private static Map<String, Integer> groups(String text) {
        Map<String, Integer> groups = new TreeMap<>();
        read(text)
                .functions()
                .forEach(function -> function.group()
                        .ifPresent(group ->
                                groups.put(function.address().toString().substring(5), group.value())));
        return groups;
    }

    // --- where a heading ends ---

    @Test
    void anEmptyLineEndsAHeading() {
        assertThat(groups("""
                IOMMU Group 4:
                \t00:1c.0 PCI bridge [0604]: Maker Port [8086:a110]

                04:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]
                """)).containsOnly(Map.entry("00:1c.0", 4));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "and the network card:",
                "My card 04:00.1 is missing here",
                "$ lspci -nnk",
                "```",
                "Kernel command line: quiet",
                "group 4 is not viable"
            })
    void theFirstLineThatIsNoMemberEndsAHeading(String other) {
        assertThat(groups("IOMMU Group 4:\n\t00:1c.0 PCI bridge [0604]: Maker Port [8086:a110]\n" + other
                        + "\n\t04:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]\n"))
                .containsOnly(Map.entry("00:1c.0", 4));
    }

    @Test
    void aTitleThatIsNotIndentedAsMembersAreIsOfAnotherListing() {
        String listing = "IOMMU Group 4:\n\t00:1c.0 PCI bridge: Maker Port\n04:00.0 Ethernet controller: Maker Card\n";
        assertThat(groups(listing)).containsOnly(Map.entry("00:1c.0", 4));
        assertThat(groups(listing.replace("\t", "")))
                .as("where no member is indented")
                .containsOnly(Map.entry("00:1c.0", 4), Map.entry("04:00.0", 4));
        assertThat(groups("Group 4: 00:1c.0 PCI bridge: Maker Port\n04:00.0 Ethernet controller: Maker Card\n"))
                .as("behind a heading with its member")
                .containsOnly(Map.entry("00:1c.0", 4));
    }

    @Test
    void detailsOfAMemberEndNoHeadingAndTellItsDriver() {
        HostEvidence host = read("""
                IOMMU Group 4:
                \t04:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]
                \t\tSubsystem: Maker Board [8086:0001]
                \t\tKernel driver in use: e1000e
                \t\tKernel modules: e1000e
                \t04:00.1 USB controller [0c03]: Maker USB [8086:10d4]
                USB:\t\t[1d6b:0002]\t\t Bus 001 Device 001                       Linux Foundation 2.0 root hub
                \t04:00.2 Serial controller [0700]: Maker UART [8086:10d5]
                """);
        assertThat(host.groups().get(4).members()).hasSize(3);
        assertThat(host.function(PciAddress.parse("04:00.0")).orElseThrow().driver())
                .hasValueSatisfying(driver -> assertThat(driver.value()).isEqualTo("e1000e"));
        assertThat(host.function(PciAddress.parse("04:00.2")).orElseThrow().driver())
                .isEmpty();
    }

    @Test
    void aUnitIsThatOfTheTreeBelowItAndOfNothingBehindTheTree() {
        HostEvidence host = read("""
                IOMMU: dmar1
                  IOMMU Group: 4
                    Group Device: 0000:04:00.0 - Ethernet controller [0200]: Maker
                  IOMMU Group: 5
                    Group Device: 0000:05:00.0 - Ethernet controller [0200]: Maker

                IOMMU Group 6:
                \t06:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]
                """);
        assertThat(host.groups().keySet()).containsExactly(4, 5, 6);
        assertThat(host.functions())
                .extracting(function -> function.unit().map(Fact::value).orElse("none"))
                .containsExactly("dmar1", "dmar1", "none");
    }

    // --- what is no heading ---

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\tIOMMU group: 3",
                "        IOMMU group: 3",
                "IOMMU group: 3",
                "IOMMUGroup:\t3",
                "Group 3 is shared with the card below",
                "group 3 is not viable"
            })
    void linesOfLspciAndSentencesAreNoHeadings(String line) {
        assertThat(GroupListingReader.recognises(line)).isFalse();
        assertThat(groups(line + "\n04:00.0 Ethernet controller: Maker Card\n")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "IOMMU Group 3",
                "IOMMU Group: 3",
                "IOMMU group 3:",
                "  IOMMU Group: 3",
                "### Group 3 ###",
                "==== IOMMU Group 3 ====",
                "IOMMU_GROUP_3",
                "IOMMU Group #3 (1 device)",
                "Group 3 devices:"
            })
    void headingsHaveManyForms(String heading) {
        assertThat(GroupListingReader.recognises(heading)).isTrue();
        assertThat(groups(heading + "\n    04:00.0 Ethernet controller: Maker Card\n"))
                .containsOnly(Map.entry("04:00.0", 3));
    }

    @Test
    void aNumberInBracketsBeforeAnAddressIsAGroup() {
        assertThat(groups(" (3) 04:00.0 Ethernet controller: Maker\n(12) 0000:05:00.0 VGA controller: Maker\n"))
                .containsOnly(Map.entry("04:00.0", 3), Map.entry("05:00.0", 12));
        assertThat(GroupListingReader.recognises("(3) 04:00 we met")).isFalse();
    }

    @Test
    void membersOnOneLineAreAllRead() {
        assertThat(groups("IOMMU Group 3: 0000:04:00.0 0000:04:00.1, 0000:04:00.2\n"))
                .containsOnly(Map.entry("04:00.0", 3), Map.entry("04:00.1", 3), Map.entry("04:00.2", 3));
        assertThat(List.copyOf(groups("IOMMU Group 3 04:00.0 Bridge: Maker of 05:00.0 and 06:00.0\n")
                        .keySet()))
                .containsExactly("04:00.0");
    }

    @Test
    void columnsAndTagsTellClassNameAndIds() {
        HostEvidence host = read("""
                Group 3:\t[8086:a110] [R] 00:1c.0  PCI bridge                               Maker Port: x4
                \t\t[8086:10d3]     04:00.0  Ethernet controller [0200]               Maker Card
                IOMMU group 5:\t[8086:1616] 00:02.0 VGA compatible controller: Maker Graphics (rev 09)
                """);
        FunctionEvidence port = host.function(PciAddress.parse("00:1c.0")).orElseThrow();
        assertThat(port.bridge()).isEqualTo(Answer.YES);
        assertThat(port.name()).contains("Maker Port: x4");
        assertThat(port.deviceId()).hasValue(0xa110);
        assertThat(host.function(PciAddress.parse("04:00.0")).orElseThrow().classCode())
                .hasValue(0x0200);
        FunctionEvidence graphics = host.function(PciAddress.parse("00:02.0")).orElseThrow();
        assertThat(graphics.name()).contains("Maker Graphics");
        assertThat(graphics.vendorId()).hasValue(0x8086);
    }
}
