// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TranslationUnitSpecTest {
    private final TranslationUnitSpec plain = new TranslationUnitSpec("none", "unit", 0, 0, 0x1000, Map.of());

    @Test
    void aUnitWithoutRangesIsIndexedByRequesterIds() {
        assertThat(plain.sourceId(0, 0x1ff)).isEqualTo(0x1ff);
        assertThat(plain.sourceId(7, 0xffff)).isEqualTo(0xffff);
    }

    @Test
    void aRangeGivesSourceIdsOfMoreThan16Bits() {
        TranslationUnitSpec unit = plain.withSourceIds(
                List.of(new SourceIdRange(0, 0x100, 0x10, 0x123400), new SourceIdRange(1, 0, 0x10000, 0xffff0000)));
        assertThat(unit.sourceId(0, 0x100)).isEqualTo(0x123400);
        assertThat(unit.sourceId(0, 0x10f)).isEqualTo(0x12340f);
        assertThat(unit.sourceId(0, 0x110)).as("behind the range").isEqualTo(0x110);
        assertThat(unit.sourceId(0, 0xff)).as("before the range").isEqualTo(0xff);
        assertThat(unit.sourceId(1, 0x100)).as("another segment").isEqualTo(0xffff0100);
        assertThat(unit.sourceId(1, 0xffff)).isEqualTo(-1);
    }

    @Test
    void aRangeHasRequestersOfOneSegmentAndSourceIdsOf32Bits() {
        for (int[] wrong : new int[][] {
            {0x10000, 0, 1, 0}, {0, 0x10000, 1, 0}, {0, -1, 1, 0}, {0, 0, 0, 0}, {0, 1, 0x10000, 0}, {0, 0, 2, -1}
        }) {
            assertThatThrownBy(() -> new SourceIdRange(wrong[0], wrong[1], wrong[2], wrong[3]))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("expected 16 bits of segment and requester, 32 of source id");
        }
    }
}
