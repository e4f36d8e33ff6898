// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** Verdicts about inputs as people post them. */
class VerdictReportsTest {
    private static Audit audit(String report, Optional<String> release, List<String> files, String... assigned) {
        HostInputs inputs = HostInputs.withInstalledVendors();
        files.forEach(file -> inputs.path(SharedData.path("data/reports/" + report + "/" + file)));
        return new Auditor(IommuVendors.load())
                .audit(
                        inputs.read(),
                        release.map(LinuxRelease::named),
                        Arrays.stream(assigned).map(PciAddress::parse).toList());
    }

    private static Audit audit(String report, String... assigned) {
        return audit(report, Optional.empty(), List.of("dmesg.txt"), assigned);
    }

    @Test
    void theOnlyUnitTranslatesForAFunctionInAGroup() {
        Audit audit = audit("03-intel-one-unit", "01:00.0");
        assertThat(audit.overall()).isEqualTo(Guest.COHERENT);
        assertThat(Hosts.device(audit, "01:00.0").unit()).isEqualTo("dmar0");
    }

    @Test
    void unitsThatAreAlikeDecideTogether() {
        Audit audit = audit("04-intel-all-units-alike");
        assertThat(audit.overall()).isEqualTo(Guest.COHERENT);
        assertThat(Hosts.device(audit, "65:00.0").unitInWords()).isEqualTo("one of dmar0, dmar1, dmar2");
    }

    @Test
    void theRuleOfTheReleaseDecidesAboutUnitsThatDiffer() {
        String report = "16-verdict-of-units-under-per-machine";
        Audit old = audit(report, Optional.of("5.15"), List.of("dmesg.txt"));
        assertThat(old.overall()).isEqualTo(Guest.NONCOHERENT);
        assertThat(Headline.verdict(old)).contains("guests are NONCOHERENT");
        Audit newest = audit(report);
        assertThat(newest.overall()).isEqualTo(Guest.UNKNOWN);
        assertThat(Headline.lines(newest)).contains(new Line("VFIO_DMA_CC_IOMMU", "0 behind dmar0, 1 behind dmar1"));
        assertThat(newest.remarks()).anyMatch(each -> each.remark().kind() == KernelRemark.Kind.FIRMWARE_BUG);
    }

    @Test
    void theOrderOfGroupsTellsTheUnits() {
        Audit audit = audit("25-order-of-groups-tells-units");
        assertThat(audit.devices())
                .extracting(device -> device.address().toString().substring(5) + " " + device.unit())
                .containsExactly("00:00.0 dmar1", "00:01.0 dmar1", "00:02.0 dmar0", "02:00.0 dmar1");
    }

    @Test
    void theGroupIsSaidInTheHeadlineAndOfTheDevice() {
        Audit audit = audit("23-what-else-goes-along", Optional.empty(), List.of("groups.txt"), "06:00.0");
        assertThat(Headline.verdict(audit)).endsWith("4 more devices of its group go along");
        assertThat(Headline.lines(audit).get(0).text())
                .startsWith("group 12 has 5 more: 01:00.0 USB controller, 01:00.1 SATA controller, 03:00.0 Ethernet")
                .contains("02:04.0 is a bridge and stays");
        assertThat(Headline.lines(audit)).noneMatch(line -> line.text().contains("regions of 0000:01:00.0"));
    }

    @Test
    void theUnitForTheRestNeedsNoBusNumbers() {
        Audit audit = audit(
                "28-include-all-without-bus-numbers",
                Optional.empty(),
                List.of("DMAR.dat", "lspci.txt", "dmesg.txt"),
                "01:00.0");
        assertThat(Hosts.device(audit, "01:00.0").unit()).isEqualTo("dmar1");
        assertThat(audit.overall()).isEqualTo(Guest.COHERENT);
    }
}
