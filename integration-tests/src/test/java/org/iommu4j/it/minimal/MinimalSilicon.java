// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.minimal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.ShownUnit;

/** The hardware that {@link MinimalVendor} drives, and a machine that has it. */
public final class MinimalSilicon implements TranslationUnitProvider {
    /** One register of 64 bits for each requester id. */
    static final int REGISTER_BYTES = (1 << 16) * Long.BYTES;

    private static final long REGISTER_BASE = 0xfed80000L;

    @Override
    public String name() {
        return "minimal";
    }

    /** None that the command would list: tests ask for {@link #machine}. */
    @Override
    public List<MachineDescription> machines() {
        return List.of();
    }

    /**
     * Describes a machine with such a unit.
     *
     * @param coherent what firmware says of ordinary DMA
     */
    public static MachineDescription machine(boolean coherent) {
        return new MachineDescription(
                coherent ? "minimal" : "minimal-not-coherent",
                ProcessorDescription.x86(BuiltInTopology.CPUS, HardwareVirtualization.SVM, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                List.of(new TranslationUnitSpec(
                        "minimal", MinimalVendor.UNIT, 0, REGISTER_BASE, REGISTER_BYTES, Map.of())),
                BuiltInTopology.functions(MinimalVendor.UNIT, MinimalVendor.UNIT),
                Map.of(MinimalVendor.SIGNATURE, firmwareTable(coherent)),
                BootOptions.DEFAULT);
    }

    private static byte[] firmwareTable(boolean coherent) {
        ByteBuffer table = ByteBuffer.allocate(AcpiTable.HEADER_LENGTH + 9).order(ByteOrder.LITTLE_ENDIAN);
        table.put(MinimalVendor.SIGNATURE.getBytes(StandardCharsets.US_ASCII)).putInt(table.capacity());
        table.putLong(AcpiTable.HEADER_LENGTH, REGISTER_BASE);
        table.put(AcpiTable.HEADER_LENGTH + 8, (byte) (coherent ? 1 : 0));
        return table.array();
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

    /** The unit: look the table up, look the entry up, check. */
    private static final class Unit implements TranslationUnit {
        private final TranslationUnitSpec spec;
        private final Fabric fabric;
        private final Map<Integer, Long> tables = new HashMap<>();

        private Unit(TranslationUnitSpec spec, Fabric fabric) {
            this.spec = spec;
            this.fabric = fabric;
        }

        @Override
        public TranslationUnitSpec spec() {
            return spec;
        }

        @Override
        public long translate(int requesterId, int pasid, long address, int flags) {
            long table = tables.getOrDefault(requesterId, 0L);
            if (table == 0 || pasid != NO_PASID) {
                return Translation.fault(1);
            }
            if (address < 0 || address / MinimalDomain.PAGE >= MinimalDomain.ENTRIES) {
                return Translation.fault(2);
            }
            long entry = fabric.read(table + address / MinimalDomain.PAGE * Long.BYTES, true);
            if ((entry & (RequestFlags.writes(flags) ? 2 : 1)) == 0) {
                return Translation.fault(3);
            }
            return Translation.to((entry & -MinimalDomain.PAGE) | (address & (MinimalDomain.PAGE - 1)), false);
        }

        @Override
        public long readRegister64(int offset) {
            return tables.getOrDefault(offset / Long.BYTES, 0L);
        }

        @Override
        public void writeRegister64(int offset, long value) {
            tables.put(offset / Long.BYTES, value);
        }

        /** Registers are 64 bits wide; half an access is answered as by hardware that is not there. */
        @Override
        public int readRegister32(int offset) {
            return -1;
        }

        @Override
        public void writeRegister32(int offset, int value) {
            // Lost, as above.
        }

        @Override
        public boolean step() {
            return false;
        }

        @Override
        public void reset() {
            tables.clear();
        }

        @Override
        public void addTo(StateDigest digest) {
            tables.forEach((requester, table) -> digest.add(StateDigest.mix(requester, table)));
        }
    }
}
