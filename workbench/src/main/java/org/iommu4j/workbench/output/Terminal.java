// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** What the terminal of the command can show. */
public final class Terminal {
    private static final int STANDARD_OUTPUT = 1;
    private static final int STANDARD_ERROR = 2;

    private static final int COLUMNS = 80;
    private static final int MOST_COLUMNS = 100;

    private Terminal() {}

    /** Returns how wide a report on standard output is, {@value #COLUMNS} to {@value #MOST_COLUMNS} columns. */
    public static int columns() {
        return columns(System.getenv(), isTerminal(STANDARD_OUTPUT));
    }

    /** Only of a terminal the environment knows the width ({@code COLUMNS}); reading is hard beyond the most. */
    static int columns(Map<String, String> environment, boolean terminal) {
        String columns = environment.getOrDefault("COLUMNS", "");
        return terminal && columns.matches("[1-9][0-9]{1,3}")
                ? Math.max(COLUMNS, Math.min(MOST_COLUMNS, Integer.parseInt(columns)))
                : COLUMNS;
    }

    /** Returns whether answers on standard output are coloured. */
    public static boolean hasColours() {
        return hasColours(System.getenv(), isTerminal(STANDARD_OUTPUT));
    }

    /** Returns whether a progress bar is shown on standard error. */
    public static boolean showsProgress() {
        return isTerminal(STANDARD_ERROR) && obeysSequences(System.getenv());
    }

    /**
     * Decides on colours by the user's wishes first ({@code NO_COLOR}, {@code CLICOLOR_FORCE}, {@code CLICOLOR}), then
     * by what the output is ({@code TERM}).
     *
     * @see <a href="https://no-color.org">no-color.org</a>
     */
    static boolean hasColours(Map<String, String> environment, boolean terminal) {
        if (!environment.getOrDefault("NO_COLOR", "").isEmpty()) {
            return false;
        }
        if (!environment.getOrDefault("CLICOLOR_FORCE", "0").equals("0")) {
            return true;
        }
        return terminal
                && obeysSequences(environment)
                && !environment.getOrDefault("CLICOLOR", "1").equals("0");
    }

    private static boolean obeysSequences(Map<String, String> environment) {
        String kind = environment.getOrDefault("TERM", "");
        return !kind.isEmpty() && !kind.equals("dumb");
    }

    /** Java knows only whether both standard input and output are one; Linux shows what each is. */
    private static boolean isTerminal(int descriptor) {
        try {
            String file = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor))
                    .toString();
            return file.startsWith("/dev/pts/") || file.startsWith("/dev/tty") || file.equals("/dev/console");
        } catch (IOException e) {
            return false; // no Linux: plain text is right everywhere
        }
    }
}
