// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.FunctionDescription;

/**
 * The PCI functions that all built-in machines share, whatever their translation units.
 *
 * <pre>
 * 0000:00:00.0 host bridge
 * 0000:00:01.0 root port with ACS ---- 0000:01:00.0 GPU (VGA)
 * 0000:00:02.0 root port with ACS ---- 0000:02:00.0 second GPU (3D controller)
 * </pre>
 *
 * <p>A root port's requests pass the unit of the device below it; the host bridge makes none. Both GPUs have Enable No
 * Snoop set at power-on, the default of PCI Express. BAR 0 of each opens 16 MiB of registers, BAR 1 256 MiB of memory.
 * A built-in machine has {@link #CPUS} CPUs, caches of {@link org.iommu4j.sim.spi.CacheGeometry#ORDINARY} and {@link
 * #MEMORY_BYTES} of memory.
 */
public final class BuiltInTopology {
    /** CPUs of a built-in machine. */
    public static final int CPUS = 4;

    /** Memory of a built-in machine: 256 MiB. */
    public static final long MEMORY_BYTES = 256L << 20;

    /** The first GPU. */
    public static final PciAddress GPU = new PciAddress(0, 1, 0, 0);

    /** The second GPU. */
    public static final PciAddress SECOND_GPU = new PciAddress(0, 2, 0, 0);

    /** A second function of the first GPU, on machines that have one: it is in the first one's group. */
    public static final PciAddress GPU_MATE = new PciAddress(0, 1, 0, 1);

    /** The root port above the first GPU. */
    public static final PciAddress GPU_PORT = new PciAddress(0, 0, 1, 0);

    /** The root port above the second GPU. */
    public static final PciAddress SECOND_GPU_PORT = new PciAddress(0, 0, 2, 0);

    /** Where the first GPU has its registers, and how many bytes; the second has its own behind them. */
    private static final long REGISTERS = 0xe000_0000L;

    private static final long REGISTERS_BYTES = 16L << 20;

    /** Where the first GPU has its memory, and how many bytes. */
    private static final long DEVICE_MEMORY = 0x40_0000_0000L;

    private static final long DEVICE_MEMORY_BYTES = 256L << 20;

    /** Vendor id of devices that exist only here; QEMU's bridges use it too (Red Hat). */
    private static final int VENDOR_ID = 0x1b36;

    private BuiltInTopology() {}

    /**
     * Returns the functions in the order of their addresses.
     *
     * @param gpuUnit name of the translation unit of the first GPU and its port
     * @param secondGpuUnit name of the unit of the second GPU and its port; may be the same
     */
    public static List<FunctionDescription> functions(String gpuUnit, String secondGpuUnit) {
        Objects.requireNonNull(gpuUnit, "gpuUnit");
        Objects.requireNonNull(secondGpuUnit, "secondGpuUnit");
        return List.of(
                new FunctionDescription(
                        new PciAddress(0, 0, 0, 0),
                        Optional.empty(),
                        ConfigSpaceBuilder.conventional(VENDOR_ID, 0x0008, ConfigSpaceBuilder.CLASS_HOST_BRIDGE)
                                .build(),
                        Optional.empty(),
                        false),
                port(GPU_PORT, 1, gpuUnit),
                port(SECOND_GPU_PORT, 2, secondGpuUnit),
                gpu(0, GPU, GPU_PORT, 0x0100, ConfigSpaceBuilder.CLASS_VGA, gpuUnit),
                gpu(1, SECOND_GPU, SECOND_GPU_PORT, 0x0101, ConfigSpaceBuilder.CLASS_3D, secondGpuUnit));
    }

    /**
     * Returns the functions, with a second one of the first GPU, in the order of their addresses.
     *
     * @param gpuUnit name of the translation unit of the first GPU's first function and its port
     * @param mateUnit name of the unit of its second function
     * @param secondGpuUnit name of the unit of the second GPU and its port
     */
    public static List<FunctionDescription> functionsWithMate(String gpuUnit, String mateUnit, String secondGpuUnit) {
        Objects.requireNonNull(mateUnit, "mateUnit");
        List<FunctionDescription> functions = new ArrayList<>(functions(gpuUnit, secondGpuUnit));
        functions.removeIf(function -> function.address().equals(GPU));
        functions.add(functions.size() - 1, function(GPU, gpuUnit));
        functions.add(functions.size() - 1, function(GPU_MATE, mateUnit));
        return List.copyOf(functions);
    }

    /** Returns a function of a device that has several. */
    private static FunctionDescription function(PciAddress address, String unit) {
        byte[] config = ConfigSpaceBuilder.endpoint(VENDOR_ID, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                .multiFunction()
                .build();
        return new FunctionDescription(address, Optional.of(GPU_PORT), config, Optional.of(unit), false);
    }

    private static FunctionDescription port(PciAddress address, int secondaryBus, String unit) {
        byte[] config = ConfigSpaceBuilder.rootPort(VENDOR_ID, 0x000c, 0, secondaryBus, secondaryBus)
                .acs(ConfigSpaceBuilder.ACS_ISOLATING)
                .build();
        return new FunctionDescription(address, Optional.empty(), config, Optional.of(unit), false);
    }

    private static FunctionDescription gpu(
            int number, PciAddress address, PciAddress port, int deviceId, int classCode, String unit) {
        ConfigSpaceBuilder config = ConfigSpaceBuilder.endpoint(VENDOR_ID, deviceId, classCode)
                .registers(0, REGISTERS + number * REGISTERS_BYTES, REGISTERS_BYTES)
                .deviceMemory(1, DEVICE_MEMORY + number * DEVICE_MEMORY_BYTES, DEVICE_MEMORY_BYTES);
        return new FunctionDescription(
                address, Optional.of(port), config.build(), Optional.of(unit), false, config.barSizes());
    }
}
