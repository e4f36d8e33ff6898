// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.core.IommuMapper;
import org.jspecify.annotations.Nullable;

/**
 * Adds mappings to all domains of a container, and removes them.
 *
 * <p>Only the first domain records the pages of a mapping: they are found by translating in it, as in Linux.
 * Under the container's lock. Source: {@code vfio_pin_map_dma}, {@code vfio_unmap_unpin}, {@code vfio_iommu_replay}.
 */
final class Type1Mapper {
    /** Number of runs that are unpinned after one flush; as many as pages are pinned at once. */
    private static final int BATCH = PinnedPages.BATCH;

    private final List<Type1Domain> domains;
    private final PinnedPages pages;
    private final long[] unmappedOffset = new long[BATCH];
    private final long[] unmappedAt = new long[BATCH];
    private final long[] unmappedSize = new long[BATCH];
    private final IotlbGather gather = new IotlbGather();

    /**
     * Makes a mapper.
     *
     * @param domains the container's domains, a list that changes
     */
    Type1Mapper(List<Type1Domain> domains, PinnedPages pages) {
        this.domains = domains;
        this.pages = pages;
    }

    /**
     * Pins a mapping's pages and maps them in every domain.
     *
     * @throws IommuException EFAULT, ENOMEM, and as {@link IommuMapper#map}; nothing stays mapped, pinned or charged
     */
    void map(DmaMapping mapping) {
        long mapped = 0;
        long run = 0;
        long runSize = 0;
        long offset = 0;
        int pinned = 0;
        int used = 0;
        try {
            while (offset != mapping.size) {
                used = 0;
                pinned = 0;
                long left = (mapping.size - offset) >>> PinnedPages.PAGE_SHIFT;
                pinned = pages.pin(mapping, offset, (int) Math.min(left, BATCH));
                offset += (long) pinned << PinnedPages.PAGE_SHIFT;
                while (used < pinned) {
                    long frame = pages.frame(used);
                    if (runSize != 0 && frame != run + runSize) {
                        mapEverywhere(mapping.iova + mapped, run, runSize, mapping.prot);
                        mapped += runSize;
                        runSize = 0;
                    }
                    if (runSize == 0) {
                        run = frame;
                    }
                    runSize += PinnedPages.PAGE_SIZE;
                    used++;
                }
            }
            mapEverywhere(mapping.iova + mapped, run, runSize, mapping.prot);
            mapping.mapped = true;
        } catch (RuntimeException failure) {
            pages.noteLost(failure);
            if (mapped != 0) {
                PinnedPages.noteSuppressed(failure, unmapEverywhere(mapping, mapped, null));
            }
            pages.giveBack(mapping, mapped, run, runSize);
            for (long at = mapped + runSize; used < pinned; used++, at += PinnedPages.PAGE_SIZE) {
                pages.giveBack(mapping, at, pages.frame(used), PinnedPages.PAGE_SIZE);
            }
            throw failure;
        }
    }

    private void mapEverywhere(long iova, long physicalAddress, long size, int prot) {
        int done = 0;
        try {
            for (; done < domains.size(); done++) {
                Type1Domain domain = domains.get(done);
                IommuMapper.map(domain.domain, iova, physicalAddress, size, prot | domain.prot);
            }
        } catch (RuntimeException failure) {
            pages.noteLost(failure);
            for (int i = 0; i < done; i++) {
                PinnedPages.noteSuppressed(failure, unmapFrom(domains.get(i).domain, iova, size));
            }
            throw failure;
        }
    }

    /**
     * Maps all mappings in a new domain: as the first domain has them, or where there is none, after pinning them.
     *
     * <p>After a failure what was pinned here is unpinned; the rest is freed with the new domain. A page that the first
     * domain lost is a bug of the model, and refused as one; Linux warns and passes over it.
     */
    void replay(Iterable<DmaMapping> mappings, Type1Domain target) {
        List<DmaMapping> pinned = new ArrayList<>();
        Type1Mapper alone = null;
        try {
            for (DmaMapping mapping : mappings) {
                if (mapping.mapped) {
                    copy(mapping, target);
                } else {
                    alone = alone == null ? new Type1Mapper(List.of(target), pages) : alone;
                    alone.map(mapping);
                    pinned.add(mapping);
                }
            }
        } catch (RuntimeException failure) {
            for (DmaMapping mapping : pinned) {
                mapping.mapped = false;
                PinnedPages.noteSuppressed(failure, unmapFirst(target.domain, mapping, mapping.size, null));
            }
            throw failure;
        }
    }

    private void copy(DmaMapping mapping, Type1Domain target) {
        IommuDomain source = domains.get(0).domain;
        long done = 0;
        while (done != mapping.size) {
            long iova = mapping.iova + done;
            long physicalAddress = physicalAddress(source, iova);
            long size = contiguous(source, iova, physicalAddress, mapping.size - done);
            IommuMapper.map(target.domain, iova, physicalAddress, size, mapping.prot | target.prot);
            done += size;
        }
    }

