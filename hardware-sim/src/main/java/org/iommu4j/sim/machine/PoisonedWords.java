// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.Arrays;
import java.util.function.LongUnaryOperator;
import org.iommu4j.sim.spi.StateDigest;
import org.jspecify.annotations.Nullable;

/**
 * Words of memory that are corrupt beyond repair.
 *
 * <p>A poisoned word holds a mark of its own, so that the poison goes where the word goes: into caches and back. It
 * ends where something else is written. Looking costs one comparison while there is none. Thread-safe.
 */
final class PoisonedWords {
    private static final long SEED = 0x706f69736f6e2121L;

    /** The addresses, in ascending order; null while there are none. */
    private volatile long @Nullable [] addresses;

    /** Adds a word and returns the mark that must be written into it. */
    synchronized long add(long physicalAddress) {
        long[] old = addresses;
        if (!contains(physicalAddress)) {
            long[] more = old == null ? new long[1] : Arrays.copyOf(old, old.length + 1);
            more[more.length - 1] = physicalAddress;
            Arrays.sort(more);
            addresses = more;
        }
        return mark(physicalAddress);
    }

    /** Returns whether a word is poisoned, given what it holds. */
    boolean isPoison(long physicalAddress, long value) {
        return addresses != null && value == mark(physicalAddress) && contains(physicalAddress);
    }

    void reset() {
        addresses = null;
    }

    /** Adds the words that still hold their mark. */
    void addTo(StateDigest digest, LongUnaryOperator memory) {
        long[] now = addresses;
        if (now == null) {
            return;
        }
        for (long address : now) {
            if (memory.applyAsLong(address) == mark(address)) {
                digest.add(address);
            }
        }
    }

    private boolean contains(long physicalAddress) {
        long[] now = addresses;
        return now != null && Arrays.binarySearch(now, physicalAddress) >= 0;
    }

    private static long mark(long physicalAddress) {
        return StateDigest.mix(physicalAddress, SEED);
    }
}
