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
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Audits of a RISC-V host whose firmware has a device tree. */
class DeviceTreeAuditTest {
    private final MachineDescription machine = MachineFactory.load().named("riscv-dt");

    @TempDir
    private Path host = Path.of("");

    @BeforeEach
    void aHostLikeTheBuiltInMachine() throws IOException {
        for (FunctionDescription function : machine.functions()) {
            String path = path(function);
            Files.write(file(path + "/config"), function.config());
            Files.createSymbolicLink(file("sys/bus/pci/devices/" + function.address()), Path.of("../../../../" + path));
        }
        Files.write(file("sys/firmware/fdt"), machine.deviceTree().orElseThrow());
        Files.writeString(file("proc/version"), "Linux version 6.13.5 (x@y) #1 SMP\n");
        Files.writeString(file("proc/cmdline"), "root=/dev/vda\n");
    }

    private String path(FunctionDescription function) {
        String path = function.address().toString();
        Optional<PciAddress> bridge = function.upstreamBridge();
        while (bridge.isPresent()) {
            PciAddress above = bridge.get();
            path = above + "/" + path;
            bridge = machine.functions().stream()
                    .filter(other -> other.address().equals(above))
                    .findFirst()
                    .flatMap(FunctionDescription::upstreamBridge);
        }
        return "sys/devices/pci0000:00/" + path;
    }

    private Path file(String path) throws IOException {
        Path file = host.resolve(path);
        Files.createDirectories(file.getParent());
        return file;
    }

    private String audit(String... more) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        var commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        List<String> words = new ArrayList<>(List.of("audit", host.toString()));
        words.addAll(List.of(more));
        commandLine.execute(words.toArray(String[]::new));
        return out.toString() + err;
    }

    @Test
    void itsUnitsAndTheirDevicesAreTheTrees() {
        assertThat(audit())
                .contains("Linux 6.13.5, NEVER")
                .contains("riscv-iommu@40000000.iommu can't block no-snoop")
                .contains("10010000.dma-controller")
                .doesNotContain("UNKNOWN");
    }

    @Test
    void aTreeThatCantBeReadIsAWarning() throws IOException {
        byte[] tree = machine.deviceTree().orElseThrow();
        tree[7]++;
        Files.write(file("sys/firmware/fdt"), tree);
        assertThat(audit().replaceAll("\\s+", " "))
                .contains("sysfs: device tree at offset 0x4: declared size is")
                .contains("the input has no IOMMU unit");
    }

    @Test
    void aTreeIsReadAsAFileOfItsOwnToo() throws IOException {
        Path tree = host.resolve("sys/firmware/fdt");
        Path moved = Files.move(tree, host.resolve("board.dtb"));
        assertThat(audit()).doesNotContain("riscv-iommu@");
        assertThat(audit(moved.toString())).contains("riscv-iommu@40000000.iommu can't block no-snoop");
    }

    /** Linux's driver reads RIMT since 6.18. */
    @Test
    void withAcpiAnOlderKernelUsesNoUnit() throws IOException {
        Files.delete(host.resolve("sys/firmware/fdt"));
        Files.write(
                file("sys/firmware/acpi/tables/RIMT"),
                MachineFactory.load().named("riscv").acpiTables().get("RIMT"));
        assertThat(audit().replaceAll("\\s+", " "))
                .contains("riscv-iommu@RSCV0004:00 is not used: Linux's driver before 6.18 knows device trees only");
        assertThat(audit("--linux", "6.18").replaceAll("\\s+", " "))
                .contains("riscv-iommu@RSCV0004:00 can't block no-snoop");
    }
}
