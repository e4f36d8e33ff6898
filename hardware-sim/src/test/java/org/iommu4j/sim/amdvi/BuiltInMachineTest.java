// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import java.util.Map;
import java.util.OptionalLong;
import java.util.ServiceLoader;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.spi.ShownUnit;
import org.junit.jupiter.api.Test;

class BuiltInMachineTest {
    /** No other input has anything of the unit. */
    private static final ShownUnit NOTHING = new ShownUnit(OptionalLong.empty(), Map.of());

    private final MachineDescription machine =
            new AmdViUnitProvider().machines().get(0);

    @Test
    void theProviderIsFound() {
        assertThat(ServiceLoader.load(TranslationUnitProvider.class).stream()
                        .filter(provider -> provider.type() == AmdViUnitProvider.class))
                .hasSize(1);
        assertThat(new AmdViUnitProvider().name()).isEqualTo("amdvi");
        assertThat(new AmdViUnitProvider().machines())
                .allMatch(machine -> machine.processors().virtualization() == HardwareVirtualization.SVM);
    }

    @Test
    void itsTableByteByByte() {
        String expected = "49565253 a0000000 02 CC 494f4d55344a 414d445649000000 01000000 494f4d55 01000000"
                + "01302000 0000000000000000"
                + "10 30 3000 0200 4000 0000b8fe00000000 0000 0000 00000000"
                + "03 0300 00 04 ff02 00 48 0000 00 00 a000 01 48 0000 00 00 a000 02"
                + "11 30 4000 0200 4000 0000b8fe00000000 0000 0000 00000000 4009000000000000 0000000000000000"
                + "03 0300 00 04 ff02 00 48 0000 00 00 a000 01 48 0000 00 00 a000 02";
        byte[] table = machine.acpiTables().get("IVRS");

        assertThat(AcpiTable.parse("IVRS", table).checksumValid()).isTrue();
        String checksum = HexFormat.of().toHexDigits(table[9]);
        assertThat(HexFormat.of().formatHex(table))
                .isEqualTo(expected.replace(" ", "").replace("CC", checksum));
    }

    @Test
    void itsUnitIsTheOneThatItsTableDescribes() {
        assertThat(machine.name()).isEqualTo("amd");
        assertThat(new AmdViUnitProvider()
                        .recognise(
                                "ivhd0",
                                Map.of("amd-iommu/cap", "190b000f", "amd-iommu/features", "940:0"),
                                NOTHING,
                                machine.firmware()))
                .contains(machine.units().get(0));
    }

    @Test
    void theIommuIsAPciFunctionWithItsCapability() {
        FunctionDescription iommu = machine.functions().stream()
                .filter(function -> function.address().equals(new PciAddress(0, 0, 0, 2)))
                .findFirst()
                .orElseThrow();
        byte[] config = iommu.config();

        assertThat(HexFormat.of().formatHex(config, 0x0, 0x10)).isEqualTo("22105114000010000000060800008000");
        assertThat(config[0x34]).isEqualTo((byte) 0x40);
        assertThat(HexFormat.of().formatHex(config, 0x40, 0x54))
                .isEqualTo("0f000b19" + "0100b8fe" + "00000000" + "00000000" + "40302000");
        assertThat(iommu.unit()).isEmpty();
        assertThat(machine.functions())
                .extracting(FunctionDescription::address)
                .isSorted()
                .hasSize(7);
        assertThat(machine.functions().get(0).config()[0x0e])
                .as("multi-function")
                .isEqualTo((byte) 0x80);
    }

    @Test
    void allEndpointsPassTheUnit() {
        assertThat(machine.functions().stream()
                        .filter(function -> function.address().bus() > 0))
                .isNotEmpty()
                .allSatisfy(function -> assertThat(function.unit()).contains("ivhd0"));
    }
}
