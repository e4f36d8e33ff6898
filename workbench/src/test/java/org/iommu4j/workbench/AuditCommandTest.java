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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** {@code iommu4j audit} as a script sees it: what it prints where, and its exit codes. */
class AuditCommandTest {
    private static final String LOG = """
            [    0.000000] Linux version 6.8.0-40-generic (buildd@x) #40
            [    0.140000] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap ECAP
            [    0.150000] DMAR-IR: Enabled IRQ remapping in x2apic mode
            [    0.500000] DMAR: Intel(R) Virtualization Technology for Directed I/O
            """;

    @TempDir
    private Path directory;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();
    private Path lspci = Path.of("");

    @BeforeEach
    void writeListing() throws IOException {
        lspci = Files.writeString(directory.resolve("lspci.txt"), "00:02.0 VGA compatible controller: Some GPU\n");
    }

    private Path log(String ecap) throws IOException {
        return Files.writeString(directory.resolve("dmesg-" + ecap + ".txt"), LOG.replace("ECAP", ecap));
    }

    private int run(Object... arguments) {
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        List<String> words = new ArrayList<>(List.of("audit"));
        for (Object argument : arguments) {
            words.add(argument.toString());
        }
        return commandLine.execute(words.toArray(String[]::new));
    }

    @Test
    void theVerdictIsTheFirstLine() throws IOException {
        assertThat(run(log("f050da"))).isZero();
        assertThat(out.toString().lines().findFirst().orElseThrow())
                .contains("Linux 6.8", "its unit can block no-snoop: guests are COHERENT");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void jsonIsOneObjectWithTheReleaseAndTheUnits() throws IOException {
        assertThat(run(log("f0505a"), "--format", "json")).isZero();
        assertThat(out.toString())
                .startsWith("{")
                .contains("\"linux\" : \"6.8\"", "\"id\" : \"dmar0\"", "\"snoopControl\" : false", "\"ECAP.SC\" : 0");
    }

    /** What is not known to be coherent does not pass: neither a unit without devices nor a device without a unit. */
    @ParameterizedTest
    @ValueSource(strings = {"f050da", "f0505a"})
    void requiringCoherenceFailsClosed(String ecap) throws IOException {
        assertThat(run(log(ecap), "--lspci", lspci, "--require-coherent")).isEqualTo(1);
        assertThat(out.toString()).contains("UNKNOWN");
    }

    @Test
    void aSingleDeviceIsAnsweredByTheMachinesUnitsBefore519() throws IOException {
        Path log = log("f0505a");
        assertThat(run(log, "--lspci", lspci, "--linux", "5.18", "--assign", "00:02.0", "--require-coherent"))
                .isEqualTo(1);
        assertThat(out.toString().replaceAll("\\s+", " "))
                .contains("Linux 6.8 by the rules of 5.18", "is NONCOHERENT because of 0000:00:02.0");
    }

    @Test
    void theRulesOfAStableKernelAreAskedForByItsName() throws IOException {
        assertThat(run(log("f050da"), "--linux", "6.12.95+deb13-amd64")).isZero();
        assertThat(out.toString()).contains("by the rules of 6.12.95");
    }

    @Test
    void anEnterpriseKernelsNameIsAnsweredAsThatOfAHost() throws IOException {
        assertThat(run(log("f050da"), "--linux", "5.14.0-503.el9.x86_64")).isZero();
        assertThat(out.toString().replaceAll("\\s+", " "))
                .contains("by the rules of 5.14.0-503.el9.x86_64", "does not say which of these holds: PER_MACHINE");
    }

    @Test
    void devicesAreAskedForByKindAndGroup() throws IOException {
        assertThat(run(log("f050da"), "--lspci", lspci, "--gpu")).isZero();
        assertThat(out.toString()).contains("00:02.0");
        assertThat(run(log("f050da"), "--lspci", lspci, "--net", "--group", "3"))
                .isEqualTo(2);
        assertThat(err.toString()).contains("the input has no device of network, group 3");
        assertThat(run("--fleet", directory, "--usb")).isEqualTo(2);
    }

    @Test
    void inBriefItIsOneLineForEachPrerequisite() throws IOException {
        assertThat(run(log("f050da"), "--lspci", lspci, "--brief")).isZero();
        assertThat(out.toString().lines())
                .hasSizeLessThanOrEqualTo(15)
                .first()
                .satisfies(line -> assertThat(line).startsWith("iommu4j audit, Linux 6.8"));
    }

    @Test
    void whatCannotBeUsedIsOneLineAndExitsTwo() throws IOException {
        assertThat(run(directory.resolve("absent.tar"))).isEqualTo(2);
        assertThat(run(log("f050da"), "--assign", "00:09.0")).isEqualTo(2);
        assertThat(run(log("f050da"), "--format", "csv")).isEqualTo(2);
        assertThat(run("--fleet", directory, "--format", "html")).isEqualTo(2);
        assertThat(run("--fleet", directory, lspci)).isEqualTo(2);
        assertThat(run(log("f050da"), "--linux", "5.4")).isEqualTo(2);
        assertThat(out.toString()).isEmpty();
        assertThat(err.toString().lines()).hasSize(6).allMatch(line -> line.startsWith("iommu4j: "));
    }

    @Test
    void aFleetIsARowForEachHost() throws IOException {
        Path fleet = Files.createDirectory(directory.resolve("fleet"));
        for (String host : List.of("one", "two")) {
            Path files = Files.createDirectory(fleet.resolve(host));
            Files.copy(log(host.equals("one") ? "f050da" : "f0505a"), files.resolve("dmesg.txt"));
            Files.writeString(files.resolve("notes"), "of no interest\n");
        }
        assertThat(run("--fleet", fleet, "--format", "csv")).isZero();
        assertThat(out.toString().lines())
                .hasSize(3)
                .element(0)
                .isEqualTo("host,linux,guest,units,cantBlock,devices,noncoherent,unknown,falsePromises,verdict");
        assertThat(out.toString()).contains(",6.8,COHERENT,1,0,0,0,0,0,", ",6.8,NONCOHERENT,1,1,0,0,0,0,");
        assertThat(run("--fleet", fleet, "--require-coherent")).isEqualTo(1);
    }
}
