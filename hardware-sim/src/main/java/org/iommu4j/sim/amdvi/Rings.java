// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

/** Addresses and sizes of the command buffer and the logs, from their base address registers. */
final class Rings {
    private static final int ENTRY_BYTES = 16;
    /** Smaller lengths are reserved and act like this one: 256 entries. */
    static final int SMALLEST_LENGTH = 8;

    private Rings() {}

    /** Returns the physical address of a ring. */
    static long base(long bar) {
        return AmdViRegisters.RING_BASE.getInPlace(bar);
    }

    /** Returns the bytes in a ring, a power of two. */
    static long bytes(long bar) {
        return (long) ENTRY_BYTES << Math.max((int) AmdViRegisters.RING_LENGTH.get(bar), SMALLEST_LENGTH);
    }
}