    /**
     * Unmaps a mapping, from the first domain last: only that domain records the pages. They are unpinned once no
     * device can reach them. Never throws.
     *
     * @param earlier the earlier failure, or null
     * @return the failure so far, or null
     */
    @Nullable
    RuntimeException unmap(DmaMapping mapping, @Nullable RuntimeException earlier) {
        if (!mapping.mapped) {
            return earlier;
        }
        mapping.mapped = false;
        return unmapEverywhere(mapping, mapping.size, earlier);
    }

    /** Unmaps the first bytes of a mapping. */
    private @Nullable RuntimeException unmapEverywhere(
            DmaMapping mapping, long size, @Nullable RuntimeException earlier) {
        RuntimeException failure = earlier;
        for (int i = 1; i < domains.size(); i++) {
            RuntimeException lost = unmapFrom(domains.get(i).domain, mapping.iova, size);
            if (lost != null) {
                failure = pages.noted(failure, lost);
            }
        }
        return unmapFirst(domains.get(0).domain, mapping, size, failure);
    }

    /** Unmaps the first bytes of a mapping from the domain that records their pages, and unpins these. */
    private @Nullable RuntimeException unmapFirst(
            IommuDomain first, DmaMapping mapping, long size, @Nullable RuntimeException earlier) {
        RuntimeException failure = earlier;
        long done = 0;
        int runs = 0;
        try {
            while (done != size) {
                long iova = mapping.iova + done;
                long physicalAddress = physicalAddress(first, iova);
                // A leaf is contiguous, so that a contiguous run never ends inside one.
                long length = contiguous(first, iova, physicalAddress, size - done);
                long unmapped = IommuMapper.unmapNosync(first, iova, length, gather);
                if (unmapped != length) {
                    throw wrongUnmap(first, iova, length, unmapped);
                }
                unmappedOffset[runs] = done;
                unmappedAt[runs] = physicalAddress;
                unmappedSize[runs] = length;
                runs++;
                done += length;
                if (runs == BATCH || done == size) {
                    RuntimeException lost = flush(first, mapping, runs);
                    failure = lost == null ? failure : pages.noted(failure, lost);
                    runs = 0;
                }
            }
        } catch (RuntimeException thrown) {
            failure = pages.noted(failure, thrown);
            pages.invalidationLost();
            giveBack(mapping, runs);
            pages.quarantine((size - done) >>> PinnedPages.PAGE_SHIFT);
            gather.reset();
        }
        return failure;
    }

    /** Invalidates the ranges unmapped from the first domain, and unpins their pages; returns a failure, or null. */
    private @Nullable RuntimeException flush(IommuDomain first, DmaMapping mapping, int runs) {
        RuntimeException failure = null;
        try {
            first.sync(gather);
        } catch (RuntimeException thrown) {
            failure = thrown;
            pages.invalidationLost();
            gather.reset();
        }
        giveBack(mapping, runs);
        return failure;
    }

    private void giveBack(DmaMapping mapping, int runs) {
        for (int i = 0; i < runs; i++) {
            pages.giveBack(mapping, unmappedOffset[i], unmappedAt[i], unmappedSize[i]);
        }
    }

    /** Unmaps from one domain without touching pins; returns a failure, or null. */
    private @Nullable RuntimeException unmapFrom(IommuDomain domain, long iova, long size) {
        try {
            long unmapped = IommuMapper.unmap(domain, iova, size, gather);
            if (unmapped != size) {
                throw wrongUnmap(domain, iova, size, unmapped);
            }
            return null;
        } catch (RuntimeException failure) {
            pages.invalidationLost();
            gather.reset();
            return failure;
        }
    }

    private static IllegalStateException wrongUnmap(IommuDomain domain, long iova, long size, long unmapped) {
        return new IllegalStateException("domain " + domain.format() + " unmapped 0x" + Long.toHexString(unmapped)
                + " bytes at IOVA 0x" + Long.toHexString(iova) + ", expected 0x" + Long.toHexString(size));
    }

    private static long physicalAddress(IommuDomain domain, long iova) {
        long physicalAddress = domain.translate(iova);
        if (physicalAddress == IommuDomain.UNMAPPED) {
            throw new IllegalStateException(
                    "domain " + domain.format() + " lost the mapping at IOVA 0x" + Long.toHexString(iova));
        }
        return physicalAddress;
    }

    private static long contiguous(IommuDomain domain, long iova, long physicalAddress, long limit) {
        long size = PinnedPages.PAGE_SIZE;
        while (size != limit && domain.translate(iova + size) == physicalAddress + size) {
            size += PinnedPages.PAGE_SIZE;
        }
        return size;
    }
}
