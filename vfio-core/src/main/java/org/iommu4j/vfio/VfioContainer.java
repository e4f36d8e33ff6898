// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.vfio.type1.DomainState;
import org.iommu4j.vfio.type1.Type1Info;
import org.iommu4j.vfio.type1.Type1Iommu;
import org.jspecify.annotations.Nullable;

/**
 * An open container, {@code /dev/vfio/vfio}: groups that share one process's mappings.
 *
 * <p>It has an IOMMU from {@link #setIommu} until the last group leaves; mappings do not outlive the IOMMU. After
 * {@link #close()}, calls that change something are refused with EBADF. Thread-safe. Source: {@code
 * drivers/vfio/container.c}.
 */
public final class VfioContainer implements AutoCloseable {
    /** The device may read. Source: {@code VFIO_DMA_MAP_FLAG_READ}. */
    public static final int MAP_READ = Type1Iommu.MAP_READ;
    /** The device may write. Source: {@code VFIO_DMA_MAP_FLAG_WRITE}. */
    public static final int MAP_WRITE = Type1Iommu.MAP_WRITE;
    /** Unmap everything; address and size must be 0. Source: {@code VFIO_DMA_UNMAP_FLAG_ALL}. */
    public static final int UNMAP_ALL = Type1Iommu.UNMAP_ALL;

    private final Vfio vfio;
    private final ProcessMemory process;
    private final List<VfioGroup> groups = new ArrayList<>();
    private volatile @Nullable Type1Iommu iommu;
    /** Quarantined pages of earlier IOMMUs of the container; under VFIO's lock. */
    private long quarantinedBefore;

    private boolean closed;

    VfioContainer(Vfio vfio, ProcessMemory process) {
        this.vfio = vfio;
        this.process = process;
    }

    /**
     * Answers whether the container has an extension.
     *
     * <p>{@link VfioExtension#DMA_CC_IOMMU} is 0 before {@link #setIommu}; then it is 1 if and only if every domain
     * blocks no-snoop, and changes as groups come and go.
     *
     * @param extension a number of {@link VfioExtension}, or any other number
     * @return 1 or 0
     */
    public int checkExtension(int extension) {
        return switch (extension) {
            case VfioExtension.TYPE1_IOMMU, VfioExtension.TYPE1V2_IOMMU, VfioExtension.UNMAP_ALL -> 1;
            case VfioExtension.DMA_CC_IOMMU -> {
                Type1Iommu current = iommu;
                yield current != null && current.enforcedCoherent() ? 1 : 0;
            }
            default -> 0;
        };
    }

    /**
     * Sets the container's IOMMU, with all groups of the container.
     *
     * @param type {@link VfioExtension#TYPE1_IOMMU} or {@link VfioExtension#TYPE1V2_IOMMU}
     * @throws IommuException EINVAL (no group, or an IOMMU is already set), ENODEV (no such type), EBADF (closed), and
     *     as {@link Type1Iommu#attachGroup}; the container then has no IOMMU
     */
    public void setIommu(int type) {
        synchronized (vfio.lock) {
            checkOpen();
            if (groups.isEmpty() || iommu != null) {
                throw new IommuException(
                        Errno.EINVAL,
                        groups.isEmpty() ? "the container has no group" : "the container already has an IOMMU");
            }
            if (type != VfioExtension.TYPE1_IOMMU && type != VfioExtension.TYPE1V2_IOMMU) {
                throw new IommuException(Errno.ENODEV, "no IOMMU of type " + type + ", expected type 1 or 3");
            }
            Type1Iommu made = new Type1Iommu(
                    type == VfioExtension.TYPE1V2_IOMMU, process, vfio.rules().type1(vfio.options()));
            int attached = 0;
            try {
                for (; attached < groups.size(); attached++) {
                    made.attachGroup(groups.get(attached).group());
                }
            } catch (RuntimeException failure) {
                for (int i = 0; i < attached; i++) {
                    try {
                        made.detachGroup(groups.get(i).group());
                    } catch (RuntimeException second) {
                        failure.addSuppressed(second);
                    }
                }
                throw failure;
            }
            iommu = made;
        }
    }

    /**
     * Maps memory of the process for all devices.
     *
     * @throws IommuException EINVAL (no IOMMU), and as {@link Type1Iommu#map}
     */
    public void map(long iova, long virtualAddress, long size, int flags) {
        requireIommu().map(iova, virtualAddress, size, flags);
    }

    /**
     * Unmaps a range, and returns the number of bytes unmapped.
     *
     * @throws IommuException EINVAL (no IOMMU), and as {@link Type1Iommu#unmap}
     */
    public long unmap(long iova, long size, int flags) {
        return requireIommu().unmap(iova, size, flags);
    }

    /**
     * Returns the sizes and ranges that can be mapped.
     *
     * @throws IommuException EINVAL (no IOMMU)
     */
    public Type1Info info() {
        return requireIommu().info();
    }

    /** Returns the domains, oldest first; none before {@link #setIommu}. */
    public List<DomainState> domains() {
        Type1Iommu current = iommu;
        return current == null ? List.of() : current.domains();
    }

    /** Returns how many pages stay pinned permanently because an invalidation did not complete. */
    public long quarantinedPages() {
        synchronized (vfio.lock) {
            Type1Iommu current = iommu;
            return quarantinedBefore + (current == null ? 0 : current.quarantinedPages());
        }
    }

    /**
     * Closes the container.
     *
     * @throws IommuException EBUSY while it has groups (in Linux they keep it alive)
     */
    @Override
    public void close() {
        synchronized (vfio.lock) {
            if (!groups.isEmpty()) {
                throw new IommuException(Errno.EBUSY, "the container has " + groups.size() + " groups");
            }
            closed = true;
        }
    }

    boolean hasIommu() {
        return iommu != null;
    }

    /** Adds a group; under VFIO's lock. */
    void add(VfioGroup added) {
        checkOpen();
        if (added.vfio() != vfio) {
            throw new IommuException(Errno.EINVAL, "the container belongs to another host");
        }
        added.group().claimDmaOwner(added);
        Type1Iommu current = iommu;
        if (current != null) {
            try {
                current.attachGroup(added.group());
            } catch (RuntimeException failure) {
                release(added, failure);
                throw failure;
            }
        }
        groups.add(added);
    }

    /** Removes a group, whatever fails; under VFIO's lock. */
    void remove(VfioGroup removed) {
        groups.remove(removed);
        Type1Iommu current = iommu;
        RuntimeException failure = null;
        if (current != null) {
            try {
                current.detachGroup(removed.group());
            } catch (RuntimeException thrown) {
                failure = thrown;
            }
            if (groups.isEmpty()) {
                quarantinedBefore += current.quarantinedPages();
                iommu = null;
            }
        }
        failure = release(removed, failure);
        if (failure != null) {
            throw failure;
        }
    }

    private static @Nullable RuntimeException release(VfioGroup group, @Nullable RuntimeException earlier) {
        try {
            group.group().releaseDmaOwner();
            return earlier;
        } catch (RuntimeException thrown) {
            if (earlier == null) {
                return thrown;
            }
            earlier.addSuppressed(thrown);
            return earlier;
        }
    }

    private Type1Iommu requireIommu() {
        Type1Iommu current = iommu;
        if (current == null) {
            throw new IommuException(Errno.EINVAL, "the container has no IOMMU yet");
        }
        return current;
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the container is closed");
        }
    }
}
