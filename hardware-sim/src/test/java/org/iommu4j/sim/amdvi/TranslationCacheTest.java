// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.spi.Epoch;
import org.junit.jupiter.api.Test;

class TranslationCacheTest {
    private final Epoch epoch = new Epoch();
    private final TranslationCache cache = new TranslationCache(4, epoch);

    @Test
    void whatWasReadBeforeAnInvalidationBeganIsNotPutIn() {
        long before = epoch.current();
        cache.beginInvalidation();
        cache.put(1, 3, 4, 5, before);
        assertThat(cache.key(1)).isZero();

        cache.put(1, 3, 4, 5, epoch.current());
        assertThat(cache.key(1)).isEqualTo(3);
        assertThat(cache.first(1)).isEqualTo(4);
        assertThat(cache.second(1)).isEqualTo(5);
    }

    @Test
    void aReaderNoticesThatASlotChanged() {
        long sequence = cache.sequence(2);
        assertThat(cache.unchanged(2, sequence)).isTrue();
        cache.put(2, 3, 4, 5, epoch.current());
        assertThat(cache.unchanged(2, sequence)).isFalse();
    }

    @Test
    void aLockedSlotIsNeitherReadNorFilled() {
        cache.put(0, 3, 4, 5, epoch.current());
        cache.lock(0);
        assertThat(cache.unchanged(0, cache.sequence(0))).isFalse();
        cache.put(0, 6, 7, 8, epoch.current());
        assertThat(cache.key(0)).isEqualTo(3);
        cache.empty(0);
        cache.unlock(0);

        assertThat(cache.unchanged(0, cache.sequence(0))).isTrue();
        assertThat(cache.key(0)).isZero();
    }
}
