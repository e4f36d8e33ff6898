// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * Requesters of a PCI segment whose requests reach a translation unit with source ids of the unit's own.
 *
 * <p>A source id indexes a unit's tables: a device id of RISC-V, a stream id of SMMU, an endpoint id of VIOT. Firmware
 * gives the ranges (the mappings of RIMT and IORT, the PCI ranges of VIOT). For VT-d and AMD-Vi the source id is the
 * requester id.
 *
 * @param segment 0 to 0xffff
 * @param firstRequesterId bus 15:8, device 7:3, function 2:0
 * @param count number of requesters, from 1
 * @param firstSourceId unsigned 32 bits; the others follow
 */
public record SourceIdRange(int segment, int firstRequesterId, int count, int firstSourceId) {
    /**
     * Checks the numbers.
     *
     * @throws IllegalArgumentException when the range leaves the 16 bits of a segment or a requester id, or the 32 bits
     *     of a source id
     */
    public SourceIdRange {
        if (segment >>> 16 != 0
                || firstRequesterId >>> 16 != 0
                || count < 1
                || count > 0x10000 - firstRequesterId
                || (firstSourceId & 0xffffffffL) + count > 1L << 32) {
            throw new IllegalArgumentException("source ids for " + count + " requesters from 0x"
                    + Integer.toHexString(firstRequesterId) + " of segment 0x" + Integer.toHexString(segment)
                    + ", from 0x" + Integer.toHexString(firstSourceId)
                    + ": expected 16 bits of segment and requester, 32 of source id");
        }
    }

    boolean contains(int otherSegment, int requesterId) {
        return otherSegment == segment && requesterId >= firstRequesterId && requesterId - firstRequesterId < count;
    }
}
