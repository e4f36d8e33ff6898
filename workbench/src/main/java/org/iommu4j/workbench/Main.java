// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import org.iommu4j.workbench.host.InputException;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code iommu4j} command. */
@Command(
        name = "iommu4j",
        mixinStandardHelpOptions = true,
        version = "iommu4j 0.1.0-SNAPSHOT",
        description =
                "What happens to the caches when a PCIe device uses no-snoop: on a machine, under a kernel release.",
        subcommands = {
            RunCommand.class,
            CasesCommand.class,
            AuditCommand.class,
            DecodeCommand.class,
            CaptureCommand.class,
            AutoComplete.GenerateCompletion.class
        },
        footer = {
            "",
            "Exit codes: 0 fine; 2 wrong usage or unreadable input; 1 the answer is bad:",
            "CORRUPTED or LEAKED, or not coherent under --require-coherent.",
            "",
            "Try: iommu4j run guest-no-snoop, or on a Linux host: iommu4j audit"
        })
public final class Main {
    /** The answer is bad. */
    static final int EXIT_BAD = 1;

    /** Wrong usage or unreadable input. */
    static final int EXIT_USAGE = 2;

    /** A bug: the stack trace says where. */
    static final int EXIT_BUG = 70;

    Main() {}

    /** Runs the command and exits with its code. */
    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    /** Makes the command; its output goes where {@link CommandLine#setOut} says. */
    static CommandLine commandLine() {
        CommandLine commandLine = new CommandLine(new Main());
        commandLine.getCommandSpec().exitCodeOnExecutionException(EXIT_BUG);
        commandLine
                .getSubcommands()
                .values()
                .forEach(command -> command.getCommandSpec().exitCodeOnExecutionException(EXIT_BUG));
        commandLine.setCaseInsensitiveEnumValuesAllowed(true);
        commandLine.setParameterExceptionHandler((exception, unused) -> {
            CommandLine failed = exception.getCommandLine();
            oneLine(
                    failed.getErr(),
                    exception,
                    "; see '" + failed.getCommandSpec().qualifiedName() + " --help'");
            return EXIT_USAGE;
        });
        commandLine.setExecutionExceptionHandler((exception, command, unused) -> {
            if (exception instanceof IllegalArgumentException || exception instanceof InputException) {
                oneLine(command.getErr(), exception, "");
                return EXIT_USAGE;
            }
            throw exception;
        });
        return commandLine;
    }

    private static void oneLine(PrintWriter err, Exception exception, String hint) {
        String message = exception.getMessage();
        err.println("iommu4j: "
                + (message == null
                        ? exception.toString()
                        : message.lines().findFirst().orElse(""))
                + hint);
        err.flush();
    }
}
