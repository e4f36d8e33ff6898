// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.HardwareVirtualization;
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

/**
 * The shared topology on RISC-V, with one IOMMU for all devices: a platform device, or a PCI function.
 *
 * <p>Device ids are requester ids with a bit of a third level of the directory on top. The host bridge and the IOMMU
 * itself have none. A DMA engine that is not on PCI has two.
 */
final class RiscvMachine {
    /** Wired interrupts of an IOMMU that is a platform device. */
    static final int WIRES = 4;

    private static final long REGISTER_BASE = 0x4000_0000L;
    private static final String PLATFORM_UNIT = "riscv-iommu@RSCV0004:00";
    private static final String TREE_UNIT = "riscv-iommu@" + DeviceTreeWriter.device(REGISTER_BASE, "iommu");
    private static final NamedDevice TREE_DMA_ENGINE = DeviceTreeWriter.device(0x1001_0000L, "dma-controller");
    private static final PciAddress FUNCTION = new PciAddress(0, 0, 3, 0);
    private static final String FUNCTION_UNIT = "riscv-iommu@" + FUNCTION;
    private static final int FIRST_DEVICE_ID = 0x1_0000;
    private static final int LAST_REQUESTER_ID = 0xffff;
    private static final NamedDevice DMA_ENGINE = new NamedDevice("\\_SB.DMA0");
    private static final List<Integer> DMA_ENGINE_IDS = List.of(0x2_0001, 0x2_0002);

    // QEMU's function
    private static final int VENDOR_ID = 0x1b36;
    private static final int DEVICE_ID = 0x0014;
    private static final int CLASS_IOMMU = 0x080600;

    // Configuration space
    private static final int STATUS = 0x06;
    private static final int STATUS_HAS_CAPABILITIES = 0x10;
    private static final int BAR0 = 0x10;
    private static final int BAR_64_BITS = 4;
    private static final int CAPABILITIES = 0x34;
    private static final int MSI_X_OFFSET = 0x40;
    private static final int MSI_X = 0x11;
    private static final int MSI_X_VECTORS = 16;
    private static final int MSI_X_TABLE = 768;
    private static final int MSI_X_PENDING = 0x800;

    private RiscvMachine() {}

    /** Describes a machine whose IOMMU is a platform device. */
    static MachineDescription platform(String name, long capabilities) {
        // All but the host bridge.
        TranslationUnitSpec unit = unit(PLATFORM_UNIT, REGISTER_BASE, capabilities)
                .withSourceIds(List.of(deviceIds(1, LAST_REQUESTER_ID)));
        PlatformDeviceDescription engine =
                new PlatformDeviceDescription(DMA_ENGINE, Optional.of(PLATFORM_UNIT), DMA_ENGINE_IDS, true);
        return machine(
                name,
                unit,
                BuiltInTopology.functions(PLATFORM_UNIT, PLATFORM_UNIT),
                List.of(engine),
                Map.of("RIMT", RimtWriter.write(unit, Optional.empty(), hasAts(capabilities), engine)));
    }

    /** Describes a machine whose IOMMU is a platform device, with a device tree and no ACPI tables. */
    static MachineDescription withDeviceTree(String name, long capabilities) {
        TranslationUnitSpec unit =
                unit(TREE_UNIT, REGISTER_BASE, capabilities).withSourceIds(List.of(deviceIds(1, LAST_REQUESTER_ID)));
        PlatformDeviceDescription engine =
                new PlatformDeviceDescription(TREE_DMA_ENGINE, Optional.of(TREE_UNIT), DMA_ENGINE_IDS, true);
        return machine(name, unit, BuiltInTopology.functions(TREE_UNIT, TREE_UNIT), List.of(engine), Map.of())
                .withDeviceTree(Optional.of(DeviceTreeWriter.write(unit, BuiltInTopology.MEMORY_BYTES, engine)));
    }

    /** Describes a machine whose IOMMU is a PCI function. */
    static MachineDescription pci(String name, long capabilities) {
        // All but the host bridge and the IOMMU itself; Linux takes the id after a range as part of it.
        TranslationUnitSpec unit = unit(FUNCTION_UNIT, REGISTER_BASE, capabilities)
                .withSourceIds(List.of(
                        deviceIds(1, FUNCTION.requesterId() - 2),
                        deviceIds(FUNCTION.requesterId() + 1, LAST_REQUESTER_ID)));
        List<FunctionDescription> functions = new ArrayList<>(BuiltInTopology.functions(FUNCTION_UNIT, FUNCTION_UNIT));
        int bus0 = (int)
                functions.stream().filter(each -> each.address().bus() == 0).count();
        functions.add(bus0, iommu());
        return machine(
                name,
                unit,
                functions,
                List.of(),
                Map.of("RIMT", RimtWriter.write(unit, Optional.of(FUNCTION), hasAts(capabilities))));
    }

    /** Describes a unit whose device ids are requester ids. */
    static TranslationUnitSpec unit(String name, long registerBase, long capabilities) {
        return new TranslationUnitSpec(
                RiscvSilicon.NAME,
                name,
                0,
                registerBase,
                RiscvUnit.WINDOW_BYTES,
                Map.of(Features.REGISTER, capabilities));
    }

    private static SourceIdRange deviceIds(int firstRequesterId, int lastRequesterId) {
        return new SourceIdRange(
                0, firstRequesterId, lastRequesterId - firstRequesterId + 1, FIRST_DEVICE_ID + firstRequesterId);
    }

    private static boolean hasAts(long capabilities) {
        return Features.ATS.isSet(capabilities);
    }

    private static MachineDescription machine(
            String name,
            TranslationUnitSpec unit,
            List<FunctionDescription> functions,
            List<PlatformDeviceDescription> platformDevices,
            Map<String, byte[]> acpiTables) {
        return new MachineDescription(
                name,
                new ProcessorDescription(
                        BuiltInTopology.CPUS,
                        Architecture.RISCV64,
                        HardwareVirtualization.NONE,
                        CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                Optional.empty(),
                List.of(unit),
                functions,
                platformDevices,
                acpiTables,
                BootOptions.DEFAULT);
    }

    /** The IOMMU's function: its registers in BAR 0, its messages by MSI-X. */
    private static FunctionDescription iommu() {
        byte[] config = ConfigSpaceBuilder.conventional(VENDOR_ID, DEVICE_ID, CLASS_IOMMU)
                .build();
        ByteBuffer words = ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN);
        words.putShort(STATUS, (short) STATUS_HAS_CAPABILITIES);
        words.putLong(BAR0, REGISTER_BASE | BAR_64_BITS);
        words.put(CAPABILITIES, (byte) MSI_X_OFFSET);
        words.putShort(MSI_X_OFFSET, (short) MSI_X);
        words.putShort(MSI_X_OFFSET + 2, (short) (MSI_X_VECTORS - 1));
        words.putInt(MSI_X_OFFSET + 4, MSI_X_TABLE);
        words.putInt(MSI_X_OFFSET + 8, MSI_X_PENDING);
        return new FunctionDescription(FUNCTION, Optional.empty(), config, Optional.empty(), false);
    }
}
