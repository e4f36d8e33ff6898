// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core.testvendor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
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
import org.jspecify.annotations.Nullable;

/**
 * A domain whose page table is a hash table of 4 KiB pages, and whose hardware keeps using an unmapped page until it is
 * invalidated. Allocates nothing while mapping.
 */
public final class TestDomain implements IommuDomain {
    private static final int SLOTS = 1 << 16;

    /** Where a run was mapped. */
    public record Run(long iova, long physicalAddress, long pageSize, long count) {}

    private final TestIommu iommu;
    private final DomainType type;
    private final long pageSizes;
    private final long apertureStart;
    private final long apertureEnd;

    /** Page number + 1, so that 0 is an empty slot; slots are never emptied. */
    private final long[] keys = new long[SLOTS];

    private final long[] targets = new long[SLOTS];
    private final long[] leafSizes = new long[SLOTS];
    private final int[] prots = new int[SLOTS];
    private final boolean[] stale = new boolean[SLOTS];
    private final Set<IommuDevice> attached = new LinkedHashSet<>();

    /** What was mapped, when asked to record. */
    private final List<Run> runs = new ArrayList<>();

    private boolean recording;
    private int mapsUntilFailure = Integer.MAX_VALUE;
    private boolean detachFails;
    private @Nullable Errno syncMapFails;
    private boolean syncFails;
    private int stalePages;
    private int syncs;
    private int mappedPages;
    private boolean closed;
    private Function<IommuDevice, AttachResult> admission = device -> AttachResult.ATTACHED;

    TestDomain(TestIommu iommu, DomainType type, long pageSizes, long apertureStart, long apertureEnd) {
        this.iommu = iommu;
        this.type = type;
        this.pageSizes = pageSizes;
        this.apertureStart = apertureStart;
        this.apertureEnd = apertureEnd;
    }

    /** Makes a domain of no particular driver. */
    public static TestDomain paging(long pageSizes, long apertureEnd) {
        return new TestDomain(new TestIommu(), DomainType.UNMANAGED, pageSizes, 0, apertureEnd);
    }

    public TestDomain recordRuns() {
        recording = true;
        return this;
    }

    public List<Run> runs() {
        return runs;
    }

    /** The n-th call of map from now on fails, from 1. */
    public void failMap(int n) {
        mapsUntilFailure = n - 1;
    }

    /** Whether a new mapping is not shown to the hardware, with an errno; null for all is well. */
    public void failSyncMap(@Nullable Errno errno) {
        syncMapFails = errno;
    }

    public void failSync(boolean fails) {
        syncFails = fails;
    }

    /** Every detach blocks the device, and then an invalidation does not complete. */
    public void failDetach() {
        detachFails = true;
    }

    /** Decides about each attach; may throw. */
    public void admit(Function<IommuDevice, AttachResult> decision) {
        admission = decision;
    }

    public Set<IommuDevice> attached() {
        return attached;
    }

    public boolean closed() {
        return closed;
    }

    /** Pages that are unmapped and that the hardware may still use. */
    public int stalePages() {
        return stalePages;
    }

    /** Completed calls of sync. */
    public int syncs() {
        return syncs;
    }

    public int mappedPages() {
        return mappedPages;
    }

    public int prot(long iova) {
        int slot = slot(iova >>> 12);
        return keys[slot] == 0 || leafSizes[slot] == 0 ? 0 : prots[slot];
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
        return "test";
    }

