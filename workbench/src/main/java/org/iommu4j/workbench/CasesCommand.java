// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.report.CaseTable;
import org.iommu4j.workbench.report.JsonReport;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.Outcome;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code iommu4j cases}: runs every case on every machine. */
@Command(
        name = "cases",
        mixinStandardHelpOptions = true,
        description = "Runs every case on every machine and prints the verdicts as a table.")
final class CasesCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

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
            names = "--allow-unsafe-interrupts",
            description =
                    "VFIO assigns devices whose interrupts are not remapped (module parameter of vfio_iommu_type1).")
    private boolean allowUnsafeInterrupts;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "One of: ${COMPLETION-CANDIDATES} (default: text).")
    private OutputFormat format = OutputFormat.TEXT;

    @Override
    public Integer call() {
        List<LinuxRelease> releases = linux.stream().map(LinuxRelease::built).toList();
        Workbench workbench = Workbench.create();
        List<MachineDescription> descriptions = machines.isEmpty()
                ? workbench.machines().builtIn()
                : machines.stream().map(workbench.machines()::named).toList();
        List<Outcome> outcomes = new ArrayList<>();
        for (LinuxRelease release : releases.isEmpty() ? List.of(LinuxRelease.NEWEST) : releases) {
            Kernel kernel = new Kernel(release, allowUnsafeInterrupts);
            for (Case story : workbench.cases()) {
                for (MachineDescription description : descriptions) {
                    outcomes.add(workbench.runner().run(story, description, kernel, List.of()));
                }
            }
        }
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        PrintWriter out = commandLine.getOut();
        switch (format) {
            case TEXT -> out.print(new CaseTable(commandLine.getColorScheme()).of(outcomes));
            case JSON -> out.println(JsonReport.of(outcomes));
        }
        out.flush();
        return 0;
    }
}
