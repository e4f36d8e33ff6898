// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.ServiceLoader;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;
import org.junit.jupiter.api.Test;

class VtdUnitProviderTest {
    /** No other input has anything of the unit. */
    private static final ShownUnit NOTHING = new ShownUnit(OptionalLong.empty(), Map.of());

    private static final FirmwareTables NO_TABLES = signature -> Optional.empty();
    private static final Map<String, String> CAPTURED = Map.of(
            "intel-iommu/address", "fed90000",
            "intel-iommu/cap", "d2008c22260206",
            "intel-iommu/ecap", "f00f4a",
            "intel-iommu/version", "1:0",
            "intel-iommu/domains_supported", "65536");

    private final VtdUnitProvider provider = new VtdUnitProvider();

    @Test
    void serviceLoaderFindsIt() {
        assertThat(ServiceLoader.load(TranslationUnitProvider.class))
                .anyMatch(found ->
                        found instanceof VtdUnitProvider && found.name().equals("vtd"));
    }

    @Test
    void recognisesAUnitInSysfsAndBuildsIt() {
        byte[] dmar = new DmarWriter(39).unit(0xfed90000L, true).build();
        TranslationUnitSpec spec = provider.recognise(
                        "dmar0",
                        CAPTURED,
                        NOTHING,
                        signature -> signature.equals("DMAR") ? Optional.of(dmar) : Optional.empty())
                .orElseThrow();

        assertThat(spec)
                .isEqualTo(new TranslationUnitSpec(
                        "vtd",
                        "dmar0",
                        0,
                        0xfed90000L,
                        4096,
                        Map.of("VER", 0x10L, "CAP", 0xd2008c22260206L, "ECAP", 0xf00f4aL, "HAW", 39L)));
        TranslationUnit unit = provider.create(spec, new RecordingFabric(1 << 20));
        assertThat(unit.readRegister64(0x08)).isEqualTo(0xd2008c22260206L);
        unit.writeRegister32(0x18, 1 << 31);
        assertThat(unit.step()).isTrue();
        unit.translate(0, -1, 0x5000, RequestFlags.WRITE);
        assertThat(unit.readRegister64(0x220)).as("CAP.FRO").isEqualTo(0x5000);
    }

    @Test
    void recognisesWithoutADmarAndLeavesOthersAlone() {
        assertThat(provider.recognise("dmar0", CAPTURED, NOTHING, NO_TABLES)
                        .orElseThrow()
                        .registers())
                .doesNotContainKey("HAW");
        assertThat(provider.recognise("ivhd0", Map.of("amd-iommu/cap", "1"), NOTHING, NO_TABLES))
                .isEmpty();
        assertThat(provider.recognise("ivhd0", Map.of(), NOTHING, NO_TABLES)).isEmpty();
    }

    @Test
    void refusesAttributesThatItCannotRead() {
        Map<String, String> noCap = Map.of("intel-iommu/address", "fed90000", "intel-iommu/version", "1:0");
        assertThatThrownBy(() -> provider.recognise("dmar3", noCap, NOTHING, NO_TABLES))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("unit dmar3 lacks intel-iommu/cap");
        Map<String, String> badVersion = Map.of("intel-iommu/address", "fed90000", "intel-iommu/version", "1.0");
        assertThatThrownBy(() -> provider.recognise("dmar3", badVersion, NOTHING, NO_TABLES))
                .hasMessageContaining("'1.0'")
                .hasMessageContaining("1:0");
        Map<String, String> badAddress = Map.of("intel-iommu/address", "0xfed90000");
        assertThatThrownBy(() -> provider.recognise("dmar3", badAddress, NOTHING, NO_TABLES))
                .hasMessageContaining("intel-iommu/address is '0xfed90000'");
    }

    @Test
    void refusesUnitsThatMakeNoSense() {
        RecordingFabric fabric = new RecordingFabric(4096);
        TranslationUnitSpec overlapping = VtdUnitProvider.unit("dmar0", 0xfed90000L, Bench.CAP, 0xf010dfL);
        assertThatThrownBy(() -> provider.create(overlapping, fabric))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("CAP.FRO 0x100 and ECAP.IRO 0x100");
        TranslationUnitSpec misaligned = VtdUnitProvider.unit("dmar0", 0xfed90010L, Bench.CAP, Bench.ECAP_SC);
        assertThatThrownBy(() -> provider.create(misaligned, fabric)).hasMessageContaining("4 KiB aligned");
        TranslationUnitSpec small = new TranslationUnitSpec(
                "vtd", "dmar0", 0, 0, 0x100, Map.of("VER", 0x10L, "CAP", Bench.CAP, "ECAP", Bench.ECAP_SC));
        assertThatThrownBy(() -> provider.create(small, fabric)).hasMessageContaining("window has 0x100 bytes");
        TranslationUnitSpec noEcap = new TranslationUnitSpec("vtd", "dmar0", 0, 0, 4096, Map.of("CAP", Bench.CAP));
        assertThatThrownBy(() -> provider.create(noEcap, fabric)).hasMessageContaining("ECAP");
    }

