// SPDX-License-Identifier: Apache-2.0
package com.example.minimal.sim;

import static com.example.minimal.sim.EntryCache.index;
import static com.example.minimal.sim.EntryCache.shift;

import java.util.Arrays;
import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** The unit. Registers, steps and refusals lock it, translations do not. */
final class MinimalUnit implements TranslationUnit {
    private static final BitField VERSION = BitField.bits(7, 0, "VERSION");
    private static final BitField SC = BitField.bit(8, "SC");
    private static final BitField CMD = BitField.bits(1, 0, "CMD");
    private static final BitField ID = BitField.bits(31, 16, "ID");

    private static final BitField V = BitField.bit(0, "V");
    private static final BitField DEVICE_T = BitField.bit(1, "T");
    private static final BitField R = BitField.bit(0, "R");
    private static final BitField W = BitField.bit(1, "W");
    private static final BitField T = BitField.bit(2, "T");
    private static final BitField ADDRESS = BitField.bits(51, 12, "ADDRESS");
    private static final int TOP_LEVEL = 3;

    private static final int NOT_VALID = 1;
    private static final int MALFORMED = 2;
    private static final int TOO_LARGE = 3;
    private static final int NOT_PRESENT = 4;
    private static final int NO_RIGHT = 5;
    private static final int HAS_PASID = 6;

    private static final BitField FAULT_F = BitField.bit(63, "F");
    private static final BitField FAULT_O = BitField.bit(62, "O");
    private static final BitField FAULT_W = BitField.bit(61, "W");
    private static final BitField FAULT_REASON = BitField.bits(23, 16, "REASON");
    private static final int LOG_SIZE = 32;

    private final TranslationUnitSpec spec;
    private final Fabric fabric;
    private final EntryCache cache = new EntryCache();

    /** Pairs of words, the oldest first. */
    private final long[] faults = new long[2 * LOG_SIZE];

    private int faultWords;
    private long table;
    private long first;
    private long last;
    private long inval;

    /** What was in TABLE at the last invalidation of all. */
    private volatile long tableInUse;

    MinimalUnit(TranslationUnitSpec spec, Fabric fabric) {
        this.spec = spec;
        this.fabric = fabric;
        if (VERSION.get(spec.register("CAP")) != 1) {
            throw new IllegalArgumentException("CAP of unit " + spec.name() + " is not of version 1");
        }
    }

    @Override
    public TranslationUnitSpec spec() {
        return spec;
    }

    // --- registers ---

    @Override
    public synchronized long readRegister64(int offset) {
        return switch (offset) {
            case 0x00 -> spec.register("CAP");
            case 0x08 -> table;
            case 0x10 -> first;
            case 0x18 -> last;
            case 0x20 -> inval;
            case 0x28 -> faults[0];
            case 0x30 -> faults[1];
            default -> 0;
        };
    }

    @Override
    public synchronized void writeRegister64(int offset, long value) {
        switch (offset) {
            case 0x08 -> table = ADDRESS.getInPlace(value);
            case 0x10 -> first = value;
            case 0x18 -> last = value;
            case 0x20 -> inval = inval == 0 ? value : inval;
            case 0x30 -> dropOldestFault();
            default -> {} // read-only
        }
    }

    @Override
    public int readRegister32(int offset) {
        return (int) (readRegister64(offset & -Long.BYTES) >>> (offset % Long.BYTES * Byte.SIZE));
    }

    @Override
    public synchronized void writeRegister32(int offset, int value) {
        int shift = offset % Long.BYTES * Byte.SIZE;
        long rest = readRegister64(offset & -Long.BYTES) & ~(0xffffffffL << shift);
        writeRegister64(offset & -Long.BYTES, rest | (value & 0xffffffffL) << shift);
    }

    // --- invalidations ---

    @Override
    public synchronized boolean step() {
        if (inval == 0) {
            return false;
        }
        switch ((int) CMD.get(inval)) {
            case 1 -> {
                tableInUse = table;
                cache.forget(true, 0, 0, 0);
            }
            case 2 -> cache.forget(false, EntryCache.DEVICES, devicePage(), devicePage());
            case 3 -> cache.forget(false, ADDRESS.getInPlace(inval), first, last);
            default -> {} // no such command
        }
        inval = 0;
        return true;
    }

