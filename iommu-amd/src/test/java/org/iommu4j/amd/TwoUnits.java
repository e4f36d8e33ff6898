// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** The built-in machine, whose second GPU and its port are behind a second unit. */
public final class TwoUnits {
    private static final long FIRST_BASE = 0xfeb8_0000L;
    static final long SECOND_BASE = 0xfec8_0000L;
    private static final long EFR = AmdViUnitProvider.EFR_6_LEVEL;

    private TwoUnits() {}

    /** Returns the machine; the second unit and what is behind it are in a PCI segment. */
    public static MachineDescription machine(int segment) {
        return machine(segment, EFR, EFR);
    }

    /** The same with other images of the features in the table of firmware. */
    static MachineDescription machine(int segment, long firstImage, long secondImage) {
        MachineDescription one = AmdViUnitProvider.machine("amd-two", EFR, 0);
        List<FunctionDescription> functions = new ArrayList<>();
        for (FunctionDescription each : one.functions()) {
            PciAddress address = each.address();
            boolean second = address.bus() == 2 || (address.bus() == 0 && address.device() == 2);
            functions.add(second ? moved(each, segment, "ivhd1") : each);
            if (each.unit().isEmpty() && address.function() == 2) {
                functions.add(secondUnit(each, segment));
            }
        }
        functions.sort(Comparator.comparing(FunctionDescription::address));
        TranslationUnitSpec spec = AmdViUnitProvider.unit("ivhd1", SECOND_BASE, EFR, 0);
        byte[] other = TestPlatform.ivhd(
                0x11,
                40,
                secondImage,
                SECOND_BASE,
                3,
                TestPlatform.range(0x10, 0x17),
                TestPlatform.range(0x200, 0x2ff));
        ByteBuffer.wrap(other).order(ByteOrder.LITTLE_ENDIAN).putShort(16, (short) segment);
        return new MachineDescription(
                one.name(),
                one.processors(),
                one.memoryBytes(),
                List.of(
                        one.units().get(0),
                        new TranslationUnitSpec(
                                spec.provider(),
                                spec.name(),
                                segment,
                                SECOND_BASE,
                                spec.registerSize(),
                                spec.registers())),
                functions,
                Map.of(
                        "IVRS",
                        TestPlatform.table(
                                1,
                                TestPlatform.ivhd(
                                        0x11,
                                        40,
                                        firstImage,
                                        FIRST_BASE,
                                        2,
                                        TestPlatform.range(8, 0xf),
                                        TestPlatform.range(0x18, 0x1ff)),
                                other)),
                one.bootOptions());
    }

    private static FunctionDescription moved(FunctionDescription function, int segment, String unit) {
        return new FunctionDescription(
                moved(function.address(), segment),
                function.upstreamBridge().map(bridge -> moved(bridge, segment)),
                function.config(),
                Optional.of(unit),
                false);
    }

    private static PciAddress moved(PciAddress address, int segment) {
        return PciAddress.of(segment, address.requesterId());
    }

    /** The second unit's own function, 00:00.3. */
    private static FunctionDescription secondUnit(FunctionDescription first, int segment) {
        byte[] config = first.config();
        ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN).putInt(0x44, (int) SECOND_BASE | 1);
        return new FunctionDescription(PciAddress.of(segment, 3), Optional.empty(), config, Optional.empty(), false);
    }
}
