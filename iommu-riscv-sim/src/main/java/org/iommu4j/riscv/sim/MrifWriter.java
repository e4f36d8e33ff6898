// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.sim.spi.AccessStatus;

/**
 * Stores of messages into memory-resident interrupt files.
 *
 * <p>Source: Advanced Interrupt Architecture, "Memory-resident interrupt files" and "MSI PTE, MRIF mode". Messages of
 * both byte orders are taken. Such files are little-endian always.
 */
final class MrifWriter {
    private static final int LARGEST_IDENTITY = 2047;
    private static final int PAIR_BYTES = 16;

    private final Memory memory;

    MrifWriter(Memory memory) {
        this.memory = memory;
    }

    /** Stores a message and sends the notice; the request's cause is set when the file can't be accessed. */
    void store(Request request, int data) {
        int offset = (int) request.address & 0xfff;
        int identity = (offset & 4) == 0 ? data : Integer.reverseBytes(data);
        if (offset >>> 3 != 0 || (identity & ~LARGEST_IDENTITY) != 0) {
            return; // accepted and discarded
        }
        long at = request.mrif + (long) identity / Long.SIZE * PAIR_BYTES;
        long bit = 1L << identity;
        long word = memory.read(at, false);
        AccessStatus status = memory.isWritable(at) ? memory.status(at, word) : AccessStatus.ACCESS_FAULT;
        while (status == AccessStatus.OK && !memory.compareAndSet(at, word, word | bit, false)) {
            word = memory.read(at, false);
            status = memory.status(at, word);
        }
        if (status != AccessStatus.OK) {
            request.fault(status == AccessStatus.POISON ? Cause.MRIF_CORRUPT : Cause.MRIF_ACCESS);
        } else {
            memory.write32(MrifNotice.address(request.notice), MrifNotice.id(request.notice), false);
        }
    }
}
