// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import java.util.Map;
import org.iommu4j.DecisionSource;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.Workbench;
import org.junit.jupiter.api.Test;

/** How decisions were made: Linux's functions, and the rules of the run's release. */
class DecisionPathTest {
    /** Machines that are only on the path of tests, with a driver that does not say where it decides. */
    private static final String OF_TESTS = "minimal";

    private final Workbench workbench = Workbench.create();

    private Outcome run(String story, String machine, String release) {
        return workbench
                .runner()
                .run(workbench.caseNamed(story), workbench.machines().named(machine), LinuxRelease.of(release));
    }

    /** Steps as lines, each rule as its module, name, first release and commits. */
    private static List<String> lines(Outcome outcome) {
        return outcome.path().stream()
                .map(step -> step.answer() + " " + step.functions() + " "
                        + step.rules().stream()
                                .map(row -> row.module() + "." + row.name() + "@"
                                        + row.periods().get(0).from()
                                        + row.periods().get(0).commits())
                                .toList())
                .toList();
    }

    @Test
    void theNewestReleaseAsksTheDomainThenTheDevice() {
        assertThat(lines(run("guest-no-snoop", "intel-nosc", "7.3")))
                .containsExactly(
                        "REFUSED [intel_iommu_enforce_cache_coherency_ss, vfio_iommu_type1_attach_group] "
                                + "[intel.enforcement@6.19[], vfio.asksDomains@5.19-posted[]]",
                        "0 [vfio_domains_have_enforce_cache_coherency] [vfio.asksDomains@5.19-posted[]]",
                        "not coherent [vfio_group_enforced_coherent, intel_iommu_capable] "
                                + "[vfio.filesAskDevices@6.2[0d8227b622f3], "
                                + "intel.predictsEnforcement@6.2[4989764d8ed3]]",
                        "1 [kvm_vfio_update_coherency] []",
                        "dropped [kvm_noncoherent_dma_assignment_start_or_stop] "
                                + "[kvm.dropsEntriesOnChange@6.7[362ff6dca541], kvm.guestPatQuirk@6.16[]]",
                        "EXECUTED [kvm_emulate_wbinvd_noskip] []",
                        "WB [vmx_get_mt_mask] [kvm.guestMtrrs@6.11[0a7b73559b39, e1548088ff54]]");
    }

    @Test
    void theOldestReleaseDecidesByMappingAndKvmAsksTheContainer() {
        assertThat(lines(run("guest-no-snoop", "intel-sc", "5.15")))
                .containsExactly(
                        "ABSENT [intel_iommu_map, vfio_iommu_type1_attach_group] "
                                + "[intel.enforcement@5.15[], vfio.asksDomains@5.15[]]",
                        "1 [vfio_domains_have_iommu_cache] [vfio.asksDomains@5.15[]]",
                        "coherent [vfio_external_check_extension, vfio_domains_have_iommu_cache] "
                                + "[vfio.filesAskDevices@5.15[], vfio.asksDomains@5.15[]]",
                        "0 [kvm_vfio_update_coherency] []",
                        "NOP [kvm_emulate_wbinvd_noskip] []",
                        "WB+IPAT [vmx_get_mt_mask] [kvm.guestPatQuirk@5.15[]]");
    }

    @Test
    void iommufdDoesNotAskForADeviceThatCanNotBeEnforced() {
        assertThat(lines(run("joined-hwpt", "intel-mixed", "6.8")))
                .startsWith("NOT_ASKED [iommufd_hwpt_paging_enforce_cc, intel_iommu_capable] "
                        + "[iommufd.upgradesAtAttach@6.7[2ccabf81ddff], "
                        + "intel.predictsEnforcement@6.2[4989764d8ed3]]");
    }

    @Test
    void amdAnswersForItsFormatAndSvmHasNoTypes() {
        assertThat(lines(run("guest-no-snoop", "amd", "7.3")))
                .first()
                .isEqualTo("ENFORCED [amd_iommu_enforce_cache_coherency, vfio_iommu_type1_attach_group] "
                        + "[amd.enforcementOp@5.19-posted[], vfio.asksDomains@5.19-posted[]]");
        assertThat(lines(run("guest-no-snoop", "amd", "7.3")))
                .last()
                .isEqualTo("GUEST_PAT [svm_x86_ops, which has no get_mt_mask] []");
    }

    @Test
    void everyDecisionHasItsFunctionButWhereNobodyWasAsked() {
        for (Case story : workbench.cases()) {
            for (MachineDescription machine : workbench.machines().builtIn()) {
                if (machine.name().startsWith(OF_TESTS)) {
                    continue;
                }
                Outcome outcome = workbench.runner().run(story, machine, LinuxRelease.NEWEST);
                assertThat(outcome.path())
                        .as("%s on %s", story.name(), machine.name())
                        .allMatch(step ->
                                !step.functions().isEmpty() || step.answer().equals("NOT_ASKED"));
            }
        }
    }

    @Test
    void aRuleThatNoModuleHasIsRefused() {
        DecisionStep.Made made = new DecisionStep.Made("q", "a", List.of(DecisionSource.of("kvm", "f", "noSuchRule")));

        assertThatIllegalStateException()
                .isThrownBy(() -> DecisionStep.of(made, Map.of("kvm", List.of()), LinuxRelease.NEWEST))
                .withMessage("module kvm has no rule noSuchRule");
    }
}
