// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.LongPredicate;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;
import org.jspecify.annotations.Nullable;

/** A cache of decoded contexts of devices or processes, in sets of four; a look-up takes no lock. */
final class ContextCache<T extends ContextCache.Context> {
    /** A context, which never changes. */
    interface Context {
        /** Returns what it is found by. */
        long key();

        void addTo(StateDigest digest);
    }

    private static final int SETS = 64;
    private static final int WAYS = 4;

    private final Epoch epoch;
    private volatile @Nullable AtomicReferenceArray<T> contexts;

    /** The next way of each set to be replaced. */
    private final byte[] next = new byte[SETS];

    ContextCache(Epoch epoch) {
        this.epoch = epoch;
    }

    @Nullable
    T find(long key) {
        AtomicReferenceArray<T> all = contexts;
        if (all != null) {
            int set = set(key);
            for (int i = set; i < set + WAYS; i++) {
                T context = all.getAcquire(i);
                if (context != null && context.key() == key) {
                    return context;
                }
            }
        }
        return null;
    }

    private static int set(long key) {
        return (int) ((key * 0x9e3779b97f4a7c15L) >>> 58) * WAYS;
    }

    /** Caches a context, unless it was read before an invalidation began. */
    synchronized void fill(T context, long readInEpoch) {
        AtomicReferenceArray<T> all = contexts;
        if (all == null) {
            all = new AtomicReferenceArray<>(SETS * WAYS);
            contexts = all;
        }
        if (epoch.current() == readInEpoch) {
            all.setRelease(slotToFill(all, context.key()), context);
        }
    }

    private int slotToFill(AtomicReferenceArray<T> all, long key) {
        int set = set(key);
        int free = -1;
        for (int i = set + WAYS - 1; i >= set; i--) {
            T context = all.get(i);
            if (context == null) {
                free = i;
            } else if (context.key() == key) {
                return i;
            }
        }
        if (free >= 0) {
            return free;
        }
        byte way = next[set / WAYS];
        next[set / WAYS] = (byte) ((way + 1) % WAYS);
        return set + way;
    }

    /** Drops the contexts with these keys. */
    synchronized void removeIf(LongPredicate keys) {
        epoch.advance();
        AtomicReferenceArray<T> all = contexts;
        for (int i = 0; all != null && i < all.length(); i++) {
            T context = all.get(i);
            if (context != null && keys.test(context.key())) {
                all.set(i, null);
            }
        }
    }

    /** Drops everything and what replacement remembers. For one thread only. */
    synchronized void reset() {
        epoch.advance();
        contexts = null;
        Arrays.fill(next, (byte) 0);
    }

    synchronized void addTo(StateDigest digest) {
        AtomicReferenceArray<T> all = contexts;
        for (int i = 0; all != null && i < all.length(); i++) {
            T context = all.get(i);
            if (context != null) {
                digest.add(i);
                context.addTo(digest);
            }
        }
        for (byte way : next) {
            digest.add(way);
        }
    }
}
