// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class SplitFieldTest {
    /** The guest CR3 root of an AMD device table entry: three places in two words. */
    private static final SplitField GCR3 = SplitField.of(
            "GCR3",
            BitField.absolute(60, 58, "GCR3_14_12"),
            BitField.absolute(95, 80, "GCR3_30_15"),
            BitField.absolute(127, 107, "GCR3_51_31"));

    @Test
    void theLowestPartComesFirst() {
        long[] words = new long[2];
        GCR3.set(words, 0b101 | 0xbeefL << 3 | 0x1ffffL << 19);
        assertThat(words).containsExactly(0b101L << 58, 0xbeefL << 16 | 0x1ffffL << 43);
        assertThat(GCR3.get(words)).isEqualTo(0b101 | 0xbeefL << 3 | 0x1ffffL << 19);
    }

    @Test
    void otherBitsOfTheWordsStay() {
        long[] words = {-1L, -1L};
        GCR3.set(words, 0);
        assertThat(words).containsExactly(~(7L << 58), ~(0xffffL << 16 | 0x1fffffL << 43));
    }

    @Test
    void aValueThatDoesNotFitIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> GCR3.set(new long[2], 1L << 40))
                .withMessageContaining("GCR3");
    }
}
