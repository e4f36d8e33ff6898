// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.captured;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.ShownUnit;

/**
 * No firmware table crashes the silicon that recognises a captured unit: it is recognised, or refused in one line.
 *
 * <p>Without {@code JAZZER_FUZZ} the inputs that are checked in are tried, else new ones are made; CONTRIBUTING.md says
 * how.
 */
class CapturedUnitsFuzzTest {
    private static final List<TranslationUnitProvider> SILICON =
            List.of(new VtdUnitProvider(), new AmdViUnitProvider());

    private static final Map<String, Map<String, String>> UNITS = Map.of(
            "ivhd0", Map.of("amd-iommu/cap", "190b640f", "amd-iommu/features", "246577efa2254afa:1b"),
            "ivhd1", Map.of(),
            "dmar0",
                    Map.of(
                            "intel-iommu/address", "fed90000",
                            "intel-iommu/version", "1:0",
                            "intel-iommu/cap", "d2008c40660462",
                            "intel-iommu/ecap", "f050da"),
            "dmar1", Map.of());

    private static final ShownUnit KNOWN = new ShownUnit(
            OptionalLong.of(0xfed9_0000L),
            Map.of("CAP", 0xd2008c40660462L, "ECAP", 0xf050daL, "EFR", 0x246577efa2254afaL),
            Answer.YES);

    @FuzzTest(maxDuration = "10m")
    void dmar(byte[] body) {
        recognise("DMAR", body);
    }

    @FuzzTest(maxDuration = "10m")
    void ivrs(byte[] body) {
        recognise("IVRS", body);
    }

    private static void recognise(String signature, byte[] body) {
        byte[] table = new byte[36 + body.length];
        for (int i = 0; i < 4; i++) {
            table[i] = (byte) signature.charAt(i);
            table[4 + i] = (byte) (table.length >> (8 * i));
        }
        System.arraycopy(body, 0, table, 36, body.length);
        FirmwareTables firmware = asked -> asked.equals(signature) ? Optional.of(table.clone()) : Optional.empty();
        for (TranslationUnitProvider silicon : SILICON) {
            UNITS.forEach((name, attributes) -> {
                try {
                    silicon.recognise(name, attributes, KNOWN, firmware)
                            .ifPresent(unit -> assertThat(unit.name()).isEqualTo(name));
                } catch (IllegalArgumentException e) {
                    assertThat(e.getMessage()).isNotEmpty().doesNotContain("\n", "\u001b");
                }
            });
        }
    }
}
