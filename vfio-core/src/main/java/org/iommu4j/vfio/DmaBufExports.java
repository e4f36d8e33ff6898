// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.iommufd.DmaBuf;
import org.iommu4j.vfio.support.Failures;
import org.jspecify.annotations.Nullable;

/**
 * The dma-bufs of an open device. They are revoked while its memory does not answer.
 *
 * <p>Under VFIO's lock. Source: {@code drivers/vfio/pci/vfio_pci_dmabuf.c}.
 */
final class DmaBufExports {
    private static final long PAGE_SIZE = 4096;

    /** A total that the kernel's allocator of IOVAs takes for a flag of its own. Source: DMA_IOVA_USE_SWIOTLB. */
    private static final long TOO_MUCH = 1L << 63;

    private final List<DmaBuf> exports = new ArrayList<>();

    /**
     * Exports parts of a region.
     *
     * @param answers whether the device's memory answers
     * @throws IommuException as {@link VfioDevice#exportDmaBuf}, from the ranges on
     */
    DmaBuf export(PciRegions.Bar bar, List<DmaBufRange> ranges, boolean answers) {
        long total = 0;
        for (DmaBufRange range : ranges) {
            long next = total + range.length();
            if (range.length() == 0
                    || ((range.offset() | range.length()) & (PAGE_SIZE - 1)) != 0
                    || Long.compareUnsigned(next, total) < 0) {
                throw new IommuException(Errno.EINVAL, range + " is empty or misaligned, or makes too many bytes");
            }
            total = next;
        }
        if ((total & TOO_MUCH) != 0) {
            throw new IommuException(Errno.EINVAL, "ranges of " + Long.toUnsignedString(total) + " bytes");
        }
        if (!bar.memory() || bar.size() == 0) {
            throw new IommuException(Errno.EINVAL, "the region is no memory");
        }
        List<DmaBuf.Range> exported = new ArrayList<>();
        for (DmaBufRange range : ranges) {
            exported.add(in(bar, range));
        }
        DmaBuf made = new DmaBuf(exported);
        if (!answers) {
            made.revoke();
        }
        exports.add(made);
        return made;
    }

    private static DmaBuf.Range in(PciRegions.Bar bar, DmaBufRange range) {
        long first = bar.start() + range.offset();
        long end = first + range.length();
        if (Long.compareUnsigned(first, range.offset()) < 0 || Long.compareUnsigned(end, first) < 0) {
            throw new IommuException(Errno.EOVERFLOW, range + " wraps around");
        }
        if (Long.compareUnsigned(end, bar.start() + bar.size()) > 0) {
            throw new IommuException(Errno.EINVAL, range + " ends behind the region");
        }
        return new DmaBuf.Range(first, range.length());
    }

    /** Takes them away; returns a failure after which other devices may still reach them, or null. */
    @Nullable
    RuntimeException revoke() {
        RuntimeException failure = null;
        for (DmaBuf export : exports) {
            failure = Failures.run(failure, export::revoke);
        }
        return failure;
    }

    /** Lets them be mapped again. */
    void restore() {
        exports.forEach(DmaBuf::restore);
    }

    /** Takes them away for good; returns as {@link #revoke} does. */
    @Nullable
    RuntimeException end() {
        RuntimeException failure = revoke();
        exports.clear();
        return failure;
    }
}
