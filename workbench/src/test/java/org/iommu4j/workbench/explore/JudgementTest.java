// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.iommu4j.explorer.Step;
import org.iommu4j.explorer.Violation;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.Programs.Property;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** An exploration says of any order of steps what the library's checker says of a run of them. */
class JudgementTest {
    private static final int WALKS = 40;

    /** A page goes from a process to a guest; another guest's device takes part, which comes and goes. */
    private static final String PAGE = """
            case: hand-over
            about: data of a process, of the host and of a guest in two pages
            actors:
              tenant: {process: tenant, cpu: 0}
              kernel: {host: true, cpu: 2}
              vcpu0:  {vm: guest, cpu: 1}
              gpu:    {device: first, vm: guest, no-snoop: true}
            memory:
              given: {of: tenant, then: guest}
              own:   {of: guest}
            programs:
              tenant: [store given = 1, load given, store given = 2]
              kernel: [store given = 3, clflush given, store own = 4, store given = 0, wbinvd]
              vcpu0:  [store own = 5, load own, wbinvd, store given = 6, load given, load own]
              gpu:    [read own, read given, write own = 7, write given = 8, read given]
            may:
              scheduler: {move: vcpu0, at-most: 2}
              hardware:  {evict: [given, own], prefetch: [given, own], prefetch-by: any cpu}
              vmm:       [give given to guest]
            never: [leak, stale read, lost write]
            """;

    @ParameterizedTest
    @CsvSource({"7.3, intel-nosc", "6.6, intel-sc", "6.12, amd"})
    void aRunOfARandomOrderIsJudgedAlike(String release, String machine) {
        assertThat(leaks(PAGE, release, machine) > 0).as("leaks").isEqualTo(machine.equals("intel-nosc"));
    }

    /** What waits in a buffer and what an alias leaves in a cache are judged alike, with self-snoop and without. */
    @ParameterizedTest
    @CsvSource({
        "WC, intel-nosc",
        "WC, intel-no-self-snoop",
        "WC, amd",
        "WC, intel-sc",
        "WT, intel-nosc",
        "WP, intel-no-self-snoop",
        "UC, intel-no-self-snoop"
    })
    void aRunWithAnotherMemoryTypeIsJudgedAlike(String type, String machine) {
        String mapped = PAGE.replace(
                "[store own = 5, load own, wbinvd,",
                "[load own, map own as " + type + ", store own = 5, map given as " + type
                        + ", load own, store own = 9, sfence,");
        assertThat(mapped).contains("sfence");
        leaks(mapped, "7.3", machine);
    }

    /** Returns in how many walks there is a leak. */
    private static int leaks(String page, String release, String machine) {
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        Random random = new Random(seed);
        PageExplorer explorer = Explored.text(page, machine, release).explorer();
        PageSystem system = (PageSystem) explorer.open();
        int[] enabled = new int[system.actions()];
        int leaks = 0;
        for (int walk = 0; walk < WALKS; walk++) {
            system.reset();
            List<Step> path = new ArrayList<>();
            for (int count = system.enabled(enabled); count > 0; count = system.enabled(enabled)) {
                int action = chosen(system, random, enabled, count);
                if (action < 0) {
                    break;
                }
                path.add(new Step(action, system.describe(action)));
                system.apply(action);
            }
            Outcome outcome = explorer.run(explorer.found(new Violation("walk", path)));
            String at = "seed " + seed + ", walk " + walk + ": " + path;
            boolean leaked = !holds(system, Property.LEAK);
            assertThat(outcome.verdict() == Verdict.LEAKED).as(at).isEqualTo(leaked);
            assertThat(outcome.staleReads().stream().anyMatch(read -> !read.ofMemory()))
                    .as(at)
                    .isEqualTo(!holds(system, Property.STALE_READ));
            assertThat(outcome.staleReads().stream().anyMatch(StaleRead::ofMemory))
                    .as(at)
                    .isEqualTo(!holds(system, Property.LOST_WRITE));
            leaks += leaked ? 1 : 0;
        }
        return leaks;
    }

    /** What hardware does never ends: mostly a program or the VMM goes on, and when none can, the walk ends. */
    private static int chosen(PageSystem system, Random random, int[] enabled, int count) {
        List<Integer> others = new ArrayList<>();
        List<Integer> events = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            (system.describe(enabled[i]).startsWith("hardware") ? events : others).add(enabled[i]);
        }
        if (others.isEmpty()) {
            return -1;
        }
        List<Integer> from = !events.isEmpty() && random.nextInt(3) == 0 ? events : others;
        return from.get(random.nextInt(from.size()));
    }

    private static boolean holds(PageSystem system, Property property) {
        String name = PageReader.sentence(property);
        return system.properties().stream()
                .filter(each -> each.name().equals(name))
                .allMatch(org.iommu4j.explorer.Property::holds);
    }
}
