// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.iommu4j.host.HostCapture;
import org.iommu4j.host.Printable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code iommu4j capture}: makes a tar of the files that decide about the running host's IOMMUs. Loads no Guice. */
@Command(
        name = "capture",
        mixinStandardHelpOptions = true,
        description = {
            "Captures this host's PCI functions, IOMMUs, groups and ACPI tables into a tar, for later use or for use"
                    + " on another machine.",
            "",
            "Run it as root: other users can read neither all of configuration space nor ACPI tables. Files that can't"
                    + " be read are reported, and listed in MISSING.txt inside the tar. It holds no serial numbers,"
                    + " MAC addresses, UUIDs or host names. Of the kernel's command line it holds only parameters of"
                    + " IOMMUs, PCI and VFIO. Of the kernel's log it holds only the places and groups of functions, and"
                    + " the findings of IOMMU drivers."
        },
        footer = {
            "",
            "Examples:",
            "  sudo iommu4j capture host.tar",
            "  iommu4j run guest-no-snoop --host host.tar --device 0000:02:00.0"
        })
final class CaptureCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(
            index = "0",
            paramLabel = "FILE.tar",
            description = "The tar to make; a name in .tar.gz or .tgz compresses it.")
    private Path tar = Path.of("");

    @Option(names = "--root", hidden = true, paramLabel = "DIR", description = "Where the host's files are.")
    private Path root = Path.of("/");

    @Override
    public Integer call() {
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        HostCapture.Summary summary = HostCapture.write(root, tar);
        PrintWriter err = commandLine.getErr();
        summary.missing().forEach(line -> err.println(Printable.line("iommu4j: missing: " + line)));
        err.flush();
        PrintWriter out = commandLine.getOut();
        out.println(Printable.line(tar + ": PCI functions " + summary.functions() + ", IOMMUs " + summary.units()
                + ", groups " + summary.groups()));
        out.flush();
        return 0;
    }
}
