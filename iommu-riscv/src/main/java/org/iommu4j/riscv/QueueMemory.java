// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.Hex;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.riscv.reg.Registers;

/**
 * The ring of a unit's queue, and the register that has its base.
 *
 * @param base physical address
 * @param order log2 of its frames
 * @param entries how many entries it has, a power of two
 */
record QueueMemory(long base, int order, int entries) {
    /**
     * Takes frames for a queue that is off, and tells the unit.
     *
     * <p>The unit may allow fewer entries than asked for: it shows in the register how many. It may also have the ring
     * at a place of its own; the ports have no such memory, so that unit is refused. Source: Linux {@code
     * riscv_iommu_queue_alloc}, which falls back on a smaller ring where frames are missing.
     *
     * @param register offset of the base register
     * @param logEntries log2 of the entries asked for
     * @param entryBytes bytes of an entry, a power of two
     * @throws IommuException ENOMEM; ENODEV when the unit does not take the ring
     */
    static QueueMemory allocate(
            RegisterWindow window,
            SystemMemory memory,
            FrameAllocator frames,
            int register,
            int logEntries,
            int entryBytes,
            String queue) {
        window.write64(register, Registers.LOG2SZ_1.of(logEntries - 1));
        long allowed = window.read64(register);
        int log = (int) Registers.LOG2SZ_1.get(allowed) + 1;
        if (Registers.QUEUE_PPN.isSet(allowed) || log > logEntries) {
            throw new IommuException(
                    Errno.ENODEV,
                    "open: the " + queue + " queue's base reads " + Hex.of(allowed) + ", expected up to 2^" + logEntries
                            + " entries at no address");
        }
        long bytes = (long) entryBytes << log;
        int order = Math.max(0, 64 - Long.numberOfLeadingZeros((bytes - 1) >>> 12));
        long base = frames.allocate(order);
        for (int i = 0; i < 1 << order; i++) {
            memory.storeRun(base + (long) i * SystemMemory.FRAME_SIZE, 0, 0, SystemMemory.FRAME_WORDS);
        }
        long value = Registers.ppn(base) | Registers.LOG2SZ_1.of(log - 1);
        window.write64(register, value);
        if (window.read64(register) != value) {
            frames.free(base, order);
            throw new IommuException(
                    Errno.ENODEV, "open: the unit does not take a " + queue + " queue at " + Hex.of(base));
        }
        return new QueueMemory(base, order, 1 << log);
    }

    /** Returns how many frames it has. */
    long frames() {
        return 1L << order;
    }
}
