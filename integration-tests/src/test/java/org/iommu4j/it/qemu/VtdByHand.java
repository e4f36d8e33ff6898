// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.List;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;

/**
 * A VT-d unit that no driver has: tables and queue are written by hand, so that anything can be wrong in them.
 *
 * <p>{@link Hardware#FIRST} reaches {@link #DATA} at {@link #IOVA}, by a second stage of 4 levels. Source: VT-d 6.5.2,
 * 9 and 11.4.
 */
final class VtdByHand {
    /** What the first device may access. */
    static final long IOVA = 0x4000_0000L;

    /** What it reaches there. */
    static final long DATA = 128L << 20;

    private static final long TABLES = 192L << 20;
    private static final long CONTEXT_TABLE = TABLES + 0x1000;
    private static final long DIRECTORY = TABLES + 0x2000;
    private static final long PASID_TABLE = TABLES + 0x3000;
    private static final long PAGE_TABLES = TABLES + 0x4000;
    private static final long QUEUE = TABLES + 0x10000;
    private static final long STATUS = TABLES + 0x20000;

    /** Root entry of bus 0, of which scalable mode uses one word for the lower 128 functions. */
    static final long ROOT_ENTRY = TABLES;
    /** Entry of the PASID directory. */
    static final long DIRECTORY_ENTRY = DIRECTORY;
    /** Entry of PASID 0. */
    static final long PASID_ENTRY = PASID_TABLE;

    private static final int GCMD = 0x18;
    private static final int RTADDR = 0x20;
    private static final int FSTS = 0x34;
    private static final int IQH = 0x80;
    private static final int IQT = 0x88;
    private static final int IQA = 0x90;
    private static final int QUEUE_ERROR = 1 << 4;
    private static final int SET_ROOT_POINTER = 1 << 30;
    private static final int QUEUE_ENABLE = 1 << 26;
    private static final int TRANSLATION_ENABLE = 1 << 31;
    private static final long SCALABLE = 1 << 10;
    private static final long WIDE_DESCRIPTORS = 1 << 11;
    /** Two frames. */
    private static final int QUEUE_SIZE = 1;

    private static final int QUEUE_BYTES = 4096 << QUEUE_SIZE;

    private static final int CONTEXT_CACHE = 1;
    private static final int IOTLB = 2;
    private static final int WAIT = 5;
    private static final int PASID_CACHE = 7;

    private final DmaMachine machine;
    private final RegisterWindow window;
    private final SystemMemory memory;
    private final boolean scalable;
    private final int descriptorBytes;
    private long tail;
    private int number;

    /** Writes the tables, tells the unit and turns it on. */
    VtdByHand(DmaMachine machine, boolean scalable) {
        this.machine = machine;
        this.scalable = scalable;
        this.window = machine.registers().map(IntelHardware.REGISTER_BASE, IntelHardware.REGISTER_BYTES);
        this.memory = machine.memory();
        this.descriptorBytes = scalable ? 32 : 16;
        writeTables();
        window.write64(RTADDR, TABLES | (scalable ? SCALABLE : 0));
        window.write32(GCMD, SET_ROOT_POINTER);
        window.write64(IQT, 0);
        window.write64(IQA, QUEUE | (scalable ? WIDE_DESCRIPTORS : 0) | QUEUE_SIZE);
        window.write32(GCMD, QUEUE_ENABLE);
        forgetAll();
        window.write32(GCMD, QUEUE_ENABLE | TRANSLATION_ENABLE);
    }

    private void writeTables() {
        memory.store(ROOT_ENTRY, CONTEXT_TABLE | 1);
        if (scalable) {
            memory.store(contextEntry(), DIRECTORY | 1);
            memory.store(DIRECTORY_ENTRY, PASID_TABLE | 1);
            // AW 2, PGTT 2
            memory.store(PASID_ENTRY, PAGE_TABLES | 2 << 6 | 2 << 2 | 1);
            memory.store(PASID_ENTRY + 8, 5);
        } else {
            memory.store(contextEntry(), PAGE_TABLES | 1);
            memory.store(contextEntry() + 8, 5 << 8 | 2);
        }
        for (int level = 4; level >= 1; level--) {
            long table = PAGE_TABLES + (4 - level) * 0x1000L;
            long next = level == 1 ? DATA : table + 0x1000;
            memory.store(table + ((IOVA >>> (12 + 9 * (level - 1))) & 511) * 8, next | 3);
        }
    }

