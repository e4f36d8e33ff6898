// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashSet;
import java.util.Set;
import java.util.stream.Stream;
import org.iommu4j.bits.Layout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Bits written down a second time, as the manual's figures show them. */
class LayoutsTest {
    static Stream<Arguments> reserved() {
        return Stream.of(
                Arguments.of(RootEntry.LAYOUT, new long[] {0xffeL, -1L}),
                Arguments.of(ContextEntry.LAYOUT, new long[] {0xff0L, 0xffffffffff000080L}),
                Arguments.of(ScalableRootEntry.LAYOUT, new long[] {0xffeL, 0xffeL}),
                Arguments.of(ScalableContextEntry.LAYOUT, new long[] {0x1e0L, 0xffffffffffe00000L, -1L, -1L}),
                Arguments.of(PasidDirectoryEntry.LAYOUT, new long[] {0xffcL}),
                Arguments.of(PasidEntry.LAYOUT, new long[] {0xc00L, 0xf87f0000L, 0xf00L, -1L, -1L, -1L, -1L, -1L}),
                Arguments.of(SecondStageEntry.LAYOUT, new long[] {0}),
                Arguments.of(FirstStageEntry.LAYOUT, new long[] {0}),
                Arguments.of(InvalidationDescriptor.PASID_CACHE_LAYOUT, new long[] {0xfff000000000f1c0L, -1L}),
                Arguments.of(InvalidationDescriptor.PASID_IOTLB_LAYOUT, new long[] {0xfff000000000f1c0L, 0xf80L}),
                Arguments.of(InvalidationDescriptor.DEVICE_TLB_LAYOUT, new long[] {0x000f0000ffe001f0L, 0xffeL}),
                Arguments.of(InvalidationDescriptor.PASID_DEVICE_TLB_LAYOUT, new long[] {0, 0x7feL}));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("reserved")
    void whatNoFieldNamesIsWhatTheManualReserves(Layout layout, long[] words) {
        for (int i = 0; i < words.length; i++) {
            assertThat(layout.reserved(i)).as("word " + i).isEqualTo(words[i]);
        }
    }

    @Test
    void entriesAreComposed() {
        assertThat(ScalableRootEntry.half(0x5000)).isEqualTo(0x5001);
        assertThat(ScalableContextEntry.low(0x7000, 128, false, false, false)).isEqualTo(0x7001);
        assertThat(ScalableContextEntry.low(0x7000, 16384, true, true, false)).isEqualTo(0x7e0d);
        assertThat(ScalableContextEntry.low(0x7000, 128, true, true, true)).isEqualTo(0x701d);
        assertThat(PasidDirectoryEntry.of(0x9000)).isEqualTo(0x9001);
        assertThat(PasidEntry.word0(PasidEntry.PGTT_SECOND_STAGE, 5, 0x3000, true))
                .isEqualTo(0x328d);
        assertThat(PasidEntry.word1(0xabcd, true, true)).isEqualTo(0x180abcdL);
        assertThat(PasidEntry.word2(5, 0x123000, false)).isEqualTo(0x123004);
        assertThat(PasidEntry.word2(5, 0x123000, true)).isEqualTo(0x123024);
        assertThat(PasidEntry.guestWord2(4, 0x123000, true, false, false)).isEqualTo(0x123001);
        assertThat(PasidEntry.guestWord2(4, 0x123000, false, true, false)).isEqualTo(0x123010);
        assertThat(PasidEntry.guestWord2(5, 0x123000, false, false, true)).isEqualTo(0x123084);
        assertThatThrownBy(() -> PasidEntry.word2(3, 0, false)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aDeviceIsToldOfASizeInTheLowestBitsOfTheAddress() {
        assertThat(InvalidationDescriptor.devicePages(0x5000, 0)).isEqualTo(0x5000);
        assertThat(InvalidationDescriptor.devicePages(0x6000, 1)).isEqualTo(0x6001);
        assertThat(InvalidationDescriptor.devicePages(0x8000, 3)).isEqualTo(0xb001);
        assertThat(InvalidationDescriptor.pasidDevicePages(0x5000, 0)).isEqualTo(0x5000);
        assertThat(InvalidationDescriptor.pasidDevicePages(0x6000, 1)).isEqualTo(0x6800);
        assertThat(InvalidationDescriptor.pasidDevicePages(0x8000, 3)).isEqualTo(0xb800);
        assertThat(InvalidationDescriptor.devicePages(0, InvalidationDescriptor.ALL_PAGES))
                .isEqualTo(0x7ffffffffffff001L);
    }

    @Test
    void aPhysicalFunctionIsSaidInTwoPieces() {
        assertThat(InvalidationDescriptor.deviceTlb(0x1234, 5, 0xabcd)).isEqualTo(0xabc012340005d003L);
        assertThat(InvalidationDescriptor.pasidDeviceTlb(0x1234, 5, 0xabcd, 0xfffff))
                .isEqualTo(0xabcfffff1234d058L);
    }

    @Test
    void descriptorsAreDecodedForMessages() {
        assertThat(InvalidationDescriptor.decode(InvalidationDescriptor.pasidCache(1, 2, 3), 0))
                .contains("PASID-cache invalidate", "DID=2", "PASID=3");
        assertThat(InvalidationDescriptor.decode(InvalidationDescriptor.deviceTlb(0x10, 0, 0), 1))
                .contains("device-TLB invalidate", "SID=0x10");
        assertThat(InvalidationDescriptor.decode(InvalidationDescriptor.pasidDeviceTlb(0x10, 0, 0, 4), 1))
                .contains("PASID-based device-TLB", "PASID=4");
    }

    @Test
    void reasonsThatAreKnownHaveTextsAndThoseOfInterruptsDiffer() {
        Set<String> interrupts = new HashSet<>();
        for (int code = 0; code < 256; code++) {
            boolean legacy = code >= 0x01 && code <= 0x0e;
            boolean interrupt = code >= 0x20 && code <= 0x28;
            boolean scalable = in(code, 0x30, 0x32)
                    || in(code, 0x38, 0x3a)
                    || in(code, 0x40, 0x48)
                    || in(code, 0x50, 0x52)
                    || in(code, 0x58, 0x5d)
                    || in(code, 0x70, 0x7c)
                    || in(code, 0x80, 0x87)
                    || code == 0x90;
            String text = FaultRecord.reason(code);
            assertThat(text.equals("unknown reason"))
                    .as("0x%x: %s", code, text)
                    .isEqualTo(!(legacy || interrupt || scalable));
            assertThat(FaultRecord.isInterrupt(code)).as("0x%x", code).isEqualTo(interrupt);
            if (interrupt) {
                interrupts.add(text);
            }
        }
        assertThat(interrupts).as("each its own").hasSize(9);
    }

    private static boolean in(int code, int first, int last) {
        return code >= first && code <= last;
    }
}
