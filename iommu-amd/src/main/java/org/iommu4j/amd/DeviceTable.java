// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.iommu4j.amd.fmt.DeviceTableEntry.BLOCKED;
import static org.iommu4j.amd.fmt.DeviceTableEntry.EINT_PASS;
import static org.iommu4j.amd.fmt.DeviceTableEntry.INIT_PASS;
import static org.iommu4j.amd.fmt.DeviceTableEntry.LINT0_PASS;
import static org.iommu4j.amd.fmt.DeviceTableEntry.LINT1_PASS;
import static org.iommu4j.amd.fmt.DeviceTableEntry.NMI_PASS;
import static org.iommu4j.amd.fmt.DeviceTableEntry.SYS_MGT;
import static org.iommu4j.amd.fmt.DeviceTableEntry.TRANSLATION_1;
import static org.iommu4j.amd.fmt.DeviceTableEntry.TRANSLATION_2;

import org.iommu4j.amd.acpi.DeviceRange;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.amd.reg.Registers;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * The device table of a segment, 48882 section 2.2.2: an entry for each requester id.
 *
 * <p>An entry is never invalid, because an invalid one lets everything through. It starts as blocked.
 * Writers hold the attacher's lock.
 */
final class DeviceTable {
    private static final int ENTRIES_PER_FRAME = SystemMemory.FRAME_SIZE / DeviceTableEntry.BYTES;

    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final int order;
    private final long base;

    /**
     * Makes a table in which every requester is blocked.
     *
     * @param highestId the highest requester id that firmware names
     * @throws org.iommu4j.IommuException ENOMEM
     */
    DeviceTable(SystemMemory memory, FrameAllocator frames, int highestId) {
        this.memory = memory;
        this.frames = frames;
        int needed = highestId / ENTRIES_PER_FRAME + 1;
        this.order = 32 - Integer.numberOfLeadingZeros(needed - 1);
        this.base = frames.allocate(order);
        for (int i = 0; i < 1 << order; i++) {
            long frame = base + (long) i * SystemMemory.FRAME_SIZE;
            memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
            for (int entry = 0; entry < ENTRIES_PER_FRAME; entry++) {
                memory.store(frame + (long) entry * DeviceTableEntry.BYTES, BLOCKED);
            }
        }
    }

    /** Returns the value of the unit's register for the table's address. */
    long register() {
        return base | Registers.DEV_TAB_SIZE.of((1L << order) - 1);
    }

    /** Returns whether the table has an entry for a requester. */
    boolean has(int requesterId) {
        return requesterId < ENTRIES_PER_FRAME << order;
    }

    /** Returns the number of entries. */
    int size() {
        return ENTRIES_PER_FRAME << order;
    }

    /** Lets interrupts and system management messages pass untranslated, where firmware demands it. */
    void applySettings(DeviceRange range) {
        int setting = range.dataSetting();
        if (setting == 0) {
            return;
        }
        for (int id = range.first(); id <= range.last(); id++) {
            applySetting(id, setting);
        }
        if (range.alias() != DeviceRange.NO_ALIAS) {
            applySetting(range.alias(), setting);
        }
    }

    private void applySetting(int requesterId, int setting) {
        long entry = entry(requesterId);
        memory.store(entry + 8, memory.load(entry + 8) | SYS_MGT.of(setting >> 4 & 3));
        memory.store(
                entry + 16,
                memory.load(entry + 16)
                        | INIT_PASS.of(setting & 1)
                        | EINT_PASS.of(setting >> 1 & 1)
                        | NMI_PASS.of(setting >> 2 & 1)
                        | LINT0_PASS.of(setting >> 6 & 1)
                        | LINT1_PASS.of(setting >> 7 & 1));
    }

    /**
     * Changes a requester's translation; the unit may use the old entry until it is invalidated.
     *
     * <p>Stores are 64 bits wide, and units read an entry's 256 bits at once. So an entry whose other words change is
     * blocked in between: a unit never reads a new id or GCR3 table with the old word 0. Word 0 is written last when
     * translation is turned on, and first when it is turned off. The entry's bits about interrupts stay.
     *
     * @param word0 {@link DeviceTableEntry#BLOCKED}, {@link DeviceTableEntry#IDENTITY} or with page tables
     * @param word1 the bits of {@link DeviceTableEntry#TRANSLATION_1}
     * @param word2 the bits of {@link DeviceTableEntry#TRANSLATION_2}
     */
    void set(int requesterId, long word0, long word1, long word2) {
        long entry = entry(requesterId);
        long oldWord1 = memory.load(entry + 8);
        long oldWord2 = memory.load(entry + 16);
        long newWord1 = (oldWord1 & ~TRANSLATION_1) | word1;
        long newWord2 = (oldWord2 & ~TRANSLATION_2) | word2;
        if (newWord1 != oldWord1 || newWord2 != oldWord2) {
            memory.store(entry, BLOCKED);
            memory.store(entry + 8, newWord1);
            memory.store(entry + 16, newWord2);
        }
        memory.store(entry, word0);
    }

    /** Returns a word of an entry. */
    long word(int requesterId, int index) {
        return memory.load(entry(requesterId) + 8L * index);
    }

    /** Returns how many frames the table has. */
    long countFrames() {
        return 1L << order;
    }

    /** Frees the table, which no unit may use anymore. */
    void free() {
        frames.free(base, order);
    }

    private long entry(int requesterId) {
        return base + (long) requesterId * DeviceTableEntry.BYTES;
    }
}
