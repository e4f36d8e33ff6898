// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.Evidence;
import org.iommu4j.release.RuleSheet;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.Workbench;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A kernel with fixes: each reaches the module whose rule it is, and no other. */
class KernelTest {
    private final Workbench workbench = Workbench.create();

    private Outcome run(String story, String machine, String release, String... fixes) {
        return workbench
                .runner()
                .run(
                        workbench.caseNamed(story),
                        workbench.machines().named(machine),
                        Kernel.of(LinuxRelease.of(release)).withFixes(List.of(fixes)),
                        List.of());
    }

    @ParameterizedTest
    @CsvSource({
        "partial-snoop, amd, 7.3, enforcementOp=5.18, COHERENT, NOT_APPLICABLE",
        "partial-snoop, intel-sc, 7.3, enforcement=6.7, CORRUPTED, NOT_APPLICABLE",
        "partial-snoop, intel-sc, 6.12, enforcement=6.19, NOT_APPLICABLE, CORRUPTED",
        "late-walker, intel-mixed-walks, 6.12, walks=6.13, REFUSED, COHERENT",
        "wbinvd-mask-hole, intel-nosc, 7.3, maskKeepsOwnCpu, CORRUPTED, COHERENT"
    })
    void aFixChangesTheAnswer(String story, String machine, String release, String fix, Verdict plain, Verdict fixed) {
        assertThat(run(story, machine, release).verdict()).isEqualTo(plain);
        Outcome outcome = run(story, machine, release, fix);
        assertThat(outcome.verdict()).isEqualTo(fixed);
        assertThat(outcome.linux()).hasToString(release + " with " + fix);
        assertThat(run(story, machine, release, "resetting=7.0", "keepsEnforceableApart")
                        .verdict())
                .as("with fixes of other rules")
                .isEqualTo(plain);
    }

    @Test
    void aRuleThatDecidedIsShownWithTheValueThatItHad() {
        Outcome outcome = run("guest-no-snoop", "intel-mixed-group", "7.3", "filesAskWholeGroups");
        RuleSheet.Value value = outcome.path().stream()
                .flatMap(step -> step.rules().stream())
                .filter(rule -> rule.name().equals("filesAskWholeGroups"))
                .findFirst()
                .orElseThrow()
                .periods()
                .get(0);
        assertThat(value.value()).isEqualTo("yes");
        assertThat(value.evidence()).isEqualTo(Evidence.PROPOSED);
    }

    @Test
    void aFixOfNoRuleIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Kernel.of(LinuxRelease.NEWEST).withFixes(List.of("wake=6.13")))
                .withMessageContaining("no rule 'wake' to fix; with a correction: dropsEntriesOnQuirkChange, ")
                .withMessageContaining("walks");
    }
}
