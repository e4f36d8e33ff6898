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
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.Machines;
import org.iommu4j.tck.Traits;

/** VT-d machines whose units or devices are like the built-in ones but for something. */
public final class IntelMachines {
    private static final PciAddress PORT = new PciAddress(0, 0, 3, 0);
    private static final PciAddress NETWORK_CARD = new PciAddress(0, 3, 0, 0);

    private IntelMachines() {}

    /** Returns a unit with both stages, 1 GiB pages, nesting, PASIDs, PRS and SLADS; its first GPU asks for pages. */
    public static MachineDescription withEverything() {
        long ecap = VtdUnitProvider.ECAP_SNOOP_CONTROL
                | 1L << 43
                | 3L << 46
                | 1L << 48
                | 1L << 29
                | 1L << 26
                | 0x13L << 35
                | 1L << 40
                | 1L << 45;
        MachineDescription unit =
                VtdUnitProvider.machine("intel-everything", VtdUnitProvider.CAP_4_LEVEL | 1L << 56, ecap);
        return Machines.withPageRequests(withPasids(unit, true));
    }

    /** Returns two units with the same registers: the first device is behind {@code dmar1}, the second behind dmar0. */
    public static MachineDescription twoUnits(long cap, long ecap) {
        return twoUnits(cap, ecap, cap, ecap);
    }

    /** Returns two units: the first device is behind {@code dmar1}, the second behind {@code dmar0}. */
    public static MachineDescription twoUnits(long cap1, long ecap1, long cap0, long ecap0) {
        MachineDescription machine = MachineFactory.load().named("intel-mixed");
        machine = Machines.withRegister(machine, "dmar1", "CAP", cap -> cap1);
        machine = Machines.withRegister(machine, "dmar1", "ECAP", ecap -> ecap1);
        machine = Machines.withRegister(machine, "dmar0", "CAP", cap -> cap0);
        return Machines.withRegister(machine, "dmar0", "ECAP", ecap -> ecap0);
    }

    /** Returns the machine with PASIDs of 16 bits in its two GPUs, and with translation caches if asked for. */
    public static MachineDescription withPasids(MachineDescription machine, boolean translationCaches) {
        Map<String, byte[]> tables = new HashMap<>(machine.acpiTables());
        tables.computeIfPresent("DMAR", (signature, dmar) -> withEveryRootPort(dmar));
        return Machines.withPasids(machine.withAcpiTables(tables), translationCaches);
    }

    /**
     * Returns the machine with a network card, and with memory that firmware has mapped one to one (RMRR): of the card
     * in two parts that overlap, and of the first GPU.
     */
    public static MachineDescription withReservedMemory(MachineDescription machine) {
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
    public static MachineDescription withNetworkCards(MachineDescription machine, int count) {
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
    public static Traits withReservedMemory(Traits traits) {
        return traits.with()
                .directRegions(NETWORK_CARD, new ReservedRegion(0xe000000, 0xe017fff, ReservedRegion.Type.DIRECT))
                .directRegions(
                        BuiltInTopology.GPU,
                        new ReservedRegion(0xf000000, 0xf03ffff, ReservedRegion.Type.DIRECT_RELAXABLE))
                .build();
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
