// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.host.Printable;
import org.iommu4j.workbench.page.PageReader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ExploreCommandTest {
    private static final String FLUSHED = "../examples/explorations/flushed-buffer.yaml";

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int execute(String... arguments) {
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        commandLine.setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
        return commandLine.execute(arguments);
    }

    @Test
    void aViolationIsShownAndSavedAsAPageThatRunsToTheSameVerdict(@TempDir Path directory) throws Exception {
        Path saved = directory.resolve("found.yaml");
        assertThat(execute(
                        "explore", FLUSHED, "--linux", "6.12", "--property", "stale read", "--save", saved.toString()))
                .isEqualTo(1);
        assertThat(out.toString())
                .contains("flushed-buffer on intel-nosc, Linux 6.12: stale read")
                .contains("ended at the first violation")
                .contains("The shortest way, 15 events:")
                .contains("scheduler: move vcpu0 to cpu")
                .contains("CORRUPTED, blame HOST");
        assertThat(Files.readString(saved)).contains("verdict: CORRUPTED, blame: HOST");
        out.getBuffer().setLength(0);
        assertThat(execute("run", saved.toString(), "--linux", "6.12")).isEqualTo(1);
        assertThat(out.toString()).contains("CORRUPTED, blame HOST").doesNotContain("unexpected");
        // Who never flushed in vain has the same steps and another answer.
        out.getBuffer().setLength(0);
        assertThat(execute("run", saved.toString(), "--linux", "6.12", "--fix", "maskKeepsOwnCpu"))
                .isZero();
        assertThat(err.toString()).isEmpty();
    }

    /** Words of a page may hold any character, by an escape of YAML. */
    @Test
    void aSavedPageKeepsEveryCharacterOfTheWords(@TempDir Path directory) throws Exception {
        String words = "\\e[2J\\x85\\u2028\\ufeff\\r\\ud800 caf\u00e9 \\U0001f600 \\U000e0001 \\\\ \\\"";
        String page = Files.readString(Path.of(FLUSHED)).replace("about: a", "about: \"" + words + "\" #");
        Path file = Files.writeString(directory.resolve("page.yaml"), page);
        Path saved = directory.resolve("found.yaml");
        assertThat(execute("explore", file.toString(), "--linux", "6.12", "--save", saved.toString()))
                .isEqualTo(1);
        assertThat(err.toString()).isEmpty();
        assertThat(PageReader.read(saved).about())
                .endsWith(": " + PageReader.read(file).about());
        assertThat(Files.readString(saved).codePoints()).allMatch(c -> c == '\n' || Printable.isPrintable(c));
    }

    /** Minutes of work have no answer when that is noticed at their end. */
    @Test
    void aFileThatCantBeSavedIsRefusedBeforeTheExploration(@TempDir Path directory) {
        Path saved = directory.resolve("none/found.yaml");
        assertThat(execute("explore", FLUSHED, "--depth", "0", "--save", saved.toString()))
                .isEqualTo(2);
        assertThat(err.toString().lines())
                .containsExactly("iommu4j: " + saved + ": can't be written (no such file or directory)");
        assertThat(out.toString()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"--depth=0", "--bisect"})
    void aMachineThatIsNoneIsRefusedHoweverLongItsName(String option) {
        assertThat(execute("explore", FLUSHED, option, "--machine", "x".repeat(70_000)))
                .isEqualTo(2);
        assertThat(err.toString()).hasLineCount(1).startsWith("iommu4j: no machine 'x");
    }

    @Test
    void aReadThatIsRefusedIsTriedInTheSavedPage(@TempDir Path directory) throws Exception {
        Path saved = directory.resolve("found.yaml");
        assertThat(execute(
                        "explore",
                        "../examples/explorations/two-devices.yaml",
                        "--machine",
                        "intel-mixed-fs",
                        "--linux",
                        "6.19",
                        "--save",
                        saved.toString()))
                .isEqualTo(1);
        assertThat(out.toString()).contains("unexpected fault", "REFUSED");
        assertThat(Files.readString(saved)).contains("gpu2: try read buffer", "verdict: REFUSED");
        assertThat(execute("run", saved.toString(), "--machine", "intel-mixed-fs", "--linux", "6.19"))
                .isZero();
        assertThat(err.toString()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    --workers | 0  | number of workers is 0, expected 1 to 64
                    --workers | 65 | number of workers is 65, expected 1 to 64
                    --depth   | -1 | depth is -1, expected 0 or more
                    --memory  | 0  | memory is 0, expected 1 byte or more
                    """)
    void aValueThatCantBeIsRefusedByItsNameWithWhatIsExpected(String option, String value, String message) {
        assertThat(execute("explore", FLUSHED, option, value)).isEqualTo(2);
        assertThat(err.toString().lines()).singleElement().asString().isEqualTo("iommu4j: " + message);
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void whatWasCoveredIsSaidWhereNothingIsFound() {
        assertThat(execute(
                        "explore",
                        FLUSHED,
                        "--fix",
                        "maskKeepsOwnCpu",
                        "--fix",
                        "maskEmptiedWhilePinned",
                        "--workers",
                        "2"))
                .isZero();
        assertThat(out.toString())
                .contains("with maskEmptiedWhilePinned, maskKeepsOwnCpu: nothing found")
                .contains(" states, ", ": complete");
    }

    @Test
    void anEngineThatIsNotThereIsRefusedWithThoseThatAre() {
        assertThat(execute("explore", FLUSHED, "--engine", "remote")).isEqualTo(2);
        assertThat(err.toString())
                .contains("no engine \"remote\"; there are [local]; others are found by"
                        + " 'iommu4j --engine-path DIR explore'");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void aBoundIsSaid() {
        assertThat(execute("explore", FLUSHED, "--depth", "5", "--format", "json"))
                .isZero();
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.at("/cover/ended").asString()).isEqualTo("DEPTH");
        assertThat(json.at("/cover/depth").asInt()).isEqualTo(5);
        assertThat(json.has("violation")).isFalse();
    }

    @Test
    void programsReadAViolationAsJson() {
        assertThat(execute("explore", FLUSHED, "--property", "stale read", "--format", "json"))
                .isEqualTo(1);
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.at("/violation/property").asString()).isEqualTo("stale read");
        assertThat(json.at("/violation/path")).hasSize(15);
        assertThat(json.at("/violation/verdict").asString()).isEqualTo("CORRUPTED");
    }

    @Test
    void aBrowserShowsTheWayAndItsPicture() {
        assertThat(execute("explore", FLUSHED, "--property", "stale read", "--format", "html"))
                .isEqualTo(1);
        assertThat(out.toString())
                .startsWith("<!doctype html>")
                .endsWith("</body></html>\n")
                .contains("The shortest way to it has 15 events.")
                .contains(": ended at the first violation")
                .contains("<span class=\"CORRUPTED\">CORRUPTED by the host</span>")
                .containsOnlyOnce("<ol>")
                .contains("<svg class=\"story\"");
        assertThat(out.toString().split("<li>scheduler: |<li>[a-z0-9]+: ", -1)).hasSize(16);
    }

    @Test
    void aBrowserIsNotToldMoreThanWasCovered() {
        assertThat(execute("explore", FLUSHED, "--depth", "5", "--format", "html"))
                .isZero();
        assertThat(out.toString())
                .contains("not every order was tried: bounded by depth.")
                .contains("<span class=\"UNKNOWN\">nothing found</span>")
                .doesNotContain("<ol>", "<svg");
    }

    @Test
    void theReleaseAtWhichTheAnswerChangesIsNamed() {
        assertThat(execute("explore", "../examples/explorations/hot-added-uncached.yaml", "--bisect"))
                .isEqualTo(1);
        assertThat(out.toString().lines())
                .hasSize(4)
                .startsWith("hot-added-uncached on intel-nosc, every release of Linux:")
                .anyMatch(line -> line.matches("  5[.]15 to 6[.]6  stale read, \\d+ events"))
                .anyMatch(line -> line.matches("  6[.]7 to 7[.]3   nothing found, complete"))
                .endsWith("The answer changes with 6.7.");
    }

    @Test
    void programsReadWhichReleasesHaveOneAnswer() {
        assertThat(execute(
                        "explore",
                        "../examples/explorations/joining-hwpt.yaml",
                        "--machine",
                        "intel-mixed",
                        "--property",
                        "stale read",
                        "--bisect",
                        "--format",
                        "json"))
                .isEqualTo(1);
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.at("/runs")).hasSize(3);
        assertThat(json.at("/runs/0/kind").asString()).isEqualTo("NOT_APPLICABLE");
        assertThat(json.at("/runs/0/answer").asString()).isEqualTo("not applicable: RELEASE_LACKS");
        assertThat(json.at("/runs/0/last").asString()).isEqualTo("6.5");
        assertThat(json.at("/runs/1/first").asString()).isEqualTo("6.6");
        assertThat(json.at("/runs/1/kind").asString()).isEqualTo("NOTHING_FOUND");
        assertThat(json.at("/runs/2/first").asString()).isEqualTo("6.7");
        assertThat(json.at("/runs/2/last").asString()).isEqualTo("7.3");
        assertThat(json.at("/runs/2/kind").asString()).isEqualTo("VIOLATION");
    }

    @Test
    void aPageThatNoReleaseCanSetUpIsNoAnswer() {
        assertThat(execute("explore", "../examples/explorations/mixed-group.yaml", "--bisect", "--machine", "intel-sc"))
                .isEqualTo(2);
        assertThat(out.toString()).contains("5.15 to 7.3  not applicable: MACHINE_LACKS", "The answer never changes.");
        assertThat(err.toString()).contains("can't be set up on intel-sc under any release");
    }

    @Test
    void wrongInputExitsWithTwoAndNamesWhatIsAllowed() {
        assertThat(execute("explore", FLUSHED, "--property", "stale")).isEqualTo(2);
        assertThat(err.toString()).contains("no property 'stale'; known: leak, stale read, lost write");
        assertThat(execute("explore", FLUSHED, "--bisect", "--linux", "6.12")).isEqualTo(2);
        assertThat(err.toString()).contains("--bisect explores under every known release, so --linux has no place");
        assertThat(execute("explore", FLUSHED, "--bisect", "--format", "html")).isEqualTo(2);
        assertThat(err.toString()).contains("--bisect prints text or json");
        assertThat(execute("explore", FLUSHED, "--fix", "guestMtrrs")).isEqualTo(2);
        assertThat(err.toString())
                .contains("rule 'guestMtrrs' proposes no correction", "one of: guestMtrrs=5.15, guestMtrrs=6.11");
        assertThat(execute("run", "wbinvd-mask-hole", "--fix", "masks")).isEqualTo(2);
        assertThat(err.toString()).contains("no rule 'masks' to fix; with a correction: dropsEntriesOnQuirkChange,");
        assertThat(execute("explore", "../workbench/src/main/resources/cases/late-attach.yaml"))
                .isEqualTo(2);
        assertThat(err.toString()).contains("a page without programs");
        assertThat(execute("run", FLUSHED)).isEqualTo(2);
        assertThat(err.toString()).contains("'iommu4j explore' tries all");
        assertThat(execute("explore", FLUSHED, "--machine", "vax")).isEqualTo(2);
        assertThat(err.toString()).contains("no machine 'vax'");
        assertThat(execute("explore", "../examples/explorations/joining-hwpt.yaml", "--linux", "6.1"))
                .isEqualTo(2);
        assertThat(err.toString()).contains("can't be set up on intel-nosc, Linux 6.1", "no iommufd");
    }
}
