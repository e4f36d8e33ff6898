// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.tck.Traits;

/** VT-d machines whose units or devices are like the built-in ones but for something. */
final class IntelMachines {
    private static final PciAddress PORT = new PciAddress(0, 0, 3, 0);
    private static final PciAddress NETWORK_CARD = new PciAddress(0, 3, 0, 0);

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

    /**
     * Returns the machine with a network card, and with memory that firmware has mapped one to one (RMRR): of the card
     * in two parts that overlap, and of the first GPU.
     */
    static MachineDescription withReservedMemory(MachineDescription machine) {
        Map<String, byte[]> tables = new HashMap<>(machine.acpiTables());
        tables.put(
                "DMAR",
                new DmarWriter(46)
                        .unit(machine.units().get(0).registerBase(), true)
                        .reservedMemory(0xe000000, 0xe00ffff)
                        .endpoint(0, PORT.device(), 0, 0, 0)
                        .reservedMemory(0xf000000, 0xf03ffff)
                        .endpoint(0, BuiltInTopology.GPU_PORT.device(), 0, 0, 0)
                        .reservedMemory(0xe008000, 0xe017fff)
                        .endpoint(0, PORT.device(), 0, 0, 0)
                        .build());
        return withNetworkCards(machine, 1).withAcpiTables(tables);
    }

    /** Returns the machine with a root port and network cards below it. */
    static MachineDescription withNetworkCards(MachineDescription machine, int count) {
        List<FunctionDescription> functions = new ArrayList<>(machine.functions());
        functions.add(
                3,
                new FunctionDescription(
                        PORT,
                        Optional.empty(),
                        ConfigSpaceBuilder.rootPort(0x1b36, 0x000c, 0, NETWORK_CARD.bus(), NETWORK_CARD.bus())
                                .acs(ConfigSpaceBuilder.ACS_ISOLATING)
                                .build(),
                        Optional.of("dmar0"),
                        false));
        for (int i = 0; i < count; i++) {
            functions.add(new FunctionDescription(
                    new PciAddress(0, NETWORK_CARD.bus(), i, 0),
                    Optional.of(PORT),
                    ConfigSpaceBuilder.endpoint(0x8086, 0x10d3, ConfigSpaceBuilder.CLASS_ETHERNET)
                            .build(),
                    Optional.of("dmar0"),
                    false));
        }
        return machine.withFunctions(functions);
    }

    /** Returns traits of {@link #withReservedMemory}: display devices may give theirs up. */
    static Traits withReservedMemory(Traits traits) {
        return traits.with()
                .directRegions(NETWORK_CARD, new ReservedRegion(0xe000000, 0xe017fff, ReservedRegion.Type.DIRECT))
                .directRegions(
                        BuiltInTopology.GPU,
                        new ReservedRegion(0xf000000, 0xf03ffff, ReservedRegion.Type.DIRECT_RELAXABLE))
                .build();
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
