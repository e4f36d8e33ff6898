// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.TreeMap;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the readers make of the small inputs that people paste, whose right answers are known. */
class PastedReportsTest {
    private static HostEvidence read(String report) {
        return HostInputs.withInstalledVendors()
                .path(SharedData.path("data/reports/" + report))
                .read();
    }

    private static FunctionEvidence function(HostEvidence host, String address) {
        return host.function(PciAddress.parse(address)).orElseThrow();
    }

    private static Map<String, Integer> groups(HostEvidence host) {
        Map<String, Integer> groups = new TreeMap<>();
        host.functions()
                .forEach(function -> function.group()
                        .ifPresent(group ->
                                groups.put(function.address().toString().substring(5), group.value())));
        return groups;
    }

    private static String driver(HostEvidence host, String address) {
        return function(host, address).driver().map(Fact::value).orElse("unknown");
    }

    @Test
    void aListingOfGroupsEndsWhereOtherTextBegins() {
        HostEvidence host = HostInputs.withInstalledVendors()
                .groups(SharedData.path("data/reports/07-listing-then-other-text/post.txt"))
                .lspci(SharedData.path("data/reports/07-listing-then-other-text/post.txt"))
                .read();
        assertThat(groups(host)).isEqualTo(Map.of("00:01.0", 1, "01:00.0", 1, "00:1f.0", 9));
        assertThat(driver(host, "02:00.0")).isEqualTo("nvme");
        assertThat(driver(host, "03:00.0")).isEqualTo("igc");
    }

    @ParameterizedTest
    @ValueSource(strings = {"headless-lspci-vv.txt", "quoted-lspci-vv.txt"})
    void lspcisOwnLinesAboutGroupsAreNoHeadings(String name) {
        HostEvidence host = read("09-lspci-group-line-as-heading/" + name);
        assertThat(groups(host)).isEqualTo(Map.of("00:14.0", 5, "01:00.0", 14));
        assertThat(driver(host, "00:14.0")).isEqualTo("xhci_hcd");
        assertThat(driver(host, "01:00.0")).isEqualTo("vfio-pci");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "bom.txt",
                "double-spaced.txt",
                "indent-lost.txt",
                "indented-by-markdown.txt",
                "line-numbers.txt",
                "nbsp.txt",
                "quoted.txt",
                "utf16-of-powershell.txt"
            })
    void damageOfPastedTextIsUndone(String name) {
        HostEvidence host = read("18-paste-damage/" + name);
        assertThat(groups(host)).isEqualTo(Map.of("02:00.0", 12));
        assertThat(function(host, "02:00.0").noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(driver(host, "02:00.0")).isEqualTo("nvme");
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void coloursAreNoPartOfHeadingsAndNames() {
        HostEvidence host = read("18-paste-damage/colours-groups.txt");
        assertThat(groups(host)).isEqualTo(Map.of("01:00.0", 1));
        assertThat(function(host, "01:00.0").name()).contains("NVIDIA Corporation GA104");
        assertThat(function(host, "01:00.0").deviceId()).hasValue(0x2484);
    }

    @Test
    void foldedLinesOfALogAreJoined() {
        HostEvidence host = read("19-folded-lines/dmesg.txt");
        assertThat(host.units().keySet()).containsExactly("dmar0", "dmar1");
        assertThat(host.units().get("dmar0").registers().get("ECAP").value()).isEqualTo(0x7e3ff0505eL);
        assertThat(host.units().get("dmar1").registers().get("ECAP").value()).isEqualTo(0xf050daL);
    }

    @Test
    void recordsForProgramsAreReadWhole() {
        HostEvidence host = read("09-lspci-group-line-as-heading/lspci-nnvmm.txt");
        assertThat(groups(host)).isEqualTo(Map.of("00:01.1", 1, "00:02.0", 2, "03:00.0", 4));
        assertThat(function(host, "00:01.1").classCode()).hasValue(0x0604);
        assertThat(function(host, "00:01.1").deviceId()).hasValue(0x1633);
        assertThat(function(host, "00:02.0").name()).contains("Dummy Host Bridge");
        assertThat(function(host, "03:00.0").name()).contains("Advanced Micro Devices, Inc. [AMD/ATI] Cezanne");
        assertThat(driver(host, "03:00.0")).isEqualTo("amdgpu");
    }

    @Test
    void flagsNameTheGroup() {
        HostEvidence host = read("17-lspci-v-flags-group/lspci.txt");
        assertThat(groups(host)).isEqualTo(Map.of("01:00.0", 2, "01:00.1", 2));
        assertThat(driver(host, "01:00.0")).isEqualTo("i40e");
    }

    @Test
    void aListingInColumnsHasClassesNamesAndIds() {
        HostEvidence host = read("30-listing-in-columns/groups.txt");
        assertThat(groups(host)).isEqualTo(Map.of("00:03.1", 14, "09:00.0", 15, "09:00.1", 15, "09:00.2", 15));
        assertThat(function(host, "00:03.1").bridge()).isEqualTo(Answer.YES);
        FunctionEvidence card = function(host, "09:00.0");
        assertThat(card.className()).contains("VGA compatible controller");
        assertThat(card.name()).contains("TU116 [GeForce GTX 1660 SUPER]");
        assertThat(card.vendorId()).hasValue(0x10de);
        assertThat(card.deviceId()).hasValue(0x21c4);
    }

    @Test
    void registersOfDebugfsTellUnitsAndTheirUse() {
        HostEvidence host = read("27-folder-stdin-kernel-tools/iommu_regset.txt");
        assertThat(host.units().keySet()).containsExactly("dmar0", "dmar1");
        assertThat(host.units().get("dmar1").registers().get("ECAP").value()).isEqualTo(0xf050daL);
        assertThat(host.units().get("dmar0").registers().keySet()).contains("CAP", "VER");
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
    }
}
