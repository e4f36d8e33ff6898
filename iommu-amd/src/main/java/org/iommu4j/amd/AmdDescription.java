// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.amd.acpi.AcpiName;
import org.iommu4j.amd.acpi.DeviceEntry;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.acpi.Ivrs;
import org.iommu4j.amd.reg.Features;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.PciFunction;
import org.iommu4j.platform.PciTopology;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.UnitDescription;

/** Says what is known of a host from its tables and register values; see {@link org.iommu4j.spi.IommuVendor#describe}. */
final class AmdDescription {
    private final UnitMap map;
    private final AmdRules rules;
    private final RegisterValues registers;
    private final List<String> warnings = new ArrayList<>();

    private AmdDescription(UnitMap map, AmdRules rules, RegisterValues registers) {
        this.map = map;
        this.rules = rules;
        this.registers = registers;
    }

    static HostDescription describe(
            FirmwareTables firmware, PciTopology topology, RegisterValues registers, LinuxRelease release) {
        AmdRules rules = AmdRules.of(release);
        byte[] bytes =
                firmware.table(Ivrs.SIGNATURE).orElseThrow(() -> new IllegalArgumentException("firmware has no IVRS"));
        Ivrs ivrs = Ivrs.parse(bytes);
        AmdDescription description = new AmdDescription(new UnitMap(ivrs, rules), rules, registers);
        if (!ivrs.table().checksumValid()) {
            description.warnings.add("IVRS at offset 0x9: the checksum is wrong; Linux would not use the table");
        }
        return description.describe(ivrs, topology);
    }

    private HostDescription describe(Ivrs ivrs, PciTopology topology) {
        warnings.addAll(map.warnings());
        compareBlocks(ivrs);
        if (!map.interruptRemapping()) {
            warnings.add("no I/O APIC entry for 00:14.0: Linux leaves interrupt remapping off");
        }
        List<UnitDescription> units = new ArrayList<>();
        boolean htRangeTranslated = rules.htRangeIgnore() && !map.units().isEmpty();
        for (int i = 0; i < map.units().size(); i++) {
            Ivhd block = map.units().get(i);
            OptionalLong efr = efr(i, block);
            OptionalLong efr2 = efr2(block);
            htRangeTranslated &= efr2.isPresent() && Features.HT_RANGE_IGNORE.isSet(efr2.getAsLong());
            Map<String, Long> fields = new LinkedHashMap<>();
            efr.ifPresent(value -> Features.decode(Features.EFR, value, fields));
            efr2.ifPresent(value -> Features.decode(Features.EFR2, value, fields));
            units.add(new UnitDescription(
                    UnitMap.id(i),
                    block.segment(),
                    block.base(),
                    map.includesAll(i),
                    scope(block),
                    Answer.YES,
                    Answer.YES,
                    Answer.of(map.interruptRemapping()),
                    fields));
        }
        List<DeviceDescription> devices = new ArrayList<>();
        for (PciFunction function : topology.functions()) {
            int unit = map.unitOf(function.address());
            devices.add(
                    unit < 0
                            ? new DeviceDescription(function.address(), null, Answer.NO, List.of())
                            : new DeviceDescription(
                                    function.address(),
                                    UnitMap.id(unit),
                                    Answer.YES,
                                    map.reservedRegions(function.address(), htRangeTranslated)));
        }
        return new HostDescription(AmdVendor.NAME, units, devices, warnings);
    }

    /** Blocks of different types for one unit should not contradict each other. */
    private void compareBlocks(Ivrs ivrs) {
        for (Ivhd unit : map.units()) {
            for (Ivhd other : ivrs.ivhds()) {
                if (other.deviceId() != unit.deviceId()
                        || other.segment() != unit.segment()
                        || other.offset() == unit.offset()) {
                    continue;
                }
                if (other.base() != unit.base()) {
                    warnings.add(String.format(
                            "IVRS at offset 0x%x: the unit's registers are at 0x%x, but at 0x%x in the block at offset"
                                    + " 0x%x",
                            unit.offset(), unit.base(), other.base(), other.offset()));
                } else if (other.hasFeatureImage()
                        && unit.hasFeatureImage()
                        && (other.efrImage() != unit.efrImage() || other.efr2Image() != unit.efr2Image())) {
                    warnings.add(String.format(
                            "IVRS at offset 0x%x: the image of EFR is 0x%x, but 0x%x in the block at offset 0x%x",
                            unit.offset(), unit.efrImage(), other.efrImage(), other.offset()));
                }
            }
        }
    }

    /** What Linux uses: firmware's image where it is announced, else the register. */
    private OptionalLong efr(int unit, Ivhd block) {
        OptionalLong register = registers.value(block.base(), Features.EFR.name());
        if (!block.hasFeatureImage() || (register.isPresent() && !map.efrImageValid())) {
            return register;
        }
        OptionalLong second = registers.value(block.base(), Features.EFR2.name());
        if (register.isPresent()
                && (register.getAsLong() != block.efrImage()
                        || (second.isPresent() && second.getAsLong() != block.efr2Image()))) {
            warnings.add(AmdUnit.imageMismatch(
                    UnitMap.id(unit), block, register.getAsLong(), second.orElse(block.efr2Image())));
        }
        return OptionalLong.of(block.efrImage());
    }

    private OptionalLong efr2(Ivhd block) {
        OptionalLong register = registers.value(block.base(), Features.EFR2.name());
        if (!block.hasFeatureImage() || (register.isPresent() && !map.efrImageValid())) {
            return register;
        }
        return OptionalLong.of(block.efr2Image());
    }

    private List<String> scope(Ivhd block) {
        List<String> scope = new ArrayList<>();
        DeviceEntry start = null;
        for (DeviceEntry entry : block.entries()) {
            String device = address(block, entry.deviceId());
            String source = " as " + address(block, entry.sourceDeviceId());
            switch (entry.type()) {
                case DeviceEntry.ALL -> scope.add("all");
                case DeviceEntry.SELECT, DeviceEntry.EXTENDED_SELECT -> scope.add(device);
                case DeviceEntry.ALIAS_SELECT -> scope.add(device + source);
                case DeviceEntry.RANGE_START, DeviceEntry.ALIAS_RANGE_START, DeviceEntry.EXTENDED_RANGE_START ->
                    start = entry;
                case DeviceEntry.RANGE_END -> {
                    if (start != null) {
                        scope.add(address(block, start.deviceId()) + " to " + device
                                + (start.type() == DeviceEntry.ALIAS_RANGE_START
                                        ? " as " + address(block, start.sourceDeviceId())
                                        : ""));
                    }
                    start = null;
                }
                case DeviceEntry.SPECIAL -> scope.add(variety(entry) + " " + entry.handle() + source);
                case DeviceEntry.ACPI_HID -> {
                    AcpiName name = entry.name();
                    if (name != null) {
                        scope.add(name.hardwareId() + (name.uid().isEmpty() ? "" : ":" + name.uid()) + " as " + device);
                    }
                }
                default -> {
                    // Padding and unknown kinds name nothing.
                }
            }
        }
        return scope;
    }

    private static String variety(DeviceEntry entry) {
        return switch (entry.variety()) {
            case DeviceEntry.VARIETY_IOAPIC -> "IOAPIC";
            case DeviceEntry.VARIETY_HPET -> "HPET";
            default -> "special device of variety " + entry.variety();
        };
    }

    private static String address(Ivhd block, int requesterId) {
        return PciAddress.of(block.segment(), requesterId).toString();
    }
}
