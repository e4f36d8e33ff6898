// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where the releases of Linux decide differently. */
class ReleaseCasesTest {
    private final Workbench workbench = Workbench.create();

    private Outcome run(String story, String machine, String release) {
        return workbench
                .runner()
                .run(workbench.caseNamed(story), workbench.machines().named(machine), LinuxRelease.named(release));
    }

    /**
     * Before 5.19 the platform is asked, in the series as it was posted every unit, since then those of the domain's
     * devices.
     */
    @ParameterizedTest(name = "{0} on {1} under {2}: {3}, DMA_CC {4}, non-coherent {5}, {6}; {7} blocked, {8} passed")
    @CsvSource(textBlock = """
                    guest-no-snoop,  intel-sc,    5.15,        ABSENT,   true,  false, WB+IPAT,   2, 0
                    guest-no-snoop,  intel-sc,    5.18,        ABSENT,   true,  false, WB+IPAT,   2, 0
                    guest-no-snoop,  intel-sc,    5.19-posted, ENFORCED, true,  false, WB+IPAT,   2, 0
                    guest-no-snoop,  intel-sc,    6.1,         ENFORCED, true,  false, WB+IPAT,   2, 0
                    guest-no-snoop,  intel-sc,    6.7,         ENFORCED, true,  false, WB+IPAT,   2, 0
                    guest-no-snoop,  intel-nosc,  5.15,        ABSENT,   false, true,  WB,        0, 2
                    guest-no-snoop,  intel-nosc,  5.19-posted, REFUSED,  false, true,  WB,        0, 2
                    guest-no-snoop,  intel-nosc,  6.1,         REFUSED,  false, true,  WB,        0, 2
                    guest-no-snoop,  intel-nosc,  6.11,        REFUSED,  false, true,  WB,        0, 2
                    guest-no-snoop,  intel-mixed, 5.18,        ABSENT,   false, true,  WB,        0, 2
                    guest-no-snoop,  intel-mixed, 5.19-posted, REFUSED,  false, true,  WB,        0, 2
                    guest-no-snoop,  intel-mixed, 5.19,        ENFORCED, true,  false, WB+IPAT,   2, 0
                    guest-no-snoop,  intel-mixed, 6.2,         ENFORCED, true,  false, WB+IPAT,   2, 0
                    guest-no-snoop,  amd,         5.15,        ABSENT,   true,  false, GUEST_PAT, 2, 0
                    guest-no-snoop,  amd,         5.19-posted, ENFORCED, true,  false, GUEST_PAT, 2, 0
                    guest-no-snoop,  amd,         6.1,         ENFORCED, true,  false, GUEST_PAT, 2, 0
                    mixed-container, intel-mixed, 5.18,        ABSENT,   false, true,  WB,        0, 4
                    mixed-container, intel-mixed, 5.19-posted, REFUSED,  false, true,  WB,        0, 4
                    mixed-container, intel-mixed, 5.19,        ENFORCED, false, true,  WB,        2, 2
                    mixed-container, intel-mixed, 6.1,         ENFORCED, false, true,  WB,        2, 2
                    mixed-container, intel-mixed, 6.2,         ENFORCED, false, true,  WB,        2, 2
                    """)
    void whatIsDecidedForAGuest(
            String story,
            String machine,
            String release,
            Enforcement enforcement,
            boolean dmaCc,
            boolean noncoherent,
            String memoryType,
            int blocked,
            int passed) {
        Outcome outcome = run(story, machine, release);
        Decision decision = outcome.decision();
        assertThat(outcome.verdict()).as("%s", outcome.staleReads()).isEqualTo(Verdict.COHERENT);
        assertThat(decision).isNotNull();
        assertThat(decision.enforceCacheCoherency()).isEqualTo(enforcement);
        assertThat(decision.dmaCcIommu()).isEqualTo(dmaCc);
        assertThat(decision.kvmNoncoherentDma()).isEqualTo(noncoherent);
        assertThat(decision.guestMemoryType()).hasToString(memoryType);
        assertThat(new int[] {outcome.noSnoopBlocked(), outcome.noSnoopPassed()})
                .containsExactly(blocked, passed);
    }

