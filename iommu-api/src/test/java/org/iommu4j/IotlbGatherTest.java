// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
            assertThat(gather.addFrame(i * 4096L, 0)).isTrue();
        }
        assertThat(gather.addFrame(0, 0)).isFalse();
        assertThat(gather.frame(5)).isEqualTo(5 * 4096L);
        gather.reset();
        assertThat(gather.isEmpty()).isTrue();
    }

    @Test
    void aTableOfSeveralFramesKeepsItsOrder() {
        gather.addFrame(0x40_0000, 10);
        gather.addFrame(0x1_0000, 4);
        gather.addFrame(0xffff_ffff_ffff_f000L, 0);

        assertThat(gather.frame(0)).isEqualTo(0x40_0000);
        assertThat(gather.order(0)).isEqualTo(10);
        assertThat(gather.frame(1)).isEqualTo(0x1_0000);
        assertThat(gather.order(1)).isEqualTo(4);
        assertThat(gather.frame(2)).isEqualTo(0xffff_ffff_ffff_f000L);
        assertThat(gather.order(2)).isZero();
        assertThat(gather.frameCount()).isEqualTo(3);
        assertThat(gather.totalFrames()).isEqualTo(1024 + 16 + 1);
        assertThat(gather).hasToString("no range, 1041 frames");
        assertThatThrownBy(() -> gather.order(3)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @ParameterizedTest
    @CsvSource({"0x1800, 0", "0x8000, 4", "0x1000, 1", "0, -1", "0, 11"})
    void aTableThatNoAllocatorGivesIsRefused(String address, int order) {
        assertThatThrownBy(() -> gather.addFrame(Long.decode(address), order))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(gather.isEmpty()).isTrue();
    }

    @Test
    void pageZeroIsARange() {
        gather.addRange(0, 0xfff);
        assertThat(gather.hasRange()).isTrue();
        assertThat(gather.isEmpty()).isFalse();
    }

    @Test
    void tablesMoveToAnotherGatherAsFarAsItHasRoom() {
        IotlbGather from = new IotlbGather();
        IotlbGather to = new IotlbGather();
        from.addRange(0x1000, 0x1fff);
        for (int i = 0; i < 3; i++) {
            from.addFrame(0x10_0000L + i * 0x1000L, 0);
        }
        for (int i = 0; i < IotlbGather.MAX_FRAMES - 2; i++) {
            to.addFrame(0x20_0000L + i * 0x1000L, 0);
        }

        assertThat(from.moveFramesTo(to)).as("all moved").isFalse();
        assertThat(from.frameCount()).isEqualTo(1);
        assertThat(to.frameCount()).isEqualTo(IotlbGather.MAX_FRAMES);
        assertThat(to.hasRange()).isFalse();
        to.reset();
        assertThat(from.moveFramesTo(to)).as("all moved").isTrue();
        assertThat(to.frame(0)).isEqualTo(0x10_0000L);
        assertThat(from.hasRange()).isTrue();
    }
}
