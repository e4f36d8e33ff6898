// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.Arrays;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.Hex;

/**
 * Pieces of memory that a driver maps at once, and the segments that the device gets for them.
 *
 * <p>A list is reused: {@link #clear}, {@link #add}, {@link DmaDevice#mapScatter}, the segments,
 * {@link DmaDevice#unmapScatter}. It belongs to one thread. Source: {@code struct scatterlist}.
 */
public final class ScatterList {
    private static final int INITIAL_CAPACITY = 16;

    private long[] starts = new long[INITIAL_CAPACITY];
    private long[] lengths = new long[INITIAL_CAPACITY];

    /** Each piece as it is mapped: whole granules, and what is added so that the next one crosses no boundary. */
    private long[] mappedStarts = new long[INITIAL_CAPACITY];

    private long[] mappedLengths = new long[INITIAL_CAPACITY];
    private long[] dmaAddresses = new long[INITIAL_CAPACITY];
    private long[] dmaLengths = new long[INITIAL_CAPACITY];
    private int pieces;
    private int segments;
    private boolean mapped;

    /** Where all pieces are mapped, unless each is mapped by itself. */
    private long iova;

    private long total;

    /** Makes an empty list. */
    public ScatterList() {}

    /**
     * Adds a piece of RAM.
     *
     * @param size bytes, above 0
     * @return this list
     * @throws IommuException EINVAL (size 0, or the piece wraps around), EBUSY (the list is mapped)
     */
    public ScatterList add(long physicalAddress, long size) {
        requireNotMapped();
        if (size <= 0 || Long.compareUnsigned(physicalAddress + (size - 1), physicalAddress) < 0) {
            throw new IommuException(
                    Errno.EINVAL, "a piece of " + Hex.of(size) + " bytes at " + Hex.of(physicalAddress));
        }
        if (pieces == starts.length) {
            int length = pieces * 2;
            starts = Arrays.copyOf(starts, length);
            lengths = Arrays.copyOf(lengths, length);
            mappedStarts = Arrays.copyOf(mappedStarts, length);
            mappedLengths = Arrays.copyOf(mappedLengths, length);
            dmaAddresses = Arrays.copyOf(dmaAddresses, length);
            dmaLengths = Arrays.copyOf(dmaLengths, length);
        }
        starts[pieces] = physicalAddress;
        lengths[pieces] = size;
        pieces++;
        return this;
    }

    /**
     * Empties the list.
     *
     * @throws IommuException EBUSY when it is mapped
     */
    public void clear() {
        requireNotMapped();
        pieces = 0;
        segments = 0;
    }

    /** Returns how many pieces there are. */
    public int pieces() {
        return pieces;
    }

    /** Returns where a piece begins. */
    public long physicalAddress(int piece) {
        return starts[checked(piece, pieces)];
    }

    /** Returns the bytes of a piece. */
    public long size(int piece) {
        return lengths[checked(piece, pieces)];
    }

    /** Returns how many segments the device gets, 0 when the list is not mapped. */
    public int segments() {
        return segments;
    }

    /** Returns a segment's address for the device. */
    public long dmaAddress(int segment) {
        return dmaAddresses[checked(segment, segments)];
    }

    /** Returns a segment's bytes. */
    public long dmaLength(int segment) {
        return dmaLengths[checked(segment, segments)];
    }

    /**
     * Plans the mapping of all pieces to one range of IOVA.
     *
     * <p>A piece that would cross a segment boundary begins after it: the piece before is made longer. The range is
     * aligned to the power of two that holds it, so its place does not matter. As in Linux the memory after that
     * piece's end, up to the boundary, is mapped with it.
     *
     * @return bytes of the range
     */
    long plan(long granule, long boundary) {
        total = 0;
        for (int i = 0; i < pieces; i++) {
            long offset = starts[i] & (granule - 1);
            long length = (offset + lengths[i] + granule - 1) & -granule;
            long toBoundary = (boundary - total + 1) & boundary;
            if (toBoundary != 0 && toBoundary < length - 1) {
                mappedLengths[i - 1] += toBoundary;
                total += toBoundary;
            }
            mappedStarts[i] = starts[i] - offset;
            mappedLengths[i] = length;
            total += length;
        }
        return total;
    }

    /**
     * Makes the segments of a list that is mapped to one range as planned.
     *
     * <p>A piece joins the segment before it when both meet at a granule, no boundary lies between them, and the
     * segment does not become too long. Source: {@code __finalise_sg}.
     */
    void finish(long rangeStart, long boundary, long maxSegmentSize) {
        iova = rangeStart;
        long next = rangeStart;
        long current = 0;
        segments = 0;
        for (int i = 0; i < pieces; i++) {
            long offset = starts[i] - mappedStarts[i];
            if (current != 0 && offset == 0 && (next & boundary) != 0 && maxSegmentSize - current >= lengths[i]) {
                current += lengths[i];
            } else {
                current = lengths[i];
                dmaAddresses[segments++] = next + offset;
            }
            dmaLengths[segments - 1] = current;
            next += mappedLengths[i];
            if (offset + lengths[i] < mappedLengths[i]) {
                current = 0;
            }
        }
        mapped = true;
    }

    /** Gives a piece that is mapped by itself its segment. */
    void addSegment(long dmaAddress) {
        dmaAddresses[segments] = dmaAddress;
        dmaLengths[segments] = lengths[segments];
        segments++;
    }

    /** Notes that each piece is mapped by itself. */
    void finishSingly() {
        total = 0;
        mapped = true;
    }

    /** Forgets the segments. */
    void unmapped() {
        segments = 0;
        mapped = false;
    }

    /** Returns whether the list is mapped. */
    boolean isMapped() {
        return mapped;
    }

    /** Returns whether each piece is mapped by itself. */
    boolean isSingle() {
        return total == 0;
    }

    long iova() {
        return iova;
    }

    long total() {
        return total;
    }

    long[] mappedStarts() {
        return mappedStarts;
    }

    long[] mappedLengths() {
        return mappedLengths;
    }

    void requireNotMapped() {
        if (mapped) {
            throw new IommuException(Errno.EBUSY, "a scatter list of " + pieces + " pieces is mapped");
        }
    }

    private static int checked(int index, int count) {
        if (index < 0 || index >= count) {
            throw new IndexOutOfBoundsException("number " + index + " of " + count);
        }
        return index;
    }
}
