// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class KernelLogReaderTest {
    private static final String BOOT = """
            [    0.000000] Linux version 5.4.6-arch3-1 (linux@archlinux) (gcc 9.2.0) #1 SMP
            [    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz rw quiet
            [    0.100000] Kernel command line: BOOT_IMAGE=/boot/vmlinuz rw quiet intel_iommu=on
            [    0.177081] DMAR: DRHD base: 0x000000fed90000 flags: 0x0
            [    0.177086] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 19e2ff0505e
            [    0.177091] DMAR: dmar1: reg_base_addr fed91000 ver 5:0 cap d2008c40660462 ecap f050da
            [    0.178781] DMAR-IR: Enabled IRQ remapping in x2apic mode
            [    0.200000] pci 0000:00:02.0: [8086:5916] type 00 class 0x030000
            [    0.200100] pci 0000:00:1c.0: [8086:9d10] type 01 class 0x060400
            [    0.200200] pci 0000:01:00.0: [144d:a804] type 00 class 0x010802
            [    0.200300] pci 0000:00:1c.0: PCI bridge to [bus 01]
            [    0.382762] DMAR: No ATSR found
            [    0.383143] DMAR: IOMMU feature sc_support inconsistent
            [    0.383463] DMAR: Intel(R) Virtualization Technology for Directed I/O
            [    0.383516] pci 0000:00:02.0: Adding to iommu group 1
            [    0.383520] pci 0000:01:00.0: Adding to iommu group 7
            """;

    private static final String USER_SPACE = "[    1.200000] Run /init as init process\n";

    @TempDir
    private Path folder;

    private HostEvidence read(String text) throws IOException {
        return HostInputs.withInstalledVendors()
                .dmesg(Files.writeString(folder.resolve("dmesg.txt"), text))
                .read();
    }

    @Test
    void registersAreKnownPerUnit() throws IOException {
        HostEvidence host = read(BOOT);
        assertThat(host.units().keySet()).containsExactly("dmar0", "dmar1");
        assertThat(host.registers().value("dmar0", OptionalLong.of(0xfed9_0000L), "ECAP"))
                .hasValue(0x19e2ff0505eL);
        assertThat(host.registers().value("dmar1", OptionalLong.of(0xfed9_1000L), "CAP"))
                .hasValue(0xd2008c40660462L);
        assertThat(host.registers().value("dmar1", OptionalLong.of(0xfed9_1000L), "VER"))
                .hasValue(0x50);
        assertThat(host.registers().value("dmar2", OptionalLong.of(0xfed9_2000L), "ECAP"))
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap",
                "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap",
                "AMD-Vi: Extended features (0x58f77ef22294ade, 0x0): PPR X2APIC",
                "pci 0000:01:00.0: Adding to iommu group"
            })
    void aLineThatLacksItsEndIsSaid(String line) throws IOException {
        boolean whole = line.startsWith("AMD");
        HostEvidence host = read("[    0.1] DMAR: Host address width 39\n[    0.2] " + line + "\n");
        assertThat(host.units()).isEmpty();
        assertThat(host.warnings().stream()
                        .anyMatch(warning -> warning.startsWith("not read: a line of ")
                                && warning.endsWith(" that lacks its end: " + line)))
                .isEqualTo(!whole);
    }

    @Test
    void aUnitWhoseBaseNoLineHasIsKnownByItsName() {
        KernelBoot boot = new KernelBoot(null);
        boot.unit("virtio0", OptionalLong.empty(), Map.of("FEATURES", 5L));
        boot.unit("virtio1", OptionalLong.empty(), Map.of());
        EvidenceBuilder builder = HostEvidence.builder("host");
        boot.record(new Source("dmesg.txt", Rank.LOG), builder);

        HostEvidence host = builder.build();

        assertThat(host.units().keySet()).containsExactly("virtio0", "virtio1");
        assertThat(host.units().get("virtio0").registerBase()).isEmpty();
        assertThat(host.registers().value("virtio0", OptionalLong.empty(), "FEATURES"))
                .hasValue(5);
        assertThat(host.registers().value("virtio1", OptionalLong.empty(), "FEATURES"))
                .isEmpty();
    }

    @Test
    void releaseCommandLineGroupsAndFunctionsAreKnown() throws IOException {
        HostEvidence host = read(BOOT);
        assertThat(host.linux().orElseThrow()).hasToString("5.4.6-arch3-1");
        assertThat(host.bootOptions().has("intel_iommu", "on")).isTrue();
        assertThat(host.groups().get(7).members()).containsExactly(PciAddress.parse("01:00.0"));
        FunctionEvidence disk = host.function(PciAddress.parse("01:00.0")).orElseThrow();
        assertThat(disk.classCode()).hasValue(0x0108);
        assertThat(disk.vendorId()).hasValue(0x144d);
        assertThat(disk.upstreamBridge()).contains(PciAddress.parse("00:1c.0"));
        assertThat(host.placesKnown()).isTrue();
        assertThat(host.topologyKnown()).isFalse();
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(host.kernelLines()).extracting(Fact::value).contains("DMAR: IOMMU feature sc_support inconsistent");
        assertThat(host.warnings()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "6.1.0-31-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP"
                        + " PREEMPT_DYNAMIC Debian 6.1.128-1 (2025-02-07) | 6.1.128",
                "6.8.0-31-generic (buildd@lcy02) (x86_64-linux-gnu-gcc-13) #31-Ubuntu SMP (Ubuntu 6.8.0-31.31-generic"
                        + " 6.8.1) | 6.8.1",
                "6.8.12-4-pve (build@proxmox) (gcc (Debian 12.2.0-14) 12.2.0) #1 SMP | 6.8.12-4-pve",
                "6.1.0-31-amd64 (x@y) #1 SMP | 6.1.0-31-amd64"
            })
    void theStableKernelOfABuildIsKnownWhereTheLogNamesIt(String version, String linux) throws IOException {
        assertThat(read("Linux version " + version + "\n").linux()).hasValue(LinuxRelease.of(linux));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "<6>",
                "<6>[    0.177086] ",
                "[    0.177086][    T0] ",
                "[    0.177086] [    T0] ",
                "<6>[    0.177086][  C12] ",
                "Jan  1 21:08:33 host kernel: [    0.177086][ T4321] ",
                "[Sun Jan  1 21:08:33 2023] ",
                "Jan 01 21:08:33 surface kernel: ",
                "janv. 01 21:08:33 surface kernel: ",
                "2023-01-01T21:08:33+0100 host kernel: ",
                "Jan  1 21:08:33 host kernel: [    0.177086] "
            })
    void anyPrefixOfALineIsSeenThrough(String prefix) throws IOException {
        HostEvidence host = read(prefix + "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 1a\n"
                + prefix + "iommu: Adding device 0000:00:02.0 to group 2\n" + prefix
                + "DMAR: IOMMU feature sc_support inconsistent\n");
        assertThat(host.registers().value("dmar0", OptionalLong.of(0xfed9_0000L), "ECAP"))
                .hasValue(0x1a);
        assertThat(host.groups().get(2).members()).containsExactly(PciAddress.parse("00:02.0"));
        assertThat(host.kernelLines()).extracting(Fact::value).contains("DMAR: IOMMU feature sc_support inconsistent");
    }

    @Test
    void aMessageThatBeginsWithABracketKeepsIt() throws IOException {
        String message = "[Firmware Bug]: AMD-Vi: IOAPIC[4] not in IVRS table";
        for (String prefix : new String[] {"", "[    0.5] ", "[    0.5][    T0] "}) {
            assertThat(read(BOOT + prefix + message + "\n").kernelLines())
                    .extracting(Fact::value)
                    .contains(message);
        }
    }

    @Test
    void theNamesOfUnitsBefore40AreUnderstood() throws IOException {
        HostEvidence host =
                read("[ 0.02] dmar: IOMMU 1: reg_base_addr fed91000 ver 1:0 cap c9008020660262 ecap f0105a\n");
        assertThat(host.registers().value("dmar1", OptionalLong.of(0xfed9_1000L), "ECAP"))
                .hasValue(0xf0105a);
    }

    @Test
    void featuresOfAllAmdUnitsAreKnown() throws IOException {
        HostEvidence host = read("""
                [ 0.5] pci 0000:00:00.2: AMD-Vi: Extended features (0x58f77ef22294ade, 0x1b): PPR X2APIC NX GT IA
                [ 0.6] AMD-Vi: Interrupt remapping enabled
                """);
        assertThat(host.registers().value("ivhd0", OptionalLong.of(0xfd00_0000L), "EFR"))
                .hasValue(0x58f77ef22294adeL);
        assertThat(host.registers().value("ivhd1", OptionalLong.of(0xfe00_0000L), "EFR2"))
                .hasValue(0x1b);
        assertThat(host.interruptRemapping()).isEqualTo(Answer.YES);
    }

    @Test
    void whatIsNotSaidIsUnknownInAPieceOfALogAndNoInAWholeBoot() throws IOException {
        String quiet = "[ 0.0] Linux version 6.8.0-49-generic (b@x) (gcc) #49\n[ 0.1] DMAR: Host address width 39\n";
        assertThat(read(quiet).interruptRemapping()).isEqualTo(Answer.UNKNOWN);
        assertThat(read(quiet).iommuInUse()).isEqualTo(Answer.UNKNOWN);
        assertThat(read(quiet + USER_SPACE).interruptRemapping()).isEqualTo(Answer.NO);
        assertThat(read(quiet + USER_SPACE).iommuInUse()).isEqualTo(Answer.NO);
        assertThat(read("[ 0.1] DMAR: Host address width 39\n" + USER_SPACE).interruptRemapping())
                .as("the beginning is missing")
                .isEqualTo(Answer.UNKNOWN);
    }

    @ParameterizedTest
    @ValueSource(strings = {"[ 3.2] ", "[ 3.2][    T1] ", "Jan 01 21:08:33 host ", "[ 3.2] host kernel: "})
    void theFirstProcessTellsThatTheDriversAreDone(String prefix) throws IOException {
        String boot = "[ 0.0] Linux version 6.8.0-49-generic (b@x) (gcc) #49\n[ 0.1] DMAR: Host address width 39\n";
        assertThat(read(boot + prefix + "systemd[1]: systemd 252 running in system mode\n")
                        .iommuInUse())
                .isEqualTo(Answer.NO);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[ 3.2] ",
                "[    3.2][  T500] ",
                "Jan 01 21:08:33 host ",
                "<30>[ 3.2] ",
                "Jan 01 host kernel: [ 3.2][  T500] "
            })
    void whatProgramsPrintIsNoWordOfTheKernels(String prefix) throws IOException {
        String program = prefix + "cloud-init[500]: ";
        HostEvidence host = read(BOOT + program + "Linux version 6.9.0 (b@x)\n" + program
                + "DMAR: dmar7: reg_base_addr fed97000 ver 1:0 cap 1c0000c40660462 ecap 1a\n" + program
                + "pci 0000:00:07.0: Adding to iommu group 9\n" + program + "DMAR: all is well\n");
        assertThat(host.linux().orElseThrow()).hasToString("5.4.6-arch3-1");
        assertThat(host.units().keySet()).containsExactly("dmar0", "dmar1");
        assertThat(host.groups().keySet()).containsExactly(1, 7);
        assertThat(host.kernelLines()).extracting(Fact::value).noneMatch(line -> line.contains("all is well"));
    }

    @Test
    void vfioWithoutIommuIsNoUseOfOne() throws IOException {
        String boot = "[ 0.0] Linux version 6.8.0-49-generic (b@x) (gcc) #49\n" + USER_SPACE
                + "[ 9.0] vfio-pci 0000:00:07.0: Adding to iommu group 0\n";
        assertThat(read(boot).iommuInUse()).isEqualTo(Answer.YES);
        HostEvidence host =
                read(boot + "[ 9.0] vfio-pci 0000:00:07.0: Adding kernel taint for vfio-noiommu group on device\n");
        assertThat(host.iommuInUse()).isEqualTo(Answer.NO);
        assertThat(host.groups()).isEmpty();
    }

    @Test
    void ofSeveralBootsTheLastCounts() throws IOException {
        HostEvidence host = read(BOOT + "[ 0.0] Linux version 6.1.0-9-amd64 (d@d) (gcc) #1\n");
        assertThat(host.linux().orElseThrow()).hasToString("6.1.0-9-amd64");
        assertThat(host.units()).isEmpty();
        assertThat(host.groups()).isEmpty();
    }

    @Test
    void aFunctionThatLeftItsGroupIsInNone() throws IOException {
        HostEvidence host = read(BOOT + "[ 9.0] nvme 0000:01:00.0: Removing from iommu group 7\n");
        assertThat(host.groups().keySet()).containsExactly(1);
    }

    @Test
    void aLogOfSomethingElseIsRefused() throws IOException {
        Path file = Files.writeString(folder.resolve("nginx.log"), "GET / 200\n");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().dmesg(file))
                .withMessageContaining("nginx.log: is not a kernel log");
    }

    /** A pattern that tries each beginning of a long word for its whole length would need minutes. */
    @Test
    @Timeout(30)
    void longWordsAreSeenThroughInNoTime() throws IOException {
        String word = "x".repeat(TextLines.MAX_LINE - 20);
        HostEvidence host = read(BOOT + (" iommu " + word + "\n").repeat(2_000));
        assertThat(host.groups()).hasSize(2);
    }

    @Test
    @Timeout(20)
    void manyBracketsAreSeenThroughInNoTime() throws IOException {
        for (String piece : new String[] {"[ 1.0]", "[T1]", "[ 1.0] ", "[ T1] ", "[", "a ", "a[1]"}) {
            String line = piece.repeat((TextLines.MAX_LINE - 40) / piece.length());
            HostEvidence host = read(BOOT + (line + " DMAR: iommu\n").repeat(100));
            assertThat(host.groups()).hasSize(2);
        }
    }
}
