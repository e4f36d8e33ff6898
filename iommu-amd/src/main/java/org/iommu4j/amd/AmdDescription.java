// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.SortedSet;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.amd.acpi.AcpiName;
import org.iommu4j.amd.acpi.DeviceEntry;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.acpi.Ivrs;
import org.iommu4j.amd.reg.Features;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ScopeEntry;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.jspecify.annotations.Nullable;

/**
 * Describes a host without opening a driver.
 *
 * <p>The inputs are IVRS and register values, where known, and Linux's own view of its units and of each function's
 * link to a unit. A log, a listing of groups and PCI classes do where there is neither. The link takes precedence over
 * the table. Linux shows {@code features} as {@code EFR2:EFR}. The half after the colon equals the images of EFR in
 * IVHD blocks of types 11h and 40h; kernels from before EFR2 print only that half.
 */
final class AmdDescription {
    private static final Reason FORCED = new Reason(
            "every leaf of a v1 table has FC set, so that no-snoop is blocked by every unit",
            "Linux amd_iommu_enforce_cache_coherency");

    private static final Reason CAPABLE =
            new Reason("the driver answers yes for every device; no bit of EFR gates it", "Linux amd_iommu_capable");

    private static final KernelParameter OFF = new KernelParameter(
            "amd_iommu",
            "off",
            KernelParameter.Effect.DISABLES,
            new Reason("leaves the units off", "Linux parse_amd_iommu_options"));

    private static final KernelParameter GUEST_TABLES = guestTables("domains get v2 tables");
    private static final KernelParameter GUEST_TABLES_PERHAPS =
            guestTables("domains get v2 tables where the units support them (GTSup and GIoSup; EFR is not known)");

    /** The options of the command line that decide, in any release. */
    static final List<KernelParameter> PARAMETERS = List.of(OFF, KernelParameter.EVERY_UNIT_OFF, GUEST_TABLES);

    private final HostFacts facts;
    private final AmdRules rules;
    private final List<UnitDescription> units = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    private AmdDescription(HostFacts facts, AmdRules rules) {
        this.facts = facts;
        this.rules = rules;
    }

    static HostDescription describe(HostFacts facts, LinuxRelease release) {
        AmdDescription description = new AmdDescription(facts, AmdRules.of(release));
        Optional<byte[]> table = facts.firmware().table(Ivrs.SIGNATURE);
        List<DeviceDescription> devices;
        if (table.isPresent()) {
            devices = description.fromTable(Ivrs.parse(table.get()));
        } else if (facts.showsUnit(AmdNames::isUnit)) {
            devices = description.fromLinux();
        } else {
            devices = description.fromFunctions(AmdNames.functions(facts.stated()));
        }
        return new HostDescription(
                AmdNames.VENDOR,
                CoherencyRule.ALWAYS,
                Answer.UNKNOWN,
                description.units,
                devices,
                description.parameters(),
                description.warnings,
                HardwareVirtualization.SVM,
                null,
                null);
    }

    private static KernelParameter guestTables(String what) {
        return new KernelParameter(
                "amd_iommu",
                "pgtbl_v2",
                KernelParameter.Effect.FALSE_PROMISE,
                new Reason(
                        what
                                + ", which have no FC bit: the driver still answers that no-snoop is blocked, and it "
                                + "is not",
                        "Linux amd/iommu.c amdv2_ops"));
    }

    /**
     * V1 tables keep the promise. Linux uses them where the last such option of the command line is {@code pgtbl_v1}
     * ({@code parse_amd_iommu_options}), or a unit has no v2 tables ({@code amd_iommu_v2_pgtbl_supported}).
     */
    private List<KernelParameter> parameters() {
        Answer unknownUnits = units.isEmpty() ? Answer.UNKNOWN : Answer.YES;
        boolean overruled = facts.bootOptions().hasLast("amd_iommu", "pgtbl_v1", "pgtbl_v2");
        Answer possible = rules.guestTablesForAll() && !overruled ? unknownUnits : Answer.NO;
        for (UnitDescription unit : units) {
            Long efr = unit.registers().get(Features.EFR.name());
            if (efr == null) {
                possible = possible == Answer.NO ? Answer.NO : Answer.UNKNOWN;
            } else if (!Features.GIO_SUP.isSet(efr) || Features.guestLevels(efr) == 0) {
                possible = Answer.NO;
            }
        }
        return switch (possible) {
            case YES -> PARAMETERS;
            case UNKNOWN -> List.of(OFF, KernelParameter.EVERY_UNIT_OFF, GUEST_TABLES_PERHAPS);
            case NO -> List.of(OFF, KernelParameter.EVERY_UNIT_OFF);
        };
    }

