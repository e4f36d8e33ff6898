// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.spi.Translation.MemoryType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TranslationTest {
    private static final long TOP = (1L << 56) - 1;

    @ParameterizedTest
    @EnumSource
    void aSuccessHas56BitsOfAddressATypeAndSnoop(MemoryType type) {
        for (boolean forced : new boolean[] {false, true}) {
            long translation = Translation.to(TOP, forced, type);
            assertThat(Translation.isFault(translation)).isFalse();
            assertThat(Translation.isConsumed(translation)).isFalse();
            assertThat(Translation.address(translation)).isEqualTo(TOP);
            assertThat(Translation.memoryType(translation)).isEqualTo(type);
            assertThat(Translation.snoopForced(translation)).isEqualTo(forced);
        }
    }

    @Test
    void theTypeOfAnOrdinarySuccessIsTheRequests() {
        assertThat(Translation.memoryType(Translation.to(TOP, true))).isEqualTo(MemoryType.AS_REQUESTED);
        assertThat(Translation.to(0x1234, false)).isEqualTo(0x1234);
    }

    @Test
    void aConsumedWriteIsNoFaultAndNoSnoop() {
        long translation = Translation.consumed(TOP);
        assertThat(Translation.isConsumed(translation)).isTrue();
        assertThat(Translation.isFault(translation)).isFalse();
        assertThat(Translation.snoopForced(translation)).isFalse();
        assertThat(Translation.address(translation)).isEqualTo(TOP);
        assertThat(Translation.isConsumed(Translation.fault(0xffff))).isFalse();
    }

    @Test
    void wordsNameWhatIsNotOrdinary() {
        assertThat(Translation.toString(Translation.to(0x1000, true, MemoryType.DEVICE)))
                .isEqualTo("0x1000 snoop forced DEVICE");
        assertThat(Translation.toString(Translation.to(0x1000, false))).isEqualTo("0x1000");
        assertThat(Translation.toString(Translation.consumed(0x1000))).isEqualTo("0x1000 consumed by the unit");
        assertThat(Translation.toString(Translation.fault(0x105))).isEqualTo("fault 0x105");
    }
}
