// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Ended;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.Violation;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.page.Page;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.scenario.CaseRunner;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.Outcome;

/** A page, a machine and a kernel to explore in a test, and what came out. */
record Explored(Page page, String machine, Kernel kernel, Set<Programs.Property> never) {
    private static final MachineFactory MACHINES = MachineFactory.load();
    private static final CaseRunner RUNNER = new CaseRunner(MACHINES, IommuVendors.load());

    static Explored example(String name, String machine, String release) {
        return of(PageReader.read(Path.of("../examples/explorations", name + ".yaml")), machine, release);
    }

    static Explored text(String text, String machine, String release) {
        return of(PageReader.read("test.yaml", text.getBytes(StandardCharsets.UTF_8)), machine, release);
    }

    private static Explored of(Page page, String machine, String release) {
        return new Explored(page, machine, Kernel.of(LinuxRelease.of(release)), Set.of());
    }

    Explored fixed(String... fixes) {
        return new Explored(page, machine, kernel.withFixes(List.of(fixes)), never);
    }

    Explored never(Programs.Property... properties) {
        return new Explored(page, machine, kernel, Set.of(properties));
    }

    /** The same with some text of the page replaced. */
    Explored withText(String before, String after) {
        try {
            String text = Files.readString(Path.of(page.file()));
            assertThat(text).contains(before);
            return new Explored(
                    PageReader.read(page.file(), text.replace(before, after).getBytes(StandardCharsets.UTF_8)),
                    machine,
                    kernel,
                    never);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The page with the steps to the violation that is found. */
    Page foundPage() {
        return explorer().found(report().violation().orElseThrow());
    }

    PageExplorer explorer() {
        return new PageExplorer(RUNNER, page, MACHINES.named(machine), kernel, never);
    }

    Report report() {
        return explorer().explore(Settings.DEFAULT, Bounds.NONE, () -> false);
    }

    void assertClean() {
        Report report = report();
        assertThat(report.violation().map(Explored::words))
                .as(report.cover().statement())
                .isEmpty();
        assertThat(report.cover().ended()).isEqualTo(Ended.COMPLETE);
    }

    /** The violation of a property, which a run of its steps shows as well. */
    Outcome assertFound(String property, int length) {
        Report report = report();
        Violation violation = report.violation()
                .orElseThrow(() -> new AssertionError(report.cover().statement()));
        assertThat(violation.property()).as(words(violation)).isEqualTo(property);
        assertThat(violation.path()).as(words(violation)).hasSize(length);
        return explorer().run(explorer().found(violation));
    }

    void assertViolates(String property) {
        Report report = report();
        assertThat(report.violation().map(Violation::property))
                .as(report.violation()
                        .map(Explored::words)
                        .orElse(report.cover().statement()))
                .contains(property);
    }

    static String words(Violation violation) {
        return Stream.concat(
                        Stream.of(violation.property()),
                        violation.path().stream().map(org.iommu4j.explorer.Step::text))
                .collect(Collectors.joining("\n"));
    }
}
