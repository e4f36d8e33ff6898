// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Collections;
import java.util.List;
import org.iommu4j.kvm.GuestMtrrs.Range;
import org.iommu4j.platform.MemoryType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GuestMtrrsTest {
    private static final long MIB = 1L << 20;

    @Test
    void eachRangeHasItsTypeAndTheRestTheDefault() {
        GuestMtrrs mtrrs = new GuestMtrrs(
                MemoryType.UC,
                List.of(
                        new Range(0, 64 * MIB, MemoryType.WB),
                        new Range(64 * MIB, 4096, MemoryType.WC),
                        new Range(64 * MIB + 4096, 4096, MemoryType.WP)));

        assertThat(mtrrs.typeOf(0)).isEqualTo(MemoryType.WB);
        assertThat(mtrrs.typeOf(64 * MIB - 1)).isEqualTo(MemoryType.WB);
        assertThat(mtrrs.typeOf(64 * MIB)).isEqualTo(MemoryType.WC);
        assertThat(mtrrs.typeOf(64 * MIB + 4096)).isEqualTo(MemoryType.WP);
        assertThat(mtrrs.typeOf(64 * MIB + 8192)).isEqualTo(MemoryType.UC);
    }

    /** Of two ranges over one page, the one with the higher base is looked at first. */
    @ParameterizedTest
    @CsvSource({
        "WB, WB, WB",
        "WT, WB, WT",
        "WB, WT, WT",
        "WB, UC, UC",
        "WC, UC, UC",
        "WP, UC, UC",
        "UC, WB, WB",
        "UC, WC, WB",
        "WC, WB, WB",
        "WP, WT, WB",
        "WB, WP, WB"
    })
    void whatKvmMakesOfAnOverlap(MemoryType higher, MemoryType lower, MemoryType both) {
        Range below = new Range(0, 4 * MIB, lower);
        Range above = new Range(MIB, MIB, higher);

        assertThat(new GuestMtrrs(MemoryType.WC, List.of(below, above)).typeOf(MIB))
                .isEqualTo(both);
        assertThat(new GuestMtrrs(MemoryType.WC, List.of(above, below)).typeOf(MIB))
                .isEqualTo(both);
    }

    @Test
    void aThirdRangeCountsUnlessASecondEndedTheSearch() {
        Range highest = new Range(2 * MIB, MIB, MemoryType.WB);
        Range middle = new Range(0, 4 * MIB, MemoryType.WT);
        Range lowest = new Range(0, 8 * MIB, MemoryType.UC);

        assertThat(new GuestMtrrs(MemoryType.WB, List.of(highest, middle, lowest)).typeOf(2 * MIB))
                .isEqualTo(MemoryType.UC);
        assertThat(new GuestMtrrs(MemoryType.WB, List.of(highest, new Range(0, 4 * MIB, MemoryType.WC), lowest))
                        .typeOf(2 * MIB))
                .isEqualTo(MemoryType.WB);
    }

    @ParameterizedTest
    @CsvSource({"0, 2048, WB", "0, 12288, WB", "4096, 8192, WB", "-4096, 4096, WB", "0, 4096, UC_MINUS"})
    void aRangeThatNoRegisterHasIsRefused(long base, long size, MemoryType type) {
        assertThatIllegalArgumentException().isThrownBy(() -> new Range(base, size, type));
    }

    @Test
    void thereAreEightRanges() {
        Range range = new Range(0, 4096, MemoryType.WB);

        assertThat(new GuestMtrrs(MemoryType.WB, Collections.nCopies(8, range)).ranges())
                .hasSize(8);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new GuestMtrrs(MemoryType.WB, Collections.nCopies(9, range)))
                .withMessage("9 variable MTRRs, expected at most 8");
        assertThatIllegalArgumentException().isThrownBy(() -> new GuestMtrrs(MemoryType.UC_MINUS, List.of()));
    }
}
