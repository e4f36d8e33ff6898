// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.output.Terminal;
import org.iommu4j.workbench.page.PageCase;
import org.iommu4j.workbench.page.Pages;
import org.iommu4j.workbench.report.CaseTable;
import org.iommu4j.workbench.report.CasesHtml;
import org.iommu4j.workbench.report.JsonReport;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.Outcome;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code iommu4j cases}: runs every case on every machine. */
@Command(
        name = "cases",
        mixinStandardHelpOptions = true,
        description = "Runs every case on every machine and prints the verdicts as a table.",
        footer = {
            "",
            "Examples:",
            "  iommu4j cases --machine intel-nosc --all-releases",
            "  iommu4j cases --all-releases --format html > cases.html",
            "  iommu4j cases my-cases --linux 6.1 --linux 6.12"
        })
final class CasesCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(
            index = "0",
            arity = "0..1",
            paramLabel = "DIR",
            converter = PathConverter.class,
            description = "A directory of pages (default: the built-in cases).")
    private @Nullable Path directory;

    @Option(
            names = "--machine",
            paramLabel = "NAME",
            description = "A built-in machine; may be repeated (default: all).")
    private List<String> machines = new ArrayList<>();

    @Option(
            names = "--linux",
            paramLabel = "RELEASE",
            description = "A kernel, such as 6.12 or 6.12.95+deb13; may be repeated (default: the newest).")
    private List<String> linux = new ArrayList<>();

    @Option(
            names = "--all-releases",
            description = "Every release that is known; releases with one answer share a line.")
    private boolean allReleases;

    @Option(
            names = "--allow-unsafe-interrupts",
            description =
                    "VFIO assigns devices whose interrupts are not remapped (module parameter of vfio_iommu_type1).")
    private boolean allowUnsafeInterrupts;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "One of: ${COMPLETION-CANDIDATES} (default: text).")
    private CaseFormat format = CaseFormat.TEXT;

    @Override
    public Integer call() {
        List<LinuxRelease> releases = allReleases
                ? LinuxRelease.known()
                : linux.stream().map(LinuxRelease::built).toList();
        Workbench workbench = Workbench.create();
        List<MachineDescription> descriptions = machines.isEmpty()
                ? workbench.machines().builtIn()
                : machines.stream().map(workbench.machines()::named).toList();
        Path pages = directory;
        List<Case> stories = new ArrayList<>();
        if (pages == null) {
            stories.addAll(workbench.cases());
        } else {
            Pages.in(pages).forEach(page -> stories.add(new PageCase(page)));
        }
        List<Outcome> outcomes = new ArrayList<>();
        for (LinuxRelease release : releases.isEmpty() ? List.of(LinuxRelease.NEWEST) : releases) {
            Kernel kernel = new Kernel(release, allowUnsafeInterrupts);
            for (Case story : stories) {
                for (MachineDescription description : descriptions) {
                    outcomes.add(workbench.runner().run(story, description, kernel, List.of()));
                }
            }
        }
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        PrintWriter out = commandLine.getOut();
        switch (format) {
            case TEXT -> {
                CaseTable table = new CaseTable(commandLine.getColorScheme(), Terminal.columns());
                out.print(allReleases ? table.byReleases(outcomes) : table.of(outcomes));
            }
            case JSON -> out.println(JsonReport.of(outcomes));
            case HTML -> out.print(CasesHtml.of(outcomes));
        }
        out.flush();
        return 0;
    }
}
