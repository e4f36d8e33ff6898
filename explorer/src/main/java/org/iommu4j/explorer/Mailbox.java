// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** States that other workers found and that belong to this one, in batches that are used again. */
final class Mailbox {
    /** Batches from which on a sender should wait. */
    private static final int PLENTY = 128;

    private final ConcurrentLinkedQueue<Batch> full = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<Batch> empty = new ConcurrentLinkedQueue<>();
    private final AtomicInteger waiting = new AtomicInteger();

    /** Records of so many words each. */
    static final class Batch {
        static final int RECORDS = 256;

        final long[] words;
        int used;

        Batch(int recordWords) {
            words = new long[RECORDS * recordWords];
        }

        boolean isFull() {
            return used == words.length;
        }
    }

    /** Returns an empty batch for records of so many words; all callers say the same number. */
    Batch newBatch(int recordWords) {
        Batch batch = empty.poll();
        return batch == null ? new Batch(recordWords) : batch;
    }

    void deliver(Batch batch) {
        waiting.incrementAndGet();
        full.add(batch);
    }

    @Nullable
    Batch poll() {
        Batch batch = full.poll();
        if (batch != null) {
            waiting.decrementAndGet();
        }
        return batch;
    }

    void giveBack(Batch batch) {
        batch.used = 0;
        empty.add(batch);
    }

    boolean hasMail() {
        return waiting.get() > 0;
    }

    boolean hasPlenty() {
        return waiting.get() >= PLENTY;
    }
}
