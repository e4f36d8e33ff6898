// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** VT-d machines whose units or devices are like the built-in ones but for something. */
final class IntelMachines {
    private IntelMachines() {}

    /** Returns two units with the same registers: the first device is behind {@code dmar1}, the second behind dmar0. */
    static MachineDescription twoUnits(long cap, long ecap) {
        MachineDescription machine = MachineFactory.load().named("intel-mixed");
        return machine.withUnits(machine.units().stream()
                .map(unit -> withCapabilities(unit, cap, ecap))
                .toList());
    }

    private static TranslationUnitSpec withCapabilities(TranslationUnitSpec unit, long cap, long ecap) {
        Map<String, Long> registers = new HashMap<>(unit.registers());
        registers.put("CAP", cap);
        registers.put("ECAP", ecap);
        return new TranslationUnitSpec(
                unit.provider(), unit.name(), unit.segment(), unit.registerBase(), unit.registerSize(), registers);
    }

    /** Returns the machine with PASIDs of 16 bits in its two GPUs, and with translation caches if asked for. */
    static MachineDescription withPasids(MachineDescription machine, boolean translationCaches) {
        Map<String, byte[]> tables = new HashMap<>(machine.acpiTables());
        tables.computeIfPresent("DMAR", (signature, dmar) -> withEveryRootPort(dmar));
        return machine.withAcpiTables(tables)
                .withFunctions(machine.functions().stream()
                        .map(function -> function.address().equals(BuiltInTopology.GPU)
                                        || function.address().equals(BuiltInTopology.SECOND_GPU)
                                ? withPasid(function, translationCaches)
                                : function)
                        .toList());
    }

    /** Returns the machine whose first GPU can have PASIDs, a translation cache and 64 page requests. */
    static MachineDescription withPageRequests(MachineDescription machine) {
        byte[] config = ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                .pasid(16)
                .ats()
                .pri(64)
                .build();
        return machine.withFunctions(machine.functions().stream()
                .map(function -> function.address().equals(BuiltInTopology.GPU)
                        ? new FunctionDescription(
                                function.address(),
                                function.upstreamBridge(),
                                config,
                                function.unit(),
                                function.externalFacing())
                        : function)
                .toList());
    }

    private static FunctionDescription withPasid(FunctionDescription function, boolean translationCache) {
        ConfigSpaceBuilder builder = ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                .pasid(16);
        return new FunctionDescription(
                function.address(),
                function.upstreamBridge(),
                (translationCache ? builder.ats() : builder).build(),
                function.unit(),
                function.externalFacing());
    }

    /** Adds the structure (ATSR, VT-d 8.5) that lets devices below every root port have translation caches. */
    private static byte[] withEveryRootPort(byte[] dmar) {
        byte[] longer = Arrays.copyOf(dmar, dmar.length + 8);
        ByteBuffer bytes = ByteBuffer.wrap(longer).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putShort(dmar.length, (short) 2).putShort(dmar.length + 2, (short) 8);
        bytes.put(dmar.length + 4, (byte) 1);
        bytes.putInt(4, longer.length);
        longer[9] = 0;
        int sum = 0;
        for (byte b : longer) {
            sum += b;
        }
        longer[9] = (byte) -sum;
        return longer;
    }
}
