// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.concurrent.atomic.AtomicBoolean;
import org.iommu4j.platform.MemoryType;

/**
 * Memory that a driver and its device share for a long time: contiguous for the device, in pieces for the driver.
 *
 * <p>Linux maps the pieces contiguously in the kernel's address space, with the memory type that {@link #memoryType()}
 * has; here the driver asks for the physical address of each byte.
 */
public final class CoherentBuffer {
    /** Where the pieces come from. */
    enum Origin {
        /** Frames of their own. */
        FRAMES,
        /** The pool of memory without cache lines. */
        POOL
    }

    private final Object owner;
    private final Origin origin;
    private final MemoryType memoryType;
    private final long[] starts;
    private final long[] lengths;
    private final long dmaAddress;
    private final long size;
    private final AtomicBoolean freed = new AtomicBoolean();

    CoherentBuffer(
            Object owner,
            Origin origin,
            MemoryType memoryType,
            long[] starts,
            long[] lengths,
            long dmaAddress,
            long size) {
        this.owner = owner;
        this.origin = origin;
        this.memoryType = memoryType;
        this.starts = starts;
        this.lengths = lengths;
        this.dmaAddress = dmaAddress;
        this.size = size;
    }

    /** Returns the address of the first byte for the driver. */
    public long physicalAddress() {
        return starts[0];
    }

    /**
     * Returns the address of a byte for the driver.
     *
     * @param offset 0 to the size, exclusive
     */
    public long physicalAddress(long offset) {
        if (offset < 0 || offset >= size) {
            throw new IndexOutOfBoundsException("byte " + offset + " of a buffer of " + size);
        }
        long left = offset;
        int i = 0;
        for (; left >= lengths[i]; i++) {
            left -= lengths[i];
        }
        return starts[i] + left;
    }

    /** Returns the address of the first byte for the device. */
    public long dmaAddress() {
        return dmaAddress;
    }

    /** Returns the bytes, as requested. */
    public long size() {
        return size;
    }

    /** Returns how many pieces of contiguous memory there are, at least 1. */
    public int pieces() {
        return starts.length;
    }

    /** Returns how the CPU has to access it: WB, or UC where the device does not snoop. */
    public MemoryType memoryType() {
        return memoryType;
    }

    /** Returns the device that it was allocated for, as its driver sees it. */
    Object owner() {
        return owner;
    }

    Origin origin() {
        return origin;
    }

    /** Returns where a piece begins. */
    long start(int piece) {
        return starts[piece];
    }

    /** Returns the bytes of a piece. */
    long length(int piece) {
        return lengths[piece];
    }

    /** Returns whether this is the first call. */
    boolean freeOnce() {
        return freed.compareAndSet(false, true);
    }

    @Override
    public String toString() {
        return size + " bytes at 0x" + Long.toHexString(dmaAddress) + " in " + starts.length + " pieces";
    }
}
