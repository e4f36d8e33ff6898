// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.minimal;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/** Step three of a vendor: an address space, here one table of one level. */
final class MinimalDomain implements IommuDomain {
    /** Bytes that one entry maps. */
    static final long PAGE = 64 << 10;
    /** Entries of a table: 2 GiB. */
    static final int ENTRIES = 1 << 15;
    /** Bit 0 lets a device read, bit 1 write; the address is in bits 51:16. */
    static final long PERMISSIONS = Prot.READ_WRITE;

    private static final int TABLE_ORDER = 6;

    private final MinimalIommu iommu;
    private final DomainType type;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final long table;
    private int devices;
    private volatile boolean closed;

    MinimalDomain(MinimalIommu iommu, DomainType type, SystemMemory memory, FrameAllocator frames) {
        this.iommu = iommu;
        this.type = type;
        this.memory = memory;
        this.frames = frames;
        this.table = type.isPaging() ? frames.allocate(TABLE_ORDER) : 0;
        if (type.isPaging()) {
            clear(0, ENTRIES);
        }
    }

    @Override
    public DomainType type() {
        return type;
    }

    @Override
    public Iommu iommu() {
        return iommu;
    }

    @Override
    public String format() {
        return "minimal";
    }

    @Override
    public long pageSizes() {
        return type.isPaging() ? PAGE : 0;
    }

    @Override
    public long apertureEnd() {
        return PAGE * ENTRIES - 1;
    }

    @Override
    public AttachResult attach(IommuDevice given) {
        MinimalIommu.Device device = iommu.own(given);
        synchronized (iommu) {
            checkOpen();
            if (device.domain != null) {
                device.domain.detach(device);
            }
            iommu.setTable(device, table);
            device.domain = this;
            devices++;
        }
        return AttachResult.ATTACHED;
    }

    @Override
    public void detach(IommuDevice given) {
        MinimalIommu.Device device = iommu.own(given);
        synchronized (iommu) {
            checkOpen();
            if (device.domain != this) {
                throw new IommuException(Errno.EINVAL, device.id() + " is not attached to this domain");
            }
            iommu.setTable(device, 0);
            device.domain = null;
            devices--;
        }
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        if (!type.isPaging() || (prot & Prot.READ_WRITE) == 0 || ((iova | physicalAddress) & (PAGE - 1)) != 0) {
            throw new IommuException(Errno.EINVAL, "can't map 0x" + Long.toHexString(iova));
        }
        if (pageSize != PAGE) {
            throw new IommuException(Errno.ENXIO, "no pages of 0x" + Long.toHexString(pageSize) + " bytes");
        }
        if (iova < 0 || count < 1 || iova / PAGE + count > ENTRIES) {
            throw new IommuException(Errno.ERANGE, "0x" + Long.toHexString(iova) + " is beyond the table");
        }
        for (long i = 0; i < count; i++) {
            if (memory.load(entry(iova + i * PAGE)) != 0) {
                throw new IommuException(Errno.EADDRINUSE, "mapped already: 0x" + Long.toHexString(iova + i * PAGE));
            }
        }
        for (long i = 0; i < count; i++) {
            memory.store(entry(iova + i * PAGE), (physicalAddress + i * PAGE) | (prot & PERMISSIONS));
        }
    }

    /** The unit caches nothing. */
    @Override
    public void syncMap(long iova, long size) {
        checkOpen();
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        long done = 0;
        if (((iova | size) & (PAGE - 1)) != 0) {
            return 0;
        }
        while (done < size && translate(iova + done) != UNMAPPED) {
            memory.store(entry(iova + done), 0);
            done += PAGE;
        }
        return done;
    }

    @Override
    public void sync(IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        gather.reset();
    }

    @Override
    public long translate(long iova) {
        checkOpen();
        if (!type.isPaging() || iova < 0 || iova > apertureEnd()) {
            return UNMAPPED;
        }
        long entry = memory.load(entry(iova));
        return entry == 0 ? UNMAPPED : (entry & -PAGE) | (iova & (PAGE - 1));
    }

    /** The control is absent, which is a third answer beside yes and no. */
    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return Optional.empty();
    }

    @Override
    public void close() {
        synchronized (iommu) {
            if (closed) {
                return;
            }
            if (devices > 0) {
                throw new IommuException(Errno.EBUSY, devices + " devices are attached");
            }
            closed = true;
            iommu.forget(this);
            if (type.isPaging()) {
                frames.free(table, TABLE_ORDER);
            }
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the domain is closed");
        }
    }

    private long entry(long iova) {
        return table + iova / PAGE * Long.BYTES;
    }

    private void clear(int from, int count) {
        for (int i = from; i < from + count; i += SystemMemory.FRAME_WORDS) {
            memory.storeRun(table + (long) i * Long.BYTES, 0, 0, SystemMemory.FRAME_WORDS);
        }
    }
}
