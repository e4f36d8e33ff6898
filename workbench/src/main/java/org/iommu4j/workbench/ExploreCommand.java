// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.Ended;
import org.iommu4j.explorer.ExplorationEngine;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.Violation;
import org.iommu4j.host.InputException;
import org.iommu4j.host.Printable;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.explore.Bisection;
import org.iommu4j.workbench.explore.PageExplorer;
import org.iommu4j.workbench.output.Json;
import org.iommu4j.workbench.output.Terminal;
import org.iommu4j.workbench.output.TextFile;
import org.iommu4j.workbench.page.Page;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.PageText;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.report.ExploreHtml;
import org.iommu4j.workbench.report.TextReport;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.RequestRefusedException;
import org.iommu4j.workbench.scenario.UnexpectedFaultException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code iommu4j explore}: tries all orders of a page's programs. */
@Command(
        name = "explore",
        mixinStandardHelpOptions = true,
        description = "Tries all orders of a page's programs and of what may happen beside them (docs/explorer.md).",
        footer = {
            "",
            "Exit codes: 0 nothing found; 1 a violation; 2 any failure;",
            "130 stopped by Ctrl-C, after what was covered so far is printed.",
            "",
            "Examples:",
            "  iommu4j explore flushed-buffer.yaml --linux 6.12 --save found.yaml",
            "  iommu4j explore flushed-buffer.yaml --fix maskKeepsOwnCpu",
            "  iommu4j explore replacing-hwpt.yaml --machine intel-mixed --fix failedMove=6.18",
            "  iommu4j explore flushed-buffer.yaml --format html > explored.html",
            "  iommu4j explore hot-added-uncached.yaml --bisect"
        })
final class ExploreCommand implements Callable<Integer> {
    private static final String DEFAULT_MACHINE = "intel-nosc";
    private static final int LONGEST_ABOUT = 110;

    private final Supplier<? extends Interruption> interruptions;

    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(index = "0", paramLabel = "FILE.yaml", description = "A page with programs.")
    private String file = "";

    @Option(
            names = "--machine",
            paramLabel = "NAME",
            description = "A built-in machine (default: " + DEFAULT_MACHINE + ").")
    private String machine = DEFAULT_MACHINE;

    @Option(
            names = "--linux",
            paramLabel = "RELEASE",
            description = "The kernel whose rules apply, such as 6.12 or 6.12.95+deb13 (default: the newest).")
    private String linux = LinuxRelease.NEWEST.toString();

    @Option(
            names = "--bisect",
            description = "Explores under every known release, and names those at which the answer changes."
                    + " A violation under any of them is a bad answer.")
    private boolean bisect;

    @Option(
            names = "--property",
            paramLabel = "NAME",
            description = "What must not be, such as 'stale read', in place of the page's own; may be given again.")
    private List<String> properties = new ArrayList<>();

    @Option(
            names = "--fix",
            paramLabel = "RULE[=RELEASE]",
            description = "Gives a rule the value that it proposes, and no release has, or the value of another"
                    + " release. May be given again; 'iommu4j rules' lists the rules.")
    private List<String> fixes = new ArrayList<>();

    @Option(
            names = "--engine",
            paramLabel = "NAME",
            description = "What explores: local, or another that 'iommu4j --engine-path DIR explore' finds, such as"
                    + " spark (default: local).")
    private String engine = "local";

    @Option(names = "--depth", paramLabel = "N", description = "Stops so many events from the beginning.")
    private @Nullable Integer depth;

    @Option(names = "--workers", paramLabel = "N", description = "How many threads, 1 to 64 (default: 1).")
    private int workers = 1;

    @Option(
            names = "--memory",
            paramLabel = "SIZE",
            converter = SizeConverter.class,
            description = "How much memory the states may take, for example 4G (default: half of the heap).")
    private long memory = Runtime.getRuntime().maxMemory() / 2;

