// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class DirtyBitmapTest {
    private final DirtyBitmap bitmap = new DirtyBitmap(0x10000, 0x1000, 100);

    @Test
    void aLargeLeafMarksAllOfItsPages() {
        bitmap.mark(0x20000, 0x8000);
        assertThat(bitmap.count()).isEqualTo(8);
        assertThat(bitmap.isMarked(0x1ffff)).isFalse();
        assertThat(bitmap.isMarked(0x20000)).isTrue();
        assertThat(bitmap.isMarked(0x27fff)).isTrue();
        assertThat(bitmap.isMarked(0x28000)).isFalse();
    }

    @Test
    void whatLiesOutsideIsNotMarked() {
        bitmap.mark(0, 0x10000);
        bitmap.mark(0x10000 + 100 * 0x1000, 0x1000);
        assertThat(bitmap.count()).isZero();
        assertThat(bitmap.isMarked(0)).isFalse();
        bitmap.mark(0, 0x200000);
        assertThat(bitmap.count()).isEqualTo(100);
    }

    @Test
    void aPageThatIsTouchedInPartIsMarked() {
        DirtyBitmap coarse = new DirtyBitmap(0, 0x200000, 4);
        coarse.mark(0x3ff000, 0x2000);
        assertThat(coarse.isMarked(0)).isFalse();
        assertThat(coarse.isMarked(0x200000)).isTrue();
        assertThat(coarse.isMarked(0x400000)).isTrue();
        coarse.clear();
        assertThat(coarse.count()).isZero();
    }

    @Test
    void theLastPageOfTheAddressSpaceIsAPageLikeAnother() {
        DirtyBitmap last = new DirtyBitmap(-0x2000L, 0x1000, 2);
        last.mark(-0x1000L, 0x1000);
        assertThat(last.isMarked(-1L)).isTrue();
        assertThat(last.isMarked(-0x1001L)).isFalse();
    }

    @Test
    void nonsenseIsRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> new DirtyBitmap(1, 0x1000, 1));
        assertThatIllegalArgumentException().isThrownBy(() -> new DirtyBitmap(0, 0x1800, 1));
        assertThatIllegalArgumentException().isThrownBy(() -> new DirtyBitmap(0, 0x1000, 0));
    }
}