    /**
     * That a device can't join a domain that enforces was first answered with another errno. Before, IOMMU_CACHE alone
     * blocked no-snoop, also for whom had not asked: so who forgot to tell KVM got away with it where all units can.
     */
    @ParameterizedTest(name = "{0} on {1} under {2} is {3}, blame {4}, errno {5}")
    @CsvSource(nullValues = "-", textBlock = """
                    late-attach,               intel-mixed, 5.19,        REFUSED,   -,            EOPNOTSUPP
                    late-attach,               intel-mixed, 6.1,         REFUSED,   -,            EOPNOTSUPP
                    late-attach,               intel-mixed, 6.6,         REFUSED,   -,            EINVAL
                    late-attach,               intel-mixed, 7.1,         REFUSED,   -,            EINVAL
                    late-attach,               amd,         5.19-posted, COHERENT,  -,            -
                    guest-no-snoop-unreported, intel-sc,    5.18,        COHERENT,  -,            -
                    guest-no-snoop-unreported, intel-sc,    5.19-posted, CORRUPTED, HOST,         -
                    guest-no-snoop-unreported, intel-sc,    6.1,         CORRUPTED, HOST,         -
                    guest-no-snoop-unreported, intel-mixed, 5.18,        CORRUPTED, HOST,         -
                    guest-forgets-flush,       intel-mixed, 5.18,        CORRUPTED, GUEST_DRIVER, -
                    guest-forgets-flush,       intel-mixed, 5.19-posted, CORRUPTED, GUEST_DRIVER, -
                    guest-forgets-flush,       intel-mixed, 5.19,        COHERENT,  -,            -
                    """)
    void whatComesOfIt(String story, String machine, String release, Verdict verdict, Blame blame, Errno errno) {
        Outcome outcome = run(story, machine, release);
        assertThat(outcome.verdict()).as("%s", outcome.staleReads()).isEqualTo(verdict);
        assertThat(outcome.blame()).isEqualTo(blame);
        assertThat(outcome.errno()).isEqualTo(errno);
    }

    /**
     * Before 5.19 no driver has the control; in the series as it was posted, one unit without snoop control refuses for
     * all.
     */
    @ParameterizedTest(name = "{0} on {1} under {2}")
    @CsvSource(textBlock = """
                    late-attach,         intel-sc,    5.15,        ABSENT
                    late-attach,         intel-mixed, 5.18,        ABSENT
                    late-attach,         amd,         5.18,        ABSENT
                    capable-late-attach, intel-sc,    5.18,        ABSENT
                    capable-late-attach, amd,         5.15,        ABSENT
                    late-attach,         intel-mixed, 5.19-posted, REFUSED
                    capable-late-attach, intel-mixed, 5.19-posted, REFUSED
                    late-attach,         intel-nosc,  6.1,         REFUSED
                    capable-late-attach, intel-nosc,  7.1,         REFUSED
                    """)
    void whereNoDomainEnforcesThereIsNothingToJoin(
            String story, String machine, String release, Enforcement enforcement) {
        Outcome outcome = run(story, machine, release);
        assertThat(outcome.verdict()).isEqualTo(Verdict.NOT_APPLICABLE);
        assertThat(outcome.reason()).isEqualTo(NotApplicable.NO_ENFORCEMENT);
        assertThat(outcome.refusal()).contains("does not block no-snoop");
        assertThat(outcome.decision())
                .extracting(Decision::enforceCacheCoherency)
                .isEqualTo(enforcement);
        assertThat(outcome.bad()).isFalse();
        assertThat(outcome.blame()).isNull();
        assertThat(outcome.errno()).isNull();
        assertThat(outcome.noSnoopSent()).isZero();
    }
}
