// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.List;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.capability.GuestTable;

/**
 * What a guest of a vendor does: it writes tables in its vendor's format and says what to forget of them.
 *
 * <p>A vendor with {@link Ability#NESTING} says it in {@link Traits#guestTables}. Addresses of guests are aligned to
 * the granule where they name pages. The tables of one root map only pages that share one table of the last level.
 */
public interface GuestTables {
    /** The memory that a guest sees. */
    @FunctionalInterface
    interface Memory {
        /** Stores a word of 8 bytes. */
        void store(long guestPhysicalAddress, long value);
    }

    /** What a guest's entry for a page says. */
    enum Entry {
        /** Reading and writing. */
        READ_WRITE,
        /** Reading alone. */
        READ_ONLY,
        /** The page is not there. */
        ABSENT,
        /** The page is there, and a bit that is reserved is set. */
        RESERVED
    }

    /** Returns how many bytes from its root on a guest's tables take, a multiple of the granule. */
    long tableBytes();

    /** Writes the tables that lead to a page, and the page's entry. */
    void map(Memory memory, long root, long virtualAddress, long guestPhysicalAddress, Entry entry);

    /** Takes away the entry that leads to the table of the last level. */
    void cut(Memory memory, long root, long virtualAddress);

    /** Returns what the guest says of tables that begin at a guest-physical address. */
    GuestTable table(long root);

    /** Returns tables that the subject's unit can't walk: refused with EINVAL, or when a device is attached. */
    List<GuestTable> refused(long root);

    /** Returns an entry of a parent domain with a reserved bit set. */
    long reserved(long parentEntry);

    /** Returns the request to forget one page. */
    GuestInvalidationRequest page(long virtualAddress);

    /** Returns the request to forget everything, tables included. */
    GuestInvalidationRequest all();

    /** Returns requests that are refused with EINVAL. */
    List<GuestInvalidationRequest> malformed();
}
