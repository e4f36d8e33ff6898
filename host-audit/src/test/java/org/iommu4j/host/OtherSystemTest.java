// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class OtherSystemTest {
    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "VMware ESXi 7.0.3 build-20328353 | VMware ESXi",
                "2023-02-01T10:00:00.123Z cpu3:2097600)PCI: 1234: found 0000:02:00.0 | VMware ESXi",
                "0:00:00:05.123 cpu0:1)BootConfig: 680: something = 1 | VMware ESXi",
                "'   VMkernel Name: vmgfx0' | VMware ESXi",
                "Microsoft Windows [Version 10.0.19045.3570] | Windows",
                "OS Name:                   Microsoft Windows 11 Pro | Windows",
                "InstanceId  : PCI\\VEN_8086&DEV_1616&SUBSYS_00000000 | Windows",
                "Copyright (c) 1992-2021 The FreeBSD Project. | FreeBSD",
                "FreeBSD 13.2-RELEASE-p4 GENERIC amd64 | FreeBSD",
                "vgapci0@pci0:0:2:0:\tclass=0x030000 rev=0x09 hdr=0x00 vendor=0x8086 | FreeBSD",
                "OpenBSD 7.3 (GENERIC.MP) #1125: Sat Mar 25 10:36:29 MDT 2023 | OpenBSD",
                "NetBSD 9.3 (GENERIC) #0: Thu Aug  4 15:30:37 UTC 2022 | NetBSD",
                "Darwin Kernel Version 22.6.0: Wed Jul  5 22:22:05 PDT 2023 | macOS",
                "Darwin mac.local 22.6.0 Darwin Kernel Version 22.6.0 | macOS",
                "SunOS Release 5.11 Version omnios-r151046 64-bit | Solaris or illumos"
            })
    void aSystemIsRefusedByName(String line, String system) throws IOException {
        Path file = Files.writeString(folder.resolve("text.txt"), "something\n" + line + "\nmore\n");
        assertThatExceptionOfType(UnknownInputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().path(file))
                .withMessageContaining("is of " + system + ", whose rules");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().dmesg(file))
                .withMessageContaining(system);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "DMI: VMware, Inc. VMware Virtual Platform/440BX Desktop Reference Platform, BIOS 6.00",
                "Hypervisor detected: Microsoft Hyper-V",
                "Boot0001* Windows Boot Manager",
                "ACPI: OSI(Windows 2015) overrides",
                "VMware vmxnet3 virtual NIC driver - version 1.7.0.0-k-NAPI",
                "02:00.0 VGA compatible controller: VMware SVGA II Adapter",
                "apple-gmux: Found gmux version 1.9.35 [classic]",
                "ACPI: [Firmware Bug]: BIOS _OSI(Linux) query ignored via DMI; Darwin"
            })
    void whatALinuxPrintsIsNoOtherSystems(String line) {
        assertThat(OtherSystem.of(line)).isEmpty();
    }

    @Test
    void aLinuxLogThatSpeaksOfOthersIsRead() throws IOException {
        Path file = Files.writeString(
                folder.resolve("dmesg.txt"),
                "Linux version 6.1.0-9-amd64 (x@y) #1\nMicrosoft Windows [Version 10.0.19045.3570]\n");
        assertThat(HostInputs.withInstalledVendors().path(file).read().linux()).isPresent();
    }
}
