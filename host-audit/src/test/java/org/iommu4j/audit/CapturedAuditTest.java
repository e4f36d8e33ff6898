// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.host.HostCapture;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A capture leaves out much of a host's log and command line, and nothing that changes an answer. */
class CapturedAuditTest {
    private static final String BOOT = """
            Linux version 6.6.0-1-amd64 (me@myhost) (gcc) #1
            Command line: root=/dev/sda1 quiet
            pci 0000:00:02.0: [8086:1616] type 00 class 0x030000
            DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f0505a
            """;
    private static final String FOUND = """
            DMAR: IOMMU feature sc_support inconsistent
            DMAR-IR: Enabled IRQ remapping in x2apic mode
            DMAR: Intel(R) Virtualization Technology for Directed I/O
            vfio-pci 0000:00:02.0: Adding to iommu group 0
            """;

    @TempDir
    private Path root;

    @TempDir
    private Path out;

    private void write(String path, String text) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private Audit auditOf(Path host) {
        return new Hosts(out).tree(host).audit("6.6");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                BOOT,
                BOOT + FOUND,
                BOOT + "systemd[1]: systemd 252 running in system mode\n",
                BOOT + FOUND + "systemd[1]: systemd 252 running in system mode\n",
                BOOT + "cloud-init[500]: DMAR-IR: Enabled IRQ remapping in x2apic mode\n",
                BOOT + "cloud-init[500]: pci 0000:00:02.0: Adding to iommu group 0\n",
                BOOT + "cloud-init[500]: Freeing unused kernel image\n",
                BOOT + FOUND + "vfio-pci 0000:00:02.0: Adding kernel taint for vfio-noiommu group on device\n",
                BOOT + "Run /init as init process\n"
            })
    void aCaptureIsAuditedToTheAnswersOfItsHost(String log) throws IOException {
        for (String prefix : new String[] {
            "[    0.100000] ", "[    0.100000][    T1] ", "<6>[    0.100000] ", "Jan 01 21:08:33 myhost kernel: ", ""
        }) {
            String program = prefix.endsWith("kernel: ") ? "Jan 01 21:08:33 myhost " : prefix;
            StringBuilder lines = new StringBuilder();
            log.lines()
                    .forEach(line -> lines.append(line.contains("]: ") && !line.contains("type 00") ? program : prefix)
                            .append(line)
                            .append('\n'));
            write("dmesg.txt", lines.toString());
            write("sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n");
            write("sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n");
            Path tar = out.resolve("host.tar");
            HostCapture.write(root, tar);
            Audit ofHost = auditOf(root);
            Audit ofCapture = auditOf(tar);
            assertThat(ofCapture.iommuInUse()).as(prefix).isEqualTo(ofHost.iommuInUse());
            assertThat(ofCapture.units()).as(prefix).isEqualTo(ofHost.units());
            assertThat(ofCapture.devices()).as(prefix).isEqualTo(ofHost.devices());
            assertThat(ofCapture.groups()).as(prefix).isEqualTo(ofHost.groups());
            assertThat(ofCapture.warnings()).as(prefix).isEqualTo(ofHost.warnings());
            assertThat(ofCapture.falsePromises()).as(prefix).isEqualTo(ofHost.falsePromises());
        }
    }
}
