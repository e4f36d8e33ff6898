// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Programs.Property;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** AMD's guest tables answer that they block no-snoop, which they can't. */
class GuestTablesExplorationTest {
    private static Explored promised(String machine, String release) {
        return Explored.example("v2-promise", machine, release);
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.13", "6.18", "7.3"})
    void theBrokenPromiseIsFoundAsSoonAsTheDeviceIsThere(String release) {
        promised("amd-v2", release).assertFound("no-snoop after enforce", 1);
        promised("amd-v2", release).never(Property.NO_SNOOP_UNKNOWN_TO_KVM).assertFound("no-snoop unknown to kvm", 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.13", "6.18", "7.3"})
    void theGuestThatFlushedItsBufferInVainIsFound(String release) {
        Outcome outcome = promised("amd-v2", release).never(Property.STALE_READ).assertFound("stale read", 9);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    /** Up to 6.12 guest tables were for domains of the DMA API alone; and host tables keep the promise. */
    @ParameterizedTest
    @CsvSource({"amd-v2, 6.12", "amd-v2, 6.1", "amd, 7.3", "intel-sc, 7.3"})
    void nothingIsFoundWhereADevicesTablesBlockNoSnoop(String machine, String release) {
        promised(machine, release).assertClean();
    }

    /** Who is told the truth has WBINVD work: no promise is broken. */
    @Test
    void nothingIsFoundWhereTheAnswerIsNo() {
        promised("intel-nosc", "7.3").assertClean();
    }

    /** The buffer's frame was a table of the default domain, which had another format than the user's. */
    @Test
    void aBufferWhoseFrameWasATableBeginsAsZero() {
        Explored.text("""
                case: mapped-later
                about: a kernel user maps memory for its device
                actors:
                  user:   {host: true, cpu: 0}
                  shared: {domain: true}
                  gpu:    {device: first, in: shared, no-snoop: true}
                memory:
                  buffer: {of: shared}
                programs:
                  shared: [map buffer]
                  user:   [load buffer]
                  gpu:    [read buffer]
                never: [stale read]
                """, "amd-v2", "6.12").assertClean();
    }
}
