// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Map;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Scenario;
import org.junit.jupiter.api.Test;

class CaseRunnerTest {
    /** Firmware tables come from users' captures, so that what a driver can't use is bad input and no bug. */
    @Test
    void aMachineWhoseDriverRefusesItIsBadInput() {
        Workbench workbench = Workbench.create();
        MachineDescription good = workbench.machines().named("intel-sc");
        byte[] dmar = good.acpiTables().get("DMAR").clone();
        dmar[10] ^= 1; // one bit, so that the checksum is wrong
        MachineDescription bad = new MachineDescription(
                "broken",
                good.cpus(),
                good.virtualization(),
                good.caches(),
                good.memoryBytes(),
                good.units(),
                good.functions(),
                Map.of("DMAR", dmar),
                good.bootOptions());

        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> workbench.runner().run(workbench.caseNamed("guest-no-snoop"), bad, LinuxRelease.NEWEST))
                .withMessageContaining("broken")
                .withMessageContaining("EINVAL")
                .withMessageContaining("checksum");
    }

    /** REFUSED means before any DMA; afterwards a refusal would hide what the DMA did. */
    @Test
    void aRefusalAfterDmaIsNoAnswer() {
        Workbench workbench = Workbench.create();
        Case late = new Case() {
            @Override
            public String name() {
                return "late";
            }

            @Override
            public String about() {
                return "is refused after its DMA";
            }

            @Override
            public void run(Scenario scenario) {
                scenario.assign(scenario.device()).device(scenario.device(), 0).sendToDevice(1, true);
                throw new IommuException(Errno.EBUSY, "too late");
            }
        };

        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(
                        () -> workbench.runner().run(late, workbench.machines().named("intel-sc"), LinuxRelease.NEWEST))
                .withMessageContaining("too late");
    }
}
