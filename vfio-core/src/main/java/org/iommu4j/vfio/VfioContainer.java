// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.vfio.support.Failures;
import org.iommu4j.vfio.type1.DirtyPages;
import org.iommu4j.vfio.type1.DmaMap;
import org.iommu4j.vfio.type1.DmaUnmap;
import org.iommu4j.vfio.type1.DomainState;
import org.iommu4j.vfio.type1.Type1Info;
import org.iommu4j.vfio.type1.Type1Iommu;
import org.iommu4j.vfio.type1.Type1Version;
import org.iommu4j.vfio.type1.VfioBitmap;
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
    /** A mapping gets a new virtual address. Source: {@code VFIO_DMA_MAP_FLAG_VADDR}. */
    public static final int MAP_VADDR = Type1Iommu.MAP_VADDR;
    /** Get the written pages. Source: {@code VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP}. */
    public static final int UNMAP_GET_DIRTY_BITMAP = Type1Iommu.UNMAP_GET_DIRTY_BITMAP;
    /** Unmap everything; address and size must be 0. Source: {@code VFIO_DMA_UNMAP_FLAG_ALL}. */
    public static final int UNMAP_ALL = Type1Iommu.UNMAP_ALL;
    /** Take only the virtual addresses back. Source: {@code VFIO_DMA_UNMAP_FLAG_VADDR}. */
    public static final int UNMAP_VADDR = Type1Iommu.UNMAP_VADDR;

    private final Vfio vfio;
    private final ProcessMemory process;
    private final List<VfioGroup> groups = new ArrayList<>();
    private volatile @Nullable Type1Iommu iommu;

    /** Whether the container has no IOMMU and its groups need none; written under VFIO's lock. */
    private volatile boolean noIommu;
    /** Quarantined pages of earlier IOMMUs of the container; under VFIO's lock. */
    private long quarantinedBefore;

    private boolean closed;

    VfioContainer(Vfio vfio, ProcessMemory process) {
        this.vfio = vfio;
        this.process = process;
    }

    /** Returns the version of this interface, 0. Source: {@code VFIO_GET_API_VERSION}. */
    public int apiVersion() {
        return 0;
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
        synchronized (vfio.lock) {
            boolean empty = groups.isEmpty();
            if (extension == VfioExtension.NOIOMMU_IOMMU) {
                return vfio.options().enableUnsafeNoIommuMode() && iommu == null && (empty || holdsNoIommu()) ? 1 : 0;
            }
            return empty || !holdsNoIommu() ? type1Extension(extension) : 0;
        }
    }

    /** Source: {@code vfio_iommu_type1_check_extension}. */
    private int type1Extension(int extension) {
        Type1Iommu current = iommu;
        boolean has = switch (extension) {
            case VfioExtension.TYPE1_IOMMU, VfioExtension.TYPE1V2_IOMMU, VfioExtension.UNMAP_ALL -> true;
            case VfioExtension.TYPE1_NESTING_IOMMU -> vfio.rules().nests();
            case VfioExtension.UPDATE_VADDR ->
                current == null ? !vfio.rules().movesAddresses() : current.updatesAddresses();
            case VfioExtension.DMA_CC_IOMMU -> current != null && current.enforcedCoherent();
            default -> false;
        };
        return has ? 1 : 0;
    }

    /** Returns where Linux decides what {@link VfioExtension#DMA_CC_IOMMU} is. */
    public DecisionSource coherencySource() {
        return vfio.rules().containerSource();
    }

    /** Returns where Linux decides whether a domain of the container is asked to block no-snoop. */
    public DecisionSource enforcementSource() {
        return vfio.rules().askingSource();
    }

    private boolean holdsNoIommu() {
        return !groups.isEmpty() && groups.get(0).group().kind == RegisteredGroup.Kind.NO_IOMMU;
    }

    /**
     * Sets the container's IOMMU, with all groups of the container.
     *
     * <p>A type that is an extension, but no type, is EINVAL, and any other number ENODEV. Type 1 for nesting, until
     * 6.12, is version 2 for emulated groups, and refuses every group with an IOMMU.
     *
     * @param type {@link VfioExtension#TYPE1_IOMMU}, {@link VfioExtension#TYPE1V2_IOMMU} or, until 6.12, {@link
     *     VfioExtension#TYPE1_NESTING_IOMMU}; or with groups without an IOMMU {@link VfioExtension#NOIOMMU_IOMMU}
     * @throws IommuException EINVAL (no group, or an IOMMU is already set), ENODEV and EINVAL (no such type), EBADF
     *     (closed), and as {@link Type1Iommu#attachGroup}; the container then has no IOMMU
     */
    public void setIommu(int type) {
        synchronized (vfio.lock) {
            checkOpen();
            if (groups.isEmpty() || hasIommu()) {
                throw new IommuException(
                        Errno.EINVAL,
                        groups.isEmpty() ? "the container has no group" : "the container already has an IOMMU");
            }
            if (checkExtension(type) == 0) {
                throw new IommuException(Errno.ENODEV, "no IOMMU of type " + type + ", expected type 1 or 3");
            }
            if (holdsNoIommu()) {
                noIommu = true;
                return;
            }
            Type1Iommu made =
                    new Type1Iommu(versionOf(type), process, vfio.rules().type1(vfio.options()));
            int attached = 0;
            try {
                for (; attached < groups.size(); attached++) {
                    attach(made, groups.get(attached).group());
                }
            } catch (RuntimeException failure) {
                for (int i = attached - 1; i >= 0; i--) {
                    try {
                        detach(made, groups.get(i).group());
                    } catch (RuntimeException second) {
                        failure.addSuppressed(second);
                    }
                }
                throw failure;
            }
            iommu = made;
        }
    }

    private static Type1Version versionOf(int type) {
        return switch (type) {
            case VfioExtension.TYPE1_IOMMU -> Type1Version.TYPE1;
            case VfioExtension.TYPE1V2_IOMMU -> Type1Version.TYPE1V2;
            case VfioExtension.TYPE1_NESTING_IOMMU -> Type1Version.NESTING;
            default ->
                throw new IommuException(Errno.EINVAL, "extension " + type + " is no type, expected type 1 or 3");
        };
    }

    private static void attach(Type1Iommu to, RegisteredGroup group) {
        if (group.kind == RegisteredGroup.Kind.EMULATED) {
            to.attachEmulated(group);
        } else {
            to.attachGroup(group.requireIommuGroup());
        }
    }

    private static void detach(Type1Iommu from, RegisteredGroup group) {
        if (group.kind == RegisteredGroup.Kind.EMULATED) {
            from.detachEmulated(group);
        } else {
            from.detachGroup(group.requireIommuGroup());
        }
    }

    /**
     * Maps memory of the process that opened the container for all devices.
     *
     * @throws IommuException EINVAL (no IOMMU), ENOTTY (the groups need none), and as {@link Type1Iommu#map(long, long,
     *     long, int)}
     */
    public void map(long iova, long virtualAddress, long size, int flags) {
        requireIommu().map(iova, virtualAddress, size, flags);
    }

    /**
     * Maps memory of a process that has the container from the one that opened it, as a child has.
     *
     * @param caller the process that calls
     * @throws IommuException as {@link #map(long, long, long, int)}
     */
    public void map(ProcessMemory caller, long iova, long virtualAddress, long size, int flags) {
        requireIommu().map(caller, iova, virtualAddress, size, flags);
    }

    /**
     * Maps memory, for a caller who names the size of the argument.
     *
     * @throws IommuException EINVAL (no IOMMU; fewer than {@link DmaMap#SIZE} bytes), and as {@link #map(long, long,
     *     long, int)}
     */
    public void map(DmaMap argument) {
        Objects.requireNonNull(argument, "argument");
        Type1Iommu current = requireIommu();
        checkSize(argument.argsz(), DmaMap.SIZE);
        current.map(argument.iova(), argument.virtualAddress(), argument.size(), argument.flags());
    }

    /**
     * Unmaps a range, and returns the number of bytes unmapped.
     *
     * @throws IommuException EINVAL (no IOMMU), ENOTTY (the groups need none), and as {@link Type1Iommu#unmap(long,
     *     long, int)}
     */
    public long unmap(long iova, long size, int flags) {
        return requireIommu().unmap(iova, size, flags);
    }

    /**
     * Unmaps a range, for a caller who names the size of the argument, or wants the written pages.
     *
     * @return the number of bytes unmapped
     * @throws IommuException EINVAL (no IOMMU; fewer than {@link DmaUnmap#SIZE} bytes; written pages together with
     *     other flags, or in fewer than {@link DmaUnmap#SIZE_WITH_BITMAP} bytes), and as {@link #unmap(long, long,
     *     int)} and {@link Type1Iommu#unmap(long, long, VfioBitmap)}
     */
    public long unmap(DmaUnmap argument) {
        Objects.requireNonNull(argument, "argument");
        Type1Iommu current = requireIommu();
        checkSize(argument.argsz(), DmaUnmap.SIZE);
        if ((argument.flags() & UNMAP_GET_DIRTY_BITMAP) == 0) {
            return current.unmap(argument.iova(), argument.size(), argument.flags());
        }
        VfioBitmap bitmap = argument.bitmap();
        if (argument.flags() != UNMAP_GET_DIRTY_BITMAP || bitmap == null) {
            throw new IommuException(
                    Errno.EINVAL,
                    "flags 0x" + Integer.toHexString(argument.flags()) + " with a bitmap, expected only its own");
        }
        checkSize(argument.argsz(), DmaUnmap.SIZE_WITH_BITMAP);
        return current.unmap(argument.iova(), argument.size(), bitmap);
    }

    private static void checkSize(int argsz, int expected) {
        if (Integer.compareUnsigned(argsz, expected) < 0) {
            throw new IommuException(Errno.EINVAL, argsz + " bytes of an argument, expected at least " + expected);
        }
    }

    /**
     * Begins to track written pages, ends it, or gets them. Source: {@code VFIO_IOMMU_DIRTY_PAGES}.
     *
     * @throws IommuException EINVAL (no IOMMU), ENOTTY (the groups need none), and as {@link Type1Iommu#dirtyPages}
     */
    public void dirtyPages(DirtyPages argument) {
        requireIommu().dirtyPages(argument);
    }

    /**
     * Returns the sizes and ranges that can be mapped, to a caller who has room for everything.
     *
     * @throws IommuException EINVAL (no IOMMU), ENOTTY (the groups need none)
     */
    public Type1Info info() {
        return requireIommu().info();
    }

    /**
     * Returns the sizes and ranges that can be mapped.
     *
     * @param argsz how many bytes the caller has
     * @throws IommuException EINVAL (no IOMMU), ENOTTY (the groups need none), and as {@link Type1Iommu#info(int)}
     */
    public Type1Info info(int argsz) {
        return requireIommu().info(argsz);
    }

    /** Pins memory for the driver of an emulated device. */
    void pinPages(long iova, int prot, long[] frames) {
        requireIommu().pinPages(iova, prot, frames);
    }

    /** Unpins memory that the driver of an emulated device has pinned. */
    void unpinPages(long iova, int count) {
        requireIommu().unpinPages(iova, count);
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
        return iommu != null || noIommu;
    }

    /** Adds a group; under VFIO's lock. */
    void add(VfioGroup added) {
        checkOpen();
        if (added.vfio() != vfio) {
            throw new IommuException(Errno.EINVAL, "the container belongs to another host");
        }
        RegisteredGroup group = added.group();
        if (!groups.isEmpty() && holdsNoIommu() != (group.kind == RegisteredGroup.Kind.NO_IOMMU)) {
            throw new IommuException(Errno.EPERM, "groups with and without an IOMMU can't share a container");
        }
        boolean claims = group.iommuGroup != null && vfio.rules().claimsGroups();
        if (claims) {
            group.requireIommuGroup().claimDmaOwner(added);
        }
        Type1Iommu current = iommu;
        if (current != null) {
            try {
                attach(current, group);
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
                detach(current, removed.group());
            } catch (RuntimeException thrown) {
                failure = thrown;
            }
        }
        if (groups.isEmpty()) {
            quarantinedBefore += current == null ? 0 : current.quarantinedPages();
            iommu = null;
            noIommu = false;
        }
        failure = release(removed, failure);
        if (failure != null) {
            throw failure;
        }
    }

    /** Returns a group's DMA to the kernel, where it was claimed. */
    private @Nullable RuntimeException release(VfioGroup group, @Nullable RuntimeException earlier) {
        if (group.group().iommuGroup == null || !vfio.rules().claimsGroups()) {
            return earlier;
        }
        return Failures.run(earlier, () -> group.group().requireIommuGroup().releaseDmaOwner());
    }

    private Type1Iommu requireIommu() {
        Type1Iommu current = iommu;
        if (current == null) {
            throw noIommu
                    ? new IommuException(Errno.ENOTTY, "the container's groups have no IOMMU")
                    : new IommuException(Errno.EINVAL, "the container has no IOMMU yet");
        }
        return current;
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the container is closed");
        }
    }
}
