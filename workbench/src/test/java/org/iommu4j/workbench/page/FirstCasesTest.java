// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.DomainOutcome;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The first cases on the built-in machines: verdicts, decisions, and what happened to no-snoop. */
class FirstCasesTest {
    private final Workbench workbench = Workbench.create();

    private Outcome run(String story, String machine) {
        return workbench
                .runner()
                .run(workbench.caseNamed(story), workbench.machines().named(machine), LinuxRelease.NEWEST);
    }

    @ParameterizedTest(name = "{0} on {1} is {2}, blame {3}; {4} sent, {5} blocked, {6} passed")
    @CsvSource(nullValues = "-", textBlock = """
                    host-no-snoop,               intel-sc,    COHERENT,  -,            4, 0, 4
                    host-no-snoop,               intel-nosc,  COHERENT,  -,            4, 0, 4
                    host-no-snoop,               intel-mixed, COHERENT,  -,            4, 0, 4
                    host-no-snoop,               amd,         COHERENT,  -,            4, 4, 0
                    guest-no-snoop,              intel-sc,    COHERENT,  -,            2, 2, 0
                    guest-no-snoop,              intel-nosc,  COHERENT,  -,            2, 0, 2
                    guest-no-snoop,              amd,         COHERENT,  -,            2, 2, 0
                    guest-no-snoop-unreported,   intel-sc,    CORRUPTED, HOST,         2, 0, 2
                    guest-no-snoop-unreported,   intel-nosc,  CORRUPTED, HOST,         2, 0, 2
                    guest-no-snoop-unreported,   amd,         COHERENT,  -,            2, 2, 0
                    guest-forgets-flush,         intel-sc,    COHERENT,  -,            2, 2, 0
                    guest-forgets-flush,         intel-nosc,  CORRUPTED, GUEST_DRIVER, 2, 0, 2
                    guest-forgets-flush,         amd,         COHERENT,  -,            2, 2, 0
                    no-snoop-disabled-in-device, intel-sc,    COHERENT,  -,            0, 0, 0
                    no-snoop-disabled-in-device, intel-nosc,  COHERENT,  -,            0, 0, 0
                    no-snoop-disabled-in-device, amd,         COHERENT,  -,            0, 0, 0
                    mixed-container,             intel-mixed, COHERENT,  -,            4, 2, 2
                    mixed-container,             intel-sc,    COHERENT,  -,            4, 4, 0
                    mixed-container,             amd,         COHERENT,  -,            4, 4, 0
                    capable-late-attach,         intel-sc,    COHERENT,  -,            4, 4, 0
                    capable-late-attach,         amd,         COHERENT,  -,            4, 4, 0
                    """)
    void verdictAndNoSnoopAreAsTheContractSays(
            String story, String machine, Verdict verdict, Blame blame, int sent, int blocked, int passed) {
        Outcome outcome = run(story, machine);
        assertThat(outcome.verdict()).as("%s", outcome.staleReads()).isEqualTo(verdict);
        assertThat(outcome.blame()).isEqualTo(blame);
        assertThat(new int[] {outcome.noSnoopSent(), outcome.noSnoopBlocked(), outcome.noSnoopPassed()})
                .containsExactly(sent, blocked, passed);
        assertThat(outcome.staleReads().isEmpty()).isEqualTo(verdict == Verdict.COHERENT);
    }

    @ParameterizedTest(name = "{0} on {1}: {2}, DMA_CC {3}, non-coherent {4}, WBINVD {5}, {6}")
    @CsvSource(nullValues = "-", textBlock = """
                    guest-no-snoop,              intel-sc,    ENFORCED,  true,  false, NOP,      WB+IPAT
                    guest-no-snoop,              intel-nosc,  REFUSED,   false, true,  EXECUTED, WB
                    guest-no-snoop,              amd,         ENFORCED,  true,  false, NOP,      GUEST_PAT
                    guest-no-snoop-unreported,   intel-sc,    NOT_ASKED, -,     false, NOP,      WB+IPAT
                    guest-no-snoop-unreported,   amd,         NOT_ASKED, -,     false, NOP,      GUEST_PAT
                    no-snoop-disabled-in-device, intel-sc,    ENFORCED,  true,  false, NOP,      WB+IPAT
                    no-snoop-disabled-in-device, intel-nosc,  REFUSED,   false, true,  EXECUTED, WB
                    mixed-container,             intel-mixed, ENFORCED,  false, true,  EXECUTED, WB
                    mixed-container,             amd,         ENFORCED,  true,  false, NOP,      GUEST_PAT
                    host-no-snoop,               intel-sc,    NOT_ASKED, -,     -,     -,        -
                    """)
    void whatWasDecidedIsReported(
            String story,
            String machine,
            Enforcement enforcement,
            Boolean dmaCc,
            Boolean noncoherent,
            String wbinvd,
            String memoryType) {
        Decision decision = run(story, machine).decision();
        assertThat(decision).isNotNull();
        assertThat(decision.enforceCacheCoherency()).isEqualTo(enforcement);
        assertThat(decision.dmaCcIommu()).isEqualTo(dmaCc);
        assertThat(decision.kvmNoncoherentDma()).isEqualTo(noncoherent);
        assertThat(decision.wbinvd() == null ? null : decision.wbinvd().name()).isEqualTo(wbinvd);
        assertThat(
                        decision.guestMemoryType() == null
                                ? null
                                : decision.guestMemoryType().toString())
                .isEqualTo(memoryType);
    }

    @Test
    void aMixedContainerHasTwoDomainsOnIntelAndOneOnAmd() {
        assertThat(run("mixed-container", "intel-mixed").domains())
                .extracting(DomainOutcome::enforceCacheCoherency)
                .containsExactly(Enforcement.ENFORCED, Enforcement.REFUSED);
        assertThat(run("mixed-container", "amd").domains())
                .singleElement()
                .satisfies(domain -> assertThat(domain.devices()).hasSize(2));
    }

    @Test
    void aDeviceThatCannotBlockNoSnoopIsRefusedByADomainThatEnforces() {
        Outcome outcome = run("late-attach", "intel-mixed");
        assertThat(outcome.verdict()).isEqualTo(Verdict.REFUSED);
        assertThat(outcome.errno()).isEqualTo(Errno.EINVAL);
        assertThat(outcome.refusal()).contains("0000:02:00.0");
        assertThat(outcome.domains())
                .singleElement()
                .satisfies(domain -> assertThat(domain.devices())
                        .extracting(Object::toString)
                        .containsExactly("0000:01:00.0"));
        assertThat(outcome.noSnoopSent()).isZero();
    }

    @Test
    void staleReadsSayWhoSawWhatAndWhy() {
        Outcome outcome = run("guest-forgets-flush", "intel-nosc");
        assertThat(outcome.staleReads()).hasSize(2);
        assertThat(outcome.staleReads().get(0)).satisfies(read -> {
            assertThat(read.who()).isEqualTo("0000:01:00.0");
            assertThat(read.expected()).isEqualTo(0x1111);
            assertThat(read.observed()).isZero();
        });
        assertThat(outcome.staleReads().get(1)).satisfies(read -> {
            assertThat(read.who()).isEqualTo("vcpu0");
            assertThat(read.expected()).isEqualTo(0x2222);
            assertThat(outcome.timeline().get(read.at() - 1).text()).startsWith("loads");
        });
    }

    @Test
    void runningTheSameCaseTwiceGivesTheSameTimeline() {
        assertThat(run("guest-no-snoop", "intel-nosc").timeline())
                .isEqualTo(run("guest-no-snoop", "intel-nosc").timeline());
    }
}
