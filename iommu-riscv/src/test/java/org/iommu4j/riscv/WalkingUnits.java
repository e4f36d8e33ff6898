// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongUnaryOperator;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/**
 * Units that walk their tables with every request and cache nothing: {@link UnitDouble} and {@link Walk} as silicon.
 *
 * <p>They show what the driver stores, and not what it forgets to have forgotten.
 */
public final class WalkingUnits implements TranslationUnitProvider {
    private static final int FQCSR = 76;
    private static final int DDTP = 16;

    /** For tests. */
    public WalkingUnits() {}

    @Override
    public String name() {
        return "riscv";
    }

    @Override
    public List<MachineDescription> machines() {
        return List.of(Hosts.twoUnits());
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

    private static final class Unit implements TranslationUnit {
        private final TranslationUnitSpec spec;
        private final Fabric fabric;
        private final LongUnaryOperator load;
        private UnitDouble registers;
        private volatile long ddtp;

        private Unit(TranslationUnitSpec spec, Fabric fabric) {
            this.spec = spec;
            this.fabric = fabric;
            this.load = address -> fabric.read(address, true);
            this.registers = atPowerOn();
        }

        private UnitDouble atPowerOn() {
            UnitDouble fresh = new UnitDouble(
                    spec.registerBase(),
                    spec.register("capabilities"),
                    load,
                    (address, value) -> fabric.write(address, value, true));
            fresh.eager = false;
            fresh.strict = false;
            return fresh;
        }

        @Override
        public TranslationUnitSpec spec() {
            return spec;
        }

        @Override
        public synchronized int readRegister32(int offset) {
            return registers.read32(offset);
        }

        @Override
        public synchronized long readRegister64(int offset) {
            return registers.read64(offset);
        }

        @Override
        public synchronized void writeRegister32(int offset, int value) {
            registers.write32(offset, value);
        }

        @Override
        public synchronized void writeRegister64(int offset, long value) {
            registers.write64(offset, value);
            ddtp = registers.get(DDTP);
        }

        @Override
        public long translate(int sourceId, int pasid, long address, int flags) {
            long id = sourceId & 0xffff_ffffL;
            long place = Walk.translate(spec.register("capabilities"), ddtp, load, id, address);
            boolean write = RequestFlags.writes(flags);
            if (pasid != NO_PASID) {
                place = place < 0 && place != -13 ? place : -260;
            } else if (place >= 0 && write && (place >>> 62 & 1) == 0) {
                place = -13;
            }
            if (place >= 0) {
                return Translation.to(place & ~(3L << 62), false);
            }
            int cause = place == -13 && write ? 15 : (int) -place;
            record(cause, id, pasid, address, write);
            return Translation.fault(cause);
        }

        private synchronized void record(int cause, long id, int pasid, long address, boolean write) {
            if ((registers.get(FQCSR) & 1) != 0) {
                long process = pasid == NO_PASID ? 0 : (long) pasid << 12 | 1L << 32;
                registers.fault(cause | process | (write ? 3L : 2L) << 34 | id << 40, address);
            }
        }

        @Override
        public synchronized boolean step() {
            return registers.fetch();
        }

        @Override
        public synchronized void reset() {
            registers = atPowerOn();
            ddtp = 0;
        }

        @Override
        public synchronized void addTo(StateDigest digest) {
            for (int offset = 0; offset < 4096; offset += 4) {
                digest.add(registers.get(offset));
            }
        }
    }
}
