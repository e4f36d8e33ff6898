// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.Violation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A state is all that a live world depends on: a world to which it was restored goes on like one that came to it. */
class PageSystemTest {
    private static final int WALKS = 25;
    private static final int LENGTH = 60;

    /** Two guests with a vCPU each, host CPUs, two pages of memory, all that may happen. */
    private static final String CROWD = """
            case: crowd
            about: everything that a state has
            actors:
              vcpu0:  {vm: guest, cpu: 1}
              vcpu1:  {vm: guest, cpu: 2}
              kernel: {host: true, cpu: 0}
              gpu:    {device: first, vm: guest, no-snoop: true}
              nic:    {device: second, no-snoop: true}
            memory:
              one: {of: guest}
              two: {of: guest}
            programs:
              vcpu0:  [store one = 1, wbinvd, turn caching off, load two, map two as UC, store two = 5, ring gpu,
                       turn caching on, await gpu, load one, clflush one, wbinvd, load two]
              vcpu1:  [load one, store two = 2, wbinvd, map two as WB, load two, await vcpu0, store one = 3]
              kernel: [wbinvd, load one, store two = 4, clflush two, wbinvd everywhere]
              gpu:    [await vcpu0, read one, write two = 6, read two, done]
              nic:    [read one, write two = 7, write one = 8]
            may:
              scheduler: {move: [vcpu0, vcpu1], preempt: [vcpu0, vcpu1], at-most: 6}
              hardware:  {evict: [one, two], prefetch: [one, two], prefetch-by: any cpu}
              vmm:       [hot-add nic to guest, run vcpu1, hot-remove gpu from guest, hot-remove nic from guest,
                          hot-add gpu to guest]
            never: [stuck]
            """;

    /**
     * A page goes from a process to a guest, whose WBINVD has a device to reach; a quirk goes as well. The spare page
     * keeps the two others' lines in sets of their own: a machine's digest has the order of use, which no state has.
     */
    private static final String HAND_OVER = """
            case: hand-over
            about: what the VMM does besides adding and removing devices
            actors:
              tenant: {process: tenant, cpu: 0}
              kernel: {host: true, cpu: 2}
              vcpu0:  {vm: guest, cpu: 1}
              gpu:    {device: first, no-snoop: true}
            memory:
              spare: {of: tenant}
              given: {of: tenant, then: guest}
              own:   {of: guest}
            programs:
              tenant: [store given = 1, load given]
              kernel: [store given = 2, store own = 3, store given = 0]
              vcpu0:  [store own = 4, map own as UC, store own = 5, wbinvd, store given = 6, load given, load own]
              gpu:    [read own, read given, write own = 7, read own]
            may:
              scheduler: {move: vcpu0, preempt: vcpu0, at-most: 6}
              hardware:  {evict: [given, own], prefetch: [given, own]}
              vmm:       [VMM]
            never: [leak, stale read, wbinvd without effect, dirty after wbinvd]
            """;

    private static final String LATE = HAND_OVER.replace(
            "VMM]", "attach gpu to guest, open gpu, turn quirk IGNORE_GUEST_PAT of guest off, give given to guest]");
    private static final String EARLY = HAND_OVER.replace("VMM]", "give given to guest, hot-add gpu to guest]");

    private static PageSystem system(String text, String release, String machine) {
        return (PageSystem) Explored.text(text, machine, release).explorer().open();
    }

    @ParameterizedTest
    @CsvSource({"7.3, intel-nosc", "6.6, intel-mixed", "6.1, amd", "6.12, intel-sc", "7.3, amd-v2"})
    void aWorldThatAStateWasPutBackIntoGoesOnLikeTheOneThatCameToIt(String release, String machine) {
        assertGoesOn(CROWD, release, machine);
    }

    @Test
    void aPageThatIsGivenAndAQuirkThatGoesArePutBackToo() {
        assertGoesOn(LATE, "7.3", "intel-nosc");
        assertGoesOn(EARLY, "6.12", "intel-nosc");
        assertGoesOn(EARLY, "7.3", "amd-v2");
    }

