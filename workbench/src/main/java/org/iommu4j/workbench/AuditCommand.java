// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.Auditor;
import org.iommu4j.audit.Brief;
import org.iommu4j.audit.DeviceKind;
import org.iommu4j.audit.Selection;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.audit.AuditHtml;
import org.iommu4j.workbench.audit.AuditJson;
import org.iommu4j.workbench.audit.AuditText;
import org.iommu4j.workbench.audit.FleetReport;
import org.iommu4j.workbench.output.Terminal;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code iommu4j audit}: whether guests of a host are coherent. Loads no Guice. */
@Command(
        name = "audit",
        mixinStandardHelpOptions = true,
        description =
                "Reports for each device of a host whether a guest with it is coherent, why, and what can be done.",
        footer = {
            "",
            "Inputs of one host can be combined. Facts that no input states stay UNKNOWN",
            "and are listed. Where inputs differ, sys/ takes precedence over an ACPI table,",
            "the table over a kernel log, and the log over lspci. A fact is UNKNOWN where",
            "two inputs of one kind differ. Without inputs, the running host is read. The",
            "release is the host's own where the input states it, else the newest.",
            "With --require-coherent the exit code is 1 unless the guest is known to be",
            "coherent: the guest of --assign, else any guest with any assignable device of",
            "the host. It is 1 also where KVM treats the guest as coherent because of a",
            "promise that the IOMMU's driver does not keep.",
            "",
            "Examples:",
            "  iommu4j audit            (the running host, in brief; --verbose has all)",
            "  iommu4j audit --gpu",
            "  iommu4j audit capture.tar --assign 0000:02:00.0,0000:02:00.1",
            "  iommu4j audit --acpi DMAR.dat --lspci lspci.txt --dmesg log.txt --linux 6.1",
            "  iommu4j audit --fleet captures/ --format csv --require-coherent"
        })
