// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Inputs as people post them, of files that hold or are held by others; beside each lies the right answer. */
class ContainersReportsTest {
    private static final PciAddress GRAPHICS = PciAddress.parse("01:00.0");

    private static HostEvidence read(String name) {
        return HostInputs.withInstalledVendors()
                .path(SharedData.path("data/reports/" + name))
                .read();
    }

    @Test
    void aWholePostInOneFileIsReadAsThreeFilesAre() {
        HostEvidence host = read("10-whole-post-in-one-file/post.txt");
        assertThat(host.units()).hasSize(2);
        assertThat(host.functions()).hasSize(3);
        assertThat(host.groups()).containsOnlyKeys(0, 14);
        FunctionEvidence graphics = host.function(GRAPHICS).orElseThrow();
        assertThat(graphics.noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(graphics.driver().orElseThrow().value()).isEqualTo("vfio-pci");
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aCompressedLogIsRead() {
        HostEvidence host = read("20-compressed-text/dmesg.0.gz");
        assertThat(host.linux().orElseThrow()).hasToString("6.8.12-4-pve");
        assertThat(host.units()).containsOnlyKeys("dmar0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"dmesg.txt", "groups.txt"})
    void functionsBelowAVmdAreMembersOfItsGroup(String input) {
        assertThat(read("14-functions-below-vmd/" + input).groups().get(9).members())
                .containsExactly(
                        PciAddress.parse("00:0e.0"),
                        PciAddress.parse("10000:e0:06.0"),
                        PciAddress.parse("10000:e1:00.0"));
    }

    @Test
    void theTextsOfAFolderAreRead() {
        HostEvidence host = read("27-folder-stdin-kernel-tools/folder");
        assertThat(host.units()).containsOnlyKeys("dmar0");
        assertThat(host.function(GRAPHICS).orElseThrow().driver().orElseThrow().value())
                .isEqualTo("i40e");
        assertThat(host.name()).isEqualTo("folder");
    }
}