    @Override
    public long pageSizes() {
        return pageSizes;
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
    public AttachResult attach(IommuDevice device) {
        AttachResult answer = admission.apply(device);
        if (answer.attached()) {
            iommu.move(device, this);
        }
        return answer;
    }

    @Override
    public void detach(IommuDevice device) {
        if (!attached.contains(device)) {
            throw new IommuException(Errno.EINVAL, device.id() + " is not attached here");
        }
        iommu.move(device, null);
        if (detachFails) {
            throw new IommuException(Errno.ETIMEDOUT, "no answer while " + device.id() + " was detached");
        }
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        if (Long.bitCount(pageSize) != 1 || ((iova | physicalAddress) & (pageSize - 1)) != 0 || count <= 0) {
            throw new AssertionError(String.format(
                    "core asked for %d pages of 0x%x at 0x%x to 0x%x", count, pageSize, iova, physicalAddress));
        }
        if (!type.isPaging() || (prot & Prot.READ_WRITE) == 0) {
            throw new IommuException(Errno.EINVAL, "refused by the test domain");
        }
        if ((pageSizes & pageSize) == 0) {
            throw new IommuException(Errno.ENXIO, "no pages of " + pageSize);
        }
        if (Long.compareUnsigned(iova, apertureStart) < 0
                || Long.compareUnsigned(iova + (pageSize * count - 1), apertureEnd) > 0) {
            throw new IommuException(Errno.ERANGE, "outside the aperture");
        }
        if (mapsUntilFailure-- == 0) {
            throw new IommuException(Errno.ENOMEM, "no frame for a table");
        }
        long pages = pageSize / 4096 * count;
        for (long i = 0; i < pages; i++) {
            if (translate(iova + i * 4096) != UNMAPPED) {
                throw new IommuException(Errno.EADDRINUSE, "mapped already");
            }
        }
        for (long i = 0; i < pages; i++) {
            int slot = slot((iova >>> 12) + i);
            keys[slot] = (iova >>> 12) + i + 1;
            targets[slot] = physicalAddress + i * 4096;
            leafSizes[slot] = pageSize;
            prots[slot] = prot;
        }
        mappedPages += (int) pages;
        if (recording) {
            runs.add(new Run(iova, physicalAddress, pageSize, count));
        }
    }

    @Override
    public void syncMap(long iova, long size) {
        if (syncMapFails != null) {
            throw new IommuException(syncMapFails, "the unit does not answer");
        }
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        long done = 0;
        while (Long.compareUnsigned(done, size) < 0) {
            int slot = slot((iova + done) >>> 12);
            long leaf = keys[slot] == 0 ? 0 : leafSizes[slot];
            if (leaf == 0 || ((iova + done) & (leaf - 1)) != 0) {
                break;
            }
            for (long i = 0; i < leaf / 4096; i++) {
                int page = slot(((iova + done) >>> 12) + i);
                leafSizes[page] = 0;
                stale[page] = true;
                stalePages++;
            }
            mappedPages -= (int) (leaf / 4096);
            done += leaf;
        }
        if (done != 0) {
            gather.addRange(iova, iova + (done - 1));
        }
        return done;
    }

    @Override
    public void sync(IotlbGather gather) {
        if (syncFails) {
            throw new IommuException(Errno.ETIMEDOUT, "the unit does not answer");
        }
        syncs++;
        long pages = ((gather.end() - gather.start()) >>> 12) + 1;
        if (pages > SLOTS) {
            Arrays.fill(stale, false);
            stalePages = 0;
        } else if (stalePages != 0 && gather.hasRange()) {
            for (long i = 0; i < pages; i++) {
                int slot = slot((gather.start() >>> 12) + i);
                if (keys[slot] != 0 && stale[slot]) {
                    stale[slot] = false;
                    stalePages--;
                }
            }
        }
        gather.reset();
    }

    @Override
    public long translate(long iova) {
        if (type == DomainType.IDENTITY) {
            return iova;
        }
        int slot = slot(iova >>> 12);
        return keys[slot] == 0 || leafSizes[slot] == 0 ? UNMAPPED : targets[slot] + (iova & 0xfff);
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return Optional.empty();
    }

    @Override
    public void close() {
        if (!attached.isEmpty()) {
            throw new IommuException(Errno.EBUSY, attached.size() + " devices are attached");
        }
        closed = true;
        iommu.forget(this);
    }

    private int slot(long page) {
        int slot = (int) ((page * 0x9e3779b97f4a7c15L) >>> 48);
        for (int probe = 0; probe < SLOTS; probe++) {
            if (keys[slot] == 0 || keys[slot] == page + 1) {
                return slot;
            }
            slot = (slot + 1) & (SLOTS - 1);
        }
        throw new IllegalStateException("the test domain holds " + SLOTS + " pages at most");
    }
}
