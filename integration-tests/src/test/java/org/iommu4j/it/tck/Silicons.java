// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.function.UnaryOperator;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.tck.Subject;

/** Silicon and memory that take bytes from the heap now and then; proxies would at each call. */
final class Silicons {
    /** Keeps the compiler from doing without. */
    static volatile Object sink;

    private Silicons() {}

    private static void take(boolean really) {
        if (really) {
            sink = new long[1];
        }
    }

    /** Returns a subject whose units are others, made from its own. */
    static Subject withUnits(Subject subject, UnaryOperator<TranslationUnit> units) {
        return subject.withUnits((silicon, spec, fabric) -> units.apply(silicon.create(spec, fabric)));
    }

    /** Takes bytes when it refuses, or when it doesn't. */
    record AllocatingUnit(TranslationUnit unit, boolean refusals, boolean successes) implements TranslationUnit {
        @Override
        public TranslationUnitSpec spec() {
            return unit.spec();
        }

        @Override
        public int readRegister32(int offset) {
            return unit.readRegister32(offset);
        }

        @Override
        public long readRegister64(int offset) {
            return unit.readRegister64(offset);
        }

        @Override
        public void writeRegister32(int offset, int value) {
            unit.writeRegister32(offset, value);
        }

        @Override
        public void writeRegister64(int offset, long value) {
            unit.writeRegister64(offset, value);
        }

        @Override
        public long translate(int sourceId, int pasid, long address, int flags) {
            long answer = unit.translate(sourceId, pasid, address, flags);
            take(answer < 0 ? refusals : successes);
            return answer;
        }

        @Override
        public boolean step() {
            return unit.step();
        }

        @Override
        public void reset() {
            unit.reset();
        }

        @Override
        public void addTo(StateDigest digest) {
            unit.addTo(digest);
        }
    }

    /** Takes bytes when it reads, or when it writes. */
    static final class AllocatingFabric extends FabricOver {
        private final boolean reads;
        private final boolean writes;

        AllocatingFabric(Fabric fabric, boolean reads, boolean writes) {
            super(fabric);
            this.reads = reads;
            this.writes = writes;
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            take(reads);
            return super.read(physicalAddress, snoop);
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            take(writes);
            return super.compareAndSet(physicalAddress, expected, value, snoop);
        }
    }
}