    private long devicePage() {
        return ID.get(inval) << shift(1);
    }

    // --- requests ---

    @Override
    public long translate(int sourceId, int pasid, long address, int flags) {
        long devices = tableInUse;
        if (devices == 0) {
            return Translation.to(address, false);
        }
        long since = cache.now();
        long device = device(devices, sourceId, since);
        if (device < 0 || pasid != NO_PASID) {
            return fault(device < 0 ? (int) -device : HAS_PASID, sourceId, address, flags);
        }
        if (!DEVICE_T.isSet(device)) {
            return Translation.to(address, false);
        }
        if (address >>> shift(TOP_LEVEL + 1) != 0) {
            return fault(TOO_LARGE, sourceId, address, flags);
        }
        long page = page(ADDRESS.getInPlace(device), address, since);
        if (page < 0 || !(RequestFlags.writes(flags) ? W : R).isSet(page)) {
            return fault(page < 0 ? (int) -page : NO_RIGHT, sourceId, address, flags);
        }
        return Translation.to(
                ADDRESS.getInPlace(page) | (address & ((1L << shift(1)) - 1)), SC.isSet(spec.register("CAP")));
    }

    /** Returns a requester's word, or a reason as a negative number. */
    private long device(long devices, int sourceId, long since) {
        long index = index((long) sourceId << shift(1), 1);
        long word = cache.get(EntryCache.DEVICES, index);
        if (word == 0) {
            word = sourceId >>> 16 == 0 ? fabric.read(devices + (long) sourceId * Long.BYTES, true) : 0;
            if (!V.isSet(word)) {
                return -NOT_VALID;
            }
            if ((word & ~(V.mask() | DEVICE_T.mask() | ADDRESS.mask())) != 0) {
                return -MALFORMED;
            }
            cache.put(EntryCache.DEVICES, index, word, since);
        }
        return word;
    }

    /** Returns a page's word, or a reason as a negative number; walks down from the lowest word that is cached. */
    private long page(long top, long address, long since) {
        int level = 1;
        long word = cache.get(top, index(address, level));
        while (word == 0) {
            level++;
            word = level > TOP_LEVEL ? top : cache.get(top, index(address, level));
        }
        while (level > 1) {
            level--;
            long index = index(address, level);
            word = fabric.read(ADDRESS.getInPlace(word) + (index >>> 2 & 511) * Long.BYTES, true);
            long rights = level == 1 ? R.mask() | W.mask() : T.mask();
            if ((word & ~(rights | ADDRESS.mask())) != 0) {
                return -MALFORMED;
            }
            if ((word & rights) == 0) {
                return -NOT_PRESENT;
            }
            cache.put(top, index, word, since);
        }
        return word;
    }

    private synchronized long fault(int reason, int sourceId, long address, int flags) {
        if (faultWords < faults.length) {
            faults[faultWords++] = address & -4;
            faults[faultWords++] = FAULT_F.mask()
                    | (RequestFlags.writes(flags) ? FAULT_W.mask() : 0)
                    | FAULT_REASON.of(reason)
                    | (sourceId & 0xffff);
        } else {
            faults[faults.length - 1] |= FAULT_O.mask();
        }
        return Translation.fault(reason);
    }

    private void dropOldestFault() {
        System.arraycopy(faults, 2, faults, 0, faults.length - 2);
        Arrays.fill(faults, faults.length - 2, faults.length, 0);
        faultWords = Math.max(faultWords - 2, 0);
    }

    // --- state ---

    @Override
    public synchronized void reset() {
        table = 0;
        first = 0;
        last = 0;
        inval = 0;
        tableInUse = 0;
        faultWords = 0;
        Arrays.fill(faults, 0);
        cache.forget(true, 0, 0, 0);
    }

    @Override
    public synchronized void addTo(StateDigest digest) {
        for (long word : new long[] {table, first, last, inval, tableInUse}) {
            digest.add(word);
        }
        for (long word : faults) {
            digest.add(word);
        }
        cache.addTo(digest);
    }
}
