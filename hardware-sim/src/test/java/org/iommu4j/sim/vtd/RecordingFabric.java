// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;

/** Flat memory as silicon reaches it, with a list of accesses in words when asked for. */
final class RecordingFabric implements Fabric {
    final FlatMemory memory;
    final List<String> accesses = new ArrayList<>();
    /** Answers to page requests. */
    final List<String> responses = new ArrayList<>();

    boolean recording;
    /** How many words were read, by one thread. */
    long reads;

    private final long size;
    private long awaitedRead = -1;
    private Runnable afterIt = () -> {};

    RecordingFabric(long size) {
        this.memory = new FlatMemory(size);
        this.size = size;
    }

    /** Does something right after the unit has read a word for the next time. */
    void afterNextRead(long physicalAddress, Runnable action) {
        awaitedRead = physicalAddress;
        afterIt = action;
    }

    /** The address of a line that is corrupt, -1 when none is. */
    long poisonedLine = -1;

    @Override
    public boolean isMemory(long physicalAddress) {
        return physicalAddress >= 0 && physicalAddress < size;
    }

    @Override
    public AccessStatus status(long physicalAddress, boolean snoop) {
        return (physicalAddress & -64L) == poisonedLine
                ? AccessStatus.POISON
                : Fabric.super.status(physicalAddress, snoop);
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        reads++;
        note("read", physicalAddress, snoop);
        long value = isUnreadable(physicalAddress, snoop) ? -1L : memory.load(physicalAddress);
        if (physicalAddress == awaitedRead) {
            awaitedRead = -1;
            afterIt.run();
        }
        return value;
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        note("write", physicalAddress, snoop);
        if (isMemory(physicalAddress)) {
            memory.store(physicalAddress, value);
        }
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        note("write32", physicalAddress, snoop);
        if (isMemory(physicalAddress)) {
            long word = memory.load(physicalAddress & ~7L);
            long shift = (physicalAddress & 4) * 8;
            memory.store(physicalAddress & ~7L, (word & ~(0xffffffffL << shift)) | ((value & 0xffffffffL) << shift));
        }
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        note("cas", physicalAddress, snoop);
        return memory.compareAndSet(physicalAddress, expected, value);
    }

    @Override
    public void respondToPageRequest(int requesterId, int pasid, int group, int code) {
        responses.add(String.format("%04x pasid %x group %d: %d", requesterId, pasid, group, code));
    }

    private void note(String what, long address, boolean snoop) {
        if (recording) {
            accesses.add(what + " 0x" + Long.toHexString(address) + (snoop ? " snooped" : " not snooped"));
        }
    }
}