    @Option(
            names = "--save",
            paramLabel = "FILE",
            converter = OutputPathConverter.class,
            description = "Writes the way to a violation as a page that 'iommu4j run' runs.")
    private @Nullable Path save;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "One of: ${COMPLETION-CANDIDATES} (default: text).")
    private CaseFormat format = CaseFormat.TEXT;

    ExploreCommand() {
        this(Interruption::watch);
    }

    /** Stops as it is told by what is supplied, which is closed at the end. */
    ExploreCommand(Supplier<? extends Interruption> interruptions) {
        this.interruptions = interruptions;
    }

    @Override
    public Integer call() {
        try (Interruption stop = interruptions.get()) {
            return answer(stop);
        }
    }

    private int answer(BooleanSupplier stop) {
        Workbench workbench = PageWorlds.workbench();
        Path path = PathConverter.parameter(file);
        byte[] text = PageReader.text(path);
        Page page = PageReader.read(path.toString(), text);
        ExplorationEngine chosen = engine();
        MachineDescription described = workbench.machines().named(machine);
        if (bisect) {
            return bisect(page, kernel -> explore(chosen, page, text, kernel, stop));
        }
        LinuxRelease release = LinuxRelease.built(linux);
        Kernel kernel = kernel(release);
        PageExplorer explorer = new PageExplorer(workbench.runner(), page, described, kernel, never());
        if (save != null) {
            TextFile.requireWritable(save); // before minutes of work are lost
        }
        Report report;
        try {
            report = explore(chosen, page, text, kernel, stop);
        } catch (NotApplicableException | IommuException e) {
            throw new InputException(
                    page.file() + ":1:1: the page can't be set up on " + machine + ", Linux " + kernel.release() + ": "
                            + e.getMessage(),
                    e);
        }
        Optional<Violation> violation = report.violation();
        Page found = violation.map(explorer::found).orElse(null);
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        Outcome outcome = found == null || found.steps().isEmpty() ? null : run(explorer, found, commandLine.getErr());
        if (found != null && outcome != null) {
            save(page, found, violation.orElseThrow().property(), outcome);
        }
        PrintWriter out = commandLine.getOut();
        switch (format) {
            case TEXT -> {
                out.println(title(page) + ", Linux " + kernel.release() + ": "
                        + violation.map(Violation::property).orElse("nothing found"));
                out.println(report.cover().statement());
                violation.ifPresent(each -> {
                    out.println();
                    out.println("The shortest way, " + each.path().size() + " events:");
                    each.path().forEach(step -> out.println("  " + step.text()));
                });
                if (outcome != null) {
                    out.println();
                    out.print(new TextReport(commandLine.getColorScheme(), Terminal.columns()).of(outcome));
                }
            }
            case JSON -> out.println(Json.page(node(page, release, report, outcome)));
            case HTML ->
                out.print(ExploreHtml.of(title(page) + ", Linux " + kernel.release(), page.about(), report, outcome));
        }
        out.flush();
        if (report.cover().ended() == Ended.INTERRUPTED) {
            return Main.EXIT_INTERRUPTED;
        }
        return violation.isPresent() ? Main.EXIT_BAD : 0;
    }

    private Kernel kernel(LinuxRelease release) {
        return Kernel.of(release).withFixes(fixes);
    }

    private ExplorationEngine engine() {
        try {
            return ExplorationEngine.named(engine, ExploreCommand.class.getClassLoader());
        } catch (IllegalArgumentException e) {
            throw new InputException(e.getMessage() + "; others are found by 'iommu4j --engine-path DIR explore'", e);
        }
    }

    private Report explore(ExplorationEngine chosen, Page page, byte[] text, Kernel kernel, BooleanSupplier stop) {
        Bounds bounds = Bounds.NONE.withMemory(memory).withDepth(depth == null ? Bounds.NONE.depth() : depth);
        return chosen.explore(
                PageWorlds.world(page.file(), text, machine, kernel, never()),
                Settings.DEFAULT.withWorkers(workers),
                bounds,
                stop);
    }

    private int bisect(Page page, Function<Kernel, Report> explore) {
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        for (String other : List.of("--linux", "--save")) {
            if (commandLine.getParseResult().hasMatchedOption(other)) {
                throw new InputException("--bisect explores under every known release, so " + other + " has no place");
            }
        }
        if (format == CaseFormat.HTML) {
            throw new InputException("--bisect prints text or json, expected no --format html");
        }
        List<Bisection.Run> runs = Bisection.of(LinuxRelease.known(), release -> explore.apply(kernel(release)));
        PrintWriter out = commandLine.getOut();
        if (format == CaseFormat.JSON) {
            out.println(Json.page(node(page, runs)));
        } else {
            out.print(text(page, runs));
        }
        out.flush();
        if (left(runs) > 0) {
            return Main.EXIT_INTERRUPTED;
        }
        if (runs.stream().allMatch(run -> run.answer().kind() == Bisection.Kind.NOT_APPLICABLE)) {
            throw new InputException(
                    page.file() + ":1:1: the page can't be set up on " + machine + " under any release");
        }
        return runs.stream().anyMatch(run -> run.answer().kind() == Bisection.Kind.VIOLATION) ? Main.EXIT_BAD : 0;
    }

    private String text(Page page, List<Bisection.Run> runs) {
        StringBuilder text = new StringBuilder();
        text.append(title(page))
                .append(", every release of Linux")
                .append(withFixes())
                .append(":\n");
        List<String> releases = runs.stream()
                .map(run -> run.first().equals(run.last()) ? run.first().toString() : run.first() + " to " + run.last())
                .toList();
        int width = releases.stream().mapToInt(String::length).max().orElse(0);
        for (int i = 0; i < runs.size(); i++) {
            text.append(String.format(
                    Locale.ROOT,
                    "  %-" + width + "s  %s%n",
                    releases.get(i),
                    runs.get(i).answer().text()));
        }
        String changes =
                runs.stream().skip(1).map(run -> run.first().toString()).collect(Collectors.joining(", "));
        text.append(changes.isEmpty() ? "The answer never changes." : "The answer changes with " + changes + ".")
                .append('\n');
        List<LinuxRelease> known = LinuxRelease.known();
        int left = left(runs);
        if (left > 0) {
            text.append("Interrupted: ")
                    .append(known.get(known.size() - left))
                    .append(" and newer were not explored to an end.\n");
        }
        return text.toString();
    }

    /** Returns how many releases an interruption kept from an answer: the newest. */
    private static int left(List<Bisection.Run> runs) {
        List<LinuxRelease> known = LinuxRelease.known();
        return runs.isEmpty()
                ? known.size()
                : known.size() - 1 - known.indexOf(runs.get(runs.size() - 1).last());
    }

    private ObjectNode node(Page page, List<Bisection.Run> runs) {
        ObjectNode node = node(page);
        ArrayNode answers = node.putArray("runs");
        runs.forEach(run -> answers.addObject()
                .put("first", run.first().toString())
                .put("last", run.last().toString())
                .put("kind", run.answer().kind().name())
                .put("answer", run.answer().text()));
        node.put("interrupted", left(runs) > 0);
        return node;
    }

    /** Returns what is explored where. */
    private String title(Page page) {
        return page.name() + " on " + machine;
    }

    private String withFixes() {
        return fixes.isEmpty() ? "" : " with " + String.join(", ", fixes);
    }

    /** Returns what every answer begins with. */
    private ObjectNode node(Page page) {
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("case", page.name());
        node.put("machine", machine);
        ArrayNode named = node.putArray("fixes");
        fixes.forEach(named::add);
        return node;
    }

    /** Returns the outcome of a run, null when it has no one answer, since a request is refused after other DMA. */
    private @Nullable Outcome run(PageExplorer explorer, Page found, PrintWriter err) {
        try {
            return explorer.run(found);
        } catch (InputException | UnexpectedFaultException | RequestRefusedException e) {
            err.println(Printable.line("iommu4j: these steps can't be run as a case" + (save == null ? "" : " or saved")
                    + ": " + e.getMessage()));
            err.flush();
            return null;
        }
    }

    private Set<Programs.Property> never() {
        Set<Programs.Property> chosen = EnumSet.noneOf(Programs.Property.class);
        for (String name : properties) {
            chosen.add(Stream.of(Programs.Property.values())
                    .filter(property -> PageReader.sentence(property).equals(name))
                    .findFirst()
                    .orElseThrow(() -> new InputException("no property '" + name + "'; known: "
                            + Stream.of(Programs.Property.values())
                                    .map(PageReader::sentence)
                                    .collect(Collectors.joining(", ")))));
        }
        return chosen;
    }

    private void save(Page page, Page found, String property, Outcome outcome) {
        Path target = save;
        if (target == null) {
            return;
        }
        String about = property + ": " + page.about();
        String text = PageText.remark(List.of(
                        "Found by 'iommu4j explore " + page.name() + ".yaml --machine " + machine + " --linux " + linux
                                + fixOptions() + "'.",
                        "Run it by 'iommu4j run' with the same options."))
                + PageText.of(
                        found,
                        page.name() + "-found",
                        about.codePointCount(0, about.length()) <= LONGEST_ABOUT ? about : property,
                        outcome);
        TextFile.write(target, text);
    }

    private String fixOptions() {
        return fixes.stream().map(" --fix "::concat).collect(Collectors.joining());
    }

    private ObjectNode node(Page page, LinuxRelease release, Report report, @Nullable Outcome outcome) {
        ObjectNode node = node(page);
        node.put("linux", release.toString());
        Cover cover = report.cover();
        node.putObject("cover")
                .put("states", cover.states())
                .put("transitions", cover.transitions())
                .put("depth", cover.depth())
                .put("ended", cover.ended().name())
                .put("expectedCollisions", cover.expectedCollisions());
        report.violation().ifPresent(violation -> {
            ObjectNode found = node.putObject("violation").put("property", violation.property());
            ArrayNode path = found.putArray("path");
            violation.path().forEach(step -> path.add(step.text()));
            if (outcome != null) {
                found.put("verdict", outcome.verdict().name());
            }
        });
        return node;
    }
}
