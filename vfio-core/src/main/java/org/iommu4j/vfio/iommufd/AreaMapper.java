// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.core.IommuMapper;
import org.jspecify.annotations.Nullable;

/**
 * Maps areas in a domain, and unmaps them.
 *
 * <p>Thread-safe for areas that one thread fills or empties. Source: {@code batch_to_domain}, {@code
 * iopt_area_unmap_domain}.
 */
final class AreaMapper {
    private AreaMapper() {}

    /**
     * Maps an area whose pages are pinned; all or nothing. Nothing is mapped of memory that was taken away.
     *
     * @param largePages whether contiguous pages are mapped at once, so that they may get one large entry
     * @throws org.iommu4j.IommuException as {@link IommuMapper#map}
     */
    static void map(IommuDomain domain, IoasArea area, boolean largePages) {
        if (area.pages instanceof DmaBufPages exported) {
            exported.map(domain, area, () -> add(domain, area, largePages), () -> remove(domain, area, area.length()));
        } else {
            add(domain, area, largePages);
        }
    }

    private static void add(IommuDomain domain, IoasArea area, boolean largePages) {
        long length = area.length();
        long done = 0;
        try {
            while (done != length) {
                long physicalAddress = area.pages.physicalAddress(area.offset + done);
                long run = largePages
                        ? area.pages.contiguous(area.offset + done, length - done)
                        : toPageEnd(area, done, length);
                IommuMapper.map(domain, area.iova + done, physicalAddress, run, area.prot | area.pages.prot());
                done += run;
            }
        } catch (RuntimeException failure) {
            if (done != 0) {
                RuntimeException second = remove(domain, area, done);
                if (second != null) {
                    failure.addSuppressed(second);
                }
            }
            throw failure;
        }
    }

    /** Unmaps all of an area; returns a failure after which devices may go on using its pages, or null. */
    static @Nullable RuntimeException unmap(IommuDomain domain, IoasArea area) {
        return area.pages instanceof DmaBufPages exported
                ? exported.unmap(domain, area)
                : remove(domain, area, area.length());
    }

    private static @Nullable RuntimeException remove(IommuDomain domain, IoasArea area, long length) {
        IotlbGather gather = new IotlbGather();
        try {
            long unmapped = IommuMapper.unmap(domain, area.iova, length, gather);
            if (unmapped != length) {
                throw new IllegalStateException(
                        "domain " + domain.format() + " unmapped 0x" + Long.toHexString(unmapped) + " bytes at IOVA 0x"
                                + Long.toHexString(area.iova) + ", expected 0x" + Long.toHexString(length));
            }
            return null;
        } catch (RuntimeException failure) {
            return failure;
        }
    }

    private static long toPageEnd(IoasArea area, long from, long length) {
        long inPage = (area.offset + from) & (AreaPages.PAGE_SIZE - 1);
        return Math.min(AreaPages.PAGE_SIZE - inPage, length - from);
    }
}
