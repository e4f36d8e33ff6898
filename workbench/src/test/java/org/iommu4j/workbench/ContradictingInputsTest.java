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
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** Inputs that are not of one host, or of one time: no check passes because of the order in which they are named. */
class ContradictingInputsTest {
    private static final String DEVICE = "0000:01:00.0";
    private static final String BLOCKS = "f050da";
    private static final String CANNOT = "f0505a";

    @TempDir
    private Path folder;

    private record Answer(int exit, String out, String err) {
        String line() {
            return out.replaceAll("\\s+", " ");
        }
    }

    private static Answer audit(Object... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        List<String> words = new ArrayList<>(List.of("audit"));
        for (Object argument : arguments) {
            words.add(argument.toString());
        }
        int exit = commandLine.execute(words.toArray(String[]::new));
        return new Answer(exit, out.toString(), err.toString());
    }

    private Path log(String name, String release, String ecap) throws IOException {
        return Files.writeString(folder.resolve(name), """
                Linux version %s (x@y) #1
                DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap %s
                DMAR-IR: Enabled IRQ remapping in x2apic mode
                DMAR: Intel(R) Virtualization Technology for Directed I/O
                """.formatted(release, ecap));
    }

    private Path lspci(String name, String... devices) throws IOException {
        StringBuilder text = new StringBuilder("00:00.0 Host bridge: Maker Bridge\n");
        for (String device : devices) {
            text.append(device).append(" Ethernet controller: Maker Card\n\tIOMMU group: 1\n");
        }
        return Files.writeString(folder.resolve(name), text);
    }

    /** A host whose Linux shows a unit, and the device behind it. */
    private Path capture(String name, String ecap) throws IOException {
        Path host = Files.createDirectories(folder.resolve(name));
        Path unit = Files.createDirectories(host.resolve("sys/class/iommu/dmar0/intel-iommu"));
        Files.writeString(unit.resolve("address"), "fed90000\n");
        Files.writeString(unit.resolve("version"), "1:0\n");
        Files.writeString(unit.resolve("cap"), "d2008c40660462\n");
        Files.writeString(unit.resolve("ecap"), ecap + "\n");
        Path device = Files.createDirectories(host.resolve("sys/bus/pci/devices/" + DEVICE));
        Files.writeString(device.resolve("class"), "0x020000\n");
        Files.createDirectories(host.resolve("sys/kernel/iommu_groups/1/devices/" + DEVICE));
        Files.createSymbolicLink(device.resolve("iommu"), Path.of("../../../../class/iommu/dmar0"));
        Path release = Files.createDirectories(host.resolve("proc/sys/kernel"));
        Files.writeString(release.resolve("osrelease"), "6.1.0\n");
        Files.createDirectories(host.resolve("sys/bus/pci/drivers"));
        return host;
    }

    private Path good = Path.of("");
    private Path bad = Path.of("");

    @BeforeEach
    void twoCaptures() throws IOException {
        good = capture("good", BLOCKS);
        bad = capture("bad", CANNOT);
    }

    @Test
    void oneCapturePassesAndTheOtherDoesNot() {
        assertThat(audit(good, "--require-coherent").exit()).isZero();
        assertThat(audit(bad, "--require-coherent").exit()).isEqualTo(1);
    }

    @Test
    void severalCapturesAreRefusedInOneLineThatNamesFleets() {
        for (List<Path> paths : List.of(List.of(good, bad), List.of(bad, good), List.of(good, good))) {
            Answer answer = audit(paths.get(0), paths.get(1), "--require-coherent");
            assertThat(answer.exit()).isEqualTo(2);
            assertThat(answer.out()).isEmpty();
            assertThat(answer.err().lines())
                    .singleElement()
                    .asString()
                    .contains(paths.get(0) + " and " + paths.get(1) + " are two captures", "--fleet");
        }
    }

    @Test
    void severalCapturesInTheFolderOfOneHostOfAFleetAreThatHostsRow() throws IOException {
        Path fleet = Files.createDirectories(folder.resolve("fleet"));
        Path host = Files.createDirectories(fleet.resolve("twice"));
        for (String name : List.of("a.tar", "b.tar")) {
            Tars.write(host.resolve(name), good);
        }
        Answer answer = audit("--fleet", fleet, "--format", "csv");
        assertThat(answer.exit()).isEqualTo(2);
        assertThat(answer.out()).contains("twice,,ERROR,", "are two captures");
    }

    // --- of one rank ---

    @Test
    void logsThatDifferAboutAUnitLeaveItUnknownInBothOrders() throws IOException {
        Path one = log("one.log", "6.1.0", BLOCKS);
        Path other = log("other.log", "6.1.0", CANNOT);
        for (List<Path> logs : List.of(List.of(one, other), List.of(other, one))) {
            Answer answer = audit(logs.get(0), logs.get(1), "--require-coherent");
            assertThat(answer.exit()).isEqualTo(1);
            assertThat(answer.line())
                    .contains("inputs contradict each other", "contradiction ECAP of dmar0 is 0x", "treated as unknown")
                    .doesNotContain("guests are COHERENT", "guests are NONCOHERENT");
        }
    }

