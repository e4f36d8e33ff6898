// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.nio.charset.StandardCharsets;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A guest with an IOMMU of its own, on units that nest. */
class VirtualIommuTest {
    private static final String PAGE = """
            case: my-nesting
            about: a guest's table above the host's
            actors:
              guest: {by: iommufd, iommu: OFFER}
              vcpu0: {vm: guest, cpu: 1}
              gpu:   {device: DEVICE, no-snoop: true}
            memory:
              unused: {of: guest}
              buffer: {of: guest}
            steps:
              - vcpu0: map buffer for devices
              - vmm:   alloc parent hwpt host for gpu of guest
              - vmm:   nest hwpt both on hwpt host for gpu
              - vmm:   attach gpu to hwpt both
              - vmm:   kvm add gpu
              - vcpu0: store buffer = 0x1111
              - vcpu0: wbinvd of inner guest
              - gpu:   try read buffer
            expect:
              - {verdict: COHERENT}
            """;

    private static String page(String device, String offer) {
        return PAGE.replace("DEVICE", device).replace("OFFER", offer);
    }

    private static Outcome run(String text) {
        Workbench workbench = Workbench.create();
        Page page = PageReader.read("my.yaml", text.getBytes(StandardCharsets.UTF_8));
        return workbench
                .runner()
                .run(new PageCase(page), workbench.machines().named("intel-nest"), LinuxRelease.NEWEST);
    }

    /** The unit of the first device has snoop control, that of the second has none. */
    @ParameterizedTest(name = "device {0}, {1}: {2}, {3}, non-coherent {4}")
    @CsvSource({
        "first,  snoop-control, COHERENT,  ENFORCED,  false",
        "first,  plain,         COHERENT,  ENFORCED,  false",
        "second, snoop-control, CORRUPTED, NOT_ASKED, true",
        "second, plain,         COHERENT,  NOT_ASKED, true"
    })
    void aPromiseThatTheHostDoesNotKeepIsWhatCorrupts(
            String device, String offer, Verdict verdict, Enforcement enforcement, boolean noncoherent) {
        Outcome outcome = run(page(device, offer));

        assertThat(outcome.verdict()).as("%s", outcome.staleReads()).isEqualTo(verdict);
        assertThat(outcome.noSnoopSent()).isEqualTo(1);
        assertThat(outcome.noSnoopPassed()).isEqualTo(noncoherent ? 1 : 0);
        Decision decision = outcome.decision();
        assertThat(decision).isNotNull();
        assertThat(decision.enforceCacheCoherency()).isEqualTo(enforcement);
        assertThat(decision.kvmNoncoherentDma()).isEqualTo(noncoherent);
    }

    @ParameterizedTest
    @CsvSource({
        "map buffer for devices, load buffer, 'the IOMMU refuses a read of IOVA 0x40001000'",
        "map buffer for devices, map unused for devices, 'the IOMMU refuses a read of IOVA 0x40001000'"
    })
    void whatTheGuestDidNotMapIsRefused(String step, String inItsPlace, String message) {
        Outcome outcome = run(page("first", "plain").replace(step, inItsPlace));

        assertThat(outcome.verdict()).isEqualTo(Verdict.REFUSED);
        assertThat(outcome.refusal()).contains(message);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            by: iommufd, iommu: plain | by: type1, iommu: plain | expected by: iommufd
            , iommu: plain            | '                     ' | 'guest' has no IOMMU of its own
            nest hwpt both on         | nest hwpt host on       | hwpt 'host' is there already
            on hwpt host              | on hwpt other           | no hwpt 'other' was made before
            """)
    void aMistakeIsNamed(String words, String inTheirPlace, String message) {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> run(page("first", "plain").replace(words, inTheirPlace)))
                .withMessageContaining(message.strip());
    }

    /** The guest's table takes the last four of its sixteen pages. */
    @ParameterizedTest
    @CsvSource({"10, false", "11, true"})
    void theTableTakesItsPagesFromTheGuest(int more, boolean tooMany) {
        StringBuilder memory = new StringBuilder("memory:\n");
        for (int i = 0; i < more; i++) {
            memory.append("  more").append(i).append(": {of: guest}\n");
        }
        String text = page("first", "plain").replace("memory:\n", memory);

        if (tooMany) {
            assertThatExceptionOfType(InputException.class)
                    .isThrownBy(() -> run(text))
                    .withMessageContaining("more than 12 pages");
        } else {
            assertThat(run(text).verdict()).isEqualTo(Verdict.COHERENT);
        }
    }
}
