// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.vmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.junit.jupiter.api.Test;

class GuestFirstStageTest {
    private static final long ROOT = 0x10_c000;

    private final Map<Long, Long> memory = new HashMap<>();
    private final GuestFirstStage table = new GuestFirstStage(ROOT);

    /** The table that a CPU of the guest would walk, by the numbers of the entries that an address selects. */
    @Test
    void eachLevelLeadsToTheNextAndTheLastToThePage() {
        table.map(memory::put, 0x4000_3000L, 0x10_5000);

        assertThat(memory)
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        0x10_c000L, 0x10_d007L,
                        0x10_d008L, 0x10_e007L,
                        0x10_e000L, 0x10_f007L,
                        0x10_f018L, 0x10_5007L));
    }

    @Test
    void aSecondPageIsOneStoreMore() {
        table.map(memory::put, 0x4000_0000L, 0x10_0000);
        memory.clear();

        table.map(memory::put, 0x401f_f000L, 0x10_1000);

        assertThat(memory).containsExactly(Map.entry(0x10_fff8L, 0x10_1007L));
    }

    @Test
    void aPageThatNeedsAnotherTableOfTheLastLevelIsRefusedAndChangesNothing() {
        table.map(memory::put, 0x4000_0000L, 0x10_0000);
        memory.clear();

        assertThatIllegalArgumentException()
                .isThrownBy(() -> table.map(memory::put, 0x4020_0000L, 0x10_1000))
                .withMessageContaining("0x40200000")
                .withMessageContaining("0x40000000");

        assertThat(memory).isEmpty();
    }

    @Test
    void theHostIsToldOfTheAddressAndTheWidthAlone() {
        assertThat(table.words()).isEqualTo(new FirstStageTable(ROOT, 48, 0));
    }
}
