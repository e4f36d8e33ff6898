// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.iommu4j.host.CaptureScript;
import org.iommu4j.host.HostCapture;
import org.iommu4j.host.Printable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
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
            "Captures this host's PCI functions, IOMMUs, groups and ACPI tables into a tar for another machine.%n",
            "Root can read more; what is missing is reported, also inside the tar. It has no serial numbers, MAC"
                    + " addresses, UUIDs or host names, and of command line and log what IOMMUs, PCI and VFIO need."
        },
        footer = {
            "%nExamples:%n  sudo iommu4j capture host.tar",
            "  iommu4j capture --script | ssh root@host 'cd /tmp && sh -s -- host.tar'"
        })
final class CaptureCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @ArgGroup(multiplicity = "1")
    private Wanted wanted = new Wanted();

    @Option(names = "--root", hidden = true, paramLabel = "DIR", description = "Where the host's files are.")
    private Path root = Path.of("/");

    private static final class Wanted {
        @Parameters(
                paramLabel = "FILE.tar",
                converter = OutputPathConverter.class,
                description = "The tar to make; .tar.gz or .tgz compresses it.")
        private @Nullable Path tar;

        @Option(names = "--script", description = "Prints a shell script that makes the tar on a host without Java.")
        private boolean script;
    }

    @Override
    public Integer call() {
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        PrintWriter out = commandLine.getOut();
        if (wanted.script || wanted.tar == null) {
            CaptureScript.text().lines().forEach(out::println);
            return 0;
        }
        HostCapture.Summary summary = HostCapture.write(root, wanted.tar);
        PrintWriter err = commandLine.getErr();
        summary.missing().forEach(line -> err.println(Printable.line("iommu4j: missing: " + line)));
        out.println(Printable.line(wanted.tar + ": PCI functions " + summary.functions() + ", IOMMUs " + summary.units()
                + ", groups " + summary.groups()));
        out.flush();
        return 0;
    }
}
