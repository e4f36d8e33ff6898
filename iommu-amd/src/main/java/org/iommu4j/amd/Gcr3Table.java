// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.IommuException;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.amd.fmt.Gcr3Entry;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;

/**
 * A device's GCR3 table, 48882 section 2.2.6.3: a page table's root for each PASID, 0 for requests without one.
 *
 * <p>Its levels are fixed when it is made, by the PASIDs that the device may use ({@code setup_gcr3_table}); tables
 * below the root are added when PASIDs need them, and stay. Entries that units cache through it are tagged with the
 * table's own domain id. Callers hold the attacher's lock.
 */
final class Gcr3Table {
    /** The entry of requests without a PASID, which guest tables translate like requests with PASID 0. */
    static final int ORDINARY = 0;

    private static final long ABSENT = 0;
    private static final int ENTRIES = SystemMemory.FRAME_WORDS;

    private final SystemMemory memory;
    private final TableFrames frames;
    private final int levels;
    private final int domainId;
    private final long root;

    /**
     * Makes a table without roots.
     *
     * @param levels 1 to 3
     * @param domainId the tag
     * @throws IommuException ENOMEM
     */
    Gcr3Table(SystemMemory memory, FrameAllocator frames, int levels, int domainId) {
        this.memory = memory;
        this.frames = new TableFrames(memory, frames);
        this.levels = levels;
        this.domainId = domainId;
        this.root = this.frames.take();
        try {
            reserve(ORDINARY);
        } catch (IommuException e) {
            free(true);
            throw e;
        }
    }

    /** Returns the levels for a number of PASIDs, at most those that units walk. */
    static int levelsFor(int pasids, int mostLevels) {
        int levels = 1;
        while (levels < mostLevels && 1L << (levels * Gcr3Entry.LEVEL_BITS) < pasids) {
            levels++;
        }
        return levels;
    }

    int domainId() {
        return domainId;
    }

    /** Returns the bits of word 0 of a device table entry that points here. */
    long entryWord0() {
        return DeviceTableEntry.guest0(root, levels);
    }

    /** Returns the bits of word 1 of a device table entry that points here, with the domain id. */
    long entryWord1() {
        return DeviceTableEntry.guest1(root) | domainId;
    }

    /**
     * Makes the tables down to a PASID's entry.
     *
     * @throws IommuException ENOMEM; tables that were made stay, empty
     */
    void reserve(int pasid) {
        long table = root;
        for (int level = levels; level > 1; level--) {
            long at = entryAddress(table, pasid, level);
            long entry = memory.load(at);
            if (entry == ABSENT) {
                entry = Gcr3Entry.pointer(frames.take());
                memory.store(at, entry);
            }
            table = Gcr3Entry.ADDRESS.getInPlace(entry);
        }
    }

    /** Returns the root of a PASID's page table, or 0. */
    long root(int pasid) {
        return Gcr3Entry.ADDRESS.getInPlace(memory.load(leafAddress(pasid)));
    }

    /**
     * Sets the root of a PASID's page table; its entry is already reserved.
     *
     * @param pageTable 0 for none
     */
    void setRoot(int pasid, long pageTable) {
        memory.store(leafAddress(pasid), pageTable == 0 ? ABSENT : Gcr3Entry.pointer(pageTable));
    }

    private long leafAddress(int pasid) {
        long table = root;
        for (int level = levels; level > 1; level--) {
            table = Gcr3Entry.ADDRESS.getInPlace(memory.load(entryAddress(table, pasid, level)));
        }
        return entryAddress(table, pasid, 1);
    }

    private static long entryAddress(long table, int pasid, int level) {
        return table + ((pasid >>> (Gcr3Entry.LEVEL_BITS * (level - 1))) & (ENTRIES - 1)) * 8L;
    }

    /** Frees the table and returns its frames, or only counts them when a unit may still walk it. */
    long free(boolean forgotten) {
        return free(root, levels, forgotten);
    }

    private long free(long table, int level, boolean forgotten) {
        long count = 1;
        for (int i = 0; i < ENTRIES && level > 1; i++) {
            long entry = memory.load(table + i * 8L);
            if (entry != ABSENT) {
                count += free(Gcr3Entry.ADDRESS.getInPlace(entry), level - 1, forgotten);
            }
        }
        if (forgotten) {
            frames.free(table, 0);
        }
        return count;
    }
}
