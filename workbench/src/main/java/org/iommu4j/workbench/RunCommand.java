// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.Printable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.output.Terminal;
import org.iommu4j.workbench.output.TextFile;
import org.iommu4j.workbench.page.PageCase;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.Pages;
import org.iommu4j.workbench.report.JsonReport;
import org.iommu4j.workbench.report.RunHtml;
import org.iommu4j.workbench.report.TextReport;
import org.iommu4j.workbench.report.TraceEvents;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Outcome;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code iommu4j run}: runs one case on one machine. */
@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        description = "Runs a case on a built-in machine or on one built from a captured host.",
        footer = {
            "",
            "Examples:",
            "  iommu4j run guest-no-snoop --machine intel-sc",
            "  iommu4j run wbinvd-mask-hole --format html > run.html",
            "  iommu4j run my-case.yaml --machine intel-mixed --linux 6.1",
            "  iommu4j run guest-no-snoop --host capture.tar --device 0000:02:00.0"
        })
final class RunCommand implements Callable<Integer> {
    private static final String DEFAULT_MACHINE = "intel-nosc";

    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(
            index = "0",
            paramLabel = "CASE|FILE.yaml",
            description = "A built-in case ('iommu4j cases' lists them), or a page of one's own (docs/cases.md).")
    private String caseName = "";

    @ArgGroup
    private MachineChoice choice = new MachineChoice();

    @Option(
            names = "--device",
            paramLabel = "BDF",
            converter = AddressConverter.class,
            description =
                    "The device of the case, for example 0000:02:00.0; a second --device names its second device.")
    private List<PciAddress> devices = new ArrayList<>();

    @Option(
            names = "--linux",
            paramLabel = "RELEASE",
            description = "The kernel whose rules apply, such as 6.12 or 6.12.95+deb13 (default: the newest).")
    private String linux = LinuxRelease.NEWEST.toString();

    @Option(
            names = "--fix",
            paramLabel = "RULE[=RELEASE]",
            description = "Gives a rule the value that it proposes, and no release has, or the value of another"
                    + " release. May be given again; 'iommu4j rules' lists the rules.")
    private List<String> fixes = new ArrayList<>();

    @Option(
            names = "--allow-unsafe-interrupts",
            description =
                    "VFIO assigns devices whose interrupts are not remapped (module parameter of vfio_iommu_type1;"
                            + " a captured host's own setting applies as well).")
    private boolean allowUnsafeInterrupts;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "One of: ${COMPLETION-CANDIDATES} (default: text).")
    private CaseFormat format = CaseFormat.TEXT;

    @Option(
            names = "--trace",
            paramLabel = "FILE",
            converter = OutputPathConverter.class,
            description = "Also writes the run as trace events, which ui.perfetto.dev and chrome://tracing open.")
    private @Nullable Path trace;

    /** Either a built-in machine or a captured host. */
    static final class MachineChoice {
        @Option(
                names = "--machine",
                paramLabel = "NAME",
                description = "A built-in machine (default: " + DEFAULT_MACHINE + ").")
        private @Nullable String machine;

        @Option(
                names = "--host",
                paramLabel = "CAPTURE",
                description = "A directory or tar with a Linux sys/ tree; needs --device.")
        private @Nullable Path host;

        MachineChoice() {}
    }

    @Override
    public Integer call() {
        Workbench workbench = Workbench.create();
        Case story = Pages.isFile(caseName)
                ? new PageCase(PageReader.read(PathConverter.parameter(caseName)))
                : workbench.caseNamed(caseName);
        LinuxRelease release = LinuxRelease.built(linux);
        Path host = choice.host;
        Outcome outcome =
                host == null ? runBuiltIn(workbench, story, release) : runCaptured(workbench, story, release, host);
        writeTrace(outcome);
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        PrintWriter out = commandLine.getOut();
        switch (format) {
            case TEXT -> out.print(new TextReport(commandLine.getColorScheme(), Terminal.columns()).of(outcome));
            case JSON -> out.println(JsonReport.of(outcome));
            case HTML -> out.print(RunHtml.of(outcome));
        }
        out.flush();
        return outcome.bad() ? Main.EXIT_BAD : 0;
    }

    private void writeTrace(Outcome outcome) {
        if (trace != null) {
            TextFile.write(trace, TraceEvents.of(outcome) + "\n");
        }
    }

    private Outcome runBuiltIn(Workbench workbench, Case story, LinuxRelease release) {
        String machine = choice.machine;
        MachineDescription description = workbench.machines().named(machine == null ? DEFAULT_MACHINE : machine);
        return workbench.runner().run(story, description, kernel(new Kernel(release, allowUnsafeInterrupts)), devices);
    }

    private Kernel kernel(Kernel kernel) {
        return kernel.withFixes(fixes);
    }

    private Outcome runCaptured(Workbench workbench, Case story, LinuxRelease release, Path host) {
        HostEvidence captured = workbench.read(host);
        Workbench.requireDevice(captured, devices.isEmpty() ? null : devices.get(0));
        MachineDescription description;
        try {
            description = workbench.describe(captured);
        } catch (NotApplicableException e) {
            return Outcome.notApplicable(story.name(), story.about(), release, captured.name(), e);
        }
        PrintWriter err = Objects.requireNonNull(spec).commandLine().getErr();
        workbench
                .warnings(captured, description)
                .forEach(line -> err.println(Printable.line("iommu4j: warning: " + line)));
        err.flush();
        Kernel kernel = allowUnsafeInterrupts ? new Kernel(release, true) : Workbench.kernel(captured, release);
        return workbench.runner().run(story, description, kernel(kernel), devices);
    }
}
