// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.vmm;

import java.util.Objects;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.intel.nesting.FirstStageTable;

/**
 * A VT-d first-stage table that a guest has in its memory: four levels, one page each, so that it maps 2 MiB.
 *
 * <p>The format is that of the processors' own page tables. Source: VT-d 9.7; Intel SDM volume 3, section on 4-level
 * paging.
 */
public final class GuestFirstStage {
    /** Pages of guest memory that the table takes. */
    public static final int PAGES = 4;

    private static final int PAGE = 4096;
    private static final int WIDTH = 48;
    private static final long PRESENT_WRITABLE_USER = 7;

    private final long root;
    private long reach = -1;

    /**
     * Makes one that maps nothing.
     *
     * @param root guest-physical address of its first page, aligned to 4096; all pages hold zeros
     */
    public GuestFirstStage(long root) {
        this.root = root;
    }

    /** The guest's memory, as one of its CPUs stores to it. */
    @FunctionalInterface
    public interface Memory {
        /** Stores a word of 8 bytes at a guest-physical address. */
        void store(long guestAddress, long value);
    }

    /**
     * The guest maps a page, readable and writable.
     *
     * @param address of the page for devices, aligned to 4096
     * @param guestAddress of the page in guest memory, aligned to 4096
     * @throws IllegalArgumentException when a page that is mapped already lies in another 2 MiB
     */
    public void map(Memory memory, long address, long guestAddress) {
        Objects.requireNonNull(memory, "memory");
        long wanted = address >>> shift(2);
        if (reach < 0) {
            for (int level = PAGES; level > 1; level--) {
                memory.store(slot(level, address), page(level - 1) | PRESENT_WRITABLE_USER);
            }
            reach = wanted;
        } else if (reach != wanted) {
            throw new IllegalArgumentException("a page at 0x" + Long.toHexString(address)
                    + " for devices, expected one in the 2 MiB at 0x" + Long.toHexString(reach << shift(2)));
        }
        memory.store(slot(1, address), guestAddress | PRESENT_WRITABLE_USER);
    }

    /** Returns the words in which the VMM passes the table on. */
    public GuestTable words() {
        return new FirstStageTable(root, WIDTH, 0);
    }

    /** Returns the address of the page of a level. */
    private long page(int level) {
        return root + (long) (PAGES - level) * PAGE;
    }

    private long slot(int level, long address) {
        return page(level) + (address >>> shift(level) & 511) * Long.BYTES;
    }

    private static int shift(int level) {
        return 12 + 9 * (level - 1);
    }
}