    /** The rules of one release would say yes and those of the other no; the newest ones, which answer, yes. */
    @Test
    void logsOfTwoReleasesPassByTheRulesOfNone() throws IOException {
        Path old = log("old.log", "5.18.0", BLOCKS);
        Path young = log("young.log", "6.8.0", BLOCKS);
        Files.delete(good.resolve("proc/sys/kernel/osrelease"));
        assertThat(audit(good, old, "--require-coherent").exit()).isZero();
        for (String format : List.of("text", "json")) {
            Answer answer = audit(good, old, young, "--require-coherent", "--format", format);
            assertThat(answer.exit()).isEqualTo(1);
            assertThat(answer.line()).contains("kernel release is '5.18.0' in old.log and '6.8.0' in young.log");
        }
        assertThat(audit(good, old, young, "--assign", DEVICE, "--require-coherent")
                        .exit())
                .isEqualTo(1);
        assertThat(audit(good, old, young, "--assign", DEVICE, "--format", "json")
                        .line())
                .contains("\"guest\" : \"UNKNOWN\"", "\"contradictions\" : [ \"kernel release")
                .doesNotContain("\"dmaCcIommu\" : true");
    }

    @Test
    void whatIsKnownNotToBeCoherentStaysSo() throws IOException {
        Files.delete(bad.resolve("proc/sys/kernel/osrelease"));
        Answer answer = audit(
                bad,
                log("old.log", "5.18.0", CANNOT),
                log("young.log", "6.8.0", CANNOT),
                "--format",
                "json",
                "--require-coherent");
        assertThat(answer.exit()).isEqualTo(1);
        assertThat(answer.line()).contains("\"guest\" : \"NONCOHERENT\"");
    }

    /** Each of the devices is in one of the listings, and both listings are of a whole host. */
    @Test
    void devicesOfTwoHostsDoNotPassTogether() throws IOException {
        Path table = Files.write(folder.resolve("DMAR.dat"), Tables.dmarOfOneUnit());
        Path log = log("dmesg.txt", "6.1.0", BLOCKS);
        Path one = lspci("one.txt", "01:00.0");
        Path other = lspci("other.txt", "02:00.0");
        assertThat(audit(table, log, one, "--assign", "01:00.0", "--require-coherent")
                        .exit())
                .as("of one host")
                .isZero();
        for (List<Path> listings : List.of(List.of(one, other), List.of(other, one))) {
            for (String devices : List.of("01:00.0,02:00.0", "01:00.0", "02:00.0")) {
                Answer answer =
                        audit(table, log, listings.get(0), listings.get(1), "--assign", devices, "--require-coherent");
                assertThat(answer.exit()).isEqualTo(1);
                assertThat(answer.line()).contains("0000:01:00.0 is in one.txt and not in other.txt");
            }
        }
    }

    @Test
    void aDeviceThatTheCaptureDoesNotHaveIsNotAmongTheInput() throws IOException {
        Files.createDirectories(good.resolve("sys/bus/pci/devices/0000:00:00.0"));
        Path other = lspci("other.txt", "02:00.0");
        for (List<Path> inputs : List.of(List.of(good, other), List.of(other, good))) {
            Answer answer = audit(inputs.get(0), inputs.get(1), "--assign", "02:00.0", "--require-coherent");
            assertThat(answer.exit()).isEqualTo(2);
            assertThat(answer.err()).contains("the input has no PCI function 0000:02:00.0");
        }
    }

    // --- of two ranks ---

    @ParameterizedTest
    @CsvSource({"good, 0, f050da, f0505a", "bad, 1, f0505a, f050da"})
    void sysfsTakesPrecedenceOverALogInBothOrders(String name, int exit, String shown, String logged)
            throws IOException {
        Path host = folder.resolve(name);
        Path log = log("dmesg.txt", "6.1.0", logged);
        for (List<Path> inputs : List.of(List.of(host, log), List.of(log, host))) {
            Answer answer = audit(inputs.get(0), inputs.get(1), "--require-coherent");
            assertThat(answer.exit()).isEqualTo(exit);
            assertThat(answer.line())
                    .contains("ECAP of dmar0 is 0x" + shown + " in sysfs, which takes precedence over 0x" + logged)
                    .doesNotContain("contradict");
        }
    }

    @Test
    void aLogTakesPrecedenceOverAListing() throws IOException {
        Path log = Files.writeString(folder.resolve("a.log"), """
                Linux version 6.1.0 (x@y) #1
                pci 0000:01:00.0: Adding to iommu group 7
                """);
        Path listing = Files.writeString(
                folder.resolve("groups.txt"), "IOMMU Group 3 01:00.0 Ethernet controller [0200]: Maker Card\n");
        for (List<Path> inputs : List.of(List.of(log, listing), List.of(listing, log))) {
            assertThat(audit(inputs.get(0), inputs.get(1)).line())
                    .contains("group of 0000:01:00.0 is 7 in a.log, which takes precedence over 3 in groups.txt");
        }
    }
}
