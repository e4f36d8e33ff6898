// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * An entry of a host (v1) table: of a directory, which points to a lower table, or of a page.
 *
 * <p>Source: 48882, section 2.2.3, "I/O Page Tables for Host Translations". Bits called ignored are software's.
 */
final class PageTableEntry {
    static final BitField PR = bit(0, "PR");
    /** Level of the table below; {@link #PAGE} and {@link #PAGE_OF_ENCODED_SIZE} make the entry a page. */
    static final BitField NEXT_LEVEL = bits(11, 9, "NextLevel");

    static final BitField ADDRESS = bits(51, 12, "Address");
    /** Force coherent: a no-snoop request to this page is snooped all the same. */
    static final BitField FC = bit(60, "FC");

    static final BitField IR = bit(61, "IR");
    static final BitField IW = bit(62, "IW");

    static final Layout PAGE_LAYOUT = Layout.of(
            "PTE",
            PR,
            bits(4, 1, "ignored low"),
            bit(5, "A"),
            bit(6, "D"),
            bits(8, 7, "ignored"),
            NEXT_LEVEL,
            ADDRESS,
            bit(59, "U"),
            FC,
            IR,
            IW,
            bit(63, "ignored high"));
    static final Layout DIRECTORY_LAYOUT = Layout.of(
            "PDE",
            PR,
            bits(4, 1, "ignored low"),
            bit(5, "A"),
            bits(8, 6, "ignored"),
            NEXT_LEVEL,
            ADDRESS,
            IR,
            IW,
            bit(63, "ignored high"));

    /** A page of the level's default size. */
    static final int PAGE = 0;

    /** A page whose size the address field encodes: 2^(n+1) bytes, n being the lowest clear bit from 12 on. */
    static final int PAGE_OF_ENCODED_SIZE = 7;

    private PageTableEntry() {}
}
