// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;

/**
 * A unit's registers that answer as a unit would, without translating: commands are confirmed and the queue is consumed
 * inside a wait, and every descriptor is kept as text {@code low high} in hex.
 *
 * <p>The figures here are written out from the manual, not taken from the driver.
 */
final class RegistersDouble implements RegisterWindow, Waiter {
    final List<String> log = new ArrayList<>();
    final Values values = new Values();
    boolean recording;
    boolean frozen;
    boolean gone;
    /** How many device-TLB invalidations are not answered in time from now on. */
    int silentDevices;
    /** Whether the next descriptor, or what is asked for by registers, is nothing that the unit takes. */
    boolean refusing;

    /** Bits of GSTS that stay as they are whatever is commanded. */
    int stuck;

    /** Whether protected memory regions stay as they are whatever is written. */
    boolean protectionStuck;

    private final SystemMemory memory;
    private boolean aborting;
    private int status;
    private int pendingCommand;
    private boolean commandPending;
    private int head;
    private int tail;

    /** Values by offset, without boxing: what counts bytes must count the driver's alone. */
    static final class Values {
        private final long[] words = new long[8192];

        long get(int offset) {
            return words[offset];
        }

        void put(int offset, long value) {
            words[offset] = value;
        }
    }

    RegistersDouble(SystemMemory memory, long cap, long ecap) {
        this.memory = memory;
        values.put(0x08, cap);
        values.put(0x10, ecap);
    }

    int status() {
        return status;
    }

    void leaveOn(int commands) {
        status = commands;
    }

    void leaveOn() {
        status = 0x80000000;
    }

    List<String> takeLog() {
        List<String> taken = new ArrayList<>(log);
        log.clear();
        return taken;
    }

    @Override
    public int read32(int offset) {
        if (gone) {
            return -1;
        }
        return offset == 0x1c ? status : (int) values.get(offset);
    }

    @Override
    public long read64(int offset) {
        if (gone) {
            return -1;
        }
        return offset == 0x80 ? (long) head * descriptor() : values.get(offset);
    }

    @Override
    public void write32(int offset, int value) {
        if (offset == 0x18) {
            pendingCommand = value;
            commandPending = true;
            // A flush of the write buffer is under way from the write on.
            status |= value & 0x08000000;
        } else if (offset == 0x34 || offset == 0xdc) {
            values.put(offset, values.get(offset) & ~(long) value);
        } else {
            values.put(offset, value & 0xffffffffL);
        }
    }

    /** Bytes of a descriptor: IQA.DW. */
    private int descriptor() {
        return (values.get(0x90) & 0x800) != 0 ? 32 : 16;
    }

    @Override
    public void write64(int offset, long value) {
        if (offset == 0x88) {
            tail = (int) (value & 0x7fff0) / descriptor();
        }
        values.put(offset, value);
    }

    @Override
    public boolean await(BooleanSupplier condition, long ticks) {
        for (int i = 0; i < 400; i++) {
            if (condition.getAsBoolean()) {
                return true;
            }
            if (!frozen) {
                step();
            }
        }
        return false;
    }

    private void step() {
        if (commandPending) {
            commandPending = false;
            int oneShot = pendingCommand & 0x41000000;
            if ((pendingCommand & 0x04000000) != 0 && (status & 0x04000000) == 0) {
                head = 0;
            }
            // Set commands stay confirmed, the write buffer flush clears itself, the others follow the command.
            int next = (status & 0x41000000) | oneShot | (pendingCommand & 0x96800000);
            status = (status & stuck) | (next & ~stuck);
            if (recording && (pendingCommand & 0x08000000) != 0) {
                log.add("WBF");
            }
        } else if (!protectionStuck && (values.get(0x64) >>> 31) != (values.get(0x64) & 1)) {
            // PRS follows EPM.
            values.put(0x64, values.get(0x64) >>> 31 << 31 | values.get(0x64) >>> 31);
        } else if (head != tail && (status & 0x04000000) != 0 && (values.get(0x34) & 0x50) == 0) {
            if (refusing) {
                values.put(0x34, values.get(0x34) | 0x10);
                return;
            }
            long slot = (values.get(0x90) & ~0xfffL) + (long) head * descriptor();
            long low = memory.load(slot);
            long high = memory.load(slot + 8);
            if (recording) {
                log.add(Long.toHexString(low) + " " + Long.toHexString(high));
            }
            if (((low & 0xf) == 3 || (low & 0xf) == 8) && silentDevices > 0) {
                silentDevices--;
                aborting = true;
            }
            if ((low & 0xf) == 5 && aborting) {
                aborting = false;
                values.put(0x34, values.get(0x34) | 0x40);
            } else if ((low & 0xf) == 5 && (low & 0x20) != 0) {
                long at = high & ~7L;
                boolean upper = (high & 4) != 0;
                long old = memory.load(at);
                memory.store(
                        at, upper ? (old & 0xffffffffL) | (low & ~0xffffffffL) : (old & ~0xffffffffL) | (low >>> 32));
            }
            head = (head + 1) & 0xff;
        } else if ((values.get(0x28) & Long.MIN_VALUE) != 0) {
            log.add("CCMD " + Long.toHexString(values.get(0x28)));
            values.put(0x28, answer(values.get(0x28), 61, 59));
        } else if ((values.get(iotlb()) & Long.MIN_VALUE) != 0) {
            log.add("IOTLB " + Long.toHexString(values.get(iotlb())) + " IVA "
                    + Long.toHexString(values.get(iotlb() - 8)));
            values.put(iotlb(), answer(values.get(iotlb()), 60, 57));
        }
    }

    /** Clears the busy bit, and says which granularity was performed: the one asked for, or 0 for none. */
    private long answer(long command, int asked, int performed) {
        long granularity = refusing ? 0 : command >>> asked & 3;
        return (command & Long.MAX_VALUE & ~(3L << performed)) | granularity << performed;
    }

    private int iotlb() {
        return (int) (values.get(0x10) >>> 8 & 0x3ff) * 16 + 8;
    }
}
