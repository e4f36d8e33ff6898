// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.LinuxRelease;
import org.iommu4j.witness.NeedsSharedData;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TranscriptTest {
    private static final String HEAD = """
            # QEMU 7.2 -machine q35 -cpu max -smp 3 -m 512M -device intel-iommu,caching-mode=on,snoop-control=on
            # kernel: DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c22260206 ecap f00fca
            """;
    private static final String BODY = """
            BEGIN-VFIO
            Linux (none) 6.1.0-50-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02) x86_64 GNU/Linux
            console=ttyS0 intel_iommu=on no_timer_check qdev=0000:00:05.0\s

            device 0000:00:05.0 group 1
            UNMAP again (nothing mapped)    iova=0x200000 size=0x1000 flags=0 argsz=24 -> -1 EINVAL size_out=0x1000
            """;

    @Test
    void theHeadNamesTheKernelAndTheMachine(@TempDir Path folder) throws IOException {
        Transcript transcript = Transcript.read(write(folder, HEAD + BODY + "END-VFIO\n"));
        assertThat(transcript.name()).isEqualTo("6.1-sc1-cm");
        assertThat(transcript.machine()).isEqualTo("sc1-cm");
        assertThat(transcript.release()).isEqualTo(LinuxRelease.of("6.1.176"));
        assertThat(transcript.hardware().qemu()).isEqualTo("7.2");
        assertThat(transcript.hardware().isIntel()).isTrue();
        assertThat(transcript.hardware().cpus()).isEqualTo(3);
        assertThat(transcript.hardware().capabilities()).hasValue(0xd2008c22260206L);
        assertThat(transcript.hardware().extendedCapabilities()).hasValue(0xf00fcaL);
        assertThat(transcript.hardware().unitProperty("caching-mode")).hasValue("on");
        assertThat(transcript.hardware().unitProperty("intremap")).isEmpty();
        assertThat(transcript.commandLine()).containsEntry("intel_iommu", "on").containsEntry("no_timer_check", "");
    }

    @Test
    void aLineIsACallItsArgumentsAndItsAnswer(@TempDir Path folder) throws IOException {
        Transcript transcript = Transcript.read(write(folder, HEAD + BODY + "END-VFIO\n"));
        assertThat(transcript.lines()).hasSize(2);
        TranscriptLine line = transcript.lines().get(1);
        assertThat(line.number()).isEqualTo(8);
        assertThat(line.call()).startsWith("UNMAP again (nothing mapped)").endsWith("argsz=24");
        assertThat(line.answer()).isEqualTo("-1 EINVAL size_out=0x1000");
        assertThat(line.errno()).hasValue("EINVAL");
        assertThat(line.number("iova")).isEqualTo(0x200000);
        assertThat(line.number("argsz")).isEqualTo(24);
        assertThat(line.number("size_out")).isEqualTo(0x1000);
        assertThat(line.field("size_in")).isEmpty();
    }

    @Test
    void aDistributionsKernelHasTheDriversThatWereLoadedAndABuiltOneNone(@TempDir Path folder) throws IOException {
        String whole = HEAD + BODY + "END-VFIO\n";
        assertThat(Transcript.read(write(folder, whole)).hasDriver("nvme")).isTrue();
        String named = whole.replace("no_timer_check", "no_timer_check qdrv=virtio_pci");
        assertThat(named).isNotEqualTo(whole);
        assertThat(Transcript.read(write(folder, named)).hasDriver("nvme")).isFalse();
        String built = whole.replaceFirst("Linux \\(none\\) \\S+", "Linux (none) 6.12.117");
        assertThat(built).isNotEqualTo(whole);
        assertThat(Transcript.read(write(folder, built)).hasDriver("nvme")).isFalse();
    }

    @Test
    void aTranscriptThatWasCutOffIsRefused(@TempDir Path folder) throws IOException {
        Path file = write(folder, HEAD + BODY);
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> Transcript.read(file))
                .withMessageContaining("END");
    }

    @ParameterizedTest
    @ValueSource(strings = {"linux/vfio", "linux/vfiocompat", "linux/iommufd", "linux/mixed", "linux/kvm"})
    @NeedsSharedData("linux/vfio")
    void everyTranscriptCanBeRead(String directory) {
        for (Path file : SharedData.files(directory, ".txt")) {
            Transcript transcript = Transcript.read(file);
            assertThat(transcript.lines()).as("%s", file).hasSizeGreaterThan(50);
            assertThat(transcript.commandLine()).as("%s", file).containsKey("qmode");
            if (transcript.name().startsWith("6") || transcript.name().startsWith("7")) {
                assertThat(transcript.name()).startsWith(transcript.release().base() + "-");
            }
        }
    }

    private static Path write(Path folder, String text) throws IOException {
        return Files.writeString(folder.resolve("6.1-sc1-cm.txt"), text);
    }
}
