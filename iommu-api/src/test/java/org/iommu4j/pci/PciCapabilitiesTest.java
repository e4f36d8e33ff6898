// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The registers of ATS, PASID and PRI, at the offsets of the specification's figures. */
class PciCapabilitiesTest {
    private static final int ATS = 0x100;
    private static final int PASID = 0x140;
    private static final int PRI = 0x180;

    private final ByteConfig config = new ByteConfig();

    @BeforeEach
    void listTheCapabilities() {
        config.write(ATS, 4, PASID << 20 | 0x1_000f);
        config.write(PASID, 4, PRI << 20 | 0x1_001b);
        config.write(PRI, 4, 0x1_0013);
    }

    @Test
    void aFunctionWithoutThemHasNone() {
        ByteConfig empty = new ByteConfig();
        assertThat(AtsCapability.of(empty)).isEmpty();
        assertThat(PasidCapability.of(empty)).isEmpty();
        assertThat(PriCapability.of(empty)).isEmpty();
    }

    @Test
    void atsIsEnabledWithTheSmallestTranslationUnit() {
        AtsCapability ats = AtsCapability.of(config).orElseThrow();
        config.write(ATS + 6, 2, 0x1f);
        ats.enable();
        assertThat(config.read(ATS + 6, 2)).isEqualTo(0x8000);
        assertThat(ats.isEnabled()).isTrue();
        ats.disable();
        assertThat(config.read(ATS + 6, 2)).isZero();
        assertThat(ats.isEnabled()).isFalse();
    }

    @Test
    void theQueueDepthIsTheLowestFiveBits() {
        config.write(ATS + 4, 2, 0xffe7);
        assertThat(AtsCapability.of(config).orElseThrow().invalidateQueueDepth())
                .isEqualTo(7);
        config.write(ATS + 4, 2, 0xffe0);
        assertThat(AtsCapability.of(config).orElseThrow().invalidateQueueDepth())
                .isZero();
    }

    @ParameterizedTest
    @CsvSource({"0x0000, 0", "0x0106, 1", "0x1400, 20", "0x1f06, 20", "0xe500, 5"})
    void thePasidWidthIsOfFiveBitsAndAtMost20(String register, int width) {
        config.write(PASID + 4, 2, Integer.decode(register));
        assertThat(PasidCapability.of(config).orElseThrow().width()).isEqualTo(width);
    }

    @Test
    void pasidsAreEnabledWithoutExecuteAndPrivilegedMode() {
        PasidCapability pasid = PasidCapability.of(config).orElseThrow();
        config.write(PASID + 6, 2, 0x0106);
        pasid.enable();
        assertThat(config.read(PASID + 6, 2)).isEqualTo(0x0101);
        assertThat(pasid.isEnabled()).isTrue();
        pasid.disable();
        assertThat(config.read(PASID + 6, 2)).isEqualTo(0x0100);
        assertThat(pasid.isEnabled()).isFalse();
    }

    @Test
    void resettingPageRequestsSaysWhetherTheFunctionHasStopped() {
        PriCapability pri = PriCapability.of(config).orElseThrow();
        config.write(PRI + 6, 2, 0x0003);
        assertThat(pri.reset()).isFalse();
        assertThat(config.read(PRI + 4, 2)).isEqualTo(2);
        config.write(PRI + 6, 2, 0x0100);
        assertThat(pri.reset()).isTrue();
        assertThat(pri.status()).isEqualTo(0x0100);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "31, 31", "32, 32", "33, 32", "-1, 32"})
    void aFunctionMayAskForNoMoreThanItIsCapableOf(int capacity, int allocated) {
        PriCapability pri = PriCapability.of(config).orElseThrow();
        config.write(PRI + 8, 4, capacity);
        pri.enable(32);
        assertThat(config.read(PRI + 12, 4)).isEqualTo(allocated);
        assertThat(config.read(PRI + 4, 2)).isEqualTo(1);
        pri.disable();
        assertThat(config.read(PRI + 4, 2)).isZero();
    }

    @Test
    void noRequestsAtAllAreRefused() {
        PriCapability pri = PriCapability.of(config).orElseThrow();
        assertThatIllegalArgumentException().isThrownBy(() -> pri.enable(0)).withMessageContaining("0 page requests");
    }

    @Test
    void bit15OfTheStatusAsksForThePasidInAnswers() {
        PriCapability pri = PriCapability.of(config).orElseThrow();
        assertThat(pri.answersCarryPasid()).isFalse();
        config.write(PRI + 6, 2, 0x8000);
        assertThat(pri.answersCarryPasid()).isTrue();
    }
}
