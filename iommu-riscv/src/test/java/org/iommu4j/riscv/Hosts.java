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
import org.iommu4j.riscv.dt.TreeBytes;
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

    /** A device that is not on PCI, of a device tree. */
    public static final NamedDevice TREE_DMA = new NamedDevice("10000000.dma");

    private static final PciAddress FUNCTION = new PciAddress(0, 0, 3, 0);
    private static final String UNIT_ON_PCI = "riscv-iommu@" + FUNCTION;

    // Phandles
    private static final long WIRES = 1;
    private static final long MESSAGES = 2;
    private static final long FIRST_UNIT = 3;
    private static final long SECOND_UNIT_HANDLE = 4;

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

    /** Returns the same host with a device tree in place of RIMT. */
    public static MachineDescription twoUnitsInTree() {
        TreeBytes tree = new TreeBytes().words("#address-cells", 2).words("#size-cells", 2);
        tree.begin("soc").text("compatible", "simple-bus").words("ranges");
        controllers(tree);
        unit(tree, BASE, 4, true).words("phandle", FIRST_UNIT).end();
        unit(tree, SECOND_BASE, 4, true).words("phandle", SECOND_UNIT_HANDLE).end();
        tree.begin("pci@30000000")
                .text("compatible", "pci-host-ecam-generic")
                .text("device_type", "pci")
                .words("#address-cells", 3)
                .words("#size-cells", 2)
                .words("iommu-map", new long[] {
                    0, FIRST_UNIT, 0, 0x10,
                    0x10, SECOND_UNIT_HANDLE, 0x10010, 8,
                    0x18, FIRST_UNIT, 0x18, 0x1e8,
                    0x200, SECOND_UNIT_HANDLE, 0x10200, 0x100
                })
                .end();
        tree.begin("dma@10000000")
                .text("compatible", "acme,dma")
                .words("reg", 0, 0x10000000, 0, 0x1000)
                .words("iommus", SECOND_UNIT_HANDLE, 0xabcde)
                .end();
        String first = "riscv-iommu@3010000.iommu";
        String second = "riscv-iommu@3020000.iommu";
        TranslationUnitSpec other = unit(second, SECOND_BASE)
                .withSourceIds(
                        List.of(new SourceIdRange(0, 0x10, 8, 0x10010), new SourceIdRange(0, 0x200, 0x100, 0x10200)));
        return machine("riscv-two-dt", List.of(unit(first, BASE), other), Map.of())
                .withDeviceTree(Optional.of(tree.end().tree()))
                .withFunctions(BuiltInTopology.functions(first, second))
                .withPlatformDevices(
                        List.of(new PlatformDeviceDescription(TREE_DMA, Optional.of(second), List.of(0xabcde), true)));
    }

    /** Adds a controller of wires and one of messages. */
    static TreeBytes controllers(TreeBytes tree) {
        return tree.begin("interrupt-controller@c000000")
                .words("phandle", WIRES)
                .words("#interrupt-cells", 1)
                .end()
                .begin("interrupt-controller@28000000")
                .words("phandle", MESSAGES)
                .end();
    }

    /** Begins the node of a unit that is a platform device. */
    static TreeBytes unit(TreeBytes tree, long base, int wires, boolean messages) {
        tree.begin("iommu@" + Long.toHexString(base))
                .text("compatible", "acme,iommu", "riscv,iommu")
                .words("reg", 0, base, 0, 0x1000)
                .words("#iommu-cells", 1)
                .words("interrupt-parent", WIRES)
                .words("interrupts", new long[wires]);
        return messages ? tree.words("msi-parent", MESSAGES) : tree;
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
        RimtBytes rimt = new RimtBytes();
        int node = rimt.next();
        rimt.pciUnit(0, FUNCTION.requesterId()).rootComplex(0, new Mapping(0, 0xffff, 0, node));
        return withFunction(machine("riscv-pci", List.of(unit(UNIT_ON_PCI, BASE)), rimt.table()));
    }

    /** Returns the same host with a device tree in place of RIMT, as QEMU's: the unit translates for all but itself. */
    public static MachineDescription pciUnitInTree() {
        TreeBytes tree = new TreeBytes().words("#address-cells", 2).words("#size-cells", 2);
        tree.begin("pci@30000000")
                .text("compatible", "pci-host-ecam-generic")
                .text("device_type", "pci")
                .words("linux,pci-domain", 0)
                .words("#address-cells", 3)
                .words("#size-cells", 2)
                .words("iommu-map", 0, FIRST_UNIT, 0, 0x18, 0x19, FIRST_UNIT, 0x19, 0xffe7)
                .begin("iommu@3")
                .text("compatible", "pci1b36,0014", "riscv,pci-iommu")
                .words("reg", 0x1800, 0, 0, 0, 0)
                .words("#iommu-cells", 1)
                .words("phandle", FIRST_UNIT)
                .end()
                .end();
        return withFunction(machine("riscv-pci-dt", List.of(unit(UNIT_ON_PCI, BASE)), Map.of()))
                .withDeviceTree(Optional.of(tree.tree()));
    }

    private static MachineDescription withFunction(MachineDescription machine) {
        byte[] config = ConfigSpaceBuilder.endpoint(0x1b36, 0x0014, 0x080600).build();
        config[0x10] = 4;
        config[0x12] = 0x01;
        config[0x13] = 0x03;
        List<FunctionDescription> functions = new ArrayList<>(BuiltInTopology.functions(UNIT_ON_PCI, UNIT_ON_PCI));
        functions.add(3, new FunctionDescription(FUNCTION, Optional.empty(), config, Optional.empty(), false));
        return machine.withFunctions(functions);
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
        return machine(name, units, Map.of("RIMT", rimt));
    }

    private static MachineDescription machine(
            String name, List<TranslationUnitSpec> units, Map<String, byte[]> tables) {
        return new MachineDescription(
                name,
                new ProcessorDescription(4, Architecture.RISCV64, HardwareVirtualization.NONE, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                units,
                List.of(),
                tables,
                BootOptions.DEFAULT);
    }
}