    @Test
    void aPageThatNobodyWritesKeepsNothingOfAProbe() {
        Explored.text("""
                        case: unwritten
                        about: a word of such a page has no bits for its value
                        actors:
                          vcpu0: {vm: guest, cpu: 1}
                          gpu:   {device: first, vm: guest}
                        memory:
                          buffer: {of: guest}
                        programs:
                          vcpu0: [load buffer]
                          gpu:   [read buffer]
                        never: [stale read, unexpected fault]
                        """, "intel-nosc", "7.3").assertClean();
    }

    private static void assertGoesOn(String text, String release, String machine) {
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        Random random = new Random(seed);
        PageSystem walker = system(text, release, machine);
        PageSystem jumper = system(text, release, machine);
        List<long[]> visited = new ArrayList<>();
        int[] enabled = new int[walker.actions()];
        int[] others = new int[walker.actions()];
        for (int walk = 0; walk < WALKS; walk++) {
            walker.reset();
            for (int step = 0; step < LENGTH; step++) {
                String at = "seed " + seed + ", walk " + walk + ", step " + step;
                long[] state = saved(walker);
                visited.add(state);
                // Somewhere else in between, so that all of the state has to be put back.
                jumper.restore(visited.get(random.nextInt(visited.size())), 0);
                jumper.restore(state, 0);
                assertThat(saved(jumper)).as(at).isEqualTo(state);
                assertThat(jumper.fingerprint()).as(at).isEqualTo(walker.fingerprint());
                int count = walker.enabled(enabled);
                assertThat(jumper.enabled(others)).as(at).isEqualTo(count);
                if (count == 0) {
                    break;
                }
                assertThat(others).startsWith(Arrays.copyOf(enabled, count));
                int action = enabled[random.nextInt(count)];
                String done = walker.describe(action);
                walker.apply(action);
                jumper.apply(action);
                assertThat(KvmFields.of(jumper.live().vcpus)).as(at).isEqualTo(KvmFields.of(walker.live().vcpus));
                assertThat(saved(jumper)).as(at).isEqualTo(saved(walker));
                walker.forget();
                assertThat(saved(jumper)).as(at + ", all words").isEqualTo(saved(walker));
                assertThat(jumper.live().machine.digest())
                        .as(at + ", " + done)
                        .isEqualTo(walker.live().machine.digest());
            }
        }
        assertThat(visited).hasSizeGreaterThan(500);
    }

    @ParameterizedTest
    @CsvSource({"7.3, intel-nosc", "6.1, amd"})
    void bothFingerprintsTellTheSameStatesApart(String release, String machine) {
        long seed = Long.getLong("iommu4j.seed", 2664070570363L);
        Random random = new Random(seed);
        PageSystem walker = system(CROWD, release, machine);
        int[] enabled = new int[walker.actions()];
        Map<Long, Long> seconds = new HashMap<>();
        Map<Long, Long> secondsOfClasses = new HashMap<>();
        Set<List<Long>> states = new HashSet<>();
        for (int walk = 0; walk < 200; walk++) {
            walker.reset();
            int count = walker.enabled(enabled);
            for (int step = 0; step < LENGTH && count > 0; step++) {
                walker.apply(enabled[random.nextInt(count)]);
                count = walker.enabled(enabled);
                states.add(Arrays.stream(saved(walker)).boxed().toList());
                Long before = seconds.putIfAbsent(walker.fingerprint(), walker.secondFingerprint());
                Long beforeOfClass = secondsOfClasses.putIfAbsent(
                        walker.canonicalFingerprint(), walker.secondCanonicalFingerprint());
                assertThat(before).as("seed %d", seed).isIn(null, walker.secondFingerprint());
                assertThat(beforeOfClass).as("seed %d", seed).isIn(null, walker.secondCanonicalFingerprint());
            }
        }
        assertThat(new HashSet<>(seconds.values())).as("seed %d", seed).hasSameSizeAs(states);
        assertThat(new HashSet<>(secondsOfClasses.values()))
                .as("seed %d", seed)
                .hasSameSizeAs(secondsOfClasses.keySet())
                .hasSizeLessThan(states.size());
    }

    private static long[] saved(PageSystem system) {
        long[] state = new long[system.words()];
        system.save(state, 0);
        return state;
    }

