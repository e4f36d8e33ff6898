// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;

/** What a function remembers of its translation requests, by itself. */
class AddressTranslationCacheTest {
    private static final int NO_PASID = TranslationUnit.NO_PASID;
    private static final long PAGE = 4096;
    private static final long LAST_PAGE = -PAGE;
    private static final long TARGET = 0x800_0000L;

    private final AddressTranslationCache tlb = new AddressTranslationCache();

    private void fill(int pasid, long address, boolean write) {
        tlb.fill(pasid, address, write, Translation.to(TARGET, true));
    }

    @Test
    void anEmptyOneKnowsNoPageNotEvenTheFirstOrTheLast() {
        for (long address : new long[] {0, 8, PAGE, 1L << 47, LAST_PAGE, -8}) {
            for (int pasid : new int[] {NO_PASID, 0, 5}) {
                for (boolean write : new boolean[] {false, true}) {
                    assertThat(tlb.lookup(pasid, address, write))
                            .as("0x%x, PASID %d, write %b", address, pasid, write)
                            .isEqualTo(AddressTranslationCache.UNKNOWN);
                }
            }
        }
    }

    @Test
    void aPageIsKnownForWhatWasAskedAndForNothingElse() {
        for (long address : new long[] {0, 1L << 47, LAST_PAGE}) {
            fill(NO_PASID, address + 0x123, true);

            long known = tlb.lookup(NO_PASID, address + 0xff8, true);
            assertThat(Translation.address(known)).isEqualTo(TARGET + 0xff8);
            assertThat(Translation.snoopForced(known)).isTrue();
            assertThat(tlb.lookup(NO_PASID, address, false)).isEqualTo(AddressTranslationCache.UNKNOWN);
            assertThat(tlb.lookup(0, address, true)).isEqualTo(AddressTranslationCache.UNKNOWN);
            assertThat(tlb.lookup(NO_PASID, address ^ 1L << 40, true)).isEqualTo(AddressTranslationCache.UNKNOWN);
        }
    }

    @Test
    void aRangeIsForgottenFromItsFirstPageToItsLastAndNoMore() {
        for (long base : new long[] {8 * PAGE, LAST_PAGE - 7 * PAGE}) {
            for (long at = base - PAGE; at != base + 9 * PAGE; at += PAGE) {
                fill(NO_PASID, at, false);
                fill(3, at, false);
            }
            tlb.invalidate(NO_PASID, false, base, 8 * PAGE);
            for (long at = base; at != base + 8 * PAGE; at += PAGE) {
                assertThat(tlb.lookup(NO_PASID, at, false)).as("0x%x", at).isEqualTo(AddressTranslationCache.UNKNOWN);
                assertThat(tlb.lookup(3, at, false)).isNotEqualTo(AddressTranslationCache.UNKNOWN);
            }
            assertThat(tlb.lookup(NO_PASID, base - PAGE, false)).isNotEqualTo(AddressTranslationCache.UNKNOWN);
            assertThat(tlb.lookup(NO_PASID, base + 8 * PAGE, false)).isNotEqualTo(AddressTranslationCache.UNKNOWN);
        }
    }

    @Test
    void everythingOfAPasidIsForgottenAtOnce() {
        fill(3, 0, false);
        fill(3, LAST_PAGE, true);
        fill(NO_PASID, PAGE, false);

        tlb.invalidate(3, false, 0, Long.MIN_VALUE);

        assertThat(tlb.lookup(3, 0, false)).isEqualTo(AddressTranslationCache.UNKNOWN);
        assertThat(tlb.lookup(3, LAST_PAGE, true)).isEqualTo(AddressTranslationCache.UNKNOWN);
        assertThat(tlb.lookup(NO_PASID, PAGE, false)).isNotEqualTo(AddressTranslationCache.UNKNOWN);
    }
}
