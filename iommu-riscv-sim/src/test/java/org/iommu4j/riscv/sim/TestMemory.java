// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;

/**
 * Memory of 56 bits full of zeros, with errors where a test wants them, which notes what a unit does.
 * */
final class TestMemory implements Fabric {
    /** Kinds of errors: any access faults, reads bring corrupt data, writes fault. */
    enum Kind {
        AF,
        DC,
        WAF
    }

    private record Fault(long start, long bytes, Kind kind) {
        boolean touches(long word) {
            return word < start + bytes && start < word + Long.BYTES;
        }
    }

    private final Map<Long, Long> words = new ConcurrentHashMap<>();
    private List<Fault> errors = new ArrayList<>();

    /** What was at the addresses of atomic updates before the first of them. */
    final Map<Long, Long> updated = new LinkedHashMap<>();

    /** Addresses of whole words that were stored, in order. */
    final List<Long> stored = new ArrayList<>();

    /** Addresses and data of stores of 4 bytes, in order. */
    final List<String> stored32 = new ArrayList<>();

    /** How many accesses there were. */
    int accesses;

    /** How devices answer invalidation requests. */
    InvalidationAnswer answer = InvalidationAnswer.DONE;

    /** The levels of the unit's wires, a bit each. */
    int wires;

    /** Messages to devices, in order. */
    final List<String> messages = new ArrayList<>();

    void forget() {
        updated.clear();
        stored.clear();
        stored32.clear();
        messages.clear();
    }

    void inject(List<?> rows) {
        errors = new ArrayList<>();
        for (Object row : rows) {
            List<?> cells = (List<?>) row;
            Kind kind = Kind.valueOf(((String) cells.get(2)).toUpperCase(Locale.ROOT));
            errors.add(new Fault(Json.number(cells.get(0)), Json.number(cells.get(1)), kind));
        }
    }

    long peek(long address) {
        return words.getOrDefault(address, 0L);
    }

    void poke(long address, long value) {
        words.put(address, value);
    }

    /** Turns every word's bytes round. */
    void reverse() {
        words.replaceAll((address, word) -> Long.reverseBytes(word));
    }

    private boolean has(long address, Kind kind) {
        for (Fault error : errors) {
            if (error.kind == kind && error.touches(address)) {
                return true;
            }
        }
        return false;
    }

    @Override
    public boolean isMemory(long address) {
        return address >>> 56 == 0;
    }

    @Override
    public boolean isWritable(long address) {
        return isMemory(address) && !has(address, Kind.AF) && !has(address, Kind.WAF);
    }

    @Override
    public AccessStatus status(long address, boolean snoop) {
        if (!isMemory(address) || has(address, Kind.AF)) {
            return AccessStatus.ACCESS_FAULT;
        }
        return has(address, Kind.DC) ? AccessStatus.POISON : AccessStatus.OK;
    }

    @Override
    public long read(long address, boolean snoop) {
        check(address, Long.BYTES, snoop);
        return !isMemory(address) || has(address, Kind.AF) || has(address, Kind.DC) ? -1L : peek(address);
    }

    @Override
    public void write(long address, long value, boolean snoop) {
        check(address, Long.BYTES, snoop);
        stored.add(address);
        poke(address, value);
    }

    @Override
    public void write32(long address, int value, boolean snoop) {
        check(address, Integer.BYTES, snoop);
        stored32.add(Long.toHexString(address) + "=" + Integer.toHexString(value));
        long word = address & -Long.BYTES;
        int shift = (int) (address - word) * Byte.SIZE;
        poke(word, (peek(word) & ~(0xffffffffL << shift)) | Integer.toUnsignedLong(value) << shift);
    }

    @Override
    public synchronized boolean compareAndSet(long address, long expected, long value, boolean snoop) {
        check(address, Long.BYTES, snoop);
        if (peek(address) != expected) {
            return false;
        }
        updated.putIfAbsent(address, expected);
        poke(address, value);
        return true;
    }

    private void check(long address, int bytes, boolean snoop) {
        accesses++;
        if (address % bytes != 0 || !snoop) {
            throw new AssertionError("access of " + bytes + " bytes at 0x" + Long.toHexString(address));
        }
    }

    @Override
    public InvalidationAnswer invalidateDevice(
            int sourceId, int pasid, boolean global, long address, long size, int tag) {
        messages.add("invalidate " + Integer.toHexString(sourceId) + " " + pasid + (global ? " all " : " ")
                + Long.toHexString(address) + " " + Long.toHexString(size) + " tag " + tag);
        return answer;
    }

    @Override
    public void setWire(int wire, boolean high) {
        wires = high ? wires | 1 << wire : wires & ~(1 << wire);
    }

    @Override
    public void respondToPageRequest(int sourceId, int pasid, int group, int code) {
        messages.add("respond " + Integer.toHexString(sourceId) + " " + pasid + " " + group + " " + code);
    }
}
