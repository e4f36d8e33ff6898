// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class InvalidationTagsTest {
    private final InvalidationTags tags = new InvalidationTags(2);

    @Test
    void aTagIsFreeAgainOnceItIsAnswered() {
        tags.take(tags.free(), 7, 0);
        tags.take(tags.free(), 8, 0);
        assertThat(tags.free()).isEqualTo(InvalidationTags.NONE);
        assertThat(tags.complete(7, 1, 1)).isTrue();
        assertThat(tags.free()).isZero();
        assertThat(tags.isEmpty()).isFalse();
        assertThat(tags.complete(8, 2, 1)).isTrue();
        assertThat(tags.isEmpty()).isTrue();
    }

    @Test
    void aRequestMayNeedSeveralMessagesAndAMessageMayAnswerSeveralRequests() {
        tags.take(0, 7, 0);
        tags.take(1, 7, 0);
        assertThat(tags.complete(7, 2, 2)).isTrue();
        assertThat(tags.outstanding()).isEqualTo(3);
        assertThat(tags.complete(7, 3, 1)).isTrue();
        assertThat(tags.isEmpty()).isTrue();
    }

    @Test
    void anUnexpectedMessageChangesNothing() {
        tags.take(0, 7, 0);
        long before = digest();
        assertThat(tags.complete(8, 1, 1)).as("another device").isFalse();
        assertThat(tags.complete(7, 2, 1)).as("a tag that is free").isFalse();
        assertThat(tags.complete(7, 3, 1)).as("one of two tags").isFalse();
        assertThat(tags.complete(7, 0, 1)).as("no tag").isFalse();
        assertThat(digest()).isEqualTo(before);
    }

    @Test
    void whatIsOutstandingIsState() {
        long before = digest();
        tags.take(0, 7, 5);
        assertThat(tags.sourceId(0)).isEqualTo(7);
        assertThat(tags.note(0)).isEqualTo(5);
        assertThat(digest()).isNotEqualTo(before);
        tags.reset();
        assertThat(digest()).isEqualTo(before);
    }

    @Test
    void aUnitHasOneTo32Tags() {
        for (int size : new int[] {0, 33, -1}) {
            assertThatIllegalArgumentException().isThrownBy(() -> new InvalidationTags(size));
        }
        InvalidationTags all = new InvalidationTags(32);
        for (int tag = 0; tag < 32; tag++) {
            assertThat(all.free()).isEqualTo(tag);
            all.take(tag, 1, 0);
        }
        assertThat(all.free()).isEqualTo(InvalidationTags.NONE);
    }

    private long digest() {
        StateDigest digest = new StateDigest();
        tags.addTo(digest);
        return digest.value();
    }
}
