// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import org.iommu4j.host.InputException;
import org.iommu4j.host.Printable;
import org.iommu4j.workbench.output.OutputException;
import org.iommu4j.workbench.output.StandardStreams;
import org.iommu4j.workbench.scenario.UnexpectedFaultException;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help;

/** The {@code iommu4j} command. */
@Command(
        name = "iommu4j",
        mixinStandardHelpOptions = true,
        version = "iommu4j 0.1.0-SNAPSHOT",
        description =
                "Shows what no-snoop requests of a PCIe device do to CPU caches, on a machine under a kernel release.",
        subcommands = {
            RunCommand.class,
            CasesCommand.class,
            ExploreCommand.class,
            AuditCommand.class,
            DecodeCommand.class,
            CaptureCommand.class,
            RulesCommand.class,
            AutoComplete.GenerateCompletion.class
        },
        footer = {
            "",
            "Exit codes: 0 success; 1 a bad answer: CORRUPTED, LEAKED, a violation, or",
            "not coherent under --require-coherent; 2 any failure: wrong usage,",
            "unreadable input, output that can't be written or whose reader is gone, a bug;",
            "130 Ctrl-C.%n",
            "Try: iommu4j run guest-no-snoop, or on a Linux host: iommu4j audit%n",
            "More vendors: iommu4j --vendor-path JAR:JAR COMMAND, or IOMMU4J_VENDOR_PATH",
            "More engines: iommu4j --engine-path DIR explore, or IOMMU4J_ENGINE_PATH"
        })
public final class Main {
    /** The answer is bad; no failure has this code. */
    static final int EXIT_BAD = 1;

    /** There is no answer, or not all of it was printed. */
    static final int EXIT_TROUBLE = 2;

    /** Ctrl-C stopped the command, whose answer is a part: 128 and the number of SIGINT, as the JVM has it as well. */
    static final int EXIT_INTERRUPTED = 130;

    /** Stands for bytes that are not text in the locale's character set. */
    private static final char UNREADABLE = '\ufffd';

    Main() {}

    /** Runs the command and exits with its code. */
    public static void main(String[] args) {
        int code = EXIT_TROUBLE;
        try {
            code = run(StandardStreams.open(), args);
        } finally {
            System.exit(code);
        }
    }

    /** Runs the command on given streams and returns its exit code; it throws nothing. */
    static int run(StandardStreams streams, String... args) {
        int code = EXIT_TROUBLE;
        try {
            if (areReadable(streams.err(), args)) {
                code = commandLine(streams).execute(args);
            }
        } catch (OutputException e) {
            return finish(streams, EXIT_TROUBLE);
        } catch (Throwable e) {
            report(streams.err(), e);
        }
        return finish(streams, code);
    }

    private static int finish(StandardStreams streams, int code) {
        return streams.finish() ? code : EXIT_TROUBLE;
    }

    private static boolean areReadable(PrintWriter err, String... args) {
        for (int i = 0; i < args.length; i++) {
            if (args[i].indexOf(UNREADABLE) >= 0) {
                oneLine(
                        err,
                        "argument " + (i + 1) + " '" + args[i] + "' is not text in this locale's character set ("
                                + System.getProperty("sun.jnu.encoding")
                                + "), expected UTF-8 text in a UTF-8 locale, for example LC_ALL=C.UTF-8");
                return false;
            }
        }
        return true;
    }

    private static CommandLine commandLine(StandardStreams streams) {
        return commandLine()
                .setOut(streams.out())
                .setErr(streams.err())
                .setColorScheme(Help.defaultColorScheme(streams.colours() ? Help.Ansi.ON : Help.Ansi.OFF));
    }

    /** Makes the command; {@link CommandLine#setOut} sets its output. */
    static CommandLine commandLine() {
        CommandLine commandLine = new CommandLine(new Main());
        commandLine.setExpandAtFiles(false);
        commandLine.setCaseInsensitiveEnumValuesAllowed(true);
        commandLine.registerConverter(Path.class, new PathConverter());
        commandLine.getCommandSpec().exitCodeOnExecutionException(EXIT_TROUBLE);
        commandLine
                .getSubcommands()
                .values()
                .forEach(command -> command.getCommandSpec().exitCodeOnExecutionException(EXIT_TROUBLE));
        commandLine.setExecutionStrategy(parsed -> {
            try {
                return new CommandLine.RunLast().execute(parsed);
            } catch (OutputException e) {
                return EXIT_TROUBLE; // a help text that can't be written; the streams report it at the end
            }
        });
        commandLine.setParameterExceptionHandler((exception, unused) -> {
            CommandLine failed = exception.getCommandLine();
            oneLine(
                    failed.getErr(),
                    message(exception) + "; see '" + failed.getCommandSpec().qualifiedName() + " --help'");
            return EXIT_TROUBLE;
        });
        commandLine.setExecutionExceptionHandler((exception, command, unused) -> {
            if (exception instanceof IllegalArgumentException
                    || exception instanceof InputException
                    || exception instanceof UnexpectedFaultException) {
                oneLine(command.getErr(), message(exception));
            } else if (!(exception instanceof OutputException)) {
                report(command.getErr(), exception);
            }
            return EXIT_TROUBLE;
        });
        return commandLine;
    }

    private static String message(Exception exception) {
        String message = exception.getMessage();
        return message == null ? exception.toString() : message;
    }

    private static void oneLine(PrintWriter err, String message) {
        err.println(Printable.line("iommu4j: " + message));
        err.flush();
    }

    /**
     * Where memory or the stack ran out, one line names it; else there is a bug, and the lines give its place.
     */
    private static void report(PrintWriter err, Throwable thrown) {
        oneLine(err, (thrown instanceof VirtualMachineError ? "gave up: " : "a bug: ") + thrown);
        if (thrown instanceof VirtualMachineError) {
            return;
        }
        for (Throwable at = thrown; at != null; at = at.getCause()) {
            err.println(Printable.line("  " + at));
            for (StackTraceElement element : at.getStackTrace()) {
                err.println(Printable.line("    at " + element));
            }
        }
        err.flush();
    }
}
