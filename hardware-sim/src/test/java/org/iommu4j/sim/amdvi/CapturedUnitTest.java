// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CapturedUnitTest {
    /** No other input has anything of the unit. */
    private static final ShownUnit NOTHING = new ShownUnit(OptionalLong.empty(), Map.of());

    private static final String HEADER =
            "49565253 LLLLLLLL 02 00 544553540000 5445535400000000 01000000 54455354 01000000"
                    + "41302000 0000000000000000";
    /** Device 0002 at fed80000, type 10h: no EFR. */
    private static final String FIRST_10 = "10 b0 1800 0200 4000 0000d8fe00000000 0000 0000 00000000";
    /** The same, type 11h, EFR 29d3, with one device entry for all. */
    private static final String FIRST_11 =
            "11 b0 2c00 0200 4000 0000d8fe00000000 0000 0000 00000000 d329000000000000 0000000000000000 01000000";
    /** Device 0002 of segment 1 at fe200000, type 11h, EFR 22254afa. */
    private static final String SECOND_11 =
            "11 b0 2800 0200 4000 000020fe00000000 0100 0000 00000000 fa4a252200000000 0000000000000000";
    /** The first unit again, type 40h. */
    private static final String FIRST_40 =
            "40 b0 2800 0200 4000 0000d8fe00000000 0000 0000 00000000 d329000000000000 0000000000000000";
    /** A memory block (type 20h) for all devices. */
    private static final String MEMORY = "20 08 2000 0000 0000 0000000000000000 0000100000000000 0010000000000000";

    private final AmdViUnitProvider provider = new AmdViUnitProvider();

    private static FirmwareTables table(String... blocks) {
        String hex = (HEADER + String.join("", blocks)).replace(" ", "");
        String length = HexFormat.of().toHexDigits((byte) (hex.length() / 2)) + "000000";
        byte[] bytes = HexFormat.of().parseHex(hex.replace("LLLLLLLL", length));
        return signature -> signature.equals("IVRS") ? Optional.of(bytes) : Optional.empty();
    }

    private static Map<String, String> attributes(String features) {
        return Map.of("amd-iommu/cap", "1f03000f\n", "amd-iommu/features", features + "\n");
    }

    @ParameterizedTest
    @CsvSource({
        "0:29d3, 0x29d3, 0x0", // EFR2:EFR, up to 6.3
        "29d3:0, 0x29d3, 0x0", // EFR:EFR2, later
        "1000:29d3, 0x29d3, 0x1000",
        "29d3:1000, 0x29d3, 0x1000",
        "29d7:1000, 0x29d7, 0x1000", // the register differs from its image in one bit
        "29d3, 0x29d3, 0x0"
    })
    void theImageInTheTableTellsWhichHalfIsEfr(String features, long efr, long efr2) {
        Optional<TranslationUnitSpec> unit =
                provider.recognise("ivhd0", attributes(features), NOTHING, table(FIRST_10, MEMORY, FIRST_11));

        assertThat(unit)
                .contains(new TranslationUnitSpec(
                        "amdvi",
                        "ivhd0",
                        0,
                        0xfed80000L,
                        0x4000,
                        Map.of("EFR", efr, "EFR2", efr2, "CAP", 0x1f03000fL)));
    }

    @Test
    void unitsAreNumberedByTheBlocksOfTheHighestType() {
        TranslationUnitSpec second = provider.recognise(
                        "ivhd1", attributes("0:22254afa"), NOTHING, table(FIRST_10, FIRST_11, SECOND_11))
                .orElseThrow();
        assertThat(second.registerBase()).isEqualTo(0xfe200000L);
        assertThat(second.segment()).isEqualTo(1);

        assertThatThrownBy(() ->
                        provider.recognise("ivhd1", attributes("0:29d3"), NOTHING, table(FIRST_10, FIRST_11, FIRST_40)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("unit ivhd1 is not in the IVRS table, which describes 1 unit");
    }

    @Test
    void withoutAnImageOnlyAnObviousPairIsAccepted() {
        assertThat(provider.recognise("ivhd0", attributes("0:29d3"), NOTHING, table(FIRST_10))
                        .orElseThrow()
                        .register("EFR"))
                .isEqualTo(0x29d3);
        assertThatThrownBy(() -> provider.recognise("ivhd0", attributes("1:29d3"), NOTHING, table(FIRST_10)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("unit ivhd0 has features 1:29d3, and no IVHD of type 11h or 40h shows which half is EFR");
    }

    @Test
    void otherVendorsUnitsAreNotRecognised() {
        assertThat(provider.recognise("dmar0", Map.of("intel-iommu/cap", "d2008c22260206"), NOTHING, table(FIRST_10)))
                .isEmpty();
    }

    @Test
    void whatCantBeReadIsRefusedInOneLine() {
        assertThatThrownBy(
                        () -> provider.recognise("ivhd0", attributes("0:29d3"), NOTHING, signature -> Optional.empty()))
                .hasMessage("unit ivhd0 can't be placed: the host has no IVRS table");
        assertThatThrownBy(() -> provider.recognise("ivhd0", attributes("x"), NOTHING, table(FIRST_11)))
                .hasMessage("unit ivhd0 has 'x' in amd-iommu/features, expected EFR2:EFR or EFR:EFR2 in hex");
        assertThatThrownBy(
                        () -> provider.recognise("ivhd0", Map.of("amd-iommu/features", "1"), NOTHING, table(FIRST_11)))
                .hasMessage("unit ivhd0 has no amd-iommu/cap, expected 32 bits in hex");
        assertThatThrownBy(() -> provider.recognise(
                        "ivhd0",
                        attributes("0:29d3"),
                        NOTHING,
                        table(FIRST_11, "11 00 2000 0200 4000 0000000000000000")))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("block of type 0x11 has length 32, expected 40 to the 16 bytes left");
    }

    @Test
    void aRecognisedUnitCanBeBuilt() {
        TranslationUnitSpec spec = provider.recognise("ivhd0", attributes("0:29d3"), NOTHING, table(FIRST_11))
                .orElseThrow();
        assertThat(provider.create(spec, new TestBed.FlatFabric()).readRegister64(0x30))
                .isEqualTo(0x29d3);
    }
}
