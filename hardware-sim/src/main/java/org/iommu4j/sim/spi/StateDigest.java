// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * A 64-bit digest of a machine's state, by which an explorer recognises a state it has seen.
 *
 * <p>Order matters. Not cryptographic.
 */
public final class StateDigest {
    private long value = 0x9e3779b97f4a7c15L;

    /** Makes an empty digest. */
    public StateDigest() {}

    /** Adds a number. */
    public void add(long word) {
        long mixed = (value ^ word) * 0xbf58476d1ce4e5b9L;
        mixed ^= mixed >>> 29;
        value = mixed * 0x94d049bb133111ebL ^ (mixed >>> 32);
    }

    /** Adds a truth value. */
    public void add(boolean flag) {
        add(flag ? 1L : 2L);
    }

    /**
     * Hashes a pair of numbers, for parts of a state whose order carries no meaning: add the sum of their hashes.
     */
    public static long mix(long first, long second) {
        long mixed = (first * 0x9e3779b97f4a7c15L) ^ second;
        mixed = (mixed ^ (mixed >>> 32)) * 0xbf58476d1ce4e5b9L;
        mixed = (mixed ^ (mixed >>> 29)) * 0x94d049bb133111ebL;
        return mixed ^ (mixed >>> 32);
    }

    /** Returns the digest of what was added so far. */
    public long value() {
        return value;
    }

    /** Empties the digest. */
    public void reset() {
        value = 0x9e3779b97f4a7c15L;
    }
}
