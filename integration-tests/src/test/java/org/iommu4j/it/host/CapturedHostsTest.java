// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.witness.NeedsSharedData;
import org.iommu4j.witness.SharedData;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Wbinvd;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Machines built from captured hosts decide as those hosts' Linux did. */
class CapturedHostsTest {
    private static final PciAddress NIC = PciAddress.parse("0000:02:00.0");

    /** An endpoint without a PCI Express capability. */
    private static final PciAddress CONVENTIONAL = PciAddress.parse("0000:00:05.0");

    /** Since 7.3 AMD's driver looks for a south bridge, which QEMU does not have. */
    private static final LinuxRelease WITHOUT_SOUTH_BRIDGE = new LinuxRelease(7, 2);

    private final Workbench workbench = Workbench.create();

    private static Path capture(String name) {
        return Path.of(Objects.requireNonNull(CapturedHostsTest.class.getResource("/captures/" + name + ".tar"), name)
                .getPath());
    }

    /** Under the newest release that remaps interrupts on all these guests. */
    private Outcome run(Path capture, PciAddress device) {
        return run(capture, WITHOUT_SOUTH_BRIDGE, device);
    }

    private Outcome run(Path capture, LinuxRelease release, PciAddress device) {
        return workbench
                .runner()
                .run(
                        workbench.caseNamed("guest-no-snoop"),
                        workbench.describe(workbench.read(capture)),
                        release,
                        List.of(device));
    }

