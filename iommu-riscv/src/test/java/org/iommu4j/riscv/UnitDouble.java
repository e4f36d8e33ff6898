// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;

/**
 * The registers of a unit that caches nothing: it writes down each command that it fetches. Offsets and bits are the
 * manual's, written again here.
 */
final class UnitDouble implements RegisterSpace, RegisterWindow {
    private static final int CAPABILITIES = 0;
    private static final int FCTL = 8;
    private static final int DDTP = 16;
    private static final int CQB = 24;
    private static final int CQH = 32;
    private static final int CQT = 36;
    private static final int FQB = 40;
    private static final int FQH = 48;
    private static final int FQT = 52;
    private static final int CQCSR = 72;
    private static final int FQCSR = 76;
    private static final int PQCSR = 80;
    private static final int IPSR = 84;
    private static final int ICVEC = 760;

    private final long base;
    private final LongUnaryOperator load;
    private final Store store;

    /** What was fetched since the last {@link #takeCommands}. */
    private final List<String> commands = new ArrayList<>();

    /** Registers by their offset over 4, one of 64 bits in one word. */
    private final long[] values = new long[1024];

    boolean mapped;
    /** Most levels of a directory. */
    int levels = 3;
    /** log2 of the most entries of a queue. */
    int logEntries = 32;
    /** Commands are not fetched. */
    boolean silent;
    /** ddtp can't be changed. */
    boolean stuck;
    /** The queue stops at a command with this opcode. */
    int illegalOpcode = -1;
    /** Commands are fetched as soon as they are announced. */
    boolean eager = true;
    /** An access that Linux's driver never makes is an error. */
    boolean strict = true;

    /** Stores a word. */
    @FunctionalInterface
    interface Store {
        void store(long address, long value);
    }

    UnitDouble(long base, long capabilities, SystemMemory memory) {
        this(base, capabilities, memory::load, memory::store);
    }

    UnitDouble(long base, long capabilities, LongUnaryOperator load, Store store) {
        this.base = base;
        this.load = load;
        this.store = store;
        values[CAPABILITIES] = capabilities;
    }

    void set(int offset, long value) {
        values[offset / 4] = value;
    }

    long get(int offset) {
        return values[offset / 4];
    }

    /** Returns, and forgets, the commands in words. */
    List<String> takeCommands() {
        List<String> taken = List.copyOf(commands);
        commands.clear();
        return taken;
    }

    /** Stores a record into the fault queue. */
    void fault(long word0, long address) {
        int entries = 2 << (get(FQB) & 31);
        long tail = get(FQT);
        if ((get(FQCSR) & 0x300) != 0) {
            return;
        }
        if ((tail + 1) % entries == get(FQH)) {
            set(FQCSR, get(FQCSR) | 0x200);
            return;
        }
        long at = (get(FQB) >>> 10 << 12) + tail * 32;
        store.store(at, word0);
        store.store(at + 8, 0);
        store.store(at + 16, address);
        store.store(at + 24, 0);
        set(FQT, (tail + 1) % entries);
    }

    // --- registers ---

    @Override
    public RegisterWindow map(long physicalBase, int size) {
        if (physicalBase != base) {
            throw new IommuException(Errno.ENXIO, "nothing there");
        }
        if (mapped) {
            throw new IommuException(Errno.EBUSY, "taken");
        }
        mapped = true;
        return this;
    }

    @Override
    public void release() {
        mapped = false;
    }

    @Override
    public int read32(int offset) {
        return (int) get(offset);
    }

    @Override
    public long read64(int offset) {
        return get(offset);
    }

    @Override
    public void write32(int offset, int value) {
        switch (offset) {
            case FCTL -> set(FCTL, value & 3);
            case CQT -> {
                set(CQT, value & ((2L << (get(CQB) & 31)) - 1));
                while (eager && fetch()) {
                    // until the queue is empty
                }
            }
            case FQH -> set(FQH, value);
            case CQCSR, FQCSR, PQCSR -> control(offset, value);
            case IPSR -> set(IPSR, get(IPSR) & ~(value & 0xfL));
            default -> refuse("a write of 32 bits at " + offset);
        }
    }