    /** Returns where the first device's context entry is. */
    long contextEntry() {
        return CONTEXT_TABLE + (Hardware.FIRST.requesterId() & 0x7f) * (scalable ? 32L : 16L);
    }

    // ---- requests --------------------------------------------------------------------------------------------------

    /** Changes bits of a word of the tables and has the unit forget what it knew. */
    void change(long physicalAddress, long bits) {
        memory.store(physicalAddress, memory.load(physicalAddress) ^ bits);
        forgetAll();
    }

    /** Has the first device read, and returns what the unit reported. */
    List<Fault> read() {
        machine.device(Hardware.FIRST).read(IOVA, Rig.PATTERN_WORDS, 1);
        return FaultRegisters.take(window);
    }

    /** Returns what the last read left in the device, which gets through to memory. */
    long lastRead() {
        machine.device(Hardware.FIRST).write(Rig.PATTERN_WORDS, IOVA + 8, 1);
        return memory.load(DATA + 8);
    }

    /** Stores what the next read may find. */
    void store(long value) {
        memory.store(DATA, value);
    }

    // ---- queue -----------------------------------------------------------------------------------------------------

    private void forgetAll() {
        // Each of everything.
        put(CONTEXT_CACHE | 1 << 4, 0);
        if (scalable) {
            put(PASID_CACHE | 3 << 4, 0);
        }
        put(IOTLB | 1 << 4, 0);
        number++;
        put(waitLow(number), STATUS);
        ring();
        if ((int) memory.load(STATUS) != number) {
            throw new IllegalStateException(machine.name() + ": the queue stands still at 0x"
                    + Long.toHexString(window.read64(IQH)) + ", FSTS 0x" + Integer.toHexString(window.read32(FSTS)));
        }
    }

    private static long waitLow(int number) {
        return (long) number << 32 | 1 << 5 | WAIT;
    }

    /** Adds a descriptor; the upper half of a wide one stays 0. */
    private void put(long low, long high) {
        memory.store(QUEUE + tail, low);
        memory.store(QUEUE + tail + 8, high);
        tail = (tail + descriptorBytes) % QUEUE_BYTES;
    }

    private void ring() {
        window.write64(IQT, tail);
    }

    /** Hands the unit a descriptor and a wait after it, and brings the queue to go on whatever came of it. */
    QueueOutcome submit(long low, long high) {
        long start = tail;
        put(low, high);
        number++;
        put(waitLow(number), STATUS);
        ring();
        boolean stopped = (window.read32(FSTS) & QUEUE_ERROR) != 0;
        QueueOutcome outcome =
                new QueueOutcome(stopped, window.read64(IQH) == start, (int) memory.load(STATUS) == number);
        if (stopped) {
            memory.store(QUEUE + start, waitLow(number));
            memory.store(QUEUE + start + 8, STATUS);
            window.write32(FSTS, QUEUE_ERROR);
            ring();
        }
        if (window.read64(IQH) != tail) {
            throw new IllegalStateException(machine.name() + ": the queue does not go on after " + outcome);
        }
        return outcome;
    }

    /**
     * What came of a descriptor.
     *
     * @param error whether the unit reported an error of the queue
     * @param atHead whether the descriptor is still the next
     * @param waitDone whether the wait after it was done
     */
    record QueueOutcome(boolean error, boolean atHead, boolean waitDone) {
        @Override
        public String toString() {
            return error ? "error" + (atHead ? "" : ", passed") + (waitDone ? ", wait done" : "") : "taken";
        }
    }
}
