// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/** Silicon that gives each request the same answer, for the address that is in the request, and remembers requests. */
final class AnsweringUnitProvider implements TranslationUnitProvider {
    static final String UNIT = "answers0";

    static TranslationUnitSpec spec() {
        return new TranslationUnitSpec("answers", UNIT, 0, 0x1000_0000L, 0x1000, Map.of());
    }

    @Override
    public String name() {
        return "answers";
    }

    @Override
    public List<MachineDescription> machines() {
        return List.of();
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        return Optional.empty();
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        return new Unit(spec, fabric);
    }

    /** The unit. */
    static final class Unit implements TranslationUnit {
        final Fabric fabric;
        final List<String> requests = new ArrayList<>();
        private final TranslationUnitSpec spec;

        /** Combined with the address of each request. */
        long answer;

        /** What {@link #consume} returns. */
        int faultOfConsumed;

        Unit(TranslationUnitSpec spec, Fabric fabric) {
            this.spec = spec;
            this.fabric = fabric;
        }

        List<String> take() {
            List<String> taken = List.copyOf(requests);
            requests.clear();
            return taken;
        }

        @Override
        public long translate(int sourceId, int pasid, long address, int flags) {
            requests.add(String.format("%x pasid %x flags %x", sourceId, pasid, flags));
            return answer | address;
        }

        @Override
        public int consume(
                long translation, int sourceId, int pasid, long address, int flags, long data, int bytes) {
            requests.add(String.format(
                    "consumed %x for %x pasid %x at %x flags %x: %x of %d bytes",
                    translation, sourceId, pasid, address, flags, data, bytes));
            return faultOfConsumed;
        }

        @Override
        public TranslationUnitSpec spec() {
            return spec;
        }

        @Override
        public int readRegister32(int offset) {
            return 0x44332211 + offset;
        }

        @Override
        public long readRegister64(int offset) {
            return 0;
        }

        @Override
        public void writeRegister32(int offset, int value) {}

        @Override
        public void writeRegister64(int offset, long value) {}

        @Override
        public boolean step() {
            return false;
        }

        @Override
        public void reset() {}

        @Override
        public void addTo(StateDigest digest) {}
    }
}
