// SPDX-License-Identifier: Apache-2.0
package com.example.minimal.sim;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
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
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.ShownUnit;

/** The entry: builds units, and describes machines that have one. */
public final class MinimalSilicon implements TranslationUnitProvider {
    private static final String NAME = "minimal";
    private static final String UNIT = "minimal0";
    private static final String SIGNATURE = "MINI";
    private static final long REGISTER_BASE = 0xfed80000L;

    @Override
    public String name() {
        return NAME;
    }

    /** Machines whose unit, of version 1, blocks no-snoop, and does not. */
    @Override
    public List<MachineDescription> machines() {
        return List.of(machine(NAME, 1 | 1 << 8), machine(NAME + "-nosc", 1));
    }

    private static MachineDescription machine(String name, long cap) {
        return new MachineDescription(
                name,
                ProcessorDescription.x86(BuiltInTopology.CPUS, HardwareVirtualization.SVM, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                List.of(unit(REGISTER_BASE, cap)),
                BuiltInTopology.functions(UNIT, UNIT),
                Map.of(SIGNATURE, firmwareTable()),
                BootOptions.DEFAULT);
    }

    private static TranslationUnitSpec unit(long registerBase, long cap) {
        return new TranslationUnitSpec(NAME, UNIT, 0, registerBase, 4096, Map.of("CAP", cap));
    }

    private static byte[] firmwareTable() {
        int length = AcpiTable.HEADER_LENGTH + Long.BYTES;
        ByteBuffer table = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        table.put(SIGNATURE.getBytes(StandardCharsets.US_ASCII)).putInt(length);
        table.putLong(AcpiTable.HEADER_LENGTH, REGISTER_BASE);
        byte sum = 0;
        for (byte value : table.array()) {
            sum += value;
        }
        return table.put(9, (byte) -sum).array(); // the checksum: all bytes add up to 0
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        if (!name.equals(UNIT)) {
            return Optional.empty();
        }
        Long cap = known.registers().get("CAP");
        if (cap == null || known.registerBase().isEmpty()) {
            throw new IllegalArgumentException(UNIT + ": expected CAP and the address of the registers");
        }
        return Optional.of(unit(known.registerBase().getAsLong(), cap));
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        return new MinimalUnit(spec, fabric);
    }
}
