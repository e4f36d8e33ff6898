// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;

/**
 * The shared topology with one AMD-Vi unit for the whole machine, and a south bridge at 0000:00:14.0.
 *
 * <p>An AMD-Vi unit is also a PCI function, 0000:00:00.2; its capability holds the address of its registers. Source:
 * 48882, chapter 3, "IOMMU PCI Capability Block".
 */
final class BuiltInMachine {
    private static final String UNIT = "ivhd0";
    private static final long REGISTER_BASE = 0xfeb80000L;
    private static final PciAddress IOMMU = new PciAddress(0, 0, 0, 2);
    /** With the I/O APIC, whose function newer Linux looks at. */
    private static final PciAddress SOUTHBRIDGE = new PciAddress(0, 0, 0x14, 0);

    /** The last function of the highest bus. */
    private static final int LAST_REQUESTER_ID = BuiltInTopology.SECOND_GPU.bus() << 8 | 0xff;

    private static final int VENDOR_AMD = 0x1022;
    private static final int DEVICE_IOMMU = 0x1451;
    private static final int DEVICE_SOUTHBRIDGE = 0x790e;
    private static final int CLASS_IOMMU = 0x080600;
    private static final int CLASS_ISA_BRIDGE = 0x060100;
    private static final int STATUS = 0x06;
    private static final int HEADER_TYPE = 0x0e;
    private static final int CAPABILITIES = 0x34;
    private static final int CAPABILITY_OFFSET = 0x40;
    /** GVAsize 48 bits, PAsize 48 bits, VAsize 64 bits. */
    private static final int MISC_INFORMATION_0 = 2 << 5 | 48 << 8 | 64 << 15;

    private BuiltInMachine() {}

    /** Describes a machine whose unit has given features. */
    static MachineDescription describe(String name, long efr, long efr2) {
        TranslationUnitSpec unit = AmdViUnitProvider.unit(UNIT, REGISTER_BASE, efr, efr2);
        return new MachineDescription(
                name,
                ProcessorDescription.x86(BuiltInTopology.CPUS, HardwareVirtualization.SVM, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                List.of(unit),
                functions(),
                Map.of(
                        "IVRS",
                        IvrsWriter.write(
                                IOMMU, CAPABILITY_OFFSET, REGISTER_BASE, efr, efr2, LAST_REQUESTER_ID, SOUTHBRIDGE)),
                BootOptions.DEFAULT);
    }

    private static List<FunctionDescription> functions() {
        List<FunctionDescription> functions = new ArrayList<>();
        for (FunctionDescription function : BuiltInTopology.functions(UNIT, UNIT)) {
            if (functions.size() == 1) {
                functions.add(iommu());
            }
            if (function.address().equals(BuiltInTopology.GPU)) {
                functions.add(southbridge());
            }
            functions.add(
                    function.address().device() == 0 && function.address().bus() == 0
                            ? multiFunction(function)
                            : function);
        }
        return functions;
    }

    private static FunctionDescription southbridge() {
        byte[] config = ConfigSpaceBuilder.conventional(VENDOR_AMD, DEVICE_SOUTHBRIDGE, CLASS_ISA_BRIDGE)
                .build();
        return new FunctionDescription(SOUTHBRIDGE, Optional.empty(), config, Optional.of(UNIT), false);
    }

    /** The host bridge shares its device with the IOMMU. */
    private static FunctionDescription multiFunction(FunctionDescription function) {
        byte[] config = function.config();
        config[HEADER_TYPE] |= (byte) 0x80;
        return new FunctionDescription(
                function.address(),
                function.upstreamBridge(),
                config,
                function.unit(),
                function.externalFacing(),
                function.barSizes());
    }

    private static FunctionDescription iommu() {
        byte[] config = ConfigSpaceBuilder.conventional(VENDOR_AMD, DEVICE_IOMMU, CLASS_IOMMU)
                .multiFunction()
                .build();
        ByteBuffer words = ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN);
        words.putShort(STATUS, (short) 0x10);
        words.put(CAPABILITIES, (byte) CAPABILITY_OFFSET);
        words.putInt(CAPABILITY_OFFSET, (int) AmdViUnitProvider.CAP);
        words.putInt(CAPABILITY_OFFSET + 4, (int) REGISTER_BASE | 1);
        words.putInt(CAPABILITY_OFFSET + 8, (int) (REGISTER_BASE >>> 32));
        words.putInt(CAPABILITY_OFFSET + 16, MISC_INFORMATION_0);
        return new FunctionDescription(IOMMU, Optional.empty(), config, Optional.empty(), false);
    }
}
