// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.WeakHashMap;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.support.Failures;

/**
 * An open dma-buf: ranges of a device's memory that another driver exports, and may take away.
 *
 * <p>Made by its exporter, {@link org.iommu4j.vfio.VfioDevice#exportDmaBuf}; mapped as {@link IoasMapDmaBuf}. While
 * the exporter has revoked it, it can't be mapped. What was mapped until then is gone for good, also when the exporter
 * gives it back. Thread-safe. Source: {@code struct vfio_pci_dma_buf}, {@code vfio_pci_dma_buf_iommufd_map}, {@code
 * vfio_pci_dma_buf_move}.
 */
public final class DmaBuf {
    /**
     * Memory of a device.
     *
     * @param physicalAddress a multiple of 4 KiB
     * @param length bytes, a multiple of 4 KiB that is not 0
     */
    public record Range(long physicalAddress, long length) {}

    private final List<Range> ranges;

    /** Who maps it; who is not in any IOAS any more goes by itself. */
    private final Set<DmaBufPages> importers = Collections.newSetFromMap(new WeakHashMap<>());

    private boolean revoked;

    /**
     * Exports memory, which nobody has taken away.
     *
     * @param ranges at least one
     */
    public DmaBuf(List<Range> ranges) {
        this.ranges = List.copyOf(ranges);
        if (ranges.isEmpty()) {
            throw new IllegalArgumentException("a dma-buf without ranges");
        }
    }

    /** Returns how many bytes it has. */
    public long size() {
        return ranges.stream().mapToLong(Range::length).sum();
    }

    /** Returns whether its exporter has it, so that nobody can map it. */
    public synchronized boolean isRevoked() {
        return revoked;
    }

    /**
     * Takes it away: unmaps it everywhere; nothing happens if it is taken away already.
     *
     * @throws IommuException ETIMEDOUT or EIO when an invalidation did not complete: it is taken away nevertheless, but
     *     devices may still reach it
     */
    public synchronized void revoke() {
        revoked = true;
        RuntimeException failure = null;
        for (DmaBufPages pages : importers) {
            RuntimeException lost = pages.revoke();
            failure = lost == null ? failure : Failures.joined(failure, lost);
        }
        importers.clear();
        if (failure != null) {
            throw failure;
        }
    }

    /** Lets it be mapped again. */
    public synchronized void restore() {
        revoked = false;
    }

    /**
     * Returns a part of it, to be mapped.
     *
     * @param start the first byte
     * @param length bytes from there on; they do not wrap around
     * @throws IommuException EINVAL (it ends before), ENODEV (it is revoked), EOPNOTSUPP (it has several ranges)
     */
    synchronized DmaBufPages part(long start, long length, boolean writable) {
        if (Long.compareUnsigned(size(), start + (length - 1)) <= 0) {
            throw new IommuException(Errno.EINVAL, "the dma-buf has " + Long.toUnsignedString(size()) + " bytes");
        }
        if (revoked) {
            throw new IommuException(Errno.ENODEV, "the dma-buf is revoked");
        }
        if (ranges.size() != 1) {
            throw new IommuException(Errno.EOPNOTSUPP, "the dma-buf has " + ranges.size() + " ranges, expected 1");
        }
        long page = start & -AreaPages.PAGE_SIZE;
        DmaBufPages part = new DmaBufPages(ranges.get(0).physicalAddress() + page, page, writable);
        importers.add(part);
        return part;
    }
}
