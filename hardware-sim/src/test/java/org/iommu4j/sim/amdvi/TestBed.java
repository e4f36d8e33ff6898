// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** A unit over flat memory, with its structures at fixed places. Everything that it writes is spelled out in hex. */
final class TestBed {
    static final long MEMORY = 1L << 32;
    static final long DEVICE_TABLE = 0x100000;
    static final long COMMANDS = 0x200000;
    static final long EVENTS = 0x300000;
    /** The table of the highest level; lower ones follow, a frame each. */
    static final long ROOT = 0x400000;

    static final long STORE = 0x500000;

    static final long EFR = 0x940; // HATS 2: 6 levels; HESup; IASup
    static final int DEVICE = 0x0110; // 01:02.0
    static final int OTHER_DEVICE = 0x0218;

    static final long IR_IW = 0x6000000000000000L;
    static final long IR = 0x2000000000000000L;
    static final long IW = 0x4000000000000000L;
    static final long FC = 0x1000000000000000L;

    static final int CONTROL = 0x18;
    static final int STATUS = 0x2020;

    /** The event words as the log has them. */
    record LoggedEvent(long word0, long address) {
        @Override
        public String toString() {
            return String.format("%016x %016x", word0, address);
        }
    }

    /** Flat memory that counts accesses and refuses none; outside it reads as all ones. */
    static final class FlatFabric implements Fabric {
        final FlatMemory memory = new FlatMemory(MEMORY);
        final List<String> accesses = new ArrayList<>();
        boolean recording;
        /** How many words were read, by one thread. */
        long reads;

        /** What devices were told to forget, and whether they answer. */
        final List<String> invalidations = new ArrayList<>();

        /** Answers to page requests. */
        final List<String> responses = new ArrayList<>();

        InvalidationAnswer answer = InvalidationAnswer.NEVER;
        private long awaitedRead = -1;
        private Runnable afterIt = () -> {};

        /** Does something right after the unit has read a word for the next time. */
        void afterNextRead(long physicalAddress, Runnable action) {
            awaitedRead = physicalAddress;
            afterIt = action;
        }

        /** The address of a line that is corrupt, -1 when none is. */
        long poisonedLine = -1;

        @Override
        public boolean isMemory(long physicalAddress) {
            return physicalAddress >= 0 && physicalAddress < MEMORY;
        }

        private void record(String kind, long physicalAddress, boolean snoop) {
            if (recording) {
                accesses.add(kind + " " + Long.toHexString(physicalAddress) + (snoop ? " snooped" : " NOT SNOOPED"));
            }
        }

        @Override
        public AccessStatus status(long physicalAddress, boolean snoop) {
            return (physicalAddress & -64L) == poisonedLine
                    ? AccessStatus.POISON
                    : Fabric.super.status(physicalAddress, snoop);
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            reads++;
            record("read", physicalAddress, snoop);
            long value = isUnreadable(physicalAddress, snoop) ? -1L : memory.load(physicalAddress);
            if (physicalAddress == awaitedRead) {
                awaitedRead = -1;
                afterIt.run();
            }
            return value;
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            record("write", physicalAddress, snoop);
            if (isMemory(physicalAddress)) {
                memory.store(physicalAddress, value);
            }
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            throw new AssertionError("an AMD-Vi unit writes 64-bit words only");
        }

        @Override
        public InvalidationAnswer invalidateDevice(
                int requesterId, int pasid, boolean global, long address, long size, int tag) {
            invalidations.add(String.format("%04x pasid %x: %x of %x", requesterId, pasid, address, size));
            return answer;
        }

        @Override
        public void respondToPageRequest(int requesterId, int pasid, int group, int code) {
            responses.add(String.format("%04x pasid %x group %d: %d", requesterId, pasid, group, code));
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            record("update", physicalAddress, snoop);
            return isMemory(physicalAddress) && memory.compareAndSet(physicalAddress, expected, value);
        }
    }

    final FlatFabric fabric = new FlatFabric();
    final FlatMemory memory = fabric.memory;
    final TranslationUnit unit;
    private long eventHead;

    TestBed() {
        this(EFR);
    }

    TestBed(long efr) {
        this(efr, AmdViUnitProvider.CAP);
    }

    TestBed(long efr, long capability) {
        this(efr, 0, capability);
    }

    TestBed(long efr, long efr2, long capability) {
        Map<String, Long> registers = Map.of("EFR", efr, "EFR2", efr2, "CAP", capability);
        unit = new AmdViUnitProvider()
                .create(new TranslationUnitSpec("amdvi", "ivhd0", 0, 0xfeb80000L, 0x4000, registers), fabric);
        unit.writeRegister64(0x0, 0x10001f); // device table of 32 pages: 4096 entries
        unit.writeRegister64(0x8, 0x0800000000200000L); // 256 commands
        unit.writeRegister64(0x10, 0x0800000000300000L); // 256 events
        unit.writeRegister64(CONTROL, 0x1005); // CmdBufEn, EventLogEn, IommuEn
    }

    void entry(int requesterId, long word0, long word1) {
        memory.store(DEVICE_TABLE + requesterId * 32L + 8, word1);
        memory.store(DEVICE_TABLE + requesterId * 32L, word0);
    }

    /** Gives a device tables of some levels at {@link #ROOT}, readable and writable, in domain 5. */
    void attach(int requesterId, int levels) {
        entry(requesterId, IR_IW | ROOT | (long) levels << 9 | 3, 5);
    }

    /** Stores an entry for an address, with readable and writable directories from a level down to it. */
    long map(long iova, int levels, int leafLevel, long leaf) {
        long table = ROOT;
        for (int level = levels; level > leafLevel; level--) {
            memory.store(table + index(iova, level) * 8, IR_IW | table + 0x1000 | (level - 1L) << 9 | 1);
            table += 0x1000;
        }
        long at = table + index(iova, leafLevel) * 8;
        memory.store(at, leaf);
        return at;
    }

    static long index(long iova, int level) {
        return (iova >>> (12 + 9 * (level - 1))) & 0x1ff;
    }

    long read(long iova) {
        return unit.translate(DEVICE, TranslationUnit.NO_PASID, iova, RequestFlags.READ);
    }

    long write(long iova) {
        return unit.translate(DEVICE, TranslationUnit.NO_PASID, iova, RequestFlags.WRITE);
    }

    /** Queues a command without telling the unit. */
    long queue(long word0, long word1, long tail) {
        memory.store(COMMANDS + tail, word0);
        memory.store(COMMANDS + tail + 8, word1);
        return (tail + 16) % 4096;
    }

    /** Executes a command. */
    void command(long word0, long word1) {
        unit.writeRegister64(0x2008, queue(word0, word1, unit.readRegister64(0x2008)));
        drain();
    }

    int drain() {
        int steps = 0;
        while (unit.step()) {
            steps++;
        }
        return steps;
    }

    /** Takes the events that the unit logged since the last call. */
    List<LoggedEvent> events() {
        List<LoggedEvent> events = new ArrayList<>();
        long tail = unit.readRegister64(0x2018);
        while (eventHead != tail) {
            events.add(new LoggedEvent(memory.load(EVENTS + eventHead), memory.load(EVENTS + eventHead + 8)));
            eventHead = (eventHead + 16) % 4096;
        }
        unit.writeRegister64(0x2010, eventHead);
        return events;
    }
}
