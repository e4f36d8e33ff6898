// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.ShownUnit;

/**
 * The simplest silicon: physical address = IOVA - 4 GiB, below that a fault 5.
 *
 * <p>Register 0 (64 bits): writing n queues n pieces of work, reading tells how many are left; each writes its count to
 * the physical address in register 8, without snooping. Register 16: bit 0 forces snooping.
 */
public final class OffsetUnitProvider implements TranslationUnitProvider {
    public static final long OFFSET = 1L << 32;
    public static final long REGISTERS = 0xfed90000L;
    public static final int FAULT = 5;

    @Override
    public String name() {
        return "offset";
    }

    @Override
    public List<MachineDescription> machines() {
        return List.of(ordinary(), litmus());
    }

    public static MachineDescription ordinary() {
        return new MachineDescription(
                "offset-ordinary",
                ProcessorDescription.x86(BuiltInTopology.CPUS, HardwareVirtualization.VMX, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                List.of(spec("unit0", REGISTERS), spec("unit1", REGISTERS + 0x1000)),
                BuiltInTopology.functions("unit0", "unit1"),
                Map.of("TEST", new byte[] {1, 2, 3}),
                BootOptions.DEFAULT);
    }

    public static MachineDescription litmus() {
        return new MachineDescription(
                "offset-litmus",
                ProcessorDescription.x86(2, HardwareVirtualization.VMX, CacheGeometry.LITMUS),
                1L << 20,
                List.of(spec("unit0", REGISTERS)),
                List.of(new FunctionDescription(
                        new PciAddress(0, 0, 3, 0),
                        Optional.empty(),
                        ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                                .build(),
                        Optional.of("unit0"),
                        false)),
                Map.of(),
                BootOptions.DEFAULT);
    }

    /** Returns the ordinary machine with other functions, all behind unit0. */
    public static MachineDescription with(FunctionDescription... functions) {
        MachineDescription ordinary = ordinary();
        return new MachineDescription(
                "offset-other",
                ordinary.processors(),
                ordinary.memoryBytes(),
                ordinary.units(),
                List.of(functions),
                ordinary.acpiTables(),
                ordinary.bootOptions());
    }

    public static TranslationUnitSpec spec(String name, long base) {
        return new TranslationUnitSpec("offset", name, 0, base, 0x100, Map.of());
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        return Optional.empty();
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        return new OffsetUnit(spec, fabric);
    }

    /** The unit; it remembers the requester ids it saw. */
    public static final class OffsetUnit implements TranslationUnit {
        private final TranslationUnitSpec spec;
        private final Fabric fabric;
        private final List<Integer> requesters = new ArrayList<>();
        private final long[] registers = new long[3];

        OffsetUnit(TranslationUnitSpec spec, Fabric fabric) {
            this.spec = spec;
            this.fabric = fabric;
        }

        public List<Integer> requesters() {
            return requesters;
        }

        @Override
        public TranslationUnitSpec spec() {
            return spec;
        }

        @Override
        public int readRegister32(int offset) {
            return (int) (registers[offset / 8] >>> (8 * (offset & 4)));
        }

        @Override
        public long readRegister64(int offset) {
            return registers[offset / 8];
        }

        @Override
        public void writeRegister32(int offset, int value) {
            registers[offset / 8] = value;
        }

        @Override
        public void writeRegister64(int offset, long value) {
            registers[offset / 8] = value;
        }

        @Override
        public long translate(int requesterId, int pasid, long address, int flags) {
            if (requesters.isEmpty() || requesters.get(requesters.size() - 1) != requesterId) {
                requesters.add(requesterId);
            }
            return Long.compareUnsigned(address, OFFSET) < 0
                    ? Translation.fault(FAULT)
                    : Translation.to(address - OFFSET, (registers[2] & 1) != 0);
        }

        @Override
        public boolean step() {
            if (registers[0] == 0) {
                return false;
            }
            fabric.write(registers[1], registers[0], false);
            registers[0]--;
            return true;
        }

        @Override
        public void reset() {
            requesters.clear();
            registers[0] = 0;
            registers[1] = 0;
            registers[2] = 0;
        }

        @Override
        public void addTo(StateDigest digest) {
            for (long register : registers) {
                digest.add(register);
            }
        }
    }
}
