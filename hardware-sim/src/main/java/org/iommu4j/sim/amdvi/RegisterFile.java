// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The values of the registers.
 *
 * <p>Any thread reads with {@link #get}; the caller of a change holds the unit's lock.
 */
final class RegisterFile {
    /** Bytes of the unit's register window: 16 KiB, without the performance counters. */
    static final int SIZE = 0x4000;

    private static final VarHandle VALUE = MethodHandles.arrayElementVarHandle(long[].class);
    /** By offset in 64-bit words: the register's index in {@link AmdViRegisters#ALL} plus 1, or 0. */
    private static final byte[] PLACES = new byte[SIZE / 8];

    static {
        for (int i = 0; i < AmdViRegisters.ALL.size(); i++) {
            PLACES[AmdViRegisters.ALL.get(i).offset() / 8] = (byte) (i + 1);
        }
    }

    private final long[] values = new long[AmdViRegisters.ALL.size()];

    /** Returns the index of a register, for {@link #get}. */
    static int place(Register register) {
        return PLACES[register.offset() / 8] - 1;
    }

    /** Returns the index of the register at an offset, or -1 when there is none. */
    static int place(int offset) {
        return offset < 0 || offset >= SIZE ? -1 : PLACES[offset / 8] - 1;
    }

    long get(int place) {
        return (long) VALUE.getAcquire(values, place);
    }

    void set(int place, long value) {
        VALUE.setRelease(values, place, value);
    }

    void setBits(int place, long mask) {
        set(place, get(place) | mask);
    }

    void clearBits(int place, long mask) {
        set(place, get(place) & ~mask);
    }

    /** Changes a register according to its access modes. */
    void write(int place, long value) {
        set(place, AmdViRegisters.ALL.get(place).afterWrite(get(place), value));
    }

    void clear() {
        for (int i = 0; i < values.length; i++) {
            set(i, 0);
        }
    }

    void addTo(StateDigest digest) {
        for (long value : values) {
            digest.add(value);
        }
    }
}