final class AuditCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(
            paramLabel = "PATH",
            arity = "0..*",
            description =
                    "A directory, tar or zip with a Linux sys/ tree or texts, an ACPI table or acpidump, or text of"
                            + " lspci, dmesg or IOMMU groups, all in one or not; - is standard input.")
    private List<String> paths = new ArrayList<>();

    @Option(
            names = "--acpi",
            paramLabel = "FILE",
            description = "An ACPI table (DMAR, IVRS), or the output of acpidump.")
    private List<Path> acpi = new ArrayList<>();

    @Option(names = "--lspci", paramLabel = "FILE", description = "The output of lspci -vv, -vvv or -xxxx.")
    private @Nullable Path lspci;

    @Option(names = "--dmesg", paramLabel = "FILE", description = "A kernel log.")
    private @Nullable Path dmesg;

    @Option(names = "--groups", paramLabel = "FILE", description = "A listing of IOMMU groups.")
    private @Nullable Path groups;

    @Option(
            names = "--linux",
            paramLabel = "RELEASE",
            description = "The kernel whose rules apply, such as 6.12 or 6.12.95+deb13.")
    private @Nullable String linux;

    @Option(
            names = "--assign",
            paramLabel = "BDF[,BDF]",
            converter = AddressList.Converter.class,
            description = "Answers for one virtual machine with these devices.")
    private List<AddressList> assigned = new ArrayList<>();

    @Option(
            names = "--brief",
            description = "PASS, WARN or FAIL for each prerequisite, in at most 15 lines; so does the command without"
                    + " any option or input.")
    private boolean brief;

    @Option(names = "--gpu", description = "Speaks of graphics and of all in their groups; so do the next four.")
    private boolean gpu;

    @Option(names = "--net", description = "Network controllers.")
    private boolean net;

    @Option(names = "--nvme", description = "NVMe disks.")
    private boolean nvme;

    @Option(names = "--usb", description = "USB controllers.")
    private boolean usb;

    @Option(names = "--group", paramLabel = "N", description = "IOMMU groups by number.")
    private Set<Integer> only = new TreeSet<>();

    @Option(names = "--require-coherent", description = "Exits 1 unless the guest is known to be coherent.")
    private boolean requireCoherent;

    @Option(names = "--verbose", description = "Prints every register field, bridge, group and reason.")
    private boolean verbose;

    @Option(
            names = "--fleet",
            paramLabel = "DIR",
            description = "Prints one row per host; each entry of the directory is a capture.")
    private @Nullable Path fleet;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description =
                    "One of: ${COMPLETION-CANDIDATES} (default: text); csv only with --fleet, html only without it.")
    private Format format = Format.TEXT;

    /** How an audit is printed: for people, for programs, for a browser, for spreadsheets. */
    enum Format {
        TEXT,
        /** For a fleet, one object a line. */
        JSON,
        HTML,
        /** For spreadsheets; for a fleet only. */
        CSV;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Override
    public Integer call() {
        IommuVendors vendors = IommuVendors.load();
        Auditor auditor = new Auditor(vendors);
        Path directory = fleet;
        return directory == null ? one(auditor, vendors) : many(auditor, vendors, directory);
    }

    private Optional<LinuxRelease> release() {
        return Optional.ofNullable(linux).map(LinuxRelease::ofHost);
    }

    private int one(Auditor auditor, IommuVendors vendors) {
        List<PciAddress> devices =
                assigned.stream().flatMap(each -> each.addresses().stream()).toList();
        Audit audit = auditor.audit(inputs(vendors).read(), release(), devices).only(selection());
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        PrintWriter out = commandLine.getOut();
        switch (format) {
            case TEXT ->
                out.print(
                        brief || commandLine.getParseResult().expandedArgs().isEmpty()
                                ? String.join("\n", Brief.of(audit)) + "\n"
                                : new AuditText(commandLine.getColorScheme(), verbose, Terminal.columns()).of(audit));
            case JSON -> out.println(AuditJson.of(audit));
            case HTML -> out.print(AuditHtml.of(audit));
            case CSV -> throw new InputException("--format csv needs --fleet, expected text, json or html");
        }
        out.flush();
        return requireCoherent && !audit.reliablyCoherent() ? Main.EXIT_BAD : 0;
    }

    private Selection selection() {
        Map<DeviceKind, Boolean> kinds =
                Map.of(DeviceKind.GRAPHICS, gpu, DeviceKind.NETWORK, net, DeviceKind.NVME, nvme, DeviceKind.USB, usb);
        return Selection.of(kinds, only);
    }

    private int many(Auditor auditor, IommuVendors vendors, Path directory) {
        if (!paths.isEmpty() || !acpi.isEmpty() || lspci != null || dmesg != null || groups != null) {
            throw new InputException("--fleet reads hosts from its directory, expected no other input");
        }
        if (!selection().isEmpty()) {
            throw new InputException("--gpu, --net, --nvme, --usb and --group are about one host, expected no --fleet");
        }
        if (!assigned.isEmpty()) {
            throw new InputException("--assign asks about one host, expected no --fleet");
        }
        if (format == Format.HTML) {
            throw new InputException("--format html is for one host, expected text, json or csv with --fleet");
        }
        Supplier<HostInputs> inputs = () -> new HostInputs(vendors);
        boolean terminal = Terminal.showsProgress();
        FleetReport report = FleetReport.of(directory, auditor, inputs, release(), terminal);
        PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
        switch (format) {
            case TEXT -> out.print(report.text());
            case JSON -> out.print(report.jsonLines());
            case CSV -> out.print(report.csv());
            case HTML -> throw new IllegalStateException("refused above");
        }
        out.flush();
        if (report.anyUnusable()) {
            return Main.EXIT_TROUBLE;
        }
        return requireCoherent && report.anyNotCoherent() ? Main.EXIT_BAD : 0;
    }

    private HostInputs inputs(IommuVendors vendors) {
        HostInputs inputs = new HostInputs(vendors);
        paths.stream().map(PathConverter::parameter).forEach(inputs::path);
        acpi.forEach(inputs::acpi);
        add(lspci, inputs::lspci);
        add(dmesg, inputs::dmesg);
        add(groups, inputs::groups);
        boolean none = paths.isEmpty() && acpi.isEmpty() && lspci == null && dmesg == null && groups == null;
        return none ? inputs.live() : inputs;
    }

    private static void add(@Nullable Path file, Consumer<Path> reader) {
        if (file != null) {
            reader.accept(file);
        }
    }
}
