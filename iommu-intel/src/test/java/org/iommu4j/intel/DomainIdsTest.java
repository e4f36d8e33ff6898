// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.junit.jupiter.api.Test;

class DomainIdsTest {
    private static final int COUNT = 1 << 16;
    private static final int FIRST = DomainIds.FIRST;

    /** Counts the ids that a search walks over. */
    private static final class Counted extends BitSet {
        private static final long serialVersionUID = 1;
        private long walked;

        @Override
        public int nextClearBit(int from) {
            int found = super.nextClearBit(from);
            walked += found - from;
            return found;
        }
    }

    private final Counted taken = new Counted();
    private final DomainIds ids = new DomainIds("dmar0", COUNT, taken);

    private void takeAll() {
        for (int id = FIRST; id < COUNT; id++) {
            assertThat(ids.take()).isEqualTo(id);
        }
    }

    private void assertExhausted() {
        assertThatThrownBy(ids::take)
                .hasMessageContaining("all " + (COUNT - FIRST) + " domain ids are in use")
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOSPC));
    }

    @Test
    void theLowestFreeIdIsTakenAndWhatComesBackIsTakenAgain() {
        for (int i = 0; i < 10; i++) {
            ids.take();
        }
        ids.give(FIRST + 7);
        ids.give(FIRST + 3);
        ids.give(FIRST + 5);
        assertThat(ids.take()).isEqualTo(FIRST + 3);
        assertThat(ids.take()).isEqualTo(FIRST + 5);
        ids.give(FIRST);
        assertThat(ids.take()).isEqualTo(FIRST);
        assertThat(ids.take()).isEqualTo(FIRST + 7);
        assertThat(ids.take()).isEqualTo(FIRST + 10);
    }

    @Test
    void whenAllAreInUseTheNextIsRefusedWithEnospcUntilOneComesBack() {
        takeAll();
        assertExhausted();
        assertExhausted();
        ids.give(0x1234);
        assertThat(ids.take()).isEqualTo(0x1234);
        assertExhausted();
        ids.give(COUNT - 1);
        assertThat(ids.take()).isEqualTo(COUNT - 1);
        assertExhausted();
    }

    @Test
    void anIdThatIsNotInUseCantBeGivenBack() {
        int id = ids.take();
        ids.give(id);
        assertThatIllegalStateException().isThrownBy(() -> ids.give(id));
        assertThatIllegalStateException().isThrownBy(() -> ids.give(0));
    }

    @Test
    void takingAllWalksOverEachIdOnce() {
        takeAll();
        assertThat(taken.walked).isLessThanOrEqualTo(COUNT);
    }

    @Test
    void whatIsGivenBackInAnyOrderIsTakenAgainInOneWalk() {
        takeAll();
        for (int id = FIRST; id < COUNT; id += 2) {
            ids.give(id);
        }
        int last = FIRST + ((COUNT - FIRST) / 2 * 2 - 1);
        for (int id = last; id >= FIRST; id -= 2) {
            ids.give(id);
        }
        taken.walked = 0;
        takeAll();
        assertThat(taken.walked).isLessThanOrEqualTo(COUNT);
        assertExhausted();
        long walked = taken.walked;
        for (int i = 0; i < 1000; i++) {
            assertExhausted();
        }
        assertThat(taken.walked).as("a refusal walks over nothing").isEqualTo(walked);
    }
}