    @ParameterizedTest
    @CsvSource({
        "flushed-buffer, intel-nosc",
        "received-buffer, intel-nosc",
        "hot-added, intel-nosc",
        "hot-added-uncached, intel-nosc",
        "quirk-switched, intel-nosc",
        "v2-promise, amd-v2",
        "given-page, intel-nosc",
        "opened-untold, intel-nosc"
    })
    void twoWorkersFindWhatOneFinds(String page, String machine) {
        Explored explored = Explored.example(page, machine, "7.3");
        Cover one = explored.explorer()
                .explore(Settings.DEFAULT, Bounds.NONE, () -> false)
                .cover();
        Cover two = explored.explorer()
                .explore(Settings.DEFAULT.withWorkers(2), Bounds.NONE, () -> false)
                .cover();
        assertThat(two.states()).isEqualTo(one.states());
        assertThat(two.transitions()).isEqualTo(one.transitions());
        assertThat(two.depth()).isEqualTo(one.depth());
    }

    @ParameterizedTest
    @CsvSource({
        "flushed-buffer, intel-nosc, 7.3, ''",
        "flushed-buffer, intel-nosc, 7.3, maskKeepsOwnCpu",
        "flushed-buffer, intel-nosc, 7.3, maskKeepsOwnCpu maskEmptiedWhilePinned",
        "received-buffer, intel-nosc, 7.3, maskKeepsOwnCpu maskEmptiedWhilePinned",
        "received-buffer, intel-nosc, 7.3, maskKeepsOwnCpu maskEmptiedWhilePinned wbinvdReachesAllCpus",
        "hot-added, intel-nosc, 7.3, ''",
        "hot-added, intel-nosc, 7.3, maskFollowsEveryLoad",
        "hot-added-uncached, intel-nosc, 6.6, ''",
        "quirk-switched, intel-nosc, 7.3, ''",
        "quirk-switched, intel-nosc, 7.3, dropsEntriesOnQuirkChange"
    })
    void symmetryOfCpusChangesNoVerdict(String page, String machine, String release, String corrections) {
        Explored explored = Explored.example(page, machine, release)
                .fixed(corrections.isEmpty() ? new String[0] : corrections.split(" "));
        Cover[] covers = assertFoldedAlike(explored);
        assertThat(covers[0].states()).isLessThan(covers[1].states());
    }

    /** Where no vCPU moves, and no CPU may prefetch but one on which a vCPU runs, there is nothing to fold. */
    @ParameterizedTest
    @CsvSource({
        "v2-promise, amd-v2, 7.3",
        "v2-promise, amd-v2, 6.12",
        "given-page, intel-nosc, 7.3",
        "given-page, intel-sc, 7.3",
        "opened-untold, intel-nosc, 7.3"
    })
    void symmetryOfCpusChangesNoVerdictOfAPageWithoutAScheduler(String page, String machine, String release) {
        Cover[] covers = assertFoldedAlike(Explored.example(page, machine, release));
        assertThat(covers[0].states()).isEqualTo(covers[1].states());
    }

    private static Cover[] assertFoldedAlike(Explored explored) {
        Report folded = explored.explorer().explore(Settings.DEFAULT, Bounds.NONE, () -> false);
        Report whole = explored.explorer().explore(Settings.DEFAULT.withSymmetry(false), Bounds.NONE, () -> false);
        assertThat(folded.violation().map(Violation::property))
                .isEqualTo(whole.violation().map(Violation::property));
        assertThat(folded.violation().map(each -> each.path().size()))
                .isEqualTo(whole.violation().map(each -> each.path().size()));
        assertThat(folded.cover().ended()).isEqualTo(whole.cover().ended());
        assertThat(folded.cover().depth()).isEqualTo(whole.cover().depth());
        return new Cover[] {folded.cover(), whole.cover()};
    }

    /** Words that wait in a write-combining buffer are part of a state; an uncached store drives all of a CPU's out. */
    @ParameterizedTest
    @ValueSource(strings = {"WC", "WT", "WP", "UC_MINUS"})
    void everyMemoryTypeIsPutBack(String type) {
        String crowd = CROWD.replace("map two as UC, store two = 5", "map two as " + type + ", store two = 5, sfence")
                .replace("map two as WB, load two", "map one as UC, mfence, load two")
                .replace("nic:    [read one,", "nic:    [read two,");
        assertThat(crowd).contains("sfence", "mfence", "[read two, write two");
        assertGoesOn(crowd, "7.3", "intel-nosc");
        assertGoesOn(crowd, "7.3", "intel-no-self-snoop");
        assertGoesOn(crowd, "6.12", "amd");
    }
}
