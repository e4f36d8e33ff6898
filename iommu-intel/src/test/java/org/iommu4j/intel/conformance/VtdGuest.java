// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import java.util.List;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.tck.GuestTables;

/** A guest with first-stage tables of four levels, one frame each, VT-d 9.7. */
public final class VtdGuest implements GuestTables {
    private static final int LEVELS = 4;
    private static final int FRAME = 4096;
    private static final int WIDTH = 48;
    private static final int PRESENT = 1;
    private static final int WRITABLE = 1 << 1;
    private static final int USER = 1 << 2;

    /** Above the 46 bits of addresses that the unit has, and below XD. */
    private static final long RESERVED_BIT = 1L << 51;

    @Override
    public long tableBytes() {
        return LEVELS * FRAME;
    }

    private static long slot(long root, int level, long virtualAddress) {
        return root
                + (long) (LEVELS - level) * FRAME
                + ((virtualAddress >>> (12 + 9 * (level - 1))) & 511) * Long.BYTES;
    }

    @Override
    public void map(Memory memory, long root, long virtualAddress, long guestPhysicalAddress, Entry entry) {
        for (int level = LEVELS; level > 1; level--) {
            long next = root + (LEVELS - level + 1L) * FRAME;
            memory.store(slot(root, level, virtualAddress), next | PRESENT | WRITABLE | USER);
        }
        long leaf = switch (entry) {
            case READ_WRITE -> guestPhysicalAddress | PRESENT | WRITABLE | USER;
            case READ_ONLY -> guestPhysicalAddress | PRESENT | USER;
            case ABSENT -> 0;
            case RESERVED -> guestPhysicalAddress | PRESENT | WRITABLE | USER | RESERVED_BIT;
        };
        memory.store(slot(root, 1, virtualAddress), leaf);
    }

    @Override
    public void cut(Memory memory, long root, long virtualAddress) {
        memory.store(slot(root, 2, virtualAddress), 0);
    }

    @Override
    public GuestTable table(long root) {
        return new FirstStageTable(root, WIDTH, 0);
    }

    @Override
    public List<GuestTable> refused(long root) {
        return List.of(
                new FirstStageTable(root, 0, 0),
                new FirstStageTable(root, WIDTH - 1, 0),
                new FirstStageTable(root, WIDTH + 9 + 9, 0));
    }

    @Override
    public long reserved(long parentEntry) {
        return parentEntry | RESERVED_BIT;
    }

    @Override
    public GuestInvalidationRequest page(long virtualAddress) {
        return new FirstStageInvalidation(virtualAddress, 1, true);
    }

    @Override
    public GuestInvalidationRequest all() {
        return new FirstStageInvalidation(0, FirstStageInvalidation.ALL_PAGES, false);
    }

    @Override
    public List<GuestInvalidationRequest> malformed() {
        return List.of(
                new FirstStageInvalidation(8, 1, true),
                new FirstStageInvalidation(FRAME, 0, true),
                new FirstStageInvalidation(FRAME, FirstStageInvalidation.ALL_PAGES, false),
                new FirstStageInvalidation(0, -2, false));
    }
}
