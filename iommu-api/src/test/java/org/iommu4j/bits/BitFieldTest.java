// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Random;
import org.junit.jupiter.api.Test;

class BitFieldTest {
    private static final BitField ADDRESS = BitField.bits(51, 12, "ADDR");
    private static final BitField SNP = BitField.bit(11, "SNP");

    @Test
    void aFieldReadsItsBitsShiftedAndInPlace() {
        assertThat(ADDRESS.get(0x8000_0abc_def0_1883L)).isEqualTo(0xabcdef01L);
        assertThat(ADDRESS.getInPlace(0x8000_0abc_def0_1883L)).isEqualTo(0xabcdef01000L);
        assertThat(SNP.isSet(0x883)).isTrue();
        assertThat(SNP.isSet(0x783)).isFalse();
    }

    @Test
    void settingAFieldLeavesTheOtherBitsAlone() {
        assertThat(ADDRESS.set(0xfff0_0000_0000_0fffL, 1)).isEqualTo(0xfff0_0000_0000_1fffL);
        assertThat(SNP.set(-1L, 0)).isEqualTo(~0x800L);
    }

    @Test
    void aValueThatDoesNotFitIsRefusedByName() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SNP.of(2))
                .withMessageContaining("SNP")
                .withMessageContaining("0x2");
    }

    @Test
    void aFieldOf64BitsHoldsEverything() {
        BitField all = BitField.bits(63, 0, "ALL");
        assertThat(all.set(0, -1L)).isEqualTo(-1L);
        assertThat(all.get(-1L)).isEqualTo(-1L);
        assertThat(all.width()).isEqualTo(64);
    }

    @Test
    void absoluteNumbersOfAManualFallIntoWords() {
        assertThat(BitField.absolute(88, 88, "PGSNP")).isEqualTo(new BitField("PGSNP", 24, 24, 1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BitField.absolute(64, 63, "X"))
                .withMessageContaining("straddles");
    }

    @Test
    void bitsOutsideAWordOrInTheWrongOrderAreRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> BitField.bits(64, 0, "X"));
        assertThatIllegalArgumentException().isThrownBy(() -> BitField.bits(3, 4, "X"));
    }

    @Test
    void whatIsSetIsReadBackForEveryFieldThatExists() {
        long seed = Long.getLong("seed", 42);
        Random random = new Random(seed);
        for (int low = 0; low < 64; low++) {
            for (int high = low; high < 64; high++) {
                BitField field = BitField.bits(high, low, "F");
                long word = random.nextLong();
                long value = random.nextLong() & field.max();
                long written = field.set(word, value);
                assertThat(field.get(written)).as("%s, seed %d", field, seed).isEqualTo(value);
                assertThat(written & ~field.mask())
                        .as("%s, seed %d", field, seed)
                        .isEqualTo(word & ~field.mask());
            }
        }
    }
}