    @ParameterizedTest
    @CsvSource({
        "intel-sc0,  7.1, REFUSED,  false, true,  EXECUTED, 2, 0",
        "intel-sc1,  7.1, ENFORCED, true,  false, NOP,      2, 2",
        "amd-qemu11, 7.1, ENFORCED, true,  false, NOP,      2, 2",
        "intel-sc0,  6.1, REFUSED,  false, true,  EXECUTED, 2, 0",
        "intel-sc1,  6.1, ENFORCED, true,  false, NOP,      2, 2",
        "amd-qemu11, 6.1, ENFORCED, true,  false, NOP,      2, 2",
        "intel-sc0, 5.18, ABSENT,   false, true,  EXECUTED, 2, 0",
        "intel-sc1, 5.18, ABSENT,   true,  false, NOP,      2, 2"
    })
    void aGuestsDeviceIsDecidedOnAsTheHostsUnitAllows(
            String name,
            String release,
            Enforcement enforcement,
            boolean dmaCc,
            boolean noncoherent,
            Wbinvd wbinvd,
            int sent,
            int blocked) {
        Outcome outcome = run(capture(name), LinuxRelease.named(release), NIC);
        Decision decision = outcome.decision();
        assertThat(outcome.verdict()).as("%s", outcome.staleReads()).isEqualTo(Verdict.COHERENT);
        assertThat(decision).isNotNull();
        assertThat(decision.enforceCacheCoherency()).isEqualTo(enforcement);
        assertThat(decision.dmaCcIommu()).isEqualTo(dmaCc);
        assertThat(decision.kvmNoncoherentDma()).isEqualTo(noncoherent);
        assertThat(decision.wbinvd()).isEqualTo(wbinvd);
        assertThat(outcome.noSnoopSent()).isEqualTo(sent);
        assertThat(outcome.noSnoopBlocked()).isEqualTo(blocked);
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc0", "intel-sc1", "amd-qemu11"})
    void aDeviceWithoutAPciExpressCapabilitySendsNoNoSnoopAndTheDecisionIsTheSame(String name) {
        Outcome conventional = run(capture(name), CONVENTIONAL);
        assertThat(conventional.noSnoopSent()).isZero();
        assertThat(conventional.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(conventional.decision()).isEqualTo(run(capture(name), NIC).decision());
    }

    /** The value after SET_IOMMU in the call-by-call answers of the same three Linux hosts, which ran 6.1. */
    @ParameterizedTest
    @CsvSource({"intel-sc0, 6.1-sc0.txt", "intel-sc1, 6.1-sc1.txt", "amd-qemu11, 6.1-amd.txt"})
    void dmaCcIommuIsWhatThatLinuxAnswered(String name, String answers) throws IOException {
        Path file = SharedData.path("linux/vfio/" + answers);
        Matcher answer = Pattern.compile(
                        "(?m)^CHECK_EXTENSION after SET_IOMMU\\(TYPE1v2\\):.* VFIO_DMA_CC_IOMMU=([01]) ")
                .matcher(Files.readString(file));
        assertThat(answer.find()).isTrue();
        for (LinuxRelease release : List.of(new LinuxRelease(6, 1), WITHOUT_SOUTH_BRIDGE)) {
            Decision decision = run(capture(name), release, NIC).decision();
            assertThat(decision).isNotNull();
            assertThat(decision.dmaCcIommu())
                    .as("%s", release)
                    .isEqualTo(answer.group(1).equals("1"));
        }
    }

    /** As the kernel answered SET_IOMMU in 7.3-amd.txt. */
    @Test
    void theNewestLinuxRemapsNoInterruptsOfAGuestWithoutSouthBridge() {
        Outcome outcome = run(capture("amd-qemu11"), LinuxRelease.NEWEST, NIC);
        assertThat(outcome.verdict()).isEqualTo(Verdict.REFUSED);
        assertThat(outcome.errno()).isEqualTo(Errno.EPERM);
        assertThat(run(capture("intel-sc1"), LinuxRelease.NEWEST, NIC).verdict())
                .isEqualTo(Verdict.COHERENT);
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc0", "intel-sc1", "amd-qemu11"})
    void ourUnitsAndGroupsAreThoseOfTheHostsOwnLinux(String name) {
        HostEvidence host = workbench.read(capture(name));
        assertThat(host.groups()).as("groups in the capture").hasSize(13);
        assertThat(workbench.warnings(host, workbench.describe(host))).isEmpty();
    }

    static Stream<Path> everyCapture() {
        return SharedData.files("linux/captures", ".tar").stream()
                .filter(file -> !file.toString().contains("iommu-off"));
    }

    @ParameterizedTest
    @MethodSource("everyCapture")
    @NeedsSharedData("linux/captures")
    void theWholeCapturesAgreeToo(Path capture) {
        HostEvidence host = workbench.read(capture);
        assertThat(workbench.warnings(host, workbench.describe(host))).isEmpty();
        assertThat(run(capture, NIC).verdict()).isEqualTo(Verdict.COHERENT);
    }

    @Test
    void aDifferenceIsNamedWithBothAnswers(@TempDir Path folder) throws IOException {
        Path changed = edit(
                capture("intel-sc1"), folder, (name, bytes) -> bytes, name -> !name.endsWith("0000:02:00.0/iommu"));
        HostEvidence host = workbench.read(changed);
        assertThat(workbench.warnings(host, workbench.describe(host)))
                .containsExactly("unit of 0000:02:00.0 differs: none in the host's Linux, dmar0 in our reading of its "
                        + "intel table");
    }

    @Test
    void aCaptureWithoutAKernelLogSaysWhatIsAssumed(@TempDir Path folder) throws IOException {
        Path changed = edit(capture("intel-sc1"), folder, (name, bytes) -> bytes, name -> !name.equals("dmesg.txt"));
        HostEvidence host = workbench.read(changed);
        assertThat(workbench.warnings(host, workbench.describe(host)))
                .singleElement()
                .asString()
                .contains("no kernel log")
                .contains("states interrupt remapping: it is assumed on");
        assertThat(run(changed, NIC).verdict()).isEqualTo(Verdict.COHERENT);
    }

    @Test
    void toAHostWhoseIommuIsOffNoCaseAppliesAndTheReasonIsGuessedAtAsAQuestion() {
        assertThatExceptionOfType(NotApplicableException.class)
                .isThrownBy(() -> workbench.describe(workbench.read(capture("intel-iommu-off"))))
                .withMessageContaining("nothing is under sys/class/iommu although firmware describes one")
                .satisfies(why -> assertThat(why.reason()).isEqualTo(NotApplicable.MACHINE_LACKS));
    }

    @Test
    void anUnknownDeviceAndABridgeAreRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run(capture("intel-sc1"), PciAddress.parse("0000:77:00.0")))
                .withMessageContaining("has no device 0000:77:00.0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run(capture("intel-sc1"), PciAddress.parse("0000:00:06.0")))
                .withMessageContaining("is a bridge");
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc1", "amd-qemu11"})
    void aHostWithoutInterruptRemappingIsRefusedWithEperm(String name, @TempDir Path folder) throws IOException {
        Path changed = edit(
                capture(name),
                folder,
                (file, bytes) -> file.equals("dmesg.txt")
                        ? new String(bytes, StandardCharsets.UTF_8)
                                .replaceAll("(?m)^.*(Enabled IRQ remapping|Interrupt remapping enabled).*$", "")
                                .getBytes(StandardCharsets.UTF_8)
                        : bytes,
                file -> true);
        Outcome outcome = run(changed, NIC);
        assertThat(outcome.verdict()).isEqualTo(Verdict.REFUSED);
        assertThat(outcome.errno()).isEqualTo(Errno.EPERM);
        assertThat(outcome.decision()).isNull();
        assertThat(outcome.noSnoopSent()).isZero();
        Outcome unsafe = workbench
                .runner()
                .run(
                        workbench.caseNamed("guest-no-snoop"),
                        workbench.describe(workbench.read(changed)),
                        new Kernel(LinuxRelease.NEWEST, true),
                        List.of(NIC));
        assertThat(unsafe.verdict()).isEqualTo(Verdict.COHERENT);
    }

    private interface Change {
        byte[] of(String name, byte[] bytes);
    }

    private interface Keep {
        boolean test(String name);
    }

    private static Path edit(Path tar, Path folder, Change change, Keep keep) throws IOException {
        Path result = folder.resolve("changed.tar");
        try (InputStream in = Files.newInputStream(tar);
                TarArchiveInputStream source = new TarArchiveInputStream(in);
                OutputStream out = Files.newOutputStream(result);
                TarArchiveOutputStream target = new TarArchiveOutputStream(out)) {
            target.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
            for (TarArchiveEntry entry = source.getNextEntry(); entry != null; entry = source.getNextEntry()) {
                if (!keep.test(entry.getName())) {
                    continue;
                }
                byte[] bytes = change.of(entry.getName(), source.readAllBytes());
                if (entry.isFile()) {
                    entry.setSize(bytes.length);
                }
                target.putArchiveEntry(entry);
                if (entry.isFile()) {
                    target.write(bytes);
                }
                target.closeArchiveEntry();
            }
        }
        return result;
    }
}
