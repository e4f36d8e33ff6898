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
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** {@code iommu4j audit} of a host with one device, known by what Linux shows to everybody and by its log. */
class AuditedHostTest {
    private static final String DEVICE = "0000:00:05.0";
    private static final String GROUP = "sys/kernel/iommu_groups/1/";
    private static final String UNSAFE = "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
    private static final String MSI = "0x00000000fee00000 0x00000000feefffff msi\n";

    @TempDir
    private Path directory;

    private Path host = Path.of("");

    @BeforeEach
    void aFunctionInAGroup() throws IOException {
        host = Files.createDirectories(directory.resolve("fleet/host"));
        write("sys/devices/pci0000:00/" + DEVICE + "/class", "0x020000\n");
        link("sys/bus/pci/devices/" + DEVICE, "../../../devices/pci0000:00/" + DEVICE);
        Files.createDirectories(host.resolve("sys/bus/pci/drivers"));
        write("proc/sys/kernel/osrelease", "6.18.0-1-amd64\n");
    }

    private void write(String path, String text) throws IOException {
        Path file = host.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private void link(String path, String target) throws IOException {
        Path link = host.resolve(path);
        Files.createDirectories(link.getParent());
        Files.createSymbolicLink(link, Path.of(target));
    }

    private void unit(String name) throws IOException {
        write("sys/devices/virtual/iommu/" + name + "/class", "");
        link("sys/class/iommu/" + name, "../../devices/virtual/iommu/" + name);
        link("sys/devices/pci0000:00/" + DEVICE + "/iommu", "../../virtual/iommu/" + name);
        link("sys/devices/pci0000:00/" + DEVICE + "/iommu_group", "../../../kernel/iommu_groups/1");
        link(GROUP + "devices/" + DEVICE, "../../../../devices/pci0000:00/" + DEVICE);
        write(GROUP + "reserved_regions", MSI);
    }

    private void amd() throws IOException {
        unit("ivhd0");
        write("dmesg.txt", "AMD-Vi: Interrupt remapping enabled\n");
    }

    private void intel() throws IOException {
        unit("dmar0");
        write("sys/devices/virtual/iommu/dmar0/intel-iommu/address", "fed90000\n");
        write("sys/devices/virtual/iommu/dmar0/intel-iommu/version", "1:0\n");
        write("sys/devices/virtual/iommu/dmar0/intel-iommu/cap", "d2008c40660462\n");
        write("sys/devices/virtual/iommu/dmar0/intel-iommu/ecap", "f050da\n");
        write("dmesg.txt", "DMAR: IOMMU enabled\nDMAR-IR: Enabled IRQ remapping in x2apic mode\n");
    }

    private record Answer(int exit, String text, String line) {}

    private Answer audit(Object... arguments) {
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
        assertThat(err.toString()).isEmpty();
        return new Answer(exit, out.toString(), out.toString().replaceAll("\\s+", " "));
    }

    // --- what KVM makes of a guest ---

    @Test
    void anIntelGuestsPatIsIgnoredWhileItIsCoherent() throws IOException {
        intel();
        assertThat(audit(host, "--assign", DEVICE).line())
                .contains("guest COHERENT [the guest's WBINVD does nothing; guest memory is write-back regardless "
                        + "of guest PAT]");
    }

    @Test
    void anAmdGuestsPatIsHonouredThoughItIsCoherent() throws IOException {
        amd();
        assertThat(audit(host, "--assign", DEVICE).line())
                .contains("guest COHERENT [the guest's WBINVD does nothing; guest PAT is honoured, as in every guest")
                .doesNotContain("write-back regardless");
    }

    // --- promises ---

    @Test
    void aPromiseThatIsNotKeptDoesNotPassForCoherence() throws IOException {
        amd();
        assertThat(audit(host, "--require-coherent").exit()).isZero();
        write("proc/cmdline", "quiet amd_iommu=pgtbl_v2\n");
        Answer text = audit(host, "--require-coherent");
        assertThat(text.exit()).isEqualTo(1);
        assertThat(text.line())
                .contains("COHERENT; the driver does not keep its promise", "false promise amd_iommu=pgtbl_v2");
        assertThat(audit(host, "--assign", DEVICE, "--require-coherent").exit()).isEqualTo(1);
        assertThat(audit(host, "--format", "json").line())
                .as("what VFIO and KVM believe")
                .contains("\"guest\" : \"COHERENT\"", "\"falsePromises\" : [ { \"text\" : \"amd_iommu=pgtbl_v2");
    }

    @Test
    void aFleetShowsThePromisesThatAreNotKept() throws IOException {
        amd();
        write("proc/cmdline", "amd_iommu=pgtbl_v2\n");
        Path fleet = directory.resolve("fleet");
        Answer text = audit("--fleet", fleet, "--require-coherent");
        assertThat(text.exit()).isEqualTo(1);
        assertThat(text.text().lines().findFirst().orElseThrow()).contains("false pr.");
        assertThat(text.text().lines().skip(1))
                .singleElement()
                .asString()
                .containsPattern("COHERENT .* 1 +every device");
        assertThat(audit("--fleet", fleet, "--format", "csv").text().lines())
                .containsExactly(
                        "host,linux,guest,units,cantBlock,devices,noncoherent,unknown,falsePromises,verdict",
                        "host,6.18,COHERENT,1,0,1,0,0,1,every device leaves its guest COHERENT; the driver does not"
                                + " keep its promise");
        assertThat(audit("--fleet", fleet, "--format", "json").text())
                .contains("\"guest\":\"COHERENT\"", "\"falsePromises\":[\"amd_iommu=pgtbl_v2: ");
        write("proc/cmdline", "quiet\n");
        assertThat(audit("--fleet", fleet, "--require-coherent").exit()).isZero();
        assertThat(audit("--fleet", fleet, "--format", "json").text()).contains("\"falsePromises\":[]");
    }

    // --- memory that stays mapped one to one ---

    @ParameterizedTest
    @CsvSource({
        "dmar0, 6.1, device_is_rmrr_locked",
        "dmar0, 6.6, require_direct",
        "ivhd0, 6.6, require_direct",
        "ivhd0, 7.1, require_direct"
    })
    void aDeviceWithDirectMemoryIsRefusedByWhomeverTheReleaseHas(String unit, String release, String who)
            throws IOException {
        if (unit.equals("dmar0")) {
            intel();
        } else {
            amd();
        }
        write(GROUP + "reserved_regions", "0x000000007a000000 0x000000007affffff direct\n" + MSI);
        assertThat(audit(host, "--assign", DEVICE, "--linux", release, "--format", "json")
                        .line())
                .contains("\"assignable\" : false", "0x7a000000 to 0x7affffff mapped one to one", who);
    }

    @Test
    void before66AmdsDriverAssignsADeviceWithDirectMemory() throws IOException {
        amd();
        write(GROUP + "reserved_regions", "0x000000007a000000 0x000000007affffff direct\n" + MSI);
        assertThat(audit(host, "--assign", DEVICE, "--linux", "6.5").line())
                .contains("a guest with 0000:00:05.0 is COHERENT ")
                .doesNotContain("VFIO refuses it", "DIRECT");
    }

    // --- hints ---

    private Answer unused(String commandLine) throws IOException {
        Files.createDirectories(host.resolve("sys/kernel/iommu_groups"));
        write("proc/cmdline", commandLine);
        Answer answer = audit(host);
        assertThat(answer.line()).contains("no IOMMU is in use");
        return answer;
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel_iommu=off", "amd_iommu=off"})
    void whatTurnsUnitsOffIsNamedThoughNoTableIsKnown(String off) throws IOException {
        assertThat(unused("quiet " + off + "\n").line())
                .contains("remove " + off + " from the kernel's command line")
                .doesNotContain("firmware setup");
    }

    @Test
    void firmwareSetupIsNamedForAHostWhoseTablesHaveNoIommu() throws IOException {
        assertThat(unused("quiet\n").line())
                .contains("list /sys/firmware/acpi/tables as root")
                .contains("if no table of an IOMMU is there")
                .contains("if processor and board have one");
    }

    // --- interrupts ---

    private void notRemapped() throws IOException {
        intel();
        write("dmesg.txt", """
                DMAR: IOMMU enabled
                DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.
                """);
    }

    @Test
    void interruptsThatAreNotRemappedStandAgainstADevice() throws IOException {
        notRemapped();
        assertThat(audit(host, "--assign", DEVICE).line())
                .contains("but VFIO refuses it", "allow_unsafe_interrupts=1 to assign devices without");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "vfio_iommu_type1.allow_unsafe_interrupts",
                "vfio-iommu-type1.allow_unsafe_interrupts=1",
                "vfio_iommu_type1.allow_unsafe_interrupts=Y"
            })
    void theyDoNotWhereTheCommandLineAllowsUnsafeInterrupts(String parameter) throws IOException {
        notRemapped();
        write("proc/cmdline", parameter + "\n");
        assertUnsafe(audit(host, "--assign", DEVICE));
    }

    @Test
    void whatTheModuleSaysNowCountsBeforeTheCommandLine() throws IOException {
        notRemapped();
        write(UNSAFE, "Y\n");
        assertUnsafe(audit(host, "--assign", DEVICE));
        write(UNSAFE, "N\n");
        write("proc/cmdline", "vfio_iommu_type1.allow_unsafe_interrupts=1\n");
        assertThat(audit(host, "--assign", DEVICE).line()).contains("but VFIO refuses it");
    }

    private static void assertUnsafe(Answer answer) {
        assertThat(answer.line())
                .contains("a guest with 0000:00:05.0 is COHERENT ")
                .doesNotContain("VFIO refuses it", "if VFIO accepts it", "allow_unsafe_interrupts=1 to assign")
                .contains("unset module parameter vfio_iommu_type1.allow_unsafe_interrupts", "inject any interrupt");
    }
}
