// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class MainTest {
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
    void aCoherentRunSaysSoFirstAndExitsWithZero() {
        assertThat(execute("run", "guest-no-snoop")).isZero();
        assertThat(out.toString().lines().findFirst())
                .contains("guest-no-snoop on intel-nosc (intel), Linux 7.3: COHERENT");
        assertThat(out.toString())
                .contains("guest's WBINVD            EXECUTED")
                .contains("vcpu0 executes WBINVD");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void aCorruptedRunExitsWithOne() {
        assertThat(execute("run", "guest-forgets-flush")).isEqualTo(1);
        assertThat(out.toString()).contains("CORRUPTED, blame GUEST_DRIVER").contains("stale at");
    }

    @Test
    void aRunIsAPageForABrowserWhoseExitCodeIsTheSame() {
        assertThat(execute("run", "guest-forgets-flush", "--format", "html")).isEqualTo(1);
        assertThat(out.toString())
                .startsWith("<!doctype html>")
                .contains("CORRUPTED by the guest&#39;s driver", "<svg");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void casesAreAPageForABrowser() {
        assertThat(execute("cases", "--machine", "intel-nosc", "--format", "html"))
                .isZero();
        assertThat(out.toString()).startsWith("<!doctype html>").contains("<table class=\"matrix\">", "<svg");
    }

    @Test
    void aRunIsAlsoWrittenAsTraceEvents(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("run.json");

        assertThat(execute("run", "guest-no-snoop", "--trace", file.toString())).isZero();

        assertThat(out.toString()).startsWith("guest-no-snoop on intel-nosc");
        JsonNode json = JsonMapper.shared().readTree(Files.readString(file));
        assertThat(json.at("/otherData/verdict").asString()).isEqualTo("COHERENT");
        assertThat(json.get("traceEvents")).isNotEmpty();
    }

    @Test
    void aTraceThatCantBeWrittenIsNamedInOneLine(@TempDir Path directory) {
        Path file = directory.resolve("none/run.json");

        assertThat(execute("run", "guest-no-snoop", "--trace", file.toString())).isEqualTo(2);

        assertThat(err.toString().lines())
                .containsExactly("iommu4j: " + file + ": can't be written (no such file or directory)");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void aRefusalIsAnAnswerAndExitsWithZero() {
        assertThat(execute("run", "late-attach", "--machine", "intel-mixed")).isZero();
        assertThat(out.toString()).contains("REFUSED with EINVAL");
    }

    @Test
    void aCaseThatDoesNotApplyIsNoPassAndExitsWithZero() {
        assertThat(execute("run", "late-attach", "--machine", "intel-nosc")).isZero();
        assertThat(out.toString().lines().findFirst())
                .contains("late-attach on intel-nosc (intel), Linux 7.3: NOT_APPLICABLE, NO_ENFORCEMENT");
        assertThat(out.toString()).contains("the domain of [0000:01:00.0] does not block no-snoop");
    }

    @Test
    void jsonHasTheReasonForWhichACaseDoesNotApply() {
        assertThat(execute("run", "capable-late-attach", "--linux", "5.15", "--format", "json"))
                .isZero();
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.get("verdict").asString()).isEqualTo("NOT_APPLICABLE");
        assertThat(json.get("reason").asString()).isEqualTo("NO_ENFORCEMENT");
        assertThat(json.get("refusal").asString()).contains("no such control");
        assertThat(json.get("errno").isNull()).isTrue();
        assertThat(json.get("blame").isNull()).isTrue();
        assertThat(json.at("/decision/enforceCacheCoherency").asString()).isEqualTo("ABSENT");
    }

    @Test
    void jsonHasTheFieldsThatProgramsRelyOn() {
        assertThat(execute("run", "guest-forgets-flush", "--machine", "intel-nosc", "--format", "json"))
                .isEqualTo(1);
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.propertyNames())
                .contains(
                        "case",
                        "linux",
                        "machine",
                        "verdict",
                        "reason",
                        "blame",
                        "errno",
                        "decision",
                        "domains",
                        "dma",
                        "staleReads");
        assertThat(json.get("case").asString()).isEqualTo("guest-forgets-flush");
        assertThat(json.get("linux").asString()).isEqualTo("7.3");
        assertThat(json.at("/machine/vendor").asString()).isEqualTo("intel");
        assertThat(json.get("verdict").asString()).isEqualTo("CORRUPTED");
        assertThat(json.get("reason").isNull()).isTrue();
        assertThat(json.get("blame").asString()).isEqualTo("GUEST_DRIVER");
        assertThat(json.get("errno").isNull()).isTrue();
        assertThat(json.at("/decision/enforceCacheCoherency").asString()).isEqualTo("REFUSED");
        assertThat(json.at("/decision/dmaCcIommu").booleanValue()).isFalse();
        assertThat(json.at("/decision/kvmNoncoherentDma").booleanValue()).isTrue();
        assertThat(json.at("/decision/wbinvd").asString()).isEqualTo("EXECUTED");
        assertThat(json.at("/decision/guestMemoryType").asString()).isEqualTo("WB");
        assertThat(json.at("/domains/0/devices/0").asString()).isEqualTo("0000:01:00.0");
        assertThat(json.at("/dma/noSnoopPassed").intValue()).isEqualTo(2);
        assertThat(json.at("/staleReads/0/expected").asString()).isEqualTo("0x1111");
        assertThat(json.at("/staleReads/0/observed").asString()).isEqualTo("0x0");
        assertThat(json.at("/staleReads/0/at").isInt()).isTrue();
        assertThat(json.at("/staleReads/0/why").asString()).contains("still in a cache");
    }

    @Test
    void whereThereIsNoVmTheFieldsAreNull() {
        assertThat(execute("run", "host-no-snoop", "--format", "json")).isZero();
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        for (String field : new String[] {"dmaCcIommu", "kvmNoncoherentDma", "wbinvd", "guestMemoryType"}) {
            assertThat(json.get("decision").get(field).isNull()).as(field).isTrue();
        }
    }

    @Test
    void theTableOfCasesHasARowACaseAndAColumnAMachine() {
        assertThat(execute("cases", "--machine", "intel-sc", "--machine", "amd"))
                .isZero();
        assertThat(out.toString().lines().findFirst().orElse("")).matches("Linux 7\\.3 +intel-sc +amd");
        assertThat(out.toString()).containsPattern("guest-no-snoop-unreported +CORRUPTED by HOST +COHERENT");
    }

    @Test
    void theTableOfCasesHasADashAndTheReasonWhereACaseDoesNotApply() {
        assertThat(execute("cases", "--machine", "intel-nosc", "--machine", "intel-sc", "--allow-unsafe-interrupts"))
                .isZero();
        assertThat(out.toString()).containsPattern("\\nlate-attach +- NO_ENFORCEMENT +COHERENT\\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "run",
                "run no-such-case",
                "run guest-no-snoop --machine vax",
                "run guest-no-snoop --linux 9.9",
                "run guest-no-snoop --linux 7.9.13",
                "run guest-no-snoop --linux 5.14.0-503.el9.x86_64",
                "cases --linux 5.14.0-503.el9.x86_64",
                "run guest-no-snoop --format csv",
                "run guest-no-snoop --device 0000:77:00.0",
                "run guest-no-snoop --device gpu",
                "run guest-no-snoop --device 0000:00:01.0",
                "run mixed-container --device 0000:01:00.0 --device 0000:01:00.0",
                "run mixed-container --device 0000:01:00.0 --device 0000:02:00.0 --device 0000:02:00.0",
                "run guest-no-snoop --host /no/such/file --device 0000:01:00.0",
                "run guest-no-snoop --machine amd --host x",
                "cases --machine vax",
                "frobnicate"
            })
    void wrongUsageIsOneLineAndExitCodeTwo(String line) {
        assertThat(execute(line.split(" "))).isEqualTo(2);
        assertThat(err.toString().lines()).singleElement().asString().startsWith("iommu4j: ");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void wrongUsageSaysWhereHelpIs() {
        assertThat(execute()).isEqualTo(2);
        assertThat(err.toString()).contains("Missing required subcommand").contains("'iommu4j --help'");
        execute("run");
        assertThat(err.toString()).contains("'iommu4j run --help'");
    }

    @Test
    void aMissListsWhatIsThere() {
        execute("run", "no-such-case");
        assertThat(err.toString()).contains("'no-such-case'").contains("guest-no-snoop");
        execute("run", "guest-no-snoop", "--machine", "vax");
        assertThat(err.toString()).contains("vax").contains("intel-nosc");
        execute("run", "guest-no-snoop", "--linux", "9.9");
        assertThat(err.toString()).contains("7.2, 7.3]");
    }

    @Test
    void aStableOrADistributionsKernelHasItsReleasesRulesAndItsOwnName() {
        assertThat(execute("run", "late-attach", "--linux", "5.18.19-200.fc36.x86_64", "--format", "json"))
                .isZero();
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.get("linux").asString()).isEqualTo("5.18.19-200.fc36.x86_64");
        assertThat(json.get("reason").asString()).isEqualTo("NO_ENFORCEMENT");
        assertThat(execute("cases", "--machine", "amd", "--linux", "6.8.12-4-pve", "--linux", "6.12.95"))
                .isZero();
        assertThat(out.toString()).contains("Linux 6.8.12-4-pve ").contains("Linux 6.12.95 ");
    }

    @Test
    void ofAnEnterpriseKernelTheReleasesThatMayHoldAreNamed() {
        assertThat(execute("run", "guest-no-snoop", "--linux", "5.14.0-503.el9.x86_64"))
                .isEqualTo(2);
        assertThat(err.toString())
                .contains("Linux 5.14.0-503.el9.x86_64 is an enterprise kernel")
                .contains("[5.15, 5.16, ")
                .contains("7.3]");
        execute("run", "guest-no-snoop", "--linux", "7.9.13");
        assertThat(err.toString()).contains("no rules for Linux release '7.9.13'");
    }

    @Test
    void aFileThatIsNoCaptureIsRefusedByName(@TempDir Path folder) throws Exception {
        Path file = Files.writeString(folder.resolve("notes.txt"), "hello");
        assertThat(execute("run", "guest-no-snoop", "--host", file.toString(), "--device", "0000:01:00.0"))
                .isEqualTo(2);
        assertThat(err.toString()).contains("notes.txt").doesNotContain("\tat ");
    }

    @Test
    void aCaptureIsMadeAndWhatIsMissingIsTold(@TempDir Path folder) throws Exception {
        Path device = Files.createDirectories(folder.resolve("sys/bus/pci/devices/0000:00:02.0"));
        Files.write(device.resolve("config"), new byte[64]);
        assertThat(execute("capture", folder.resolve("host.tar").toString(), "--root", folder.toString()))
                .isZero();
        assertThat(out.toString()).contains("host.tar: PCI functions 1, IOMMUs 0, groups 0");
        assertThat(err.toString()).contains("iommu4j: missing: configuration space of 1 of 1 functions");
    }

    @Test
    void aPlaceWithNothingToCaptureIsRefused(@TempDir Path folder) {
        assertThat(execute("capture", folder.resolve("host.tar").toString(), "--root", folder.toString()))
                .isEqualTo(2);
        assertThat(err.toString()).contains("no PCI function").doesNotContain("\tat ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "run", "cases", "audit", "decode", "capture", "rules"})
    void theNotesBelowAHelpFitATerminalOf80Columns(String name) {
        CommandLine main = Main.commandLine();
        CommandLine command = name.isEmpty() ? main : main.getSubcommands().get(name);
        assertThat(command.getCommandSpec().usageMessage().footer())
                .allSatisfy(line -> assertThat(line.length()).as(line).isLessThan(80));
    }
}
