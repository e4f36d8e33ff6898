// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Supplier;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.vfio.support.Failures;
import org.jspecify.annotations.Nullable;

/**
 * A part of a {@link DmaBuf}, whose exporter may take it away.
 *
 * <p>It knows where its areas are mapped, so that they can be unmapped without the locks of their IOAS. Nothing is
 * pinned, and nobody charged. Thread-safe: its monitor is taken inside an IOAS's, and inside the buffer's. Source:
 * {@code struct iopt_pages_dmabuf}, {@code iopt_revoke_notify}.
 */
final class DmaBufPages extends AreaPages {
    /** How an area is unmapped from a domain. */
    private record Mapping(IommuDomain domain, Object area, Supplier<@Nullable RuntimeException> unmap) {}

    private final long physicalAddress;
    private final long start;
    private final boolean writable;
    private final List<Mapping> mappings = new ArrayList<>();
    private boolean revoked;

    /**
     * Makes a part.
     *
     * @param physicalAddress where the page of its first byte is
     * @param start the offset of that page in the buffer
     */
    DmaBufPages(long physicalAddress, long start, boolean writable) {
        this.physicalAddress = physicalAddress;
        this.start = start;
        this.writable = writable;
    }

    @Override
    boolean writable() {
        return writable;
    }

    @Override
    boolean isMemory() {
        return false;
    }

    @Override
    int prot() {
        return Prot.MMIO;
    }

    @Override
    long virtualAddress(long offset) {
        return start + offset;
    }

    @Override
    void pin(long offset, long length) {
        // Registers stay where they are.
    }

    @Override
    void charge() {
        // Nothing was pinned.
    }

    @Override
    void unpin(long offset, long length, boolean dirty) {
        // As above.
    }

    @Override
    long physicalAddress(long offset) {
        return physicalAddress + offset;
    }

    @Override
    long contiguous(long offset, long length) {
        return length;
    }

    @Override
    synchronized boolean isRevoked() {
        return revoked;
    }

    /**
     * Maps an area in a domain, unless the memory was taken away.
     *
     * @param area the area, as a key
     * @param map maps it
     * @param unmap unmaps it, called without the lock of its IOAS, and returns a failure or null
     */
    synchronized void map(IommuDomain domain, Object area, Runnable map, Supplier<@Nullable RuntimeException> unmap) {
        if (!revoked) {
            map.run();
            mappings.add(new Mapping(domain, area, unmap));
        }
    }

    /** Unmaps an area from a domain, unless that was done already; returns a failure, or null. */
    synchronized @Nullable RuntimeException unmap(IommuDomain domain, Object area) {
        for (Iterator<Mapping> each = mappings.iterator(); each.hasNext(); ) {
            Mapping mapping = each.next();
            if (mapping.domain() == domain && mapping.area() == area) {
                each.remove();
                return mapping.unmap().get();
            }
        }
        return null;
    }

    /** Unmaps it everywhere, for good; returns a failure after which devices may go on using it, or null. */
    synchronized @Nullable RuntimeException revoke() {
        revoked = true;
        RuntimeException failure = null;
        for (Mapping mapping : mappings) {
            RuntimeException lost = mapping.unmap().get();
            failure = lost == null ? failure : Failures.joined(failure, lost);
        }
        mappings.clear();
        return failure;
    }
}
