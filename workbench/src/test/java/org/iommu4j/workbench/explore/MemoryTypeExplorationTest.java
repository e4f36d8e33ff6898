// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.Violation;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A guest maps its buffer write-combining: what waits in a buffer is found where nothing drives it out. */
class MemoryTypeExplorationTest {
    /** The device writes the buffer when it likes, and the guest reads what it wrote. */
    private static final String OVERTAKEN = """
            case: overtaken
            about: a guest clears its buffer and asks a device to fill it
            actors:
              vcpu0: {vm: guest, cpu: 1}
              gpu:   {device: first, vm: guest, no-snoop: true}
            memory:
              buffer: {of: guest}
            programs:
              vcpu0: [map buffer as WC, store buffer = 0x1111, ASK, await gpu, load buffer]
              gpu:   [AWAIT, write buffer = 0x2222, done]
            may:
              scheduler: {move: vcpu0, preempt: vcpu0, at-most: 2}
              hardware:  {evict: buffer, prefetch: buffer, prefetch-by: any cpu}
            never: [stale read, lost write, unexpected fault, stuck]
            """;

    private static Explored overtaken(String ask, String await) {
        return Explored.text(OVERTAKEN.replace("ASK, ", ask).replace("AWAIT, ", await), "intel-nosc", "7.3");
    }

    /** Without a doorbell or a fence the word may leave its buffer after the device wrote. */
    @Test
    void aWordThatOvertakesADevicesWriteIsFoundAndTheDoorbellClosesIt() {
        Outcome outcome = overtaken("", "").assertFound("stale read", 6);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.GUEST_DRIVER);
        overtaken("ring gpu, ", "await vcpu0, ").assertClean();
        overtaken("sfence, ring gpu, ", "await vcpu0, ").assertClean();
    }

    /** A guest's choice of WC is ignored as its choice of UC is, and the same corrections have it hold. */
    @ParameterizedTest
    @ValueSource(strings = {"UC", "UC_MINUS", "WC"})
    void whatKvmIgnoresIsFoundForEveryTypeThatIsNotCached(String type) {
        Explored switched =
                Explored.example("quirk-switched", "intel-nosc", "7.3").withText("as UC", "as " + type);
        switched.assertFound("stale read", 10);
        switched.fixed("dropsEntriesOnQuirkChange").assertClean();
        Explored added =
                Explored.example("hot-added-uncached", "intel-nosc", "6.6").withText("as UC", "as " + type);
        added.assertFound("stale read", 9);
        Explored.example("hot-added-uncached", "intel-nosc", "6.7")
                .withText("as UC", "as " + type)
                .assertClean();
    }

    @Test
    void workersAndSymmetryAgreeWhereWordsWait() {
        Explored clean = overtaken("ring gpu, ", "await vcpu0, ");
        Explored found = overtaken("", "");
        assertThat(explored(found, Settings.DEFAULT.withWorkers(2)).violation().map(Violation::path))
                .hasValueSatisfying(path -> assertThat(path).hasSize(6));
        assertThat(explored(found, Settings.DEFAULT.withSymmetry(false))
                        .violation()
                        .map(Violation::path))
                .hasValueSatisfying(path -> assertThat(path).hasSize(6));
        Report one = explored(clean, Settings.DEFAULT);
        Report two = explored(clean, Settings.DEFAULT.withWorkers(2));
        Report whole = explored(clean, Settings.DEFAULT.withSymmetry(false));
        assertThat(two.cover().states()).isEqualTo(one.cover().states());
        assertThat(two.cover().transitions()).isEqualTo(one.cover().transitions());
        assertThat(whole.violation()).isEmpty();
        assertThat(whole.cover().depth()).isEqualTo(one.cover().depth());
        assertThat(whole.cover().states()).isGreaterThan(one.cover().states());
    }

    private static Report explored(Explored page, Settings settings) {
        return page.explorer().explore(settings, Bounds.NONE, () -> false);
    }

    /** A word that waits takes room in a state for its value, on each CPU. */
    @Test
    void moreValuesThanAStateHoldsAreRefused() {
        String values = "store buffer = 1, store buffer = 2, store buffer = 3, store buffer = 4, store buffer = 5,"
                + " store buffer = 6, store buffer = 7, ";
        Explored many = overtaken(values, "");
        assertThatThrownBy(many::report)
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'buffer' takes")
                .hasMessageEndingWith("expected at most 64: write fewer values to it");
    }
}
