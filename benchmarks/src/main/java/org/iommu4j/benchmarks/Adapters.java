// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Prot;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Runs all adapters in turn, so that the compiler sees what it sees in an application that has them all: drivers over
 * flat memory, over caches and over an adapter from outside, units over both fabrics.
 */
final class Adapters {
    private static final int ROUNDS = 3_000;
    private static final long IOVA = 1L << 39;
    private static final long TARGET = 160L << 20;
    private static final long PAGE = 4096;

    private Adapters() {}

    /** Takes about a second. */
    static void exerciseAll() {
        List<Rig> rigs = new ArrayList<>();
        for (Rig.Vendor vendor : Rig.Vendor.values()) {
            for (Rig.Memory memory : Rig.Memory.values()) {
                rigs.add(new Rig(vendor, memory));
            }
            rigs.add(new Rig(vendor, Rig.Memory.FLAT, Foreign::new));
        }
        long seen = 0;
        for (int round = 0; round < ROUNDS; round++) {
            for (Rig rig : rigs) {
                seen += exercise(rig);
            }
        }
        if (seen == 0) {
            throw new IllegalStateException("nothing was translated while warming up");
        }
    }

    private static long exercise(Rig rig) {
        rig.domain.map(IOVA, TARGET, PAGE, 1, Prot.READ_WRITE);
        rig.domain.map(IOVA + PAGE, TARGET + PAGE, PAGE, 1, Prot.READ_WRITE);
        rig.domain.map(IOVA + 256 * PAGE, TARGET, PAGE, 256, Prot.READ_WRITE);
        rig.domain.map(IOVA + 512 * PAGE, TARGET, 512 * PAGE, 1, Prot.READ_WRITE);
        rig.domain.syncMap(IOVA, 1024 * PAGE);
        long seen = rig.domain.translate(IOVA);
        for (int page = 0; page < 2; page++) {
            seen += rig.unit.translate(
                    rig.requesterId, TranslationUnit.NO_PASID, IOVA + page * PAGE, RequestFlags.READ);
            seen += rig.endpoint.read(IOVA + page * PAGE, false);
            seen += rig.endpoint.read(IOVA + page * PAGE, true);
            rig.endpoint.write(IOVA + 512 * PAGE, seen, false);
            rig.endpoint.write(IOVA + 512 * PAGE, seen, true);
        }
        seen += rig.machine.memory(1).load(TARGET);
        rig.domain.unmap(IOVA, PAGE, rig.gather);
        rig.domain.unmap(IOVA + PAGE, PAGE, rig.gather);
        rig.domain.unmap(IOVA + 256 * PAGE, 256 * PAGE, rig.gather);
        rig.domain.unmap(IOVA + 512 * PAGE, 512 * PAGE, rig.gather);
        rig.domain.sync(rig.gather);
        return seen;
    }

    /** An adapter that somebody else wrote. */
    private record Foreign(SystemMemory memory) implements SystemMemory {
        @Override
        public long load(long physicalAddress) {
            return memory.load(physicalAddress);
        }

        @Override
        public void store(long physicalAddress, long value) {
            memory.store(physicalAddress, value);
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value) {
            return memory.compareAndSet(physicalAddress, expected, value);
        }

        @Override
        public void storeRun(long physicalAddress, long first, long increment, int count) {
            memory.storeRun(physicalAddress, first, increment, count);
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
}