    private List<DeviceDescription> fromTable(Ivrs ivrs) {
        UnitMap map = new UnitMap(ivrs);
        if (!ivrs.table().checksumValid()) {
            warnings.add("IVRS at offset 0x9: the checksum is wrong; Linux would not use the table");
        }
        warnings.addAll(map.warnings());
        compareBlocks(ivrs, map);
        IoApics ioApics = IoApics.ofPartlyKnown(
                rules.southBridge(), map, facts.firmware(), facts.topology(), facts.bootOptions());
        warnings.addAll(ioApics.warnings());
        boolean htRangeTranslated = rules.htRangeIgnore() && !map.units().isEmpty();
        for (int i = 0; i < map.units().size(); i++) {
            Ivhd block = map.units().get(i);
            Map<String, Long> registers = registers(map, i, block);
            Long efr2 = registers.get(Features.EFR2.name());
            htRangeTranslated &= efr2 != null && Features.HT_RANGE_IGNORE.isSet(efr2);
            units.add(unit(
                    AmdNames.unit(i),
                    OptionalInt.of(block.segment()),
                    OptionalLong.of(block.base()),
                    Answer.of(map.includesAll(i)),
                    scope(block),
                    ioApics.remaps(),
                    registers));
        }
        addUnlisted(map.units().size());
        List<DeviceDescription> devices = new ArrayList<>();
        for (PciFunction function : facts.topology().functions()) {
            int index = map.unitOf(function.address());
            String unit = linked(function.address(), index < 0 ? null : AmdNames.unit(index));
            devices.add(
                    unit == null
                            ? untranslated(function.address())
                            : translated(
                                    function.address(),
                                    unit,
                                    map.reservedRegions(function.address(), htRangeTranslated),
                                    ioApics.remaps()));
        }
        return devices;
    }

    /** Adds the units that Linux uses but IVRS lacks. */
    private void addUnlisted(int listed) {
        facts.shownUnits().forEach((id, shown) -> {
            if (AmdNames.isUnit(id)
                    && shown.inUse() == Answer.YES
                    && units.stream().limit(listed).noneMatch(unit -> unit.id().equals(id))) {
                warnings.add("this Linux shows " + id + ", and IVRS has no such unit");
                addShown(id, shown);
            }
        });
    }

    private void addShown(String id, ShownUnit shown) {
        units.add(unit(
                id,
                OptionalInt.empty(),
                shown.registerBase(),
                Answer.UNKNOWN,
                List.of(),
                Answer.UNKNOWN,
                shown.registers()));
    }

    /** Returns the unit to which Linux linked a function, else the table's unit. */
    private @Nullable String linked(PciAddress address, @Nullable String listed) {
        String link = facts.unitLinks().get(address);
        if (link == null || !AmdNames.isUnit(link) || link.equals(listed)) {
            return listed;
        }
        warnings.add(address + " is translated by " + link + " in this Linux, by "
                + (listed == null ? "no unit" : listed) + " as we read its IVRS");
        return link;
    }

    private List<DeviceDescription> fromLinux() {
        facts.shownUnits().forEach((id, shown) -> {
            if (AmdNames.isUnit(id)) {
                addShown(id, shown);
            }
        });
        warnings.add("IVRS is not among the input: scopes and reserved regions are unknown, and a function's unit is"
                + " the one that Linux linked it to");
        return withoutTable(AmdNames.functions(facts.stated()));
    }

