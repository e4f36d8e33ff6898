// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** The samples of the guide to audits are what the command prints for the guide's own inputs. */
class AuditGuideTest {
    private static final Path ROOT = Path.of("..");
    private static final Path GUIDE = ROOT.resolve("docs/audit.md");
    private static final String INDENT = "    ";
    private static final String COMMAND = INDENT + "./iommu4j audit docs/";

    @Test
    void theSamplesAreWhatTheCommandPrints() throws IOException {
        List<String> lines = Files.readAllLines(GUIDE);
        List<String> expected = new ArrayList<>();
        int samples = 0;
        for (int i = 0; i < lines.size(); i++) {
            expected.add(lines.get(i));
            if (lines.get(i).startsWith(COMMAND)) {
                samples++;
                expected.add("");
                printed(lines.get(i).strip().split(" +")).forEach(line -> expected.add(indented(line)));
                while (i + 1 < lines.size()
                        && (lines.get(i + 1).isEmpty() || lines.get(i + 1).startsWith(INDENT))) {
                    i++;
                }
                expected.add("");
            }
        }
        if (Boolean.getBoolean("iommu4j.guide.write")) {
            Files.write(GUIDE, expected);
        }
        assertThat(samples).isGreaterThanOrEqualTo(3);
        assertThat(Files.readAllLines(GUIDE))
                .as("-Diommu4j.guide.write=true writes the samples anew")
                .isEqualTo(expected);
    }

    private static String indented(String line) {
        return line.isEmpty() ? "" : INDENT + line;
    }

    /** Runs a command of the guide, whose paths begin at the top of the checkout. */
    private static List<String> printed(String... words) {
        List<String> arguments = new ArrayList<>();
        for (int i = 1; i < words.length; i++) {
            arguments.add(words[i].startsWith("docs/") ? ROOT.resolve(words[i]).toString() : words[i]);
        }
        StringWriter out = new StringWriter();
        CommandLine command = Main.commandLine();
        command.setOut(new PrintWriter(out, true));
        assertThat(command.execute(arguments.toArray(new String[0]))).isZero();
        return out.toString().lines().toList();
    }
}