    private void control(int offset, int value) {
        boolean on = (value & 1) != 0;
        boolean was = (get(offset) & 1) != 0;
        long errors = get(offset) & 0xf00 & ~value;
        if (on && !was) {
            set(offset == CQCSR ? CQH : FQT, 0);
            errors = 0;
        }
        set(offset, errors | (value & 3) | (on ? 1 << 16 : 0));
    }

    @Override
    public void write64(int offset, long value) {
        switch (offset) {
            case DDTP -> {
                if (!stuck) {
                    long mode = value & 15;
                    set(DDTP, mode > levels + 1 ? get(DDTP) & 15 : value & (0xfffffffffffL << 10 | 15));
                }
            }
            case CQB, FQB -> {
                if ((get(offset == CQB ? CQCSR : FQCSR) & 1 << 16) != 0) {
                    refuse("a base is written while its queue is on");
                    return;
                }
                set(offset, (value & 0xfffffffffffL << 10) | Math.min(value & 31, logEntries - 1));
            }
            case ICVEC -> set(ICVEC, value & 0xffff);
            default -> refuse("a write of 64 bits at " + offset);
        }
    }

    private void refuse(String what) {
        if (strict) {
            throw new AssertionError(what);
        }
    }

    // --- commands ---

    /** Executes one command; returns whether there was one. */
    boolean fetch() {
        int entries = 2 << (get(CQB) & 31);
        if (silent || (get(CQCSR) & 0x10700) != 1 << 16 || get(CQH) == get(CQT)) {
            return false;
        }
        long at = (get(CQB) >>> 10 << 12) + get(CQH) * 16;
        long word0 = load.applyAsLong(at);
        long word1 = load.applyAsLong(at + 8);
        if ((word0 & 127) == illegalOpcode || (!strict && ((word0 & 0x3ff) < 1 || (word0 & 0x3ff) > 3))) {
            set(CQCSR, get(CQCSR) | 0x400);
            return false;
        }
        if (strict) {
            commands.add(decode(word0, word1));
        }
        set(CQH, (get(CQH) + 1) % entries);
        return true;
    }

    private static String decode(long word0, long word1) {
        String known = switch ((int) word0 & 0x3ff) {
            case 1 -> vma(word0, word1);
            case 2 -> "IOFENCE.C" + ((word0 >>> 12 & 1) != 0 ? " PR" : "") + ((word0 >>> 13 & 1) != 0 ? " PW" : "");
            case 3 -> "INVAL_DDT" + ((word0 >>> 33 & 1) != 0 ? " 0x" + Long.toHexString(word0 >>> 40) : " all");
            default -> throw new AssertionError("command " + Long.toHexString(word0));
        };
        long named = switch ((int) word0 & 127) {
            case 1 -> 0x5_ffff_f400L;
            case 2 -> 0x3000L;
            default -> 0xffff_ff02_0000_0000L;
        };
        if ((word0 & ~named & ~0x3ffL) != 0) {
            throw new AssertionError("reserved bits in " + known + ", " + Long.toHexString(word0));
        }
        return known;
    }

    private static String vma(long word0, long word1) {
        StringBuilder text = new StringBuilder("VMA");
        if ((word0 >>> 32 & 1) != 0) {
            text.append(" tag ").append(word0 >>> 12 & 0xfffff);
        }
        if ((word0 >>> 34 & 1) != 0) {
            text.append(" NL");
        }
        if ((word0 >>> 10 & 1) != 0) {
            long page = word1 >>> 10 & 0xfffffffffffffL;
            if ((word1 >>> 9 & 1) != 0) {
                int ones = Long.numberOfTrailingZeros(~page);
                long size = 4096L << (ones + 1);
                text.append(" range 0x").append(Long.toHexString((page << 12) & -size));
                text.append("+0x").append(Long.toHexString(size));
            } else {
                text.append(" page 0x").append(Long.toHexString(page << 12));
            }
        }
        return text.toString();
    }
}
