// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class FingerprintTableTest {
    private final long seed = Long.getLong("iommu4j.seed", 20261201L);

    /** Values of MurmurHash3's 64-bit finalizer, computed apart from this code. */
    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "1, b456bcfc34c2cb2c",
        "2, 3abf2a20650683e7",
        "123456789abcdef0, 18b8c062f6f42398",
        "ffffffffffffffff, 64b5720b4b825f21"
    })
    void fingerprintsAreSpreadByMurmursFinalizer(String from, String to) {
        assertThat(Worker.mix(Long.parseUnsignedLong(from, 16))).isEqualTo(Long.parseUnsignedLong(to, 16));
    }

    @ParameterizedTest
    @ValueSource(ints = {16, 100, 1 << 13})
    void aFingerprintIsNewExactlyOnceHoweverOftenTheTableGrows(int slots) {
        Random random = new Random(seed);
        FingerprintTable table = new FingerprintTable(slots);
        Set<Long> known = new HashSet<>();
        for (int i = 0; i < 300_000; i++) {
            long fingerprint = random.nextInt(4) == 0 ? Worker.mix(random.nextInt(1000)) : random.nextLong();
            assertThat(table.hasSeen(fingerprint) || fingerprint == 0)
                    .as("seed %d, fingerprint %x", seed, fingerprint)
                    .isEqualTo(known.contains(fingerprint) || fingerprint == 0);
            assertThat(table.add(fingerprint))
                    .as("seed %d, fingerprint %x", seed, fingerprint)
                    .isEqualTo(known.add(fingerprint));
        }
        assertThat(table.size()).isEqualTo(known.size());
        assertThat(known).allMatch(fingerprint -> !table.add(fingerprint));
    }

    @Test
    void zeroIsAFingerprintAsAnyOther() {
        FingerprintTable table = new FingerprintTable(16);
        assertThat(table.add(0)).isTrue();
        assertThat(table.add(0)).isFalse();
        assertThat(table.size()).isEqualTo(1);
    }

    /** Looked at all the way, because a table costs most just after it has grown. */
    @Test
    void aLargeTableWithParentsAndActionsTakesLessThan24BytesAState() {
        Random random = new Random(seed);
        FingerprintTable table = new FingerprintTable(64);
        Trace trace = new Trace();
        double most = 0;
        for (int i = 1; i <= 3_000_000; i++) {
            table.add(random.nextLong());
            trace.add(i, i);
            if (i > 100_000 && i % 1000 == 0) {
                most = Math.max(most, (table.bytes() + trace.bytes()) / (double) i);
            }
        }
        assertThat(most).as("seed %d", seed).isBetween(14.0, 24.0);
    }

    @Test
    void anotherThreadNeverSeesWhatWasNotAdded() throws InterruptedException {
        FingerprintTable table = new FingerprintTable(16);
        AtomicLong added = new AtomicLong();
        AtomicLong wrong = new AtomicLong();
        AtomicLong seen = new AtomicLong();
        CountDownLatch looked = new CountDownLatch(1);
        Thread reader = new Thread(() -> {
            Random random = new Random(seed);
            while (added.get() < 200_000) {
                long about = added.get() + 1;
                wrong.addAndGet(table.hasSeen(Worker.mix(-1 - random.nextInt(1000))) ? 1 : 0);
                seen.addAndGet(table.hasSeen(Worker.mix(1 + (long) (random.nextDouble() * about))) ? 1 : 0);
                looked.countDown();
            }
        });
        reader.start();
        looked.await();
        for (long i = 1; i <= 200_000; i++) {
            table.add(Worker.mix(i));
            added.set(i);
        }
        reader.join();
        assertThat(wrong).as("seed %d", seed).hasValue(0);
        assertThat(seen.get()).isPositive();
    }
}
