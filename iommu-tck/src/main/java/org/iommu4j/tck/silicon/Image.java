// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * A memory image: a machine's memory as it is, and words that are changed in the image alone.
 *
 * <p>It may only be read: each attempt to write is remembered.
 */
final class Image implements Fabric {
    private final Machine machine;
    private final Map<Long, Long> changed = new HashMap<>();
    private long end;

    /** Words that were read, with their values. */
    final Map<Long, Long> read = new TreeMap<>();

    final List<String> written = new ArrayList<>();

    Image(Machine machine) {
        machine.drainCaches();
        this.machine = machine;
        end = machine.description().memoryBytes();
    }

    /** Changes a word. */
    void put(long address, long value) {
        changed.put(address, value);
    }

    /** Takes changes back. */
    void restore() {
        changed.clear();
        end = machine.description().memoryBytes();
    }

    /** Leaves out the memory from an address on. */
    void cut(long address) {
        end = address;
    }

    /** Returns the addresses of words that were read and are not 0. */
    List<Long> words() {
        List<Long> words = new ArrayList<>();
        read.forEach((address, value) -> {
            if (value != 0) {
                words.add(address);
            }
        });
        return words;
    }

    /** Returns the registers of a unit, as far as they are words. */
    static RegisterDump registers(TranslationUnit unit) {
        Map<Integer, Long> words = new HashMap<>();
        for (int offset = 0; offset < unit.spec().registerSize(); offset += 8) {
            words.put(offset, unit.readRegister64(offset));
        }
        return new RegisterDump(unit.spec().registerBase(), words);
    }

    /** Returns the same registers but for one, which is another or, null, was not read. */
    static RegisterDump with(RegisterDump registers, int offset, Long value) {
        Map<Integer, Long> words = new HashMap<>(registers.words());
        if (value == null) {
            words.remove(offset);
        } else {
            words.put(offset, value);
        }
        return new RegisterDump(registers.registerBase(), Collections.unmodifiableMap(words));
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return physicalAddress >= 0 && physicalAddress < end;
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        if (!isMemory(physicalAddress)) {
            return -1;
        }
        Long other = changed.get(physicalAddress);
        long value = other == null ? machine.peekDram(physicalAddress) : other;
        read.put(physicalAddress, value);
        return value;
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        written.add("write at 0x" + Long.toHexString(physicalAddress));
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        written.add("write of 4 bytes at 0x" + Long.toHexString(physicalAddress));
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        written.add("compare and set at 0x" + Long.toHexString(physicalAddress));
        return true;
    }
}
