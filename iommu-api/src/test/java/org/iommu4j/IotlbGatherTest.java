// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class IotlbGatherTest {
    private final IotlbGather gather = new IotlbGather();

    @Test
    void aNewGatherHoldsNothing() {
        assertThat(gather.isEmpty()).isTrue();
        assertThat(gather.hasRange()).isFalse();
    }

    @Test
    void theRangeCoversEverythingAddedUpToTheEndOfTheAddressSpace() {
        gather.addRange(0x5000, 0x5fff);
        gather.addRange(0xffff_ffff_ffff_f000L, -1L);
        gather.addRange(0x2000, 0x2fff);
        assertThat(gather.start()).isEqualTo(0x2000);
        assertThat(gather.end()).isEqualTo(-1L);
        assertThat(gather.hasRange()).isTrue();
    }

    @Test
    void framesAreTakenUntilTheGatherIsFull() {
        for (int i = 0; i < IotlbGather.MAX_FRAMES; i++) {
            assertThat(gather.addFrame(i * 4096L)).isTrue();
        }
        assertThat(gather.addFrame(0)).isFalse();
        assertThat(gather.frame(5)).isEqualTo(5 * 4096L);
        gather.reset();
        assertThat(gather.isEmpty()).isTrue();
    }

    @Test
    void pageZeroIsARange() {
        gather.addRange(0, 0xfff);
        assertThat(gather.hasRange()).isTrue();
        assertThat(gather.isEmpty()).isFalse();
    }
}
