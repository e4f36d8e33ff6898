// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.riscv.acpi.RimtBytes;
import org.iommu4j.riscv.acpi.RimtBytes.Mapping;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.SourceIdRange;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;

/** Hosts that are described only: their units need no silicon. */
public final class Hosts {
    /** Version 1.0, Sv39 to Sv57, flat MSI tables, interrupts by MSI or wire, addresses of 56 bits. */
    public static final long CAPABILITIES = 0x10 | 7 << 9 | 1 << 22 | 2L << 28 | 56L << 32;

    /** A device that is not on PCI. */
    public static final NamedDevice DMA = new NamedDevice("\\_SB.DMA0");

    static final long BASE = 0x3010000L;
    static final long SECOND_BASE = 0x3020000L;
    static final String UNIT = "riscv-iommu@RSCV0004:00";
    static final String SECOND_UNIT = "riscv-iommu@RSCV0004:01";

    private Hosts() {}

    /**
     * Returns a host with two units: the second has a root port with the bus below it, by ids of its own, and a device
     * that is not on PCI; the first has all else.
     */
    public static MachineDescription twoUnits() {
        RimtBytes rimt = new RimtBytes();
        int first = rimt.next();
        int second = rimt.unit("RSCV0004", BASE, 4).next();
        rimt.unit("RSCV0004", SECOND_BASE, 4)
                .rootComplex(
                        0,
                        new Mapping(0, 0xf, 0, first),
                        new Mapping(0x10, 7, 0x10010, second),
                        new Mapping(0x18, 0x1e7, 0x18, first),
                        new Mapping(0x200, 0x100, 0x10200, second))
                .platformDevice(DMA.name(), new Mapping(0, 1, 0xabcde, second));
        TranslationUnitSpec other = unit(SECOND_UNIT, SECOND_BASE)
                .withSourceIds(
                        List.of(new SourceIdRange(0, 0x10, 8, 0x10010), new SourceIdRange(0, 0x200, 0x100, 0x10200)));
        return machine("riscv-two", List.of(unit(UNIT, BASE), other), rimt.table())
                .withFunctions(BuiltInTopology.functions(UNIT, SECOND_UNIT))
                .withPlatformDevices(
                        List.of(new PlatformDeviceDescription(DMA, Optional.of(SECOND_UNIT), List.of(0xabcde), true)));
    }

    /** Returns the same host, whose second unit has other capabilities. */
    static MachineDescription twoUnits(long capabilities) {
        MachineDescription machine = twoUnits();
        TranslationUnitSpec second = machine.units().get(1);
        return machine.withUnits(List.of(
                machine.units().get(0),
                new TranslationUnitSpec(
                        second.provider(),
                        second.name(),
                        0,
                        second.registerBase(),
                        4096,
                        Map.of("capabilities", capabilities),
                        second.sourceIds())));
    }

    /** Returns a host whose unit is the PCI function 00:03.0, as QEMU's. */
    public static MachineDescription pciUnit() {
        PciAddress address = new PciAddress(0, 0, 3, 0);
        String name = "riscv-iommu@" + address;
        RimtBytes rimt = new RimtBytes();
        int node = rimt.next();
        rimt.pciUnit(0, address.requesterId()).rootComplex(0, new Mapping(0, 0xffff, 0, node));
        byte[] config = ConfigSpaceBuilder.endpoint(0x1b36, 0x0014, 0x080600).build();
        config[0x10] = 4;
        config[0x12] = 0x01;
        config[0x13] = 0x03;
        List<FunctionDescription> functions = new ArrayList<>(BuiltInTopology.functions(name, name));
        functions.add(3, new FunctionDescription(address, Optional.empty(), config, Optional.empty(), false));
        return machine("riscv-pci", List.of(unit(name, BASE)), rimt.table()).withFunctions(functions);
    }

    /** Returns a host whose unit has contexts of 32 bytes, Sv39 alone, and one wire. */
    public static MachineDescription smallUnit() {
        RimtBytes rimt = new RimtBytes();
        int node = rimt.next();
        rimt.unit("RSCV0004", BASE, 1).rootComplex(0, new Mapping(0, 0xffff, 0, node));
        long capabilities = 0x10 | 1 << 9 | 1L << 28 | 40L << 32;
        TranslationUnitSpec unit =
                new TranslationUnitSpec("riscv", UNIT, 0, BASE, 4096, Map.of("capabilities", capabilities));
        return machine("riscv-small", List.of(unit), rimt.table()).withFunctions(BuiltInTopology.functions(UNIT, UNIT));
    }

    private static TranslationUnitSpec unit(String name, long base) {
        return new TranslationUnitSpec("riscv", name, 0, base, 4096, Map.of("capabilities", CAPABILITIES));
    }

    private static MachineDescription machine(String name, List<TranslationUnitSpec> units, byte[] rimt) {
        return new MachineDescription(
                name,
                new ProcessorDescription(4, Architecture.RISCV64, HardwareVirtualization.NONE, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                units,
                List.of(),
                Map.of("RIMT", rimt),
                BootOptions.DEFAULT);
    }
}