    /**
     * Describes a host whose units are known as PCI functions, from a kernel log or a listing. Linux names units by
     * their order in IVRS, so that here each has its function's address for a name.
     */
    private List<DeviceDescription> fromFunctions(SortedSet<PciAddress> functions) {
        for (PciAddress function : functions) {
            String id = function.toString();
            Map<String, Long> registers = new LinkedHashMap<>();
            for (String register : List.of(Features.EFR.name(), Features.EFR2.name())) {
                facts.registers()
                        .value(id, OptionalLong.empty(), register)
                        .ifPresent(value -> registers.put(register, value));
            }
            units.add(unit(
                    id,
                    OptionalInt.of(function.segment()),
                    OptionalLong.empty(),
                    Answer.UNKNOWN,
                    List.of(),
                    Answer.UNKNOWN,
                    registers));
        }
        warnings.add(
                "IVRS is not among the input: scopes and reserved regions are unknown; the kernel's log, groups and"
                        + " PCI classes show the units and the functions behind them");
        return withoutTable(functions);
    }

    private List<DeviceDescription> withoutTable(SortedSet<PciAddress> unitFunctions) {
        List<DeviceDescription> devices = new ArrayList<>();
        String only = units.size() == 1 ? units.get(0).id() : null;
        for (PciFunction function : facts.topology().functions()) {
            PciAddress address = function.address();
            String link = facts.unitLinks().get(address);
            if (link != null && AmdNames.isUnit(link)) {
                devices.add(translated(address, link, null, Answer.UNKNOWN));
            } else if (facts.groups().members().contains(address)) {
                devices.add(
                        only != null
                                ? translated(address, only, null, Answer.UNKNOWN)
                                : new DeviceDescription(
                                        address,
                                        Answer.YES,
                                        null,
                                        units.stream().map(UnitDescription::id).toList(),
                                        Answer.YES,
                                        List.of(FORCED, CAPABLE),
                                        null,
                                        Answer.UNKNOWN));
            } else {
                devices.add(unitFunctions.contains(address) ? untranslated(address) : unknown(address));
            }
        }
        return devices;
    }

    private static DeviceDescription translated(
            PciAddress address, String unit, @Nullable List<ReservedRegion> reserved, Answer isolated) {
        return new DeviceDescription(
                address, Answer.YES, unit, Answer.YES, List.of(FORCED, CAPABLE), reserved, isolated);
    }

    private static DeviceDescription untranslated(PciAddress address) {
        Reason why = new Reason("no block of IVRS names the device, or it is a unit itself", "48882 5.2.2");
        return new DeviceDescription(address, Answer.NO, null, Answer.NO, List.of(why), List.of(), Answer.NO);
    }

    private static DeviceDescription unknown(PciAddress address) {
        Reason why = new Reason("the unit that translates for the device, if any, is not known", "48882 5.2.2");
        return new DeviceDescription(
                address, Answer.UNKNOWN, null, Answer.YES, List.of(FORCED, CAPABLE, why), null, Answer.UNKNOWN);
    }

    private static UnitDescription unit(
            String id,
            OptionalInt segment,
            OptionalLong base,
            Answer includeAll,
            List<ScopeEntry> scope,
            Answer interruptRemapping,
            Map<String, Long> registers) {
        Map<String, Long> fields = new LinkedHashMap<>();
        Long efr = registers.get(Features.EFR.name());
        Long efr2 = registers.get(Features.EFR2.name());
        if (efr != null) {
            Features.decode(Features.EFR, efr, fields);
        }
        if (efr2 != null) {
            Features.decode(Features.EFR2, efr2, fields);
        }
        return new UnitDescription(
                id, segment, base, includeAll, scope, abilities(efr, fields, interruptRemapping), registers, fields);
    }

