// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;

/**
 * Memory as the unit reaches it: always snooped, in either byte order, up to the unit's physical address size.
 *
 * <p>Structures are made of words of 64 bits. Reads return all ones where there is nothing; {@link #status} then says
 * so.
 */
final class Memory {
    private final Fabric fabric;
    private final int physicalBits;

    Memory(Fabric fabric, int physicalBits) {
        this.fabric = fabric;
        this.physicalBits = physicalBits;
    }

    /** Returns whether an address is wider than the unit's physical addresses. */
    boolean isBeyond(long address) {
        return address >>> physicalBits != 0;
    }

    long read(long address, boolean bigEndian) {
        long word = isBeyond(address) ? -1L : fabric.read(address, true);
        return bigEndian ? Long.reverseBytes(word) : word;
    }

    /** Returns whether a word that was read as a value was there, and intact. */
    AccessStatus status(long address, long value) {
        return value != -1L
                ? AccessStatus.OK
                : isBeyond(address) ? AccessStatus.ACCESS_FAULT : fabric.status(address, true);
    }

    /** Drives a wire. */
    void setWire(int wire, boolean high) {
        fabric.setWire(wire, high);
    }

    /** Returns whether the word around an address takes a write. */
    boolean isWritable(long address) {
        return !isBeyond(address) && fabric.isWritable(address & -Long.BYTES);
    }

    void write(long address, long value, boolean bigEndian) {
        fabric.write(address, bigEndian ? Long.reverseBytes(value) : value, true);
    }

    void write32(long address, int value, boolean bigEndian) {
        fabric.write32(address, bigEndian ? Integer.reverseBytes(value) : value, true);
    }

    boolean compareAndSet(long address, long expected, long value, boolean bigEndian) {
        return bigEndian
                ? fabric.compareAndSet(address, Long.reverseBytes(expected), Long.reverseBytes(value), true)
                : fabric.compareAndSet(address, expected, value, true);
    }
}
