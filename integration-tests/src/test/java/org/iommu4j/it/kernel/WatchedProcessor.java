// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.function.IntConsumer;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;

/**
 * A CPU with SVM, as the transcripts' EPYC has it, that tells of its WBINVDs.
 *
 * @param processor what does the work
 * @param ran hears its number at each WBINVD
 */
record WatchedProcessor(Processor processor, IntConsumer ran) implements Processor {
    @Override
    public int id() {
        return processor.id();
    }

    @Override
    public HardwareVirtualization virtualization() {
        return HardwareVirtualization.SVM;
    }

    @Override
    public boolean selfSnoop() {
        return processor.selfSnoop();
    }

    @Override
    public long load(long physicalAddress, MemoryType type) {
        return processor.load(physicalAddress, type);
    }

    @Override
    public void store(long physicalAddress, long value, MemoryType type) {
        processor.store(physicalAddress, value, type);
    }

    @Override
    public void clflush(long physicalAddress) {
        processor.clflush(physicalAddress);
    }

    @Override
    public void clflushopt(long physicalAddress) {
        processor.clflushopt(physicalAddress);
    }

    @Override
    public void clwb(long physicalAddress) {
        processor.clwb(physicalAddress);
    }

    @Override
    public void wbinvd() {
        ran.accept(id());
        processor.wbinvd();
    }

    @Override
    public void wbnoinvd() {
        processor.wbnoinvd();
    }

    @Override
    public void invd() {
        processor.invd();
    }

    @Override
    public void sfence() {
        processor.sfence();
    }

    @Override
    public void mfence() {
        processor.mfence();
    }
}
