// SPDX-License-Identifier: Apache-2.0
package com.example.minimal.sim;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;
import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** The unit. Registers and steps lock it, translations do not. */
final class MinimalUnit implements TranslationUnit {
    private static final BitField VERSION = BitField.bits(7, 0, "VERSION");
    private static final BitField SC = BitField.bit(8, "SC");
    private static final BitField ADDRESS = BitField.bits(39, 12, "ADDRESS");
    private static final long PASSES = 1;
    private static final long TRANSLATES = 1 << 1;
    private static final long TABLE_PRESENT = 1;
    private static final long READ = 1;
    private static final long WRITE = 1 << 1;
    private static final long UNCHANGED = 0; // for the word of a page: the address passes

    private static final int BLOCKED = 1;
    private static final int MALFORMED = 2;
    private static final int TOO_LARGE = 3;
    private static final int NOT_PRESENT = 4;
    private static final int NO_RIGHT = 5;
    private static final int HAS_PASID = 6;

    private final TranslationUnitSpec spec;
    private final Fabric fabric;
    private final boolean snoopControl;
    private volatile long table;
    private boolean flushing;

    // Words of pages, with the requester id in bits 63:48 and bits 31:24 of the address in 47:40; the slot has 23:12.
    private final AtomicLongArray cache = new AtomicLongArray(1 << 12);
    private final AtomicBoolean changingCache = new AtomicBoolean();
    private final Epoch flushes = new Epoch();

    MinimalUnit(TranslationUnitSpec spec, Fabric fabric) {
        this.spec = spec;
        this.fabric = fabric;
        if (VERSION.get(spec.register("CAP")) != 1) {
            throw new IllegalArgumentException("CAP of unit " + spec.name() + " is not of version 1");
        }
        snoopControl = SC.isSet(spec.register("CAP"));
    }

    @Override
    public TranslationUnitSpec spec() {
        return spec;
    }

    @Override
    public synchronized long readRegister64(int offset) {
        return switch (offset) {
            case 0x00 -> spec.register("CAP");
            case 0x08 -> table;
            case 0x10 -> flushing ? 1 : 0;
            default -> 0;
        };
    }

    @Override
    public synchronized void writeRegister64(int offset, long value) {
        switch (offset) {
            case 0x08 -> table = ADDRESS.getInPlace(value);
            case 0x10 -> flushing = true;
            default -> {} // read-only
        }
    }

    @Override
    public synchronized boolean step() {
        if (!flushing) {
            return false;
        }
        emptyCache();
        flushing = false;
        return true;
    }

    @Override
    public long translate(int sourceId, int pasid, long address, int flags) {
        long page = find(sourceId, pasid, address);
        if (page == UNCHANGED) {
            return Translation.to(address, false);
        }
        long right = RequestFlags.writes(flags) ? WRITE : READ;
        long reason = page < 0 ? -page : (page & right) == 0 ? NO_RIGHT : 0;
        return reason != 0
                ? Translation.fault((int) reason)
                : Translation.to(ADDRESS.getInPlace(page) | (address & 0xfff), snoopControl);
    }

    /** Returns the word of a page, {@link #UNCHANGED}, or a reason as a negative number. */
    private long find(int sourceId, int pasid, long address) {
        long devices = table;
        if (devices == 0) {
            return UNCHANGED;
        }
        if (pasid != NO_PASID || sourceId >>> 16 != 0) {
            return pasid != NO_PASID ? -HAS_PASID : -BLOCKED;
        }
        boolean large = address >>> 32 != 0;
        int slot = (int) (address >>> 12 ^ sourceId) & (cache.length() - 1);
        long tag = (long) sourceId << 48 | (address >>> 24) << 40;
        long cached = cache.get(slot) ^ tag;
        if (!large && cached != 0 && cached >>> 40 == 0) {
            return cached;
        }
        long since = flushes.current();
        long device = read(devices, sourceId, PASSES | TRANSLATES);
        if (device <= 0) {
            return device == 0 ? -BLOCKED : device;
        }
        if ((device & PASSES) != 0) {
            return UNCHANGED;
        }
        if (large) {
            return -TOO_LARGE;
        }
        long upper = read(device, address >>> 21, TABLE_PRESENT);
        long page = upper > 0 ? read(upper, address >>> 12 & 511, READ | WRITE) : upper;
        if (page > 0) {
            keep(slot, tag | page, since);
        }
        return page == 0 ? -NOT_PRESENT : page;
    }

    /** Returns a word of a table, 0 if none of its flags is set, or a reason as a negative number. */
    private long read(long from, long index, long flags) {
        long word = fabric.read(ADDRESS.getInPlace(from) + index * Long.BYTES, true);
        return (word & ~(ADDRESS.mask() | flags)) != 0 ? -MALFORMED : (word & flags) == 0 ? 0 : word;
    }

    /** Caches a word, unless it may have been read before a flush, or another thread is changing the cache. */
    private void keep(int slot, long word, long since) {
        if (changingCache.compareAndSet(false, true)) {
            if (flushes.current() == since) {
                cache.set(slot, word);
            }
            changingCache.set(false);
        }
    }

    private void emptyCache() {
        flushes.advance();
        while (!changingCache.compareAndSet(false, true)) {
            Thread.onSpinWait();
        }
        for (int slot = 0; slot < cache.length(); slot++) {
            cache.set(slot, 0);
        }
        changingCache.set(false);
    }

    @Override
    public synchronized void reset() {
        table = 0;
        flushing = false;
        emptyCache();
    }

    @Override
    public synchronized void addTo(StateDigest digest) {
        digest.add(table);
        digest.add(flushing);
        for (int slot = 0; slot < cache.length(); slot++) {
            digest.add(cache.get(slot));
        }
    }
}
