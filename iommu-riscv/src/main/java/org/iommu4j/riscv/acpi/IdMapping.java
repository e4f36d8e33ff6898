// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.acpi;

/**
 * A mapping of a device's ids to ids of another node, 20 bytes of a RIMT.
 *
 * @param sourceBase the first id that it maps, 32 bits
 * @param count how many ids it says that it maps, 32 bits
 * @param destinationBase what the first becomes, 32 bits
 * @param destination bytes from the table's start to the node that gets the ids; 0 is firmware's mistake
 */
public record IdMapping(long sourceBase, long count, long destinationBase, long destination) {
    /** Bytes of a mapping. */
    static final int BYTES = 20;

    private static final long ID_MASK = 0xffff_ffffL;

    /** The result where an id is not mapped. */
    static final long NONE = -1;

    /**
     * Maps an id, or returns {@link #NONE}.
     *
     * <p>Linux takes one id more than the mapping has ({@code rimt_id_map} compares with "greater than base plus
     * count"), and the sum has 32 bits. A neighbour's first id is therefore taken by the mapping before it.
     */
    long map(long id) {
        return id < sourceBase || id > ((sourceBase + count) & ID_MASK)
                ? NONE
                : (destinationBase + (id - sourceBase)) & ID_MASK;
    }

    /** Returns which id becomes a given one, as far as the mapping says that it has it, or {@link #NONE}. */
    long source(long id) {
        long offset = (id - destinationBase) & ID_MASK;
        return offset < count ? (sourceBase + offset) & ID_MASK : NONE;
    }
}
