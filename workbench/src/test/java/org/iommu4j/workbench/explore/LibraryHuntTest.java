// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.IommuException;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.Violation;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Actor;
import org.iommu4j.workbench.page.Page;
import org.iommu4j.workbench.page.Pages;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.page.Verb;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * Looks in the library for what its pages don't show: each page's steps become programs, beside which all may happen.
 * The property {@code iommu4j.hunt} names what must not be, such as {@code STALE_READ}; without it nothing is done.
 *
 * <p>CPUs and devices take turns as in the page, by doorbells and {@code done}. The VMM's steps keep their order among
 * themselves, and each may come at any time. What a page's scheduler and caches do is left to the exploration. What is
 * printed as NEW violates the property in some order, and the page's own steps have no bad outcome.
 */
@EnabledIfSystemProperty(named = "iommu4j.hunt", matches = "[A-Z_]+")
class LibraryHuntTest {
    private static final Path LIBRARY = Path.of("src/main/resources/cases");
    private static final List<String> RELEASES = List.of("7.3", "6.18", "6.12", "6.6", "6.1");
    private static final Bounds BOUNDS = Bounds.NONE.withStates(1_000_000).withTime(Duration.ofSeconds(60));
    private static final Set<Verb> LEFT_TO_CHANCE =
            Set.of(Verb.MOVE, Verb.PREEMPT, Verb.EVICT, Verb.PREFETCH, Verb.DRAIN, Verb.END_WBINVD);

    private final Programs.Property property = Programs.Property.valueOf(System.getProperty("iommu4j.hunt", ""));

    @Test
    void aStaleReadThatIsFoundIsOneInARunOfItsOwn() throws IOException {
        for (Page page : Pages.builtIn()) {
            String text;
            try {
                text = withPrograms(page);
                Explored.text(text, machine(page), RELEASES.get(0)).explorer();
            } catch (InputException e) {
                System.out.println(page.name() + ": " + e.getMessage());
                continue;
            }
            for (String release : RELEASES) {
                explore(page, Explored.text(text, machine(page), release).never(property), release);
            }
        }
    }

    private void explore(Page page, Explored explored, String release) {
        String where = page.name() + " on " + explored.machine() + ", Linux " + release + ": ";
        PageExplorer explorer = explored.explorer();
        Report report;
        try {
            report = explorer.explore(Settings.DEFAULT, BOUNDS, () -> false);
        } catch (NotApplicableException | IommuException | InputException e) {
            System.out.println(where + e.getMessage());
            return;
        }
        Optional<Violation> violation = report.violation();
        System.out.println((violation.isPresent() && !explorer.run(page).bad() ? "NEW " : "")
                + where
                + violation
                        .map(Violation::property)
                        .orElse("nothing found, " + report.cover().ended())
                + "; " + report.cover().states() + " states");
        violation.ifPresent(found -> {
            found.path().forEach(step -> System.out.println("  " + step.text()));
            if (property == Programs.Property.STALE_READ) {
                Outcome outcome = explorer.run(explorer.found(found));
                System.out.println("  blame " + outcome.blame());
                assertThat(outcome.verdict()).as(where).isIn(Verdict.CORRUPTED, Verdict.LEAKED);
            }
        });
    }

    /** The first machine that the page's expectations name. */
    private static String machine(Page page) {
        return page.expectations().stream()
                .flatMap(expectation -> expectation.machines().stream())
                .findFirst()
                .orElse("intel-nosc");
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
