// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.Iommu;
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
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.workbench.Workbench;
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
    private static Outcome run(String story, String machine) {
        Workbench workbench = Workbench.create();
        return workbench
                .runner()
                .run(workbench.caseNamed(story), workbench.machines().named(machine), LinuxRelease.NEWEST);
    }

    @Test
    void withTheEnforcementOpNoSnoopIsBlockedAndKvmIgnoresWbinvd() {
        Outcome outcome = run("guest-no-snoop", "minimal");

        assertThat(outcome.vendor()).isEqualTo("minimal");
        assertThat(outcome.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(outcome.decision())
                .isEqualTo(new Decision(Enforcement.ENFORCED, true, false, Wbinvd.NOP, GuestMemoryType.GUEST_PAT));
        assertThat(outcome.noSnoopSent()).isEqualTo(2);
        assertThat(outcome.noSnoopPassed()).isZero();
    }

    @Test
    void withoutTheEnforcementOpKvmMustExecuteWbinvd() {
        Outcome outcome = run("guest-no-snoop", "minimal-nosc");

        assertThat(outcome.decision())
                .isEqualTo(new Decision(Enforcement.ABSENT, false, true, Wbinvd.EXECUTED, GuestMemoryType.GUEST_PAT));
        assertThat(outcome.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(outcome.noSnoopSent()).isEqualTo(2);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
    }

    @Test
    void aGuestThatForgetsToFlushReadsOldData() {
        Outcome outcome = run("guest-forgets-flush", "minimal-nosc");

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.GUEST_DRIVER);
    }

    /** The example's vendor, had Linux a driver that prints lines: the audit has no word of them and asks who does. */
    private record Printing(IommuVendor vendor, MachineDescription machine) implements IommuVendor {
        private static final Pattern UNIT = Pattern.compile("minimal: (minimal0): registers at 0x(\\w+), CAP 0x(\\w+)");

        @Override
        public String name() {
            return vendor.name();
        }

        @Override
        public boolean claims(FirmwareTables firmware) {
            return vendor.claims(firmware);
        }

        @Override
        public boolean recognises(HostFacts facts) {
            return facts.showsUnit("minimal0"::equals);
        }

        @Override
        public KernelLog kernelLog() {
            return new KernelLog() {
                @Override
                public List<String> words() {
                    return List.of("minimal: ");
                }

                @Override
                public void read(String line, Findings findings) {
                    Matcher unit = UNIT.matcher(line);
                    if (unit.find()) {
                        findings.unit(
                                unit.group(1),
                                OptionalLong.of(Long.parseLong(unit.group(2), 16)),
                                Map.of("CAP", Long.parseLong(unit.group(3), 16)));
                    } else if (line.contains("interrupts are remapped")) {
                        findings.interruptRemapping(true);
                    } else if (line.contains("translating")) {
                        findings.inUse(true);
                    }
                }
            };
        }

        @Override
        public HostDescription describe(HostFacts facts, LinuxRelease release) {
            Map<String, Long> shown = facts.shownUnits().get("minimal0").registers();
            RegisterValues values = (unit, base, register) -> OptionalLong.of(shown.get(register));
            return vendor.describe(machine.firmware(), facts.topology(), values, release);
        }

        @Override
        public Iommu open(VendorContext context) {
            return vendor.open(context);
        }
    }

    @Test
    void aHostIsAuditedByNothingButWhatTheDriverPrintedThere(@TempDir Path folder) throws IOException {
        Path log = Files.writeString(folder.resolve("host.log"), """
                [    0.000000] Linux version 6.8.0-40-generic (buildd@x) #40
                [    0.200000] minimal: minimal0: registers at 0xfed80000, CAP 0x1
                [    0.210000] minimal: interrupts are remapped
                [    0.300000] pci 0000:00:02.0: [8086:1616] type 00 class 0x030000
                [    0.400000] minimal: translating
                [    0.500000] pci 0000:00:02.0: Adding to iommu group 1
                """);

        IommuVendors installed = IommuVendors.load();
        MachineDescription machine = MachineFactory.load().named("minimal-nosc");
        IommuVendors vendors = IommuVendors.of(List.of(
                installed.named("intel"), installed.named("amd"), new Printing(installed.named("minimal"), machine)));
        HostEvidence host = new HostInputs(vendors).path(log).read();
        Audit audit = new Auditor(vendors).audit(host, Optional.empty(), List.of());

        assertThat(host.interruptRemapping()).isEqualTo(Answer.YES);
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(host.kernelLines()).extracting(Fact::value).contains("minimal: translating");
        assertThat(audit.units()).singleElement().satisfies(unit -> {
            assertThat(unit.vendor()).isEqualTo("minimal");
            assertThat(unit.description().registerBase()).hasValue(0xfed8_0000L);
            assertThat(unit.description().registers()).containsExactly(Map.entry("CAP", 1L));
            assertThat(unit.devices()).containsExactly(PciAddress.parse("00:02.0"));
        });
        AuditedDevice device = audit.device(PciAddress.parse("00:02.0")).orElseThrow();
        assertThat(device.guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(device.why()).first().asString().contains("CAP has SC");
    }
}
