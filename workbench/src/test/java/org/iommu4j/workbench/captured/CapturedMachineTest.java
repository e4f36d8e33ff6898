// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.captured;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CapturedMachineTest {
    @TempDir
    private Path folder;

    private Path function;

    @BeforeEach
    void aFunctionOfPciExpress() throws IOException {
        byte[] config = new byte[4096];
        ByteBuffer bytes = ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(0x00, 0x1533_8086).putShort(0x06, (short) 0x10).putInt(0x08, 0x0200_0000);
        bytes.put(0x34, (byte) 0x40).putShort(0x40, (short) 0x10).putShort(0x42, (short) 0x02);
        function = Files.createDirectories(folder.resolve("sys/bus/pci/devices/0000:00:02.0"));
        Files.write(function.resolve("config"), config);
    }

    private Path unit(String name, Map<String, String> attributes) throws IOException {
        Path unit = Files.createDirectories(folder.resolve("sys/class/iommu/" + name));
        for (Map.Entry<String, String> attribute : attributes.entrySet()) {
            Path file = unit.resolve(attribute.getKey());
            Files.createDirectories(file.getParent());
            Files.writeString(file, attribute.getValue() + "\n");
        }
        return unit;
    }

    private void log(String... lines) throws IOException {
        Files.writeString(
                folder.resolve("dmesg.txt"),
                "[ 0.0] Linux version 6.1.0-56-amd64 (me@host) (gcc) #1\n" + String.join("\n", lines) + "\n");
    }

    private MachineDescription describe() {
        return CapturedMachine.describe(
                HostInputs.withInstalledVendors().capture(folder).read(),
                List.of(new VtdUnitProvider(), new AmdViUnitProvider()),
                IommuVendors.load());
    }

    /** Else a PCI Express device would pass for one that can't send no-snoop, and its bridges for ones without ACS. */
    @Test
    void aMachineIsNotBuiltOfFunctionsWhoseCapabilitiesAreHidden() throws IOException {
        Files.write(function.resolve("config"), Arrays.copyOf(Files.readAllBytes(function.resolve("config")), 64));
        unit(
                "dmar0",
                Map.of(
                        "intel-iommu/address", "fed90000",
                        "intel-iommu/version", "1:0",
                        "intel-iommu/cap", "d2008c40660462",
                        "intel-iommu/ecap", "f050da"));
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(this::describe)
                .withMessageContaining("64 bytes of the configuration space of 0000:00:02.0")
                .withMessageContaining("root");
    }

    @Test
    void aUnitWithoutAttributesIsBuiltOfWhatTheLogPrintedOfIt() throws IOException {
        unit("dmar0", Map.of());
        log("[ 0.1] DMAR: dmar0: reg_base_addr fed90000 ver 4:0 cap d2008c40660462 ecap f050da");
        TranslationUnitSpec unit = describe().units().get(0);
        assertThat(unit.provider()).isEqualTo("vtd");
        assertThat(unit.registerBase()).isEqualTo(0xfed9_0000L);
        assertThat(unit.register("VER")).isEqualTo(0x40);
        assertThat(unit.register("CAP")).isEqualTo(0xd2008c40660462L);
        assertThat(unit.register("ECAP")).isEqualTo(0xf050daL);
        assertThat(describe().processors().virtualization())
                .as("no table, so no vendor describes the CPUs")
                .isEqualTo(HardwareVirtualization.NONE);
    }

    @Test
    void aUnitOfWhichNothingIsKnownIsRefusedByName() throws IOException {
        unit("dmar0", Map.of());
        log("[ 0.1] pci 0000:00:02.0: [8086:1533] type 00 class 0x020000");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(this::describe)
                .withMessageContaining("unit dmar0 has no attributes, and no other input has its register base");
    }

    @Test
    void anAmdUnitWithoutAttributesHasTheFeaturesOfTheLogAndTheIotlbsOfTheTable() throws IOException {
        unit("ivhd0", Map.of());
        Path tables = Files.createDirectories(folder.resolve("sys/firmware/acpi/tables"));
        Files.write(tables.resolve("IVRS"), ivrs(0xb0));
        log("[ 0.1] AMD-Vi: Extended features (0x206d73ef22254ade): PPR X2APIC NX GT IA GA PC");
        TranslationUnitSpec unit = describe().units().get(0);
        assertThat(unit.provider()).isEqualTo("amdvi");
        assertThat(unit.registerBase()).isEqualTo(0xfed8_0000L);
        assertThat(unit.register("EFR")).isEqualTo(0x206d73ef22254adeL);
        assertThat(unit.register("CAP")).isEqualTo(0x090b_000fL);
        assertThat(describe().processors().virtualization()).isEqualTo(HardwareVirtualization.SVM);
        log("[ 0.1] AMD-Vi: Extended features (0x206d73ef22254ade): PPR X2APIC NX GT IA GA PC\n"
                + "[ 0.2] smpboot: CPU0: Intel(R) Xeon(R) CPU (family: 0x6, model: 0x3f, stepping: 0x2)");
        assertThat(describe().processors().virtualization())
                .as("QEMU emulates AMD's unit beside any processor")
                .isEqualTo(HardwareVirtualization.VMX);
        Files.write(tables.resolve("IVRS"), ivrs(0xa0));
        assertThat(describe().units().get(0).register("CAP")).isEqualTo(0x080b_000fL);
    }

    /** One unit at fed80000 in a block of type 10h, with all devices behind it. */
    private static byte[] ivrs(int flags) {
        ByteBuffer table = ByteBuffer.allocate(76).order(ByteOrder.LITTLE_ENDIAN);
        table.put("IVRS".getBytes(java.nio.charset.StandardCharsets.US_ASCII))
                .putInt(76)
                .put((byte) 2);
        table.position(48);
        table.put((byte) 0x10)
                .put((byte) flags)
                .putShort((short) 28)
                .putShort((short) 2)
                .putShort((short) 0x40);
        table.putLong(0xfed8_0000L).putShort((short) 0).putShort((short) 0).putInt(0);
        table.putInt(1);
        byte[] bytes = table.array();
        int sum = 0;
        for (byte each : bytes) {
            sum += each;
        }
        bytes[9] = (byte) -sum;
        return bytes;
    }
}
