// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class RulesCommandTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... arguments) {
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        String[] all = new String[arguments.length + 1];
        all[0] = "rules";
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        return commandLine.execute(all);
    }

    @Test
    void whatChangedForNoSnoopIsTheFirstThingThatIsRead() {
        assertThat(run("--diff", "6.6..6.7")).isZero();
        assertThat(out.toString())
                .startsWith("Linux 6.6 to 6.7: ")
                .contains("""
                        intel: enforcement (decides coherence)
                        """)
                .contains("362ff6dca541");
        assertThat(out.toString().indexOf("kvm: dropsEntriesOnChange"))
                .isBetween(0, out.toString().indexOf("amd: dirtyTracking"));
    }

    @Test
    void aKernelsOwnNameIsAsked() {
        assertThat(run("--linux", "6.8.12-4-pve", "--format", "markdown")).isZero();
        assertThat(out.toString()).startsWith("## Rules that decide coherence, Linux 6.8.12-4-pve\n");
        assertThat(run("--linux", "5.14.0-503.el9.x86_64", "--format", "json")).isZero();
        assertThat(out.toString()).contains("an enterprise kernel").contains("\"value\" : \"BY_MAPPING\"");
    }

    @Test
    void whatCantBeAnsweredIsOneLine() {
        assertThat(run("--diff", "6.6")).isEqualTo(2);
        assertThat(run("--linux", "5.4")).isEqualTo(2);
        assertThat(run("--linux", "newest")).isEqualTo(2);
        assertThat(run("--linux", "6.6", "--diff", "6.6..6.7")).isEqualTo(2);
        assertThat(err.toString().lines())
                .hasSize(4)
                .last()
                .asString()
                .contains("--linux and --diff ask two questions");
        assertThat(err.toString().lines()).element(2).asString().contains("'newest' is no Linux release");
        assertThat(out.toString()).isEmpty();
    }
}
