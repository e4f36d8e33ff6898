// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.capability.CacheCoherencyEnforcement;

/** A domain as a sorted map of leaves. */
public final class TestDomain implements IommuDomain {
    private static final long REGION = 1L << 21;

    private record Leaf(long physicalAddress, long size, int prot) {}

    private final TestIommu iommu;
    private final DomainType type;
    private final String format;
    private final long apertureStart;
    private final long apertureEnd;
    private final long pageSizes;
    private final long rootFrame;
    private final TestDevice madeFor;
    private final List<TestDevice> devices = new ArrayList<>();
    private final TreeMap<Long, Leaf> leaves = new TreeMap<>(Long::compareUnsigned);
    private final Map<Long, Long> tables = new HashMap<>();

    private boolean enforced;

    /** How often {@code enforce} was asked. */
    public int enforceCalls;
    /** Whether something was mapped when {@code enforce} was asked. */
    public boolean mappedBeforeEnforce;
    /** How often a mapped range was made visible, or an unmapped one invalidated. */
    public int syncs;

    TestDomain(TestIommu iommu, DomainType type, TestDevice madeFor, long rootFrame) {
        this.iommu = iommu;
        this.type = type;
        this.madeFor = madeFor;
        this.format = madeFor.format;
        this.apertureStart = madeFor.apertureStart;
        this.apertureEnd = madeFor.apertureEnd;
        this.pageSizes = iommu.pageSizes;
        this.rootFrame = rootFrame;
    }

    /** Returns every 4 KiB page by IOVA with where it goes, for comparison. */
    public synchronized SortedMap<Long, String> pages() {
        SortedMap<Long, String> pages = new TreeMap<>(Long::compareUnsigned);
        leaves.forEach((iova, leaf) -> {
            for (long at = 0; at < leaf.size; at += 4096) {
                pages.put(iova + at, Long.toHexString(leaf.physicalAddress + at) + "/" + leaf.prot);
            }
        });
        return pages;
    }

    /** Returns how many leaves there are. */
    public synchronized int leafCount() {
        return leaves.size();
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
        return format;
    }

    @Override
    public long pageSizes() {
        return type.isPaging() ? pageSizes : 0;
    }

    @Override
    public long apertureStart() {
        return apertureStart;
    }

    @Override
    public long apertureEnd() {
        return apertureEnd;
    }

    @Override
    public synchronized AttachResult attach(IommuDevice device) {
        TestDevice added = (TestDevice) device;
        if (enforced && !added.snoopControl) {
            return AttachResult.incompatible("can't block no-snoop");
        }
        boolean sameOps = iommu.sharesOps || added.format.equals(format);
        if (type.isPaging() && (!sameOps || (added.refusesForeignDomains && added != madeFor))) {
            return AttachResult.incompatible("other format");
        }
        if (type.isPaging()) {
            // Takes a frame for a moment, so that it can fail; blocking never does.
            iommu.frames.free(iommu.frames.allocate(0), 0);
        }
        for (TestDomain domain : iommu.domains) {
            domain.devices.remove(added);
        }
        devices.add(added);
        return AttachResult.ATTACHED;
    }

    @Override
    public synchronized void detach(IommuDevice device) {
        if (!devices.remove((TestDevice) device)) {
            throw new IommuException(Errno.EINVAL, device + " is not attached");
        }
    }

    @Override
    public synchronized void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        long size = pageSize * count;
        if (!type.isPaging() || ((iova | physicalAddress) & (pageSize - 1)) != 0 || (prot & 3) == 0) {
            throw new IommuException(Errno.EINVAL, "bad mapping at 0x" + Long.toHexString(iova));
        }
        if ((pageSizes & pageSize) == 0) {
            throw new IommuException(Errno.ENXIO, "no page of " + pageSize);
        }
        long last = iova + (size - 1);
        if (Long.compareUnsigned(iova, apertureStart) < 0 || Long.compareUnsigned(last, apertureEnd) > 0) {
            throw new IommuException(Errno.ERANGE, "outside the aperture: 0x" + Long.toHexString(iova));
        }
        Map.Entry<Long, Leaf> below = leaves.floorEntry(last);
        if (below != null && Long.compareUnsigned(below.getKey() + (below.getValue().size - 1), iova) >= 0) {
            throw new IommuException(Errno.EADDRINUSE, "mapped: 0x" + Long.toHexString(iova));
        }
        List<Long> added = new ArrayList<>();
        try {
            for (long region = iova & -REGION; ; region += REGION) {
                if (!tables.containsKey(region)) {
                    tables.put(region, iommu.frames.allocate(0));
                    added.add(region);
                }
                if (Long.compareUnsigned(last - region, REGION) < 0) {
                    break;
                }
            }
        } catch (IommuException failure) {
            added.forEach(region -> iommu.frames.free(tables.remove(region), 0));
            throw failure;
        }
        for (long i = 0; i < count; i++) {
            leaves.put(iova + i * pageSize, new Leaf(physicalAddress + i * pageSize, pageSize, prot));
        }
    }

    @Override
    public synchronized void syncMap(long iova, long size) {
        syncs++;
        checkCompletes();
    }

    @Override
    public synchronized long unmap(long iova, long size, IotlbGather gather) {
        long done = 0;
        while (Long.compareUnsigned(done, size) < 0) {
            Leaf leaf = leaves.get(iova + done);
            if (leaf == null) {
                break;
            }
            leaves.remove(iova + done);
            done += leaf.size;
        }
        if (done != 0) {
            gather.addRange(iova, iova + (done - 1));
            dropEmptyTables();
        }
        return done;
    }

    private void dropEmptyTables() {
        tables.entrySet().removeIf(table -> {
            long last = table.getKey() + (REGION - 1);
            Map.Entry<Long, Leaf> below = leaves.floorEntry(last);
            boolean used = below != null
                    && Long.compareUnsigned(below.getKey() + (below.getValue().size - 1), table.getKey()) >= 0;
            if (!used) {
                iommu.frames.free(table.getValue(), 0);
            }
            return !used;
        });
    }

    @Override
    public synchronized void sync(IotlbGather gather) {
        syncs++;
        gather.reset();
        checkCompletes();
    }

    private void checkCompletes() {
        if (!iommu.completesInvalidations) {
            throw new IommuException(Errno.ETIMEDOUT, "the invalidation did not complete");
        }
    }

    @Override
    public synchronized long translate(long iova) {
        Map.Entry<Long, Leaf> below = leaves.floorEntry(iova);
        if (below == null) {
            return UNMAPPED;
        }
        long offset = iova - below.getKey();
        return Long.compareUnsigned(offset, below.getValue().size) < 0
                ? below.getValue().physicalAddress + offset
                : UNMAPPED;
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return iommu.hasEnforcementOp ? Optional.of(this::enforce) : Optional.empty();
    }

    private synchronized boolean enforce() {
        enforceCalls++;
        mappedBeforeEnforce |= !leaves.isEmpty();
        for (TestDevice device : devices) {
            if (!device.snoopControl) {
                return false;
            }
        }
        enforced = true;
        return true;
    }

    @Override
    public synchronized void close() {
        if (!devices.isEmpty()) {
            throw new IommuException(Errno.EBUSY, "devices are attached: " + devices);
        }
        if (type.isPaging() && iommu.failingCloses > 0) {
            iommu.failingCloses--;
            throw new IommuException(Errno.EIO, "the domain was not freed");
        }
        tables.values().forEach(frame -> iommu.frames.free(frame, 0));
        tables.clear();
        leaves.clear();
        iommu.frames.free(rootFrame, 0);
        iommu.domains.remove(this);
    }
}
