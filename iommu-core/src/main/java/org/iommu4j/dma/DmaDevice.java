// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.bits.Hex;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * A device as its kernel driver sees it: buffers in, device addresses out.
 *
 * <p>Mappings are coherent ({@link Prot#CACHE}): a device's ordinary DMA snoops the CPU caches on x86. Nothing here
 * blocks no-snoop; a driver that uses it must flush. Addresses are allocated below 4 GiB first, then up to the device's
 * mask. Once those below 4 GiB have run out, they are no longer tried first. Where the default domain is an identity
 * domain, the device address is the physical one.
 *
 * <p>Thread-safe. Mapping and unmapping allocate heap only while the number of concurrent mappings and unmaps reaches a
 * new maximum. Source: {@code drivers/iommu/dma-iommu.c}, Linux 7.1, with strict flushing.
 */
public final class DmaDevice implements AutoCloseable {
    private static final long FOUR_GIB = 1L << 32;
    private static final int MAX_ORDER = 10;

    private final IommuDevice device;
    private final IommuGroup group;
    private final @Nullable DmaSpace space;
    private final long mask;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final AtomicInteger mappings = new AtomicInteger();
    private final AtomicBoolean closed = new AtomicBoolean();

    /** True until addresses below 4 GiB run out: much hardware handles wide addresses worse than it claims. */
    private volatile boolean lowFirst = true;

    DmaDevice(
            IommuDevice device,
            IommuGroup group,
            @Nullable DmaSpace space,
            long mask,
            SystemMemory memory,
            FrameAllocator frames) {
        this.device = device;
        this.group = group;
        this.space = space;
        this.mask = mask;
        this.memory = memory;
        this.frames = frames;
    }

    /** Returns the device. */
    public IommuDevice device() {
        return device;
    }

    /**
     * Maps a buffer in RAM.
     *
     * @param physicalAddress its first byte
     * @param size bytes, above 0
     * @param direction the direction of the data
     * @return the address for the device; it has the buffer's offset in its page
     * @throws IommuException EINVAL (size 0, or the buffer wraps around), ENOSPC (no IOVA is left below the mask;
     *     Linux: {@code DMA_MAPPING_ERROR}), ERANGE (identity domain and the buffer is beyond the mask; Linux would
     *     bounce it), ENODEV (closed), and as {@link org.iommu4j.core.IommuMapper#map}
     */
    public long map(long physicalAddress, long size, DmaDirection direction) {
        return map(physicalAddress, size, direction.prot() | Prot.CACHE);
    }

    /** Maps one page, {@link SystemMemory#FRAME_SIZE} bytes. As {@link #map(long, long, DmaDirection)}. */
    public long mapPage(long physicalAddress, DmaDirection direction) {
        return map(physicalAddress, SystemMemory.FRAME_SIZE, direction);
    }

    /**
     * Maps registers or memory of another device: {@link Prot#MMIO} and not cached.
     *
     * <p>Source: {@code dma_map_resource}. As {@link #map(long, long, DmaDirection)}.
     */
    public long mapResource(long physicalAddress, long size, DmaDirection direction) {
        return map(physicalAddress, size, direction.prot() | Prot.MMIO);
    }

    /**
     * Unmaps the range of an earlier {@code map} call, and waits until the unit has invalidated it.
     *
     * @param dmaAddress the address that the call returned
     * @param size bytes, as given to the call
     * @throws IommuException EINVAL (not mapped like this), ENODEV (closed), ETIMEDOUT or EIO (the invalidation did not
     *     complete: the range is unmapped, and its address is never allocated again)
     */
    public void unmap(long dmaAddress, long size) {
        requireOpen();
        checkRange(dmaAddress, size);
        DmaSpace addresses = space;
        if (addresses == null) {
            if (mappings.decrementAndGet() < 0) {
                mappings.incrementAndGet();
                throw new IommuException(Errno.EINVAL, "the driver of " + device.id() + " holds no mapping");
            }
            return;
        }
        long offset = dmaAddress & (addresses.granule() - 1);
        long length = pages(addresses, offset, size);
        addresses.withdraw(dmaAddress - offset, length);
        mappings.decrementAndGet();
        addresses.unmap(dmaAddress - offset, length);
    }

    /**
     * Hands a mapped buffer to the CPU. Does nothing: on x86 the device's DMA is coherent, and there are no bounce
     * buffers.
     *
     * @throws IommuException EINVAL (size 0, or the buffer wraps around), ENODEV (closed)
     */
    public void syncForCpu(long dmaAddress, long size, DmaDirection direction) {
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        checkRange(dmaAddress, size);
    }

    /** Hands a mapped buffer to the device. As {@link #syncForCpu}. */
    public void syncForDevice(long dmaAddress, long size, DmaDirection direction) {
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        checkRange(dmaAddress, size);
    }

    /**
     * Allocates contiguous memory, zeroed and mapped in both directions.
     *
     * @param size bytes, 1 to 4 MiB
     * @throws IommuException EINVAL (size), ENOMEM (no such frames), and as {@link #map(long, long, DmaDirection)};
     *     nothing stays allocated, except frames that the device may still reach because an invalidation did not
     *     complete
     */
    public CoherentBuffer allocateCoherent(long size) {
        if (size <= 0 || size > (long) SystemMemory.FRAME_SIZE << MAX_ORDER) {
            throw new IommuException(
                    Errno.EINVAL,
                    "coherent buffer of " + size + " bytes for " + device.id() + ", expected 1 to "
                            + ((long) SystemMemory.FRAME_SIZE << MAX_ORDER));
        }
        int order = order(size);
        long physicalAddress = frames.allocate(order);
        try {
            for (int i = 0; i < 1 << order; i++) {
                memory.storeRun(physicalAddress + (long) i * SystemMemory.FRAME_SIZE, 0, 0, SystemMemory.FRAME_WORDS);
            }
            return new CoherentBuffer(physicalAddress, map(physicalAddress, size, DmaDirection.BIDIRECTIONAL), size);
        } catch (RuntimeException failure) {
            if (!DmaSpace.invalidationFailed(failure)) {
                frames.free(physicalAddress, order);
            }
            throw failure;
        }
    }

    /**
     * Unmaps and frees a coherent buffer.
     *
     * @throws IommuException as {@link #unmap}; when the invalidation did not complete, the frames are not freed: the
     *     device may still reach them
     */
    public void freeCoherent(CoherentBuffer buffer) {
        unmap(buffer.dmaAddress(), buffer.size());
        frames.free(buffer.physicalAddress(), order(buffer.size()));
    }

    /** Returns how many mappings the driver holds. */
    public int mappings() {
        return mappings.get();
    }

    /**
     * Unbinds the driver. Closing again does nothing.
     *
     * @throws IommuException EBUSY while mappings are held; the driver stays bound
     */
    @Override
    public void close() {
        if (closed.get()) {
            return;
        }
        int held = mappings.get();
        if (held != 0) {
            throw new IommuException(
                    Errno.EBUSY, "the driver of " + device.id() + " still holds " + held + " mappings");
        }
        if (closed.compareAndSet(false, true)) {
            group.unuseDefaultDomain(device);
        }
    }

    private long map(long physicalAddress, long size, int prot) {
        requireOpen();
        checkRange(physicalAddress, size);
        DmaSpace addresses = space;
        long dmaAddress;
        if (addresses == null) {
            if (Long.compareUnsigned(physicalAddress + (size - 1), mask) > 0) {
                throw new IommuException(
                        Errno.ERANGE,
                        device.id() + " can't reach 0x" + Long.toHexString(physicalAddress)
                                + " without translation, its mask is 0x" + Long.toHexString(mask));
            }
            dmaAddress = physicalAddress;
        } else {
            long offset = physicalAddress & (addresses.granule() - 1);
            long length = pages(addresses, offset, size);
            long iova = take(addresses, length);
            addresses.map(iova, physicalAddress - offset, length, prot);
            dmaAddress = iova + offset;
        }
        mappings.incrementAndGet();
        return dmaAddress;
    }

    private long take(DmaSpace addresses, long length) {
        if (lowFirst && Long.compareUnsigned(mask, FOUR_GIB) >= 0) {
            long low = addresses.take(length, FOUR_GIB - 1);
            if (low != IovaAllocator.NONE) {
                return low;
            }
            lowFirst = false;
        }
        long iova = addresses.take(length, mask);
        if (iova == IovaAllocator.NONE) {
            throw new IommuException(
                    Errno.ENOSPC,
                    "no IOVA for 0x" + Long.toHexString(length) + " bytes below mask 0x" + Long.toHexString(mask)
                            + " of " + device.id());
        }
        return iova;
    }

    private static long pages(DmaSpace addresses, long offset, long size) {
        long granule = addresses.granule();
        return (offset + size + granule - 1) & -granule;
    }

    private void requireOpen() {
        if (closed.get()) {
            throw new IommuException(Errno.ENODEV, "no driver is bound to " + device.id() + " anymore");
        }
    }

    private static void checkRange(long start, long size) {
        if (size <= 0 || Long.compareUnsigned(start + (size - 1), start) < 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    Hex.of(size) + " bytes at 0x" + Long.toHexString(start)
                            + ", expected at least one, and no wrap around");
        }
    }

    private static int order(long size) {
        long pages = (size + SystemMemory.FRAME_SIZE - 1) / SystemMemory.FRAME_SIZE;
        return pages == 1 ? 0 : 64 - Long.numberOfLeadingZeros(pages - 1);
    }
}
