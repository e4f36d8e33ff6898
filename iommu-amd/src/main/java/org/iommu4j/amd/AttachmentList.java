// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Attachments, the uses of a domain: changed under the attacher's lock and walked without it. Removing and walking
 * allocate nothing.
 *
 * <p>A walk goes from the last slot down to the first and skips empty ones. A removed attachment is replaced by the
 * last one, so attachments only move down. A walk meets every attachment that stays in the list, some perhaps twice.
 *
 * @param <A> an attachment, equal to itself only
 */
final class AttachmentList<A> {
    private volatile AtomicReferenceArray<@Nullable A> slots = new AtomicReferenceArray<>(4);
    private volatile int size;

    /** Returns the number of attachments; a walk starts at the slot before. */
    int size() {
        return size;
    }

    boolean isEmpty() {
        return size == 0;
    }

    /** Returns the attachment in a slot, or null when it was just emptied. */
    @Nullable
    A get(int slot) {
        return slots.get(slot);
    }

    void add(A attachment) {
        int count = size;
        if (count == slots.length()) {
            AtomicReferenceArray<@Nullable A> larger = new AtomicReferenceArray<>(2 * count);
            for (int i = 0; i < count; i++) {
                larger.set(i, slots.get(i));
            }
            slots = larger;
        }
        slots.set(count, attachment);
        size = count + 1;
    }

    void remove(A attachment) {
        int last = size - 1;
        int at = last;
        while (at >= 0 && slots.get(at) != attachment) {
            at--;
        }
        if (at < 0) {
            throw new IllegalStateException(attachment + " is not in " + this);
        }
        slots.set(at, slots.get(last));
        size = last;
        slots.set(last, null);
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < size; i++) {
            text.append(i == 0 ? "" : ", ").append(slots.get(i));
        }
        return text.append(']').toString();
    }
}
