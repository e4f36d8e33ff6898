// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.IommuException;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.Violation;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Actor;
import org.iommu4j.workbench.page.Page;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.Pages;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.page.Verb;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.UnexpectedFaultException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * Looks in the library for what its pages don't show: each page's steps become programs, beside which all may happen.
 * The property {@code iommu4j.hunt} names what must not be, such as {@code STALE_READ,LEAK}, or {@code ALL}; without it
 * nothing is done. {@code iommu4j.hunt.releases} names other releases than the usual ones.
 *
 * <p>CPUs and devices take turns as in the page, by doorbells and {@code done}. The VMM's steps, or a domain's, keep
 * their order among themselves, and each may come at any time. What a page's scheduler and caches do is left to the
 * exploration.
 *
 * <p>What is printed as NEW violates a property in some order, while the page's own steps have no bad outcome, and it
 * is not the guest's driver that is to blame. What is printed as OPEN is found although every known hole is closed.
 */
@EnabledIfSystemProperty(named = "iommu4j.hunt", matches = "[A-Z_,]+")
class LibraryHuntTest {
    private static final Path LIBRARY = Path.of("src/main/resources/cases");
    private static final List<String> RELEASES = List.of(
            System.getProperty("iommu4j.hunt.releases", "7.3,6.18,6.12,6.6,6.1").split(","));
    private static final Bounds BOUNDS = Bounds.NONE.withStates(100_000).withTime(Duration.ofSeconds(10));
    private static final Set<Verb> LEFT_TO_CHANCE =
            Set.of(Verb.MOVE, Verb.PREEMPT, Verb.EVICT, Verb.PREFETCH, Verb.DRAIN, Verb.END_WBINVD);

    /** What closes every hole that docs/explorer.md names; first what closes more than one. */
    private static final List<String> CORRECTIONS = List.of(
            "wbinvdReachesAllCpus",
            "flushesOnRegistration",
            "maskFollowsEveryLoad",
            "maskEmptiedWhilePinned",
            "maskKeepsOwnCpu",
            "dropsEntriesOnQuirkChange",
            "keepsEnforceableApart",
            "filesAskWholeGroups",
            "dropsEntriesOnChange=6.7",
            "cachingOffIgnoresPat=6.7",
            "enforcement=6.7",
            "walks=6.13",
            "firstStageAttach=6.18",
            "failedMove=6.18",
            "guestTablesForAll=6.12");

    private static Set<Programs.Property> hunted() {
        String names = System.getProperty("iommu4j.hunt", "");
        return names.equals("ALL")
                ? EnumSet.allOf(Programs.Property.class)
                : Arrays.stream(names.split(","))
                        .map(Programs.Property::valueOf)
                        .collect(Collectors.toCollection(() -> EnumSet.noneOf(Programs.Property.class)));
    }

    @Test
    void aStaleReadThatIsFoundIsOneInARunOfItsOwn() throws IOException {
        Map<Page, String> texts = new LinkedHashMap<>();
        for (Page page : Pages.builtIn()) {
            String text = withPrograms(page);
            try {
                Explored.text(text, "intel-nosc", RELEASES.get(0)).explorer();
                texts.put(page, text);
            } catch (InputException e) {
                System.out.println(page.name() + ": " + e.getMessage());
            }
        }
        List<Throwable> bugs = new ArrayList<>();
        for (String release : RELEASES) {
            for (Map.Entry<Page, String> page : texts.entrySet()) {
                for (String machine : machines(page.getKey())) {
                    try {
                        hunt(page.getKey(), Explored.text(page.getValue(), machine, release));
                    } catch (IllegalStateException | AssertionError e) {
                        System.out.println(page.getKey().name() + " on " + machine + ", Linux " + release + ": " + e);
                        bugs.add(e);
                    }
                }
            }
        }
        assertThat(bugs).isEmpty();
    }

    /**
     * Looks for the nearest violation, then for that of the other properties, until nothing more is found. The way to
     * each is a shortest one.
     */
    private static void hunt(Page page, Explored explored) {
        String where = page.name() + " on " + explored.machine() + ", Linux "
                + explored.kernel().release() + ": ";
        Set<Programs.Property> left = hunted();
        while (!left.isEmpty()) {
            Report report;
            try {
                report = of(explored, left);
            } catch (NotApplicableException | IommuException | InputException e) {
                System.out.println(where + e.getMessage());
                if (left.remove(Programs.Property.LEAK)
                        && String.valueOf(e.getMessage()).contains("two owners")) {
                    continue;
                }
                return;
            }
            Optional<Violation> violation = report.violation();
            if (violation.isEmpty()) {
                System.out.println(where + "nothing found of " + left + ", "
                        + report.cover().ended() + "; " + report.cover().states() + " states");
                return;
            }
            Programs.Property property = property(violation.get());
            left.remove(property);
            print(page, where, explored, property, violation.get());
        }
    }

    private static Programs.Property property(Violation violation) {
        return Arrays.stream(Programs.Property.values())
                .filter(property -> PageReader.sentence(property).equals(violation.property()))
                .findFirst()
                .orElseThrow();
    }

    private static Report of(Explored explored, Set<Programs.Property> never) {
        return explored.never(never.toArray(new Programs.Property[0]))
                .explorer()
                .explore(Settings.DEFAULT, BOUNDS, () -> false);
    }

