// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** A unit with memory in which a test writes tables by hand: three levels of directory, and three queues of 16. */
final class Bench {
    static final int READ = RequestFlags.READ;
    static final int WRITE = RequestFlags.WRITE;
    static final int NO_PASID = TranslationUnit.NO_PASID;

    // Controls of a device context
    static final long V = 1;
    static final long EN_ATS = 1 << 1;
    static final long EN_PRI = 1 << 2;
    static final long T2GPA = 1 << 3;
    static final long DTF = 1 << 4;
    static final long PDTV = 1 << 5;
    static final long PRPR = 1 << 6;
    static final long GADE = 1 << 7;
    static final long SADE = 1 << 8;

    /** Modes of page tables, in both stages. */
    static final long SV39 = 8L << 60;

    static final long SV48 = 9L << 60;

    /** A page that a user may read and write, accessed and dirty; one that also executes. */
    static final long PAGE = 0xd7;

    static final long CODE = 0xdf;

    static final int DEVICE = 0x1_0108;

    private static final long DIRECTORY = 0x1_0000;
    private static final long FAULTS = 0x2_0000;
    private static final long COMMANDS = 0x3_0000;
    private static final long PAGE_REQUESTS = 0x4_0000;
    private static final long LOG2_SIZE_16 = 3;
    static final int QUEUE_SIZE = 16;

    final TestMemory memory = new TestMemory();
    final TranslationUnit unit;
    private long freePage = 0x10_0000;

    /** Makes a unit with everything. */
    static Bench full() {
        return new Bench(RiscvSilicon.CAPABILITIES_FULL);
    }

    Bench(long capabilities) {
        unit = new RiscvSilicon().create(spec(Map.of("capabilities", capabilities)), memory);
    }

    static TranslationUnitSpec spec(Map<String, Long> registers) {
        return new TranslationUnitSpec("riscv", "riscv-iommu@0", 0, 0x4000_0000L, 4096, registers);
    }

    /** Turns the queues and the directory on, with interrupts in ipsr alone. */
    Bench on() {
        unit.writeRegister32(8, 2);
        unit.writeRegister64(24, COMMANDS >>> 12 << 10 | LOG2_SIZE_16);
        unit.writeRegister64(40, FAULTS >>> 12 << 10 | LOG2_SIZE_16);
        unit.writeRegister64(56, PAGE_REQUESTS >>> 12 << 10 | LOG2_SIZE_16);
        for (int control : new int[] {72, 76, 80}) {
            unit.writeRegister32(control, 3);
        }
        unit.writeRegister64(16, DIRECTORY >>> 12 << 10 | 4);
        settle();
        return this;
    }

    void settle() {
        while (unit.step()) {
            // one event after the other
        }
    }

    // --- tables ---

    long newPage() {
        freePage += 0x1000;
        return freePage - 0x1000;
    }

    private static long table(long page) {
        return page >>> 12 << 10 | 1;
    }

    static long ppn(long page) {
        return page >>> 12;
    }

    /** Returns the address of a device's context, making the tables on the way. */
    long context(int device) {
        long at = DIRECTORY;
        for (int shift : new int[] {15, 6}) {
            at = step(at + ((device >>> shift) & 0x1ff) * 8L);
        }
        return at + (device & 0x3f) * 64L;
    }

    private long step(long entryAt) {
        if (memory.peek(entryAt) == 0) {
            memory.poke(entryAt, table(newPage()));
        }
        return memory.peek(entryAt) >>> 10 << 12;
    }

    /** Writes a device context; words that are left out are 0. */
    void device(int device, long... words) {
        for (int i = 0; i < words.length; i++) {
            memory.poke(context(device) + i * 8L, words[i]);
        }
    }

    /** Writes a leaf for an address into tables, making those on the way; returns the address of the leaf. */
    long map(long root, int levels, long address, int level, long pte) {
        long at = root;
        for (int i = levels - 1; i > level; i--) {
            at = step(at + ((address >>> (12 + 9 * i)) & 0x1ff) * 8);
        }
        at += ((address >>> (12 + 9 * level)) & 0x1ff) * 8;
        memory.poke(at, pte);
        return at;
    }

    /** Returns a leaf. */
    static long leaf(long page, long flags) {
        return page >>> 12 << 10 | flags;
    }

    /** Makes second-stage tables in which the first GiB is itself, for all tables of these tests; returns the root. */
    long guestTables() {
        long root = (freePage + 0x3fff) & -0x4000;
        freePage = root + 0x4000;
        map(root, 3, 0, 2, leaf(0, CODE));
        return root;
    }

    // --- requests and what they leave ---

    long read(long address) {
        return unit.translate(DEVICE, NO_PASID, address, READ);
    }

    long write(long address) {
        return unit.translate(DEVICE, NO_PASID, address, WRITE);
    }

    static int cause(long translation) {
        return Translation.isFault(translation) ? Translation.faultCode(translation) : 0;
    }

    /** Takes the fault records that have come, each of four words. */
    List<long[]> faults() {
        return records(FAULTS, 48, 4);
    }

    List<long[]> pageRequests() {
        return records(PAGE_REQUESTS, 64, 2);
    }

    private List<long[]> records(long base, int headOffset, int words) {
        List<long[]> records = new ArrayList<>();
        int head = unit.readRegister32(headOffset);
        for (; head != unit.readRegister32(headOffset + 4); head = (head + 1) % QUEUE_SIZE) {
            long[] record = new long[words];
            for (int i = 0; i < words; i++) {
                record[i] = memory.peek(base + (head * words + i) * 8L);
            }
            records.add(record);
        }
        unit.writeRegister32(headOffset, head);
        return records;
    }

    /** Queues commands and lets the unit work. */
    void command(long... words) {
        for (int i = 0; i < words.length; i += 2) {
            int tail = unit.readRegister32(36);
            memory.poke(COMMANDS + tail * 16L, words[i]);
            memory.poke(COMMANDS + tail * 16L + 8, words[i + 1]);
            unit.writeRegister32(36, (tail + 1) % QUEUE_SIZE);
        }
        settle();
    }

    long digest() {
        StateDigest digest = new StateDigest();
        unit.addTo(digest);
        return digest.value();
    }
}
