// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.Auditor;
import org.iommu4j.audit.Guest;
import org.iommu4j.host.Fact;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.kvm.GuestMemoryType;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.cases.GuestForgetsFlush;
import org.iommu4j.workbench.cases.GuestNoSnoop;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.CaseRunner;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Wbinvd;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A stranger's vendor runs the built-in cases without a change elsewhere, and its missing abilities have their
 * consequences.
 */
class ExampleVendorTest {
    private static Outcome run(Case story, String machine) {
        MachineFactory factory = MachineFactory.load();
        return new CaseRunner(factory, IommuVendors.load()).run(story, factory.named(machine), LinuxRelease.NEWEST);
    }

    @Test
    void withTheEnforcementOpNoSnoopIsBlockedAndKvmIgnoresWbinvd() {
        Outcome outcome = run(new GuestNoSnoop(), "minimal");

        assertThat(outcome.vendor()).isEqualTo("minimal");
        assertThat(outcome.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(outcome.decision())
                .isEqualTo(new Decision(Enforcement.ENFORCED, true, false, Wbinvd.NOP, GuestMemoryType.GUEST_PAT));
        assertThat(outcome.noSnoopSent()).isEqualTo(2);
        assertThat(outcome.noSnoopPassed()).isZero();
    }

    @Test
    void withoutTheEnforcementOpKvmMustExecuteWbinvd() {
        Outcome outcome = run(new GuestNoSnoop(), "minimal-nosc");

        assertThat(outcome.decision())
                .isEqualTo(new Decision(Enforcement.ABSENT, false, true, Wbinvd.EXECUTED, GuestMemoryType.GUEST_PAT));
        assertThat(outcome.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(outcome.noSnoopSent()).isEqualTo(2);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
    }

    @Test
    void aGuestThatForgetsToFlushReadsOldData() {
        Outcome outcome = run(new GuestForgetsFlush(), "minimal-nosc");

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.GUEST_DRIVER);
    }

    /** The workbench has no word of this driver's: it asks who prints such lines. */
    @Test
    void aHostIsAuditedByNothingButWhatTheDriverPrintedThere(@TempDir Path folder) throws IOException {
        Path log = Files.writeString(folder.resolve("host.log"), """
                [    0.000000] Linux version 6.8.0-40-generic (buildd@x) #40
                [    0.200000] minimal: minimal0: registers at 0xfedc0000, CAP 0x1
                [    0.210000] minimal: interrupts are remapped
                [    0.300000] pci 0000:00:02.0: [8086:1616] type 00 class 0x030000
                [    0.400000] minimal: translating
                [    0.500000] pci 0000:00:02.0: Adding to iommu group 1
                """);

        HostEvidence host = HostInputs.withInstalledVendors().path(log).read();
        Audit audit = new Auditor(IommuVendors.load()).audit(host, Optional.empty(), List.of());

        assertThat(host.interruptRemapping()).isEqualTo(Answer.YES);
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(host.kernelLines()).extracting(Fact::value).contains("minimal: translating");
        assertThat(audit.units()).singleElement().satisfies(unit -> {
            assertThat(unit.vendor()).isEqualTo("minimal");
            assertThat(unit.description().registerBase()).hasValue(0xfedc_0000L);
            assertThat(unit.description().registers()).containsExactly(Map.entry("CAP", 1L));
            assertThat(unit.devices()).containsExactly(PciAddress.parse("00:02.0"));
        });
        AuditedDevice device = audit.device(PciAddress.parse("00:02.0")).orElseThrow();
        assertThat(device.guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(device.why()).first().asString().contains("CAP has SC");
    }
}
