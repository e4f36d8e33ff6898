// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;

/** A process: pages that a test places, counted pins, a limit of locked memory. */
public final class TestProcess implements ProcessMemory {
    private record Page(long frame, boolean writable) {}

    private final Map<Long, Page> pages = new HashMap<>();
    private final Map<Long, Integer> pins = new HashMap<>();
    private final long limit;
    private long charged;

    /** Pages that were unpinned as dirty. */
    public long dirtied;

    /** Makes a process that may lock so many pages. */
    public TestProcess(long limit) {
        this.limit = limit;
    }

    /** Makes a process without limit. */
    public TestProcess() {
        this(Long.MAX_VALUE);
    }

    /** Places contiguous frames at a virtual address. */
    public TestProcess place(long virtualAddress, long frame, long count, boolean writable) {
        for (long i = 0; i < count; i++) {
            pages.put(virtualAddress + i * 4096, new Page(frame + i * 4096, writable));
        }
        return this;
    }

    /** Returns whether a frame is pinned. */
    public boolean isPinned(long frame) {
        return pins.containsKey(frame);
    }

    @Override
    public long translate(long virtualAddress) {
        Page page = pages.get(virtualAddress & -4096);
        return page == null ? UNMAPPED : page.frame + (virtualAddress & 4095);
    }

    @Override
    public void pin(long virtualAddress, int count, boolean write, long[] frames) {
        for (int i = 0; i < count; i++) {
            Page page = pages.get(virtualAddress + i * 4096L);
            if (page == null || (write && !page.writable)) {
                throw new IommuException(
                        Errno.EFAULT, "no such page: 0x" + Long.toHexString(virtualAddress + i * 4096L));
            }
            frames[i] = page.frame;
        }
        for (int i = 0; i < count; i++) {
            pins.merge(frames[i], 1, Integer::sum);
        }
    }

    @Override
    public void unpin(long frame, boolean dirty) {
        if (!pins.containsKey(frame)) {
            throw new IllegalStateException("frame 0x" + Long.toHexString(frame) + " is not pinned");
        }
        pins.computeIfPresent(frame, (at, count) -> count == 1 ? null : count - 1);
        dirtied += dirty ? 1 : 0;
    }

    @Override
    public long pinned() {
        return pins.values().stream().mapToLong(Integer::longValue).sum();
    }

    @Override
    public void charge(long count) {
        if (charged + count > limit) {
            throw new IommuException(Errno.ENOMEM, "limit of " + limit + " locked pages");
        }
        charged += count;
    }

    @Override
    public void uncharge(long count) {
        if (count > charged) {
            throw new IllegalStateException("uncharging " + count + " of " + charged + " pages");
        }
        charged -= count;
    }

    @Override
    public long charged() {
        return charged;
    }
}
