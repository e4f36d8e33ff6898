// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.StateDigest;

/**
 * Advanced fault logging's log in memory: records one after the other, from the base on until it is full.
 *
 * <p>Source: VT-d 7.2.2, 9.9 (the record) and 11.4.7.7 (AFLOG). Records are written snooped. A full log stays full
 * until software sets another, or the same again. The lock of {@link VtdFaultLog} guards it.
 */
final class MemoryFaultLog {
    private static final int RECORD_BYTES = 16;

    private final Fabric fabric;

    private long base;
    private long capacity;
    private long count;

    MemoryFaultLog(Fabric fabric) {
        this.fabric = fabric;
    }

    /** Uses the log that AFLOG describes, from its first record on. */
    void take(long aflog) {
        base = VtdRegisters.FLA.getInPlace(aflog);
        capacity = (4096L << VtdRegisters.LOG_SIZE.get(aflog)) / RECORD_BYTES;
        count = 0;
    }

    boolean isFull() {
        return count == capacity;
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Appends a record; there is room. */
    void append(long low, long high) {
        fabric.write(base + count * RECORD_BYTES, low, true);
        fabric.write(base + count * RECORD_BYTES + 8, high, true);
        count++;
    }

    void reset() {
        base = 0;
        capacity = 0;
        count = 0;
    }

    void addTo(StateDigest digest) {
        digest.add(base);
        digest.add(capacity);
        digest.add(count);
    }
}
