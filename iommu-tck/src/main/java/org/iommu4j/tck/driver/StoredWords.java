// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.LinkedHashSet;
import java.util.Set;
import org.iommu4j.IommuDomain;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Subject;

/** Which words a driver stores into its tables when a device is attached and a page is mapped. */
final class StoredWords implements SystemMemory {
    private static final int MOST = 8;

    private final SystemMemory memory;
    private final Set<Long> words = new LinkedHashSet<>();
    private boolean recording;

    private StoredWords(SystemMemory memory) {
        this.memory = memory;
    }

    /** Returns some words of a driver's, and all ones. */
    static Set<Long> of(Subject subject) {
        StoredWords[] stored = new StoredWords[1];
        Bench bench = new Bench(subject.flat().withPorts(context -> {
            stored[0] = new StoredWords(context.memory());
            return Ports.withMemory(context, stored[0]);
        }));
        IommuDomain domain = bench.domain();
        stored[0].recording = true;
        domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
        bench.attach(domain, bench.device());
        Set<Long> words = new LinkedHashSet<>(stored[0].words);
        words.add(-1L);
        return words;
    }

    private long noted(long word) {
        if (recording && word != 0 && words.size() < MOST) {
            words.add(word);
        }
        return word;
    }

    @Override
    public long load(long physicalAddress) {
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        memory.store(physicalAddress, noted(value));
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        return memory.compareAndSet(physicalAddress, expected, noted(value));
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        memory.storeRun(physicalAddress, noted(first), increment, count);
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        return memory.leadingClear(physicalAddress, mask, count);
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        return memory.leadingSet(physicalAddress, mask, count);
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        memory.writeBack(physicalAddress, size);
    }
}