    private static void print(
            Page page, String where, Explored explored, Programs.Property property, Violation violation) {
        PageExplorer explorer = explored.never(property).explorer();
        Outcome own = explorer.run(page);
        String run;
        boolean isGuests = false;
        try {
            Outcome outcome = explorer.run(explorer.found(violation));
            isGuests = outcome.blame() == Blame.GUEST_DRIVER;
            run = outcome.verdict() + (outcome.blame() == null ? "" : " by " + outcome.blame());
            if (property == Programs.Property.STALE_READ) {
                // A read that the IOMMU refuses ends a run, and what comes behind it is not run.
                assertThat(outcome.verdict()).as(where).isIn(Verdict.CORRUPTED, Verdict.LEAKED, Verdict.REFUSED);
            }
        } catch (InputException | UnexpectedFaultException e) {
            run = e.getMessage();
        }
        boolean isNew = !own.bad() && !isGuests;
        boolean isOpen = !isKept(explored, CORRECTIONS, property);
        String closing = isNew && !isOpen ? "; nothing is found with " + closing(explored, property) : "";
        System.out.println((isNew ? "NEW " : "") + (isOpen ? "OPEN " : "") + where + violation.property() + ", "
                + violation.path().size() + " events; their run " + run + "; the page's " + own.verdict() + closing);
        violation.path().forEach(step -> System.out.println("  " + step.text()));
    }

    /** Returns corrections with which a property is kept, and none of which can be left out. */
    private static List<String> closing(Explored explored, Programs.Property property) {
        List<String> needed = new ArrayList<>(CORRECTIONS);
        for (String each : CORRECTIONS) {
            needed.remove(each);
            if (!isKept(explored, needed, property)) {
                needed.add(each);
            }
        }
        return needed;
    }

    private static boolean isKept(Explored explored, List<String> corrections, Programs.Property property) {
        return of(explored.fixed(corrections.toArray(new String[0])), Set.of(property))
                .violation()
                .isEmpty();
    }

    /** One that lets no-snoop pass, and the first machine of each expectation that names machines. */
    private static Set<String> machines(Page page) {
        Set<String> machines = new LinkedHashSet<>(Set.of("intel-nosc"));
        page.expectations().stream()
                .filter(expectation -> expectation.verdict() != Verdict.NOT_APPLICABLE)
                .flatMap(expectation -> expectation.machines().stream().limit(1))
                .forEach(machines::add);
        return machines;
    }

    /** Returns the page's text with programs in place of steps and expectations. */
    private static String withPrograms(Page page) throws IOException {
        Map<String, List<String>> programs = new LinkedHashMap<>();
        List<String> vmm = new ArrayList<>();
        String before = "";
        for (Step step : page.steps()) {
            if (LEFT_TO_CHANCE.contains(step.verb())) {
                continue;
            }
            if (step.actor().equals("vmm")) {
                vmm.add(step.words());
                continue;
            }
            String actor = step.actor();
            if (names(page, Actor.Kind.DOMAIN).contains(actor)) {
                programs.computeIfAbsent(actor, unused -> new ArrayList<>()).add(step.words());
                continue;
            }
            if (!before.isEmpty() && !before.equals(actor)) {
                handOver(page, before, actor, programs);
            }
            programs.computeIfAbsent(actor, unused -> new ArrayList<>()).add(words(step));
            before = actor;
        }
        StringBuilder text = new StringBuilder();
        String original = Files.readString(LIBRARY.resolve(page.name() + ".yaml"), StandardCharsets.UTF_8);
        text.append(original, 0, original.indexOf("\nsteps:") + 1).append("programs:\n");
        programs.forEach((actor, steps) ->
                text.append("  ").append(actor).append(": ").append(steps).append('\n'));
        String vcpus = names(page, Actor.Kind.VCPU).toString();
        String memory = page.memory().keySet().toString();
        text.append("may:\n");
        if (!vcpus.equals("[]")) {
            text.append("  scheduler: {move: " + vcpus + ", preempt: " + vcpus + ", at-most: 2}\n");
        }
        text.append("  hardware: {evict: " + memory + ", prefetch: " + memory + "}\n");
        if (!vmm.isEmpty()) {
            text.append("  vmm: ").append(vmm).append('\n');
        }
        return text.append("never: [stale read]\n").toString();
    }

    private static List<String> names(Page page, Actor.Kind kind) {
        return page.actors().entrySet().stream()
                .filter(actor -> actor.getValue().kind() == kind)
                .map(Map.Entry::getKey)
                .toList();
    }

    /** One waits for the other where a device is among them; CPUs have no signal for each other. */
    private static void handOver(Page page, String from, String to, Map<String, List<String>> programs) {
        boolean fromDevice = names(page, Actor.Kind.DEVICE).contains(from);
        boolean toDevice = names(page, Actor.Kind.DEVICE).contains(to);
        if (fromDevice || toDevice) {
            programs.computeIfAbsent(from, unused -> new ArrayList<>()).add(fromDevice ? "done" : "ring " + to);
            programs.computeIfAbsent(to, unused -> new ArrayList<>()).add("await " + from);
        }
    }

    private static String words(Step step) {
        return switch (step.verb()) {
            case BEGIN_WBINVD -> Verb.WBINVD.name().toLowerCase(Locale.ROOT);
            case TRY_READ -> "read " + step.argument(0);
            default -> step.words();
        };
    }
}
