// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/** What ends a listing, and what it remembers until then. */
class TableListingTest {
    private final Image image = new Image();
    private final TableListing listing = new TableListing(image);
    private final ProblemVisitor visitor = new ProblemVisitor();

    /** Every word is its address. */
    private static final class Image implements Fabric {
        long reads;

        @Override
        public boolean isMemory(long physicalAddress) {
            return physicalAddress < 0x10000;
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            reads++;
            return physicalAddress;
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            throw new AssertionError("an image is read only");
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            throw new AssertionError("an image is read only");
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            throw new AssertionError("an image is read only");
        }
    }

    private void read(long words) {
        for (long i = 0; i < words; i++) {
            listing.read(0x1000, true);
        }
    }

    @Test
    void onlyATableThatIsOnTheWayIsALoop() {
        listing.make(visitor, () -> {
            assertThat(listing.enter(0x1000)).isTrue();
            assertThat(listing.enter(0x2000)).isTrue();
            assertThat(listing.enter(0x1000)).isFalse();
            assertThat(listing.enter(0x2000)).isFalse();
            listing.leave();
            assertThat(listing.enter(0x2000)).as("in another place").isTrue();
        });
        listing.make(
                visitor,
                () -> assertThat(listing.enter(0x1000)).as("in another listing").isTrue());
    }

    @Test
    void aProblemOfATableIsNotOneOfItsFirstEntryAndEachIsNewOnceInAListing() {
        for (int i = 0; i < 2; i++) {
            listing.make(visitor, () -> {
                assertThat(listing.isNewEntry(0x1000)).isTrue();
                assertThat(listing.isNewTable(0x1000)).isTrue();
                assertThat(listing.isNewEntry(0x1000)).isFalse();
                assertThat(listing.isNewTable(0x1000)).isFalse();
            });
        }
    }

    @Test
    void aListingEndsWhenItHasReadTooMuchBesidesNewTables() {
        listing.make(visitor, () -> {
            listing.enter(0x1000);
            read(1000);
            listing.leave();
            read(1);
            listing.enter(0x1000);
            read(TableListing.MOST_WORDS - 2);
            listing.enter(0x2000);
            read(1000);
            listing.count();
            assertThat(visitor.problems).isEmpty();
            listing.leave();
            read(1);
        });
        assertThat(visitor.problems)
                .containsExactly(
                        "more than 67108864 words read besides new tables, so these are damaged or in very many"
                                + " places; the rest is left out");
        assertThat(image.reads).isEqualTo(TableListing.MOST_WORDS + 1999);

        listing.make(visitor, () -> read(1));
        assertThat(visitor.problems).as("the next begins anew").hasSize(1);
    }

    @Test
    void aListingGoesAsDeepAsTheTablesDo() {
        listing.make(visitor, () -> {
            for (int level = 1; level <= 100; level++) {
                assertThat(listing.enter(level * 0x1000L)).isTrue();
            }
            assertThat(listing.enter(0x1000)).as("a loop").isFalse();
            for (int level = 1; level <= 100; level++) {
                listing.leave();
            }
            assertThat(listing.enter(0x1000)).as("out of all").isTrue();
        });
        assertThat(visitor.problems).isEmpty();
    }

    @Test
    void othersExceptionsAreTheirOwn() {
        IllegalStateException enough = new IllegalStateException("enough");
        assertThatThrownBy(() -> listing.make(visitor, () -> {
                    throw enough;
                }))
                .isSameAs(enough);
        assertThat(visitor.problems).isEmpty();
    }

    @Test
    void theImageIsReadAndNeverWritten() {
        assertThat(listing.isMemory(0xfff8)).isTrue();
        assertThat(listing.isMemory(0x10000)).isFalse();
        listing.write(0x1000, 1, true);
        listing.write32(0x1000, 1, true);
        assertThat(listing.compareAndSet(0x1000, 0x1000, 1, true)).isTrue();
    }
}
