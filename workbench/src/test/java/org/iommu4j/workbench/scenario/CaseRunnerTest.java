// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.amdvi.IvrsWriter;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.report.JsonReport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class CaseRunnerTest {
    private final Workbench workbench = Workbench.create();

    /** Firmware tables come from users' captures, so that what a driver can't use is bad input and no bug. */
    @Test
    void aMachineWhoseDriverRefusesItIsBadInput() {
        MachineDescription good = workbench.machines().named("intel-sc");
        byte[] dmar = good.acpiTables().get("DMAR").clone();
        dmar[10] ^= 1; // one bit, so that the checksum is wrong
        MachineDescription bad = good.withAcpiTables(Map.of("DMAR", dmar));

        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> workbench.runner().run(workbench.caseNamed("guest-no-snoop"), bad, LinuxRelease.NEWEST))
                .withMessageContaining("intel-sc")
                .withMessageContaining("EINVAL")
                .withMessageContaining("checksum");
    }

    private Outcome run(String story, MachineDescription machine) {
        return workbench.runner().run(workbench.caseNamed(story), machine, LinuxRelease.NEWEST);
    }

    private static void assertNotApplicable(Outcome outcome, NotApplicable reason, String words) {
        assertThat(outcome.verdict()).isEqualTo(Verdict.NOT_APPLICABLE);
        assertThat(outcome.reason()).isEqualTo(reason);
        assertThat(outcome.refusal()).contains(words);
        assertThat(outcome.bad()).isFalse();
        assertThat(outcome.errno()).isNull();
    }

    @ParameterizedTest
    @EnumSource
    void onCpusThatRunNoGuestsOnlyTheStoriesOfGuestsDoNotApply(Architecture architecture) {
        MachineDescription whole = workbench.machines().named("intel-nosc");
        MachineDescription machine = whole.withProcessors(new ProcessorDescription(
                whole.processors().cpus(),
                architecture,
                HardwareVirtualization.NONE,
                whole.processors().caches()));
        for (Case story : workbench.cases()) {
            Outcome outcome = run(story.name(), machine);
            Decision decision = run(story.name(), whole).decision();
            if (decision != null && decision.wbinvd() != null) {
                assertNotApplicable(outcome, NotApplicable.NEEDS_KVM_X86, "neither VMX nor SVM");
            } else {
                assertThat(outcome.reason()).as(story.name()).isNotEqualTo(NotApplicable.NEEDS_KVM_X86);
            }
        }
        assertThat(run("host-no-snoop", machine).verdict())
                .isEqualTo(architecture == Architecture.X86_64 ? Verdict.COHERENT : Verdict.CORRUPTED);
    }

    @ParameterizedTest
    @ValueSource(strings = {"riscv", "riscv-pci", "riscv-small"})
    void aHostDriverIsAnsweredWhereThereIsNoKvm(String machine) {
        Outcome outcome = run("host-no-snoop", workbench.machines().named(machine));
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.reason()).isNull();
    }

    @Test
    void withoutADriverForItsFirmwareAMachineHasNoAnswer() {
        MachineDescription whole = workbench.machines().named("intel-sc");
        Outcome outcome = run("guest-no-snoop", whole.withAcpiTables(Map.of("VIOT", new byte[48])));
        assertNotApplicable(outcome, NotApplicable.NO_DRIVER, "no vendor claims its firmware tables [VIOT]");
        assertThat(outcome.vendor()).isNull();
        assertThat(JsonReport.of(outcome)).contains("\"vendor\" : null");
    }

    /** Linux's driver of RISC-V units reads RIMT since 6.18, and a device tree before. */
    @Test
    void aDriverThatFindsNoUnitByItsFirmwareIsNoDriver() {
        CaseRunner runner = new CaseRunner(workbench.machines(), IommuVendors.load());
        Case story = workbench.caseNamed("guest-no-snoop");
        MachineDescription acpi = workbench.machines().named("riscv");
        assertNotApplicable(
                runner.run(story, acpi, LinuxRelease.named("6.17")),
                NotApplicable.NO_DRIVER,
                "driver riscv of Linux 6.17 finds no unit by its firmware tables [RIMT]");
        assertNotApplicable(
                runner.run(story, acpi, LinuxRelease.named("6.12")),
                NotApplicable.RELEASE_NOT_BUILT,
                "driver riscv is not built for Linux 6.12");
        for (Outcome outcome : List.of(
                runner.run(story, acpi, LinuxRelease.named("6.18")),
                runner.run(story, workbench.machines().named("riscv-dt"), LinuxRelease.named("6.13")))) {
            assertNotApplicable(outcome, NotApplicable.NEEDS_KVM_X86, "neither VMX nor SVM");
        }
    }

    /** A vendor whose driver is built from a release on. */
    private record BuiltSince(IommuVendor vendor, LinuxRelease oldest) implements IommuVendor {
        @Override
        public String name() {
            return vendor.name();
        }

        @Override
        public boolean claims(FirmwareTables firmware) {
            return vendor.claims(firmware);
        }

        @Override
        public boolean supports(LinuxRelease release) {
            return release.compareTo(oldest) >= 0;
        }

        @Override
        public HostDescription describe(HostFacts facts, LinuxRelease release) {
            return vendor.describe(facts, release);
        }

        @Override
        public Iommu open(VendorContext context) {
            assertThat(supports(context.release()))
                    .as("asked before it is opened")
                    .isTrue();
            return vendor.open(context);
        }
    }

    @Test
    void aDriverThatIsNotBuiltForTheReleaseIsNoAnswerAndStopsNoOtherMachine() {
        IommuVendors known = IommuVendors.load();
        IommuVendors vendors = IommuVendors.of(
                List.of(new BuiltSince(known.named("intel"), LinuxRelease.named("6.6")), known.named("amd")));
        CaseRunner runner = new CaseRunner(workbench.machines(), vendors);
        Case story = workbench.caseNamed("host-no-snoop");
        MachineDescription intel = workbench.machines().named("intel-sc");
        LinuxRelease old = LinuxRelease.named("6.1");
        assertNotApplicable(
                runner.run(story, intel, old),
                NotApplicable.RELEASE_NOT_BUILT,
                "machine intel-sc: driver intel is not built for Linux 6.1");
        assertThat(runner.run(story, workbench.machines().named("amd"), old).verdict())
                .isEqualTo(Verdict.COHERENT);
        assertThat(runner.run(story, intel, LinuxRelease.named("6.6")).verdict())
                .isEqualTo(Verdict.COHERENT);
    }

    /** An AMD-Vi unit has the first GPU and both ports, a VT-d unit the second GPU. */
    private MachineDescription twoVendors() {
        MachineDescription amd = workbench.machines().named("amd");
        MachineDescription intel = workbench.machines().named("intel-sc");
        TranslationUnitSpec ivhd = amd.units().get(0);
        TranslationUnitSpec dmar = intel.units().get(0);
        PciAddress port = BuiltInTopology.SECOND_GPU_PORT;
        byte[] ivrs = IvrsWriter.write(
                new PciAddress(0, 0, 0, 2),
                0x40,
                ivhd.registerBase(),
                ivhd.register("EFR"),
                ivhd.register("EFR2"),
                BuiltInTopology.GPU.bus() << 8 | 0xff,
                new PciAddress(0, 0, 0x14, 0));
        byte[] table = new DmarWriter(46)
                .unit(dmar.registerBase(), false)
                .endpoint(port.bus(), port.device(), port.function(), 0, 0)
                .build();
        List<FunctionDescription> functions = amd.functions().stream()
                .map(function -> !function.address().equals(BuiltInTopology.SECOND_GPU)
                        ? function
                        : new FunctionDescription(
                                function.address(),
                                function.upstreamBridge(),
                                function.config(),
                                Optional.of(dmar.name()),
                                function.externalFacing()))
                .toList();
        return amd.withUnits(List.of(ivhd, dmar))
                .withAcpiTables(Map.of("IVRS", ivrs, "DMAR", table))
                .withFunctions(functions);
    }

    @Test
    void aMachineWithUnitsOfTwoVendorsHasBothDriversAndEachDeviceItsOwn() {
        for (String story : List.of("guest-no-snoop", "host-no-snoop", "late-attach")) {
            for (PciAddress device : List.of(BuiltInTopology.GPU, BuiltInTopology.SECOND_GPU)) {
                Outcome outcome = workbench
                        .runner()
                        .run(workbench.caseNamed(story), twoVendors(), LinuxRelease.NEWEST, List.of(device));
                assertThat(outcome.vendor()).isEqualTo(device.equals(BuiltInTopology.GPU) ? "amd" : "intel");
                if (!story.equals("late-attach")) {
                    assertThat(outcome.verdict()).as("%s on %s", story, device).isEqualTo(Verdict.COHERENT);
                    assertThat(outcome.noSnoopSent())
                            .as("%s on %s", story, device)
                            .isPositive();
                }
            }
        }
        Outcome shared = run("late-attach", twoVendors());
        assertThat(shared.verdict()).isEqualTo(Verdict.REFUSED);
        assertThat(shared.refusal()).contains("the domain belongs to driver amd");
    }

    @Test
    void whereTheSecondVendorsTableIsBadTheMachineIsRefused() {
        MachineDescription good = twoVendors();
        byte[] dmar = good.acpiTables().get("DMAR").clone();
        dmar[10] ^= 1;
        MachineDescription bad =
                good.withAcpiTables(Map.of("IVRS", good.acpiTables().get("IVRS"), "DMAR", dmar));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run("host-no-snoop", bad))
                .withMessageContaining("checksum");
    }

    @Test
    void aMachineWithoutAnIommuInUseLacksIt() {
        MachineDescription whole = workbench.machines().named("intel-sc");
        MachineDescription machine = whole.withUnits(List.of())
                .withFunctions(whole.functions().stream()
                        .map(function -> new FunctionDescription(
                                function.address(),
                                function.upstreamBridge(),
                                function.config(),
                                Optional.empty(),
                                false))
                        .toList());
        assertNotApplicable(run("guest-no-snoop", machine), NotApplicable.MACHINE_LACKS, "has no IOMMU in use");
    }

    @Test
    void aMachineWithOneEndpointLacksTheSecondOne() {
        MachineDescription whole = workbench.machines().named("amd");
        MachineDescription machine = whole.withFunctions(whole.functions().stream()
                .filter(function -> !function.address().equals(BuiltInTopology.SECOND_GPU))
                .toList());
        for (Case story : workbench.cases()) {
            Outcome outcome = run(story.name(), machine);
            if (story.needsSecondDevice()) {
                assertNotApplicable(outcome, NotApplicable.MACHINE_LACKS, "needs a second endpoint in another group");
            } else if (story.name().startsWith("mixed-group")) {
                assertNotApplicable(outcome, NotApplicable.MACHINE_LACKS, "no other endpoint is in the group");
            } else if (story.name().startsWith("quirk-switched")) {
                assertNotApplicable(outcome, NotApplicable.MACHINE_LACKS, "no quirk IGNORE_GUEST_PAT with SVM");
            } else {
                assertThat(outcome.verdict())
                        .as("%s, as on the whole machine", story.name())
                        .isEqualTo(run(story.name(), whole).verdict());
            }
        }
    }

    @Test
    void aMachineWithoutAnEndpointLacksIt() {
        MachineDescription whole = workbench.machines().named("amd");
        MachineDescription machine = whole.withFunctions(whole.functions().stream()
                .filter(function -> !function.address().equals(BuiltInTopology.SECOND_GPU)
                        && !function.address().equals(BuiltInTopology.GPU))
                .toList());
        assertNotApplicable(run("guest-no-snoop", machine), NotApplicable.MACHINE_LACKS, "no PCI Express endpoint");
    }

    /** Else what its DMA did would be hidden by no answer. */
    @Test
    void aCaseCannotCeaseToApplyAfterItsDma() {
        Case late = new Case() {
            @Override
            public String name() {
                return "late";
            }

            @Override
            public String about() {
                return "does not apply after its DMA";
            }

            @Override
            public void run(Scenario scenario) {
                AssignedGuest.assign(scenario, scenario.device())
                        .device(scenario.device(), 0)
                        .sendToDevice(1, true);
                throw new NotApplicableException(NotApplicable.MACHINE_LACKS, "too late");
            }
        };

        assertThatIllegalStateException()
                .isThrownBy(
                        () -> workbench.runner().run(late, workbench.machines().named("amd"), LinuxRelease.NEWEST))
                .withMessageContaining("late does not apply after its DMA");
    }

    /** REFUSED means before any DMA; afterwards a refusal would hide what the DMA did. */
    @Test
    void aRefusalAfterDmaIsNoAnswer() {
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
                AssignedGuest.assign(scenario, scenario.device())
                        .device(scenario.device(), 0)
                        .sendToDevice(1, true);
                throw new IommuException(Errno.EBUSY, "too late");
            }
        };

        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(
                        () -> workbench.runner().run(late, workbench.machines().named("intel-sc"), LinuxRelease.NEWEST))
                .withMessageContaining("too late");
    }
}