    @Test
    void aWindowIsAsLargeAsItsRegistersNeed() {
        assertThat(VtdUnitProvider.unit("dmar0", 0, Bench.CAP, Bench.ECAP_SC | 0x100L << 8)
                        .registerSize())
                .isEqualTo(0x2000);
    }

    @Test
    void builtInMachinesDifferInSnoopControl() {
        assertThat(provider.machines())
                .extracting(MachineDescription::name)
                .containsExactly(
                        "intel-sc",
                        "intel-nosc",
                        "intel-no-self-snoop",
                        "intel-mixed",
                        "intel-mixed-fs",
                        "intel-nest",
                        "intel-mixed-walks",
                        "intel-mixed-group");
        assertThat(provider.machines())
                .extracting(machine -> machine.units().stream()
                        .map(unit -> unit.name() + ((unit.register("ECAP") & 0x80) != 0 ? " SC" : " no SC"))
                        .toList()
                        .toString())
                .containsExactly(
                        "[dmar0 SC]",
                        "[dmar0 no SC]",
                        "[dmar0 no SC]",
                        "[dmar0 no SC, dmar1 SC]",
                        "[dmar0 no SC, dmar1 SC]",
                        "[dmar0 no SC, dmar1 SC]",
                        "[dmar0 no SC, dmar1 no SC]",
                        "[dmar0 no SC, dmar1 SC]");
        for (MachineDescription machine : provider.machines()) {
            assertThat(machine.processors().features().selfSnoop())
                    .as("self-snoop in %s", machine.name())
                    .isEqualTo(!machine.name().equals("intel-no-self-snoop"));
            for (TranslationUnitSpec unit : machine.units()) {
                boolean snoops = !(machine.name().equals("intel-mixed-walks")
                        && unit.name().equals("dmar0"));
                assertThat(unit.register("ECAP") & 1)
                        .as("page walks of %s in %s are coherent", unit.name(), machine.name())
                        .isEqualTo(snoops ? 1 : 0);
                assertThat(provider.create(unit, new RecordingFabric(4096)).spec())
                        .isEqualTo(unit);
            }
        }
    }

    @Test
    void theMixedMachinesFirmwareGivesTheSecondGpuItsOwnUnit() {
        MachineDescription mixed = provider.machines().get(3);
        byte[] table = mixed.firmware().table("DMAR").orElseThrow();
        AcpiTable dmar = AcpiTable.parse("DMAR", table);
        assertThat(dmar.checksumValid()).isTrue();
        assertThat(dmar.length()).isEqualTo(table.length);
        assertThat(HexFormat.of().formatHex(table, 36, table.length))
                .isEqualTo("2d01" + "00000000000000000000" // HAW 46, INTR_REMAP
                        + "0000" + "2200" + "00000000" + "0000d9fe00000000" // DRHD
                        + "0208000000000200" // bridge 00:02.0
                        + "010a0000000002000000" // endpoint 00:02.0 / 00.0
                        + "0000" + "1000" + "01000000" + "0010d9fe00000000"); // DRHD, include all
        assertThat(mixed.functions())
                .filteredOn(function -> function.unit().equals(Optional.of("dmar0")))
                .extracting(function -> function.address().toString())
                .containsExactlyInAnyOrder("0000:00:02.0", "0000:02:00.0");
    }

    @Test
    void aSingleUnitTakesEverything() {
        byte[] table = provider.machines().get(0).firmware().table("DMAR").orElseThrow();
        assertThat(AcpiTable.parse("DMAR", table).checksumValid()).isTrue();
        assertThat(HexFormat.of().formatHex(table, 48, table.length)).isEqualTo("00001000010000000000d9fe00000000");
    }

    @Test
    void aUnitWithoutAttributesIsWhatOtherInputsHaveOfIt() {
        Map<String, Long> registers = Map.of("CAP", 0xd2008c40660462L, "ECAP", 0xf050daL);
        ShownUnit known = new ShownUnit(OptionalLong.of(0xfed9_1000L), registers);
        TranslationUnitSpec spec =
                provider.recognise("dmar1", Map.of(), known, NO_TABLES).orElseThrow();
        assertThat(spec.registerBase()).isEqualTo(0xfed9_1000L);
        assertThat(spec.register("CAP")).isEqualTo(0xd2008c40660462L);
        assertThat(spec.register("ECAP")).isEqualTo(0xf050daL);
        assertThat(spec.register("VER")).isEqualTo(0x10);
        assertThatThrownBy(() -> provider.recognise("dmar0", Map.of(), NOTHING, NO_TABLES))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("unit dmar0 has no attributes, and no other input has its register base");
    }
}
