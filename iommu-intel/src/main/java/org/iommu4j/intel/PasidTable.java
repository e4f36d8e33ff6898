// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.intel.fmt.PasidDirectoryEntry;
import org.iommu4j.intel.fmt.PasidEntry;

/**
 * A device's PASID directory and tables, VT-d 3.4.3: a table of 64 entries is made when its first entry is used.
 *
 * <p>Its frames are freed when its unit stops. Source: {@code intel_pasid_alloc_table}, {@code intel_pasid_get_entry}.
 */
final class PasidTable {
    /** Entries of the smallest directory: one frame. */
    private static final int MINIMUM_DIRECTORY = 512;

    private static final long FRAME_MASK = PasidDirectoryEntry.SMPTBLPTR.mask();

    private final TableMemory memory;
    private final int directoryEntries;
    private final int order;
    private final long directory;

    /**
     * Makes a directory for a number of PASIDs, and the table with the entry of ordinary requests.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    PasidTable(TableMemory memory, int maxPasids) {
        this.memory = memory;
        this.directoryEntries = Math.max(MINIMUM_DIRECTORY, maxPasids / PasidEntry.PER_TABLE);
        this.order = Integer.numberOfTrailingZeros(directoryEntries / MINIMUM_DIRECTORY);
        this.directory = memory.allocate(order);
        try {
            prepare(PasidEntry.NO_PASID);
        } catch (RuntimeException e) {
            memory.free(directory, order);
            throw e;
        }
    }

    long directory() {
        return directory;
    }

    int directoryEntries() {
        return directoryEntries;
    }

    /**
     * Makes sure that a PASID has an entry, and returns its address.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    long prepare(int pasid) {
        long at = directoryEntry(pasid);
        if (!PasidDirectoryEntry.P.isSet(memory.load(at))) {
            memory.store(at, PasidDirectoryEntry.of(memory.allocate(0)));
        }
        return entry(pasid);
    }

    /** Returns the address of a prepared PASID's entry. */
    long entry(int pasid) {
        return (memory.load(directoryEntry(pasid)) & FRAME_MASK)
                + (long) (pasid % PasidEntry.PER_TABLE) * PasidEntry.SIZE;
    }

    private long directoryEntry(int pasid) {
        return directory + (long) (pasid / PasidEntry.PER_TABLE) * PasidDirectoryEntry.SIZE;
    }

    /** Frees all frames. */
    void free() {
        for (int i = 0; i < directoryEntries; i++) {
            long entry = memory.load(directory + (long) i * PasidDirectoryEntry.SIZE);
            if (PasidDirectoryEntry.P.isSet(entry)) {
                memory.free(entry & FRAME_MASK, 0);
            }
        }
        memory.free(directory, order);
    }
}
