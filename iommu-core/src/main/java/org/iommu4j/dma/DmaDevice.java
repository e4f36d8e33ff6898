// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.bits.Hex;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * A device as its kernel driver sees it: buffers in, device addresses out.
 *
 * <p>Mappings of a coherent device have {@link Prot#CACHE}: its ordinary DMA snoops the CPU caches. Nothing here blocks
 * no-snoop; a driver that uses it must flush. For a device that is not coherent the caches are written back before the
 * device reads, and before the CPU reads what the device wrote ({@link SystemMemory#writeBack}, which drops the lines
 * too).
 *
 * <p>Addresses of a PCI device are allocated below 4 GiB first, then up to the device's mask; those of other devices up
 * to the mask. A device that is not trusted reaches no byte beside its buffers: one that does not begin and end with a
 * page is replaced by a bounce buffer. Where the default domain is an identity domain, the device address is the
 * physical one, or that of a bounce buffer when the buffer is beyond the mask.
 *
 * <p>Thread-safe. Mapping and unmapping allocate heap only while the number of concurrent mappings and unmaps reaches a
 * new maximum. Source: {@code drivers/iommu/dma-iommu.c}, {@code kernel/dma/direct.c}; what depends on the release is
 * in {@link DmaRules}.
 */
public final class DmaDevice implements AutoCloseable {
    private static final long LOW_MASK = 0xffff_ffffL;
    private static final int MAX_ORDER = 10;
    private static final int PAGE_SHIFT = 12;
    private static final long PAGE_SIZE = SystemMemory.FRAME_SIZE;
    private static final long MAX_COHERENT = 1L << 30;

    /** What the devices of a machine share. */
    record Machine(
            SystemMemory memory,
            FrameAllocator frames,
            BouncePool bounce,
            @Nullable CoherentPool coherentPool,
            DmaOptions options) {}

    private final IommuDevice device;
    private final IommuGroup group;
    private final @Nullable DmaSpace space;
    private final DmaParameters parameters;
    private final DmaRules rules;
    private final boolean untrusted;
    private final Machine machine;
    private final SystemMemory memory;
    private final Runnable unbound;
    private final AtomicInteger mappings = new AtomicInteger();
    private final AtomicBoolean closed = new AtomicBoolean();

    /** True until addresses below 4 GiB run out: much hardware handles wide addresses worse than it claims. */
    private volatile boolean lowFirst;

    DmaDevice(
            IommuDevice device,
            IommuGroup group,
            @Nullable DmaSpace space,
            DmaParameters parameters,
            boolean untrusted,
            Machine machine,
            Runnable unbound) {
        this.device = device;
        this.group = group;
        this.space = space;
        this.parameters = parameters;
        this.rules = DmaRules.of(device.iommu().release());
        this.untrusted = untrusted;
        this.machine = machine;
        this.memory = machine.memory();
        this.unbound = unbound;
        this.lowFirst = device.id() instanceof PciAddress
                && !machine.options().forcedac()
                && Long.compareUnsigned(parameters.mask(), LOW_MASK) > 0;
    }

    /** Returns the device. */
    public IommuDevice device() {
        return device;
    }

    /** Returns what its driver and firmware say of its DMA. */
    public DmaParameters parameters() {
        return parameters;
    }

    /**
     * Maps a buffer in RAM, and hands it to the device.
     *
     * @param physicalAddress its first byte
     * @param size bytes, above 0
     * @param direction the direction of the data
     * @return the address for the device; it has the buffer's offset in its page, or is a page's first byte where a
     *     bounce buffer takes the buffer's place
     * @throws IommuException EINVAL (size 0, the buffer wraps around, or a bounce buffer of more than 256 KiB), ENOSPC
     *     (no IOVA is left below the mask), ENOMEM (no bounce buffer is left), ERANGE (identity domain, and neither the
     *     buffer nor a bounce buffer is below the mask), ENODEV (closed), and as {@link
     *     org.iommu4j.core.IommuMapper#map}. Linux answers all with {@code DMA_MAPPING_ERROR}
     */
    public long map(long physicalAddress, long size, DmaDirection direction) {
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        checkRange(physicalAddress, size);
        long dmaAddress = mapAnywhere(physicalAddress, size, direction);
        mappings.incrementAndGet();
        return dmaAddress;
    }

    /** Maps one page, {@link SystemMemory#FRAME_SIZE} bytes. As {@link #map(long, long, DmaDirection)}. */
    public long mapPage(long physicalAddress, DmaDirection direction) {
        return map(physicalAddress, PAGE_SIZE, direction);
    }

    /**
     * Maps registers or memory of another device: {@link Prot#MMIO} and not cached.
     *
     * <p>Source: {@code dma_map_resource}. Failures are those of {@link #map(long, long, DmaDirection)}.
     */
    public long mapResource(long physicalAddress, long size, DmaDirection direction) {
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        checkRange(physicalAddress, size);
        DmaSpace addresses = space;
        if (addresses == null) {
            requireReached(physicalAddress, size);
        }
        long dmaAddress = addresses == null
                ? physicalAddress
                : mapPages(addresses, physicalAddress, size, direction.prot() | Prot.MMIO);
        mappings.incrementAndGet();
        return dmaAddress;
    }

    /**
     * Unmaps the range of an earlier {@code map} call, and hands the buffer to the CPU.
     *
     * <p>In a strict domain this waits until the unit has invalidated the range. In a lazy one the device may reach the
     * range until the next flush.
     *
     * @param dmaAddress the address that the call returned
     * @param size bytes, as given to the call
     * @param direction as given to the call
     * @throws IommuException EINVAL (not mapped like this), ENODEV (closed), ETIMEDOUT or EIO (an invalidation did not
     *     complete: the range is unmapped, its address is never allocated again, and a bounce buffer is kept with its
     *     data)
     */
    public void unmap(long dmaAddress, long size, DmaDirection direction) {
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        checkRange(dmaAddress, size);
        long target = withdraw(dmaAddress, size, direction);
        withdrawMapping();
        release(dmaAddress, size, direction, target, true);
    }

    /**
     * Unmaps the range of an earlier {@link #mapResource} call.
     *
     * @throws IommuException as {@link #unmap}
     */
    public void unmapResource(long dmaAddress, long size) {
        requireOpen();
        checkRange(dmaAddress, size);
        unmapOnly(dmaAddress, size);
    }

    /**
     * Maps all pieces of a list, and hands them to the device: to one range of addresses, in as few segments as the
     * device's limits allow.
     *
     * <p>Neighbouring pieces that meet at a page become one segment. No segment crosses the device's boundary unless a
     * piece does that is longer, and none is made longer than the device takes. As in Linux, memory after the end of a
     * piece is mapped too where the next piece has to begin after a boundary. Each piece has a segment of its own where
     * the device is not trusted, or the default domain is an identity domain. Source: {@code iommu_dma_map_sg}.
     *
     * @return the number of segments, at least 1
     * @throws IommuException EINVAL (no piece), EBUSY (the list is mapped), ENOMEM (no IOVA is left below the mask),
     *     and as {@link #map}; nothing is mapped
     */
    public int mapScatter(ScatterList list, DmaDirection direction) {
        Objects.requireNonNull(list, "list");
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        list.requireNotMapped();
        if (list.pieces() == 0) {
            throw new IommuException(Errno.EINVAL, "a scatter list without pieces for " + device.id());
        }
        DmaSpace addresses = space;
        if (addresses == null || untrusted) {
            mapSingly(list, direction);
        } else {
            forDevice(list);
            long boundary = parameters.segmentBoundary();
            long total = list.plan(addresses.granule(), boundary);
            long iova = takeOrNone(addresses, total);
            if (iova == IovaAllocator.NONE) {
                throw new IommuException(Errno.ENOMEM, noIova(total));
            }
            addresses.mapPieces(iova, list.mappedStarts(), list.mappedLengths(), list.pieces(), total, prot(direction));
            list.finish(iova, boundary, parameters.maxSegmentSize());
        }
        mappings.incrementAndGet();
        return list.segments();
    }

    /**
     * Unmaps a list, and hands its pieces to the CPU.
     *
     * @param direction as given to {@link #mapScatter}
     * @throws IommuException EINVAL (not mapped like this), ENODEV (closed), ETIMEDOUT or EIO as {@link #unmap}: the
     *     list is unmapped all the same
     */
    public void unmapScatter(ScatterList list, DmaDirection direction) {
        Objects.requireNonNull(list, "list");
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        if (!list.isMapped()) {
            throw new IommuException(Errno.EINVAL, "a scatter list of " + list.pieces() + " pieces is not mapped");
        }
        DmaSpace addresses = space;
        if (addresses == null || list.isSingle()) {
            unmapSingly(list, direction);
            return;
        }
        addresses.withdraw(list.iova(), list.total());
        withdrawMapping();
        forCpu(list, direction);
        list.unmapped();
        addresses.unmap(list.iova(), list.total());
    }

    /**
     * Hands a mapped buffer, or part of one, to the CPU: what the device wrote is in the driver's buffer, and no cache
     * hides it.
     *
     * @param size bytes, above 0
     * @param direction as given to {@link #map}
     * @throws IommuException EINVAL (size 0, the buffer wraps around or is not mapped), ENODEV (closed)
     */
    public void syncForCpu(long dmaAddress, long size, DmaDirection direction) {
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        checkRange(dmaAddress, size);
        long target = targetOf(dmaAddress);
        if (!parameters.coherent() && direction.fromDevice()) {
            memory.writeBack(target, size);
        }
        if (isBounce(target) && direction.fromDevice()) {
            machine.bounce().copyOut(target, size);
        }
    }

    /**
     * Hands a mapped buffer, or part of one, to the device: what the CPU wrote is where the device reads it.
     *
     * @throws IommuException as {@link #syncForCpu}
     */
    public void syncForDevice(long dmaAddress, long size, DmaDirection direction) {
        Objects.requireNonNull(direction, "direction");
        requireOpen();
        checkRange(dmaAddress, size);
        long target = targetOf(dmaAddress);
        if (isBounce(target) && direction.toDevice()) {
            machine.bounce().copyIn(target, size);
        }
        if (!parameters.coherent()) {
            memory.writeBack(target, size);
        }
    }

    /**
     * Allocates memory for a driver that may sleep: zeroed, mapped in both directions, contiguous for the device.
     *
     * @param size bytes, 1 to 1 GiB; to 4 MiB where the memory is contiguous for the driver too: in an identity domain,
     *     and before 5.18
     * @throws IommuException EINVAL (size), ENOMEM (no such frames), and as {@link #map(long, long, DmaDirection)};
     *     nothing stays allocated, except frames that the device may still reach because an invalidation did not
     *     complete
     */
    public CoherentBuffer allocateCoherent(long size) {
        requireOpen();
        DmaSpace addresses = space;
        if (addresses == null || !rules.coherentScattered()) {
            return allocateContiguous(size);
        }
        checkCoherent(size, MAX_COHERENT);
        long[] starts = new long[16];
        long[] lengths = new long[16];
        int pieces = 0;
        long left = (size + addresses.granule() - 1) & -addresses.granule();
        long orders = ((addresses.pageSizes() | PAGE_SIZE) >>> PAGE_SHIFT) & ((2L << MAX_ORDER) - 1);
        try {
            while (left != 0) {
                orders &= (Long.highestOneBit(left >>> PAGE_SHIFT) << 1) - 1;
                if (pieces == starts.length) {
                    starts = Arrays.copyOf(starts, pieces * 2);
                    lengths = Arrays.copyOf(lengths, pieces * 2);
                }
                orders = allocatePiece(orders, starts, pieces);
                lengths[pieces] = Long.highestOneBit(orders) << PAGE_SHIFT;
                left -= lengths[pieces++];
            }
            starts = Arrays.copyOf(starts, pieces);
            lengths = Arrays.copyOf(lengths, pieces);
            return mapCoherent(CoherentBuffer.Origin.FRAMES, starts, lengths, size);
        } catch (RuntimeException failure) {
            freeFrames(starts, lengths, pieces, failure);
            throw failure;
        }
    }

    /**
     * Allocates memory for a driver that may not sleep: zeroed, mapped in both directions, contiguous for both.
     *
     * <p>For a device that is not coherent it comes from a pool that was made when the first such device was bound.
     *
     * @param size bytes, 1 to 4 MiB
     * @throws IommuException EINVAL (size), ENOMEM (no such frames, or the pool has none), and as {@link
     *     #map(long, long, DmaDirection)}; nothing stays allocated, except frames that the device may still reach
     */
    public CoherentBuffer allocateCoherentAtomic(long size) {
        requireOpen();
        CoherentPool pool = machine.coherentPool();
        if (pool == null) {
            return allocateContiguous(size);
        }
        checkCoherent(size, PAGE_SIZE << MAX_ORDER);
        int pages = (int) ((size + PAGE_SIZE - 1) >>> PAGE_SHIFT);
        long[] starts = {pool.allocate(pages)};
        long[] lengths = {(long) pages << PAGE_SHIFT};
        try {
            return mapCoherent(CoherentBuffer.Origin.POOL, starts, lengths, size);
        } catch (RuntimeException failure) {
            if (!DmaSpace.invalidationFailed(failure)) {
                pool.free(starts[0], pages);
            }
            throw failure;
        }
    }

    /**
     * Unmaps and frees a coherent buffer. In a lazy domain the device may reach the freed frames until the next flush.
     *
     * @throws IommuException EINVAL (another device's, or freed already), ENODEV (closed), ETIMEDOUT or EIO as {@link
     *     #unmap}: the frames are not freed, since the device may still reach them
     */
    public void freeCoherent(CoherentBuffer buffer) {
        Objects.requireNonNull(buffer, "buffer");
        requireOpen();
        if (buffer.owner() != this || !buffer.freeOnce()) {
            throw new IommuException(Errno.EINVAL, "free of " + buffer + " for " + device.id());
        }
        unmapOnly(buffer.dmaAddress(), buffer.size());
        if (buffer.origin() == CoherentBuffer.Origin.POOL) {
            Objects.requireNonNull(machine.coherentPool())
                    .free(buffer.start(0), (int) (buffer.length(0) >>> PAGE_SHIFT));
            return;
        }
        for (int i = 0; i < buffer.pieces(); i++) {
            machine.frames().free(buffer.start(i), order(buffer.length(i)));
        }
    }

    /** Returns how many mappings the driver holds; a scatter list is one. */
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
            unbound.run();
        }
    }

    private long mapAnywhere(long physicalAddress, long size, DmaDirection direction) {
        DmaSpace addresses = space;
        boolean bounced = addresses == null
                ? !reaches(physicalAddress, size)
                : untrusted && ((physicalAddress | size) & (addresses.granule() - 1)) != 0;
        if (bounced) {
            return mapBounced(physicalAddress, size, direction);
        }
        if (!parameters.coherent()) {
            memory.writeBack(physicalAddress, size);
        }
        return addresses == null ? physicalAddress : mapPages(addresses, physicalAddress, size, prot(direction));
    }

    private long mapBounced(long physicalAddress, long size, DmaDirection direction) {
        DmaSpace addresses = space;
        long alignment = addresses == null ? PAGE_SIZE : Math.max(PAGE_SIZE, addresses.granule());
        long length = (size + alignment - 1) & -alignment;
        long buffer = machine.bounce().take(physicalAddress, size, length, alignment, direction);
        try {
            if (addresses == null) {
                requireReached(buffer, length);
            }
            machine.bounce().fill(buffer, size, length, direction, rules.bounceKeepsData());
            if (!parameters.coherent()) {
                memory.writeBack(buffer, length);
            }
            return addresses == null ? buffer : mapPages(addresses, buffer, size, prot(direction));
        } catch (RuntimeException failure) {
            if (!DmaSpace.invalidationFailed(failure)) {
                machine.bounce().free(buffer);
            }
            throw failure;
        }
    }

    private void mapSingly(ScatterList list, DmaDirection direction) {
        int done = 0;
        try {
            for (; done < list.pieces(); done++) {
                list.addSegment(mapAnywhere(list.physicalAddress(done), list.size(done), direction));
            }
        } catch (RuntimeException failure) {
            while (--done >= 0) {
                try {
                    long target = withdraw(list.dmaAddress(done), list.size(done), direction);
                    release(list.dmaAddress(done), list.size(done), direction, target, false);
                } catch (RuntimeException second) {
                    failure.addSuppressed(second);
                }
            }
            list.unmapped();
            throw failure;
        }
        list.finishSingly();
    }

    private void unmapSingly(ScatterList list, DmaDirection direction) {
        RuntimeException failure = null;
        for (int i = 0; i < list.pieces(); i++) {
            try {
                long target = withdraw(list.dmaAddress(i), list.size(i), direction);
                release(list.dmaAddress(i), list.size(i), direction, target, true);
            } catch (RuntimeException thrown) {
                if (failure == null) {
                    failure = thrown;
                } else {
                    failure.addSuppressed(thrown);
                }
            }
        }
        withdrawMapping();
        list.unmapped();
        if (failure != null) {
            throw failure;
        }
    }

    private CoherentBuffer allocateContiguous(long size) {
        checkCoherent(size, PAGE_SIZE << MAX_ORDER);
        int order = order(size);
        long[] starts = {machine.frames().allocate(order)};
        long[] lengths = {PAGE_SIZE << order};
        try {
            return mapCoherent(CoherentBuffer.Origin.FRAMES, starts, lengths, size);
        } catch (RuntimeException failure) {
            freeFrames(starts, lengths, 1, failure);
            throw failure;
        }
    }

    /**
     * Allocates the largest piece that there is.
     *
     * @param orders bit n: pieces of 2^n pages may be taken
     * @return the orders left; the piece has the highest
     */
    private long allocatePiece(long orders, long[] starts, int index) {
        long left = orders;
        while (true) {
            long largest = Long.highestOneBit(left);
            try {
                starts[index] = machine.frames().allocate(Long.numberOfTrailingZeros(largest));
                return left;
            } catch (IommuException refusal) {
                if (refusal.errno() != Errno.ENOMEM || left == largest) {
                    throw refusal;
                }
                left &= ~largest;
            }
        }
    }

    private CoherentBuffer mapCoherent(CoherentBuffer.Origin origin, long[] starts, long[] lengths, long size) {
        for (int i = 0; i < starts.length; i++) {
            for (long offset = 0; offset < lengths[i]; offset += PAGE_SIZE) {
                memory.storeRun(starts[i] + offset, 0, 0, SystemMemory.FRAME_WORDS);
            }
            if (!parameters.coherent()) {
                memory.writeBack(starts[i], lengths[i]);
            }
        }
        DmaSpace addresses = space;
        long dmaAddress;
        if (addresses == null) {
            requireReached(starts[0], size);
            dmaAddress = starts[0];
        } else if (starts.length == 1) {
            dmaAddress = mapPages(addresses, starts[0], size, prot(DmaDirection.BIDIRECTIONAL));
        } else {
            long total = Arrays.stream(lengths).sum();
            dmaAddress = take(addresses, total);
            addresses.mapPieces(dmaAddress, starts, lengths, starts.length, total, prot(DmaDirection.BIDIRECTIONAL));
        }
        mappings.incrementAndGet();
        MemoryType type = parameters.coherent() ? MemoryType.WB : MemoryType.UC;
        return new CoherentBuffer(this, origin, type, starts, lengths, dmaAddress, size);
    }

    private void freeFrames(long[] starts, long[] lengths, int pieces, RuntimeException failure) {
        if (!DmaSpace.invalidationFailed(failure)) {
            for (int i = 0; i < pieces; i++) {
                machine.frames().free(starts[i], order(lengths[i]));
            }
        }
    }

    private void unmapOnly(long dmaAddress, long size) {
        DmaSpace addresses = space;
        if (addresses == null) {
            withdrawMapping();
            return;
        }
        addresses.withdraw(base(addresses, dmaAddress), pages(addresses, dmaAddress, size));
        withdrawMapping();
        addresses.unmap(base(addresses, dmaAddress), pages(addresses, dmaAddress, size));
    }

    /**
     * Makes sure that a buffer is mapped like this, and that it is unmapped once.
     *
     * @return the memory behind it, as {@link #targetOf}
     */
    private long withdraw(long dmaAddress, long size, DmaDirection direction) {
        DmaSpace addresses = space;
        long target = targetOf(dmaAddress);
        if (isBounce(target) && !machine.bounce().isTaken(target, size, direction)) {
            throw notMapped(dmaAddress, size);
        }
        if (addresses != null) {
            addresses.withdraw(base(addresses, dmaAddress), pages(addresses, dmaAddress, size));
        }
        return target;
    }

    /**
     * Unmaps a buffer that was withdrawn.
     *
     * @param transferred whether the device may have used it: what it wrote is handed to the CPU
     */
    private void release(long dmaAddress, long size, DmaDirection direction, long target, boolean transferred) {
        boolean received = transferred && direction.fromDevice();
        if (!parameters.coherent() && received) {
            memory.writeBack(target, size);
        }
        DmaSpace addresses = space;
        if (addresses != null) {
            addresses.unmap(base(addresses, dmaAddress), pages(addresses, dmaAddress, size));
        }
        if (isBounce(target)) {
            if (received) {
                machine.bounce().copyOut(target, size);
            }
            machine.bounce().free(target);
        }
    }

    private void withdrawMapping() {
        if (mappings.decrementAndGet() < 0) {
            mappings.incrementAndGet();
            throw new IommuException(Errno.EINVAL, "the driver of " + device.id() + " holds no mapping");
        }
    }

    private long mapPages(DmaSpace addresses, long physicalAddress, long size, int prot) {
        long offset = physicalAddress & (addresses.granule() - 1);
        long length = pages(addresses, offset, size);
        long iova = take(addresses, length);
        addresses.map(iova, physicalAddress - offset, length, prot);
        return iova + offset;
    }

    private long take(DmaSpace addresses, long length) {
        long iova = takeOrNone(addresses, length);
        if (iova == IovaAllocator.NONE) {
            throw new IommuException(Errno.ENOSPC, noIova(length));
        }
        return iova;
    }

    private long takeOrNone(DmaSpace addresses, long length) {
        if (lowFirst) {
            long low = addresses.take(length, LOW_MASK);
            if (low != IovaAllocator.NONE) {
                return low;
            }
            lowFirst = rules.lowAddressesAgain();
        }
        return addresses.take(length, parameters.mask());
    }

    private String noIova(long length) {
        return "no IOVA for 0x" + Long.toHexString(length) + " bytes below mask 0x"
                + Long.toHexString(parameters.mask()) + " of " + device.id();
    }

    private int prot(DmaDirection direction) {
        return parameters.coherent() ? direction.prot() | Prot.CACHE : direction.prot();
    }

    /** Returns the memory behind a device address, where that matters: a coherent, trusted device needs no care. */
    private long targetOf(long dmaAddress) {
        DmaSpace addresses = space;
        if (addresses == null) {
            return dmaAddress;
        }
        if (parameters.coherent() && !untrusted) {
            return IommuDomain.UNMAPPED;
        }
        long target = addresses.translate(dmaAddress);
        if (target == IommuDomain.UNMAPPED) {
            throw notMapped(dmaAddress, 1);
        }
        return target;
    }

    private boolean isBounce(long target) {
        return (untrusted || space == null) && machine.bounce().contains(target);
    }

    private void forDevice(ScatterList list) {
        if (!parameters.coherent()) {
            for (int i = 0; i < list.pieces(); i++) {
                memory.writeBack(list.physicalAddress(i), list.size(i));
            }
        }
    }

    private void forCpu(ScatterList list, DmaDirection direction) {
        if (direction.fromDevice()) {
            forDevice(list);
        }
    }

    private boolean reaches(long physicalAddress, long size) {
        return Long.compareUnsigned(physicalAddress + (size - 1), parameters.mask()) <= 0;
    }

    private void requireReached(long physicalAddress, long size) {
        if (!reaches(physicalAddress, size)) {
            throw new IommuException(
                    Errno.ERANGE,
                    device.id() + " can't reach 0x" + Long.toHexString(physicalAddress)
                            + " without translation, its mask is 0x" + Long.toHexString(parameters.mask()));
        }
    }

    private static long base(DmaSpace addresses, long dmaAddress) {
        return dmaAddress & -addresses.granule();
    }

    private static long pages(DmaSpace addresses, long start, long size) {
        long granule = addresses.granule();
        return ((start & (granule - 1)) + size + granule - 1) & -granule;
    }

    private void checkCoherent(long size, long most) {
        if (size <= 0 || size > most) {
            throw new IommuException(
                    Errno.EINVAL,
                    "coherent buffer of " + size + " bytes for " + device.id() + ", expected 1 to " + most);
        }
    }

    private void requireOpen() {
        if (closed.get()) {
            throw new IommuException(Errno.ENODEV, "no driver is bound to " + device.id() + " anymore");
        }
    }

    private IommuException notMapped(long dmaAddress, long size) {
        return new IommuException(
                Errno.EINVAL,
                Hex.of(size) + " bytes at " + Hex.of(dmaAddress) + " are not mapped like this for " + device.id());
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
        long pages = (size + PAGE_SIZE - 1) / PAGE_SIZE;
        return pages == 1 ? 0 : 64 - Long.numberOfLeadingZeros(pages - 1);
    }
}
