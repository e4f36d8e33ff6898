// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.platform.ProcessMemory;

/** A VMM whose pages a test places. KVM only translates. */
final class VmmMemory implements ProcessMemory {
    private final Map<Long, Long> frames = new HashMap<>();

    VmmMemory place(long virtualAddress, long frame) {
        frames.put(virtualAddress, frame);
        return this;
    }

    @Override
    public long translate(long virtualAddress) {
        Long frame = frames.get(virtualAddress & -4096);
        return frame == null ? UNMAPPED : frame + (virtualAddress & 4095);
    }

    @Override
    public void pin(long virtualAddress, int count, boolean write, long[] into) {
        throw new IllegalStateException("KVM pins nothing");
    }

    @Override
    public void unpin(long frame, boolean dirty) {
        throw new IllegalStateException("KVM unpins nothing");
    }

    @Override
    public long pinned() {
        return 0;
    }

    @Override
    public void charge(long pages) {
        throw new IllegalStateException("KVM charges nothing");
    }

    @Override
    public void uncharge(long pages) {
        throw new IllegalStateException("KVM uncharges nothing");
    }

    @Override
    public long charged() {
        return 0;
    }
}
