// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Files of our own stand for the device; nothing here opens the machine's. */
class KernelRingTest {
    private static final String RECORDS = """
            5,0,0,-;Linux version 6.8.12-4-pve (b@h) #1
            6,339,5140900,-,caller=T1;DMAR: IOMMU enabled
            6,340,5690716,c;pci 0000:03:00.0: Adding to iommu group 4
             SUBSYSTEM=pci
             DEVICE=+pci:0000:03:00.0
            30,341,1234567890123,-;systemd[1]: Hostname set to <tower>.
            30,342,1234567890124,-;DMAR: dmar0: a program's words
            14,343,1234567890125,-;kworker says DMAR: none
            not a record
            """;

    @TempDir
    private Path folder;

    @Test
    void messagesAreAsDmesgPrintsThemAndOfProgramsOnlyTheFirstIs() throws IOException {
        Path device = Files.writeString(folder.resolve("kmsg"), RECORDS);
        assertThat(new String(KernelRing.read(device).orElseThrow(), StandardCharsets.UTF_8))
                .isEqualTo("""
                [    0.000000] Linux version 6.8.12-4-pve (b@h) #1
                [    5.140900] DMAR: IOMMU enabled
                [    5.690716] pci 0000:03:00.0: Adding to iommu group 4
                [1234567.890123] systemd[1]: Hostname set to <tower>.
                """);
    }

    @Test
    void anAbsentOrEmptyDeviceHasNoMessages() throws IOException {
        assertThat(KernelRing.read(folder.resolve("absent"))).isEmpty();
        assertThat(KernelRing.read(Files.writeString(folder.resolve("kmsg"), "")))
                .isEmpty();
        assertThat(KernelRing.read(folder)).isEmpty();
    }

    /** As the device does, a pipe with a writer keeps its reader waiting behind the last message. */
    @Test
    @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void theNextMessageIsNotAwaited() throws IOException, InterruptedException {
        Path pipe = folder.resolve("kmsg");
        Process mkfifo = new ProcessBuilder("mkfifo", pipe.toString()).start();
        assumeTrue(mkfifo.waitFor(20, TimeUnit.SECONDS) && mkfifo.exitValue() == 0, "skipped: no mkfifo here");
        try (RandomAccessFile writer = new RandomAccessFile(pipe.toFile(), "rw")) {
            writer.write(RECORDS.getBytes(StandardCharsets.UTF_8));
            assertThat(new String(KernelRing.read(pipe).orElseThrow(), StandardCharsets.UTF_8))
                    .hasLineCount(4)
                    .contains("DMAR: IOMMU enabled");
        }
    }

    @Test
    void theLiveHostsLogIsReadWhereNoFileHasIt() throws IOException {
        Path device = Files.writeString(folder.resolve("kmsg"), RECORDS);
        Path root = folder.resolve("root");
        Files.createDirectories(root.resolve("sys/bus/pci/devices"));
        EvidenceBuilder host = HostEvidence.builder("this host");
        IommuVendors vendors = IommuVendors.load();
        KernelLogReader logs = new KernelLogReader(vendors);
        SysfsReader.read(new LiveFiles(root, device), vendors, logs, host);
        assertThat(host.build().linux().orElseThrow()).hasToString("6.8.12-4-pve");

        Files.createDirectories(root.resolve("var/log"));
        Files.writeString(root.resolve("var/log/dmesg"), "Linux version 6.1.0 (d@d) #1\n");
        host = HostEvidence.builder("this host");
        SysfsReader.read(new LiveFiles(root, device), vendors, logs, host);
        assertThat(host.build().linux().orElseThrow()).hasToString("6.1");
    }
}