    /** Features that do not depend on EFR are known for every unit. */
    private static UnitAbilities abilities(@Nullable Long efr, Map<String, Long> fields, Answer interruptRemapping) {
        int levels = efr == null ? 0 : Features.hostLevels(efr);
        Answer guest = efr == null ? Answer.UNKNOWN : Answer.of(fields.getOrDefault("EFR.GTSup", 0L) != 0);
        return new UnitAbilities(
                Answer.YES,
                Answer.YES,
                interruptRemapping,
                guest,
                efr == null ? Answer.UNKNOWN : Answer.of(levels > 0),
                guest,
                guest,
                efr == null ? Answer.UNKNOWN : Answer.of(Features.HD_SUP.isSet(efr)),
                HostPageTable.PAGE_SIZES,
                levels,
                levels == 0 ? 0 : Math.min(64, 12 + 9 * levels));
    }

    /** Warns where blocks of different types for one unit contradict each other. */
    private void compareBlocks(Ivrs ivrs, UnitMap map) {
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

    /** Returns the values that Linux uses: firmware's images where they are announced and not 0, else the registers. */
    private Map<String, Long> registers(UnitMap map, int unit, Ivhd block) {
        Map<String, Long> values = new LinkedHashMap<>();
        Long efr = known(unit, block, Features.EFR.name());
        Long efr2 = known(unit, block, Features.EFR2.name());
        if (map.efrImage(unit) != 0 || (efr == null && block.efrImage() != 0)) {
            if (efr != null && (efr != block.efrImage() || (efr2 != null && efr2 != block.efr2Image()))) {
                warnings.add(AmdUnit.imageMismatch(
                        AmdNames.unit(unit), block, efr, efr2 == null ? block.efr2Image() : efr2));
            }
            efr = block.efrImage();
            efr2 = block.efr2Image();
        }
        if (efr != null) {
            values.put(Features.EFR.name(), efr);
        }
        if (efr2 != null) {
            values.put(Features.EFR2.name(), efr2);
        }
        return values;
    }

    /** Returns the values read from the registers, else those that Linux shows under the unit's name. */
    private @Nullable Long known(int unit, Ivhd block, String register) {
        OptionalLong read = facts.registers().value(AmdNames.unit(unit), OptionalLong.of(block.base()), register);
        if (read.isPresent()) {
            return read.getAsLong();
        }
        ShownUnit shown = facts.shownUnits().get(AmdNames.unit(unit));
        return shown == null ? null : shown.registers().get(register);
    }

    private static List<ScopeEntry> scope(Ivhd block) {
        List<ScopeEntry> scope = new ArrayList<>();
        DeviceEntry start = null;
        for (DeviceEntry entry : block.entries()) {
            String device = address(block, entry.deviceId());
            String source = address(block, entry.sourceDeviceId());
            switch (entry.type()) {
                case DeviceEntry.ALL -> scope.add(function("all"));
                case DeviceEntry.SELECT, DeviceEntry.EXTENDED_SELECT -> scope.add(function(device));
                case DeviceEntry.ALIAS_SELECT -> scope.add(function(device + " as " + source));
                case DeviceEntry.RANGE_START, DeviceEntry.ALIAS_RANGE_START, DeviceEntry.EXTENDED_RANGE_START ->
                    start = entry;
                case DeviceEntry.RANGE_END -> {
                    if (start != null) {
                        scope.add(function(address(block, start.deviceId()) + " to " + device
                                + (start.type() == DeviceEntry.ALIAS_RANGE_START
                                        ? " as " + address(block, start.sourceDeviceId())
                                        : "")));
                    }
                    start = null;
                }
                case DeviceEntry.SPECIAL ->
                    scope.add(new ScopeEntry(
                            ScopeEntry.Kind.INTERRUPT_SOURCE, variety(entry) + " " + entry.handle(), source));
                case DeviceEntry.ACPI_HID -> {
                    AcpiName name = entry.name();
                    if (name != null && !entry.isUnnamed()) {
                        scope.add(new ScopeEntry(
                                ScopeEntry.Kind.NAMESPACE_DEVICE,
                                name.hardwareId() + (name.uid().isEmpty() ? "" : ":" + name.uid()),
                                device));
                    }
                }
                default -> {
                    // Padding and unknown kinds name no device.
                }
            }
        }
        return scope;
    }

    private static ScopeEntry function(String place) {
        return new ScopeEntry(ScopeEntry.Kind.FUNCTION, "", place);
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
