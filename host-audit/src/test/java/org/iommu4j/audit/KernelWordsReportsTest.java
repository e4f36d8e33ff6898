// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Optional;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** Kernel logs that people pasted, and the answers that are right for them. */
class KernelWordsReportsTest {
    private static Audit audit(String report, String... assigned) {
        return new Auditor(IommuVendors.load())
                .audit(
                        HostInputs.withInstalledVendors()
                                .path(SharedData.path("data/reports/" + report + "/dmesg.txt"))
                                .read(),
                        Optional.empty(),
                        Arrays.stream(assigned).map(PciAddress::parse).toList());
    }

    @Test
    void aLogAloneMakesAnAmdHostKnown() {
        Audit audit = audit("01-amd-log-only", "0b:00.0");
        assertThat(audit.rule()).isEqualTo(CoherencyRule.ALWAYS);
        assertThat(audit.units()).singleElement().satisfies(unit -> {
            assertThat(unit.vendor()).isEqualTo("amd");
            assertThat(unit.description().id()).isEqualTo("0000:00:00.2");
            assertThat(unit.description().registers())
                    .containsEntry("EFR", 0x58f77ef22294a5aL)
                    .containsEntry("EFR2", 0L);
            assertThat(unit.devices()).hasSize(3);
        });
        assertThat(audit.devices()).allSatisfy(device -> {
            assertThat(device.guest()).isEqualTo(Guest.COHERENT);
            assertThat(device.reservedRegions()).isNull();
        });
        assertThat(audit.iommuInUse()).isEqualTo(Answer.YES);
        Assignment asked = audit.assignment();
        assertThat(asked).isNotNull();
        assertThat(asked.dmaCcIommu()).isEqualTo(Answer.YES);
        assertThat(asked.guest()).isEqualTo(Guest.COHERENT);
    }

    @Test
    void xenHasTheIommuOfItsLinux() {
        Audit audit = audit("11-xen-dom0");
        assertThat(audit.devices()).isNotEmpty().allSatisfy(device -> {
            assertThat(device.guest()).isEqualTo(Guest.UNKNOWN);
            assertThat(device.assignable()).isEqualTo(Answer.UNKNOWN);
        });
        assertThat(audit.warnings()).singleElement().asString().contains("Xen", "xl dmesg");
        assertThat(Headline.verdict(audit)).contains("Xen has the IOMMU");
    }

    @Test
    void theNumberOfAVendorsKernelDecidesNothing() {
        Audit audit = audit("13-vendor-kernel-el9", "01:00.0");
        assertThat(audit.rule()).isNull();
        assertThat(audit.ruleInWords()).contains("PER_MACHINE", "PER_DEVICE");
        assertThat(audit.overall()).isEqualTo(Guest.UNKNOWN);
    }

    @Test
    void whatLinuxRefusedIsRefused() {
        Assignment asked = audit("06-log-says-ineligible", "04:00.1").assignment();
        assertThat(asked).isNotNull();
        assertThat(asked.assignable()).isEqualTo(Answer.NO);
        assertThat(asked.obstacles())
                .anyMatch(reason -> reason.text().contains("at 312 s: firmware reserves memory for it (RMRR)"));
    }

    @Test
    void whatIsWrongWithATableIsRepeated() {
        assertThat(audit("16-verdict-of-units-under-per-machine").remarks())
                .anyMatch(found -> found.remark().text().contains("bad RMRR"));
    }
}
