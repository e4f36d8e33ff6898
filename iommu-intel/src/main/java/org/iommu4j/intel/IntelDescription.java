// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.device.DeviceId;
import org.iommu4j.intel.acpi.DeviceScope;
import org.iommu4j.intel.acpi.Dmar;
import org.iommu4j.intel.acpi.DmarParser;
import org.iommu4j.intel.acpi.RemappingStructure.Andd;
import org.iommu4j.intel.acpi.RemappingStructure.Drhd;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.ExtendedCapability;
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
 * <p>The inputs are DMAR and register values, where known, and Linux's own view of its units and of each function's
 * link to a unit. The link takes precedence over the table. {@link IntelCoherency} then answers for each function.
 */
final class IntelDescription {
    private static final KernelParameter ON = new KernelParameter(
            "intel_iommu",
            "on",
            KernelParameter.Effect.ENABLES,
            new Reason(
                    "turns the units on where the kernel was built without INTEL_IOMMU_DEFAULT_ON",
                    "Linux intel_iommu_setup"));

    private static final KernelParameter OFF = new KernelParameter(
            "intel_iommu",
            "off",
            KernelParameter.Effect.DISABLES,
            new Reason("leaves the units off", "Linux intel_iommu_setup"));

    private static final KernelParameter GRAPHICS_OFF = new KernelParameter(
            "intel_iommu",
            "igfx_off",
            KernelParameter.Effect.DISABLES_SOME,
            new Reason(
                    "leaves off the units that have only graphics, so that these can't be assigned",
                    "Linux init_no_remapping_devices"));

    /** The options of the command line that decide, on any host. */
    static final List<KernelParameter> PARAMETERS = List.of(ON, OFF, KernelParameter.EVERY_UNIT_OFF, GRAPHICS_OFF);

    private static final Reason ONLY_UNIT = new Reason(
            "the machine has no other unit, and Linux has the function in a group", "Linux intel_iommu_probe_device");

    private static final Reason UNIT_OF_ALL =
            new Reason("the machine has no other unit, and it has every function (INCLUDE_PCI_ALL)", "VT-d 8.3");

    private static final Reason RMRR_LOCK = new Reason(
            "the driver keeps the device for the firmware, EPERM", "Linux device_is_rmrr_locked (until 6.5)");

    private final HostFacts facts;
    private final IntelRules rules;
    private final CoherencyRule rule;
    private final @Nullable Dmar dmar;
    private final List<UnitDescription> units = new ArrayList<>();
    private final Map<String, UnitDescription> byLinuxName = new HashMap<>();
    private final Map<String, Reason> ignored = new LinkedHashMap<>();
    private final List<String> warnings = new ArrayList<>();
    private boolean graphicsOff;

    private IntelDescription(HostFacts facts, IntelRules rules, @Nullable Dmar dmar) {
        this.facts = facts;
        this.rules = rules;
        this.rule = rules.coherencyRule();
        this.dmar = dmar;
    }

    static HostDescription describe(HostFacts facts, LinuxRelease release) {
        IntelRules rules = IntelRules.of(release);
        Optional<byte[]> table = facts.firmware().table(DmarParser.SIGNATURE);
        Dmar dmar = table.map(DmarParser::parse).orElse(null);
        return new IntelDescription(facts, rules, dmar).describe();
    }

    private HostDescription describe() {
        List<DeviceDescription> devices = dmar == null ? fromLinux() : fromTable(dmar);
        long inferred = devices.stream()
                .filter(device -> device.reasons().contains(RegistrationPasses.INFERRED))
                .count();
        if (inferred > 0) {
            warnings.add("the units of " + inferred + " functions are inferred from the order in which they join groups"
                    + " in the log, which has as many passes over the bus as there are units");
        }
        ignored.forEach((unit, why) -> warnings.add("Linux ignores " + unit + ": " + why.text()));
        return new HostDescription(
                IntelNames.VENDOR,
                rule,
                new IntelCoherency(rule, units, ignored).everyUnitBlocks(),
                units,
                devices,
                graphicsOff ? PARAMETERS : List.of(ON, OFF, KernelParameter.EVERY_UNIT_OFF),
                warnings,
                HardwareVirtualization.VMX,
                rules.lockedDevicesStayWithTheKernel() ? RMRR_LOCK : null,
                null);
    }

    private List<DeviceDescription> fromTable(Dmar table) {
        warnings.addAll(table.warnings());
        List<Drhd> drhds = table.all(Drhd.class);
        if (drhds.isEmpty()) {
            warnings.add("DMAR: no remapping unit");
        }
        ScopeResolver scopes = new ScopeResolver(facts.topology());
        IgnoredUnits left = new IgnoredUnits(
                rules.hearsOptOut() && table.remappingOptOut(), scopes, facts.bootOptions(), hasHostBridge());
        Map<Long, String> shown = shownByBase();
        for (int i = 0; i < drhds.size(); i++) {
            Drhd drhd = drhds.get(i);
            String id = IntelNames.unit(i);
            String linuxName = linuxName(shown, drhd.registerBase(), id);
            if (!linuxName.isEmpty() && !linuxName.equals(id)) {
                warnings.add(String.format(
                        "the unit at 0x%x is %s in DMAR's order, %s in this Linux",
                        drhd.registerBase(), id, linuxName));
            }
            Map<String, Long> registers = registers(id, OptionalLong.of(drhd.registerBase()), linuxName);
            List<ScopeEntry> scope = new ArrayList<>();
            for (DeviceScope entry : drhd.scopes()) {
                scope.add(scopeEntry(table, scopes, drhd.segment(), entry));
            }
            units.add(unit(
                    id,
                    OptionalInt.of(drhd.segment()),
                    OptionalLong.of(drhd.registerBase()),
                    Answer.of(drhd.includeAll()),
                    scope,
                    registers));
            byLinuxName.put(linuxName, units.get(i));
            Optional<Reason> byTable = left.why(drhd);
            left.whyAll()
                    .or(() -> facts.showsUseOf(IntelNames::isUnit) ? notShown(linuxName) : byTable)
                    .ifPresent(why -> ignored.put(id, why));
            graphicsOff |= ignored.containsKey(id)
                    && byTable.filter(IgnoredUnits.GRAPHICS_OFF::equals).isPresent();
        }
        addUnlisted();
        IntelCoherency coherency = new IntelCoherency(rule, units, ignored);
        ReservedRegions reserved = new ReservedRegions(table, scopes);
        Answer isolated = table.interruptRemapping() ? coherency.interruptRemapping() : Answer.NO;
        Map<DeviceId, UnitDescription> inferred = inferred();
        List<DeviceDescription> devices = new ArrayList<>();
        for (PciFunction function : facts.topology().functions()) {
            List<UnitDescription> candidates =
                    scopes.candidates(drhds, function).stream().map(units::get).toList();
            UnitDescription guess = inferred.get(function.address());
            boolean several = candidates.size() > 1;
            Reason why = several && candidates.contains(guess) ? RegistrationPasses.INFERRED : null;
            List<UnitDescription> narrowed = why == null || guess == null ? candidates : List.of(guess);
            UnitDescription unit = linked(function);
            if (unit == null && narrowed.isEmpty()) {
                devices.add(coherency.untranslated(function.address()));
                continue;
            }
            if (unit != null && !narrowed.contains(unit)) {
                warnings.add(function.address() + " is translated by " + unit.id() + " in this Linux, by "
                        + (narrowed.isEmpty() ? "no unit" : narrowed.get(0).id()) + " as we read its DMAR");
            }
            devices.add(coherency.oneOf(
                    function.address(),
                    unit == null ? narrowed : List.of(unit),
                    Answer.of(unit != null || function.placed() || translates(function, candidates)),
                    unit == null ? why : null,
                    reserved.isKnown(function) ? reserved.of(function) : null,
                    isolated));
        }
        return devices;
    }

    /** Where the bridge above is not known, a unit for the whole segment still has what no other unit has. */
    private boolean translates(PciFunction function, List<UnitDescription> candidates) {
        return isGrouped(function)
                || candidates.stream()
                        .anyMatch(unit -> unit.includeAll() == Answer.YES && !ignored.containsKey(unit.id()));
    }

    private boolean isGrouped(PciFunction function) {
        return facts.groups().members().contains(function.address());
    }

    /** Returns the units that the order of groups in the log gives away. */
    private Map<DeviceId, UnitDescription> inferred() {
        Map<DeviceId, UnitDescription> links = new HashMap<>();
        facts.topology().functions().forEach(function -> {
            UnitDescription unit = linked(function);
            if (unit != null) {
                links.put(function.address(), unit);
            }
        });
        return RegistrationPasses.infer(
                facts.groups(),
                units.stream().filter(unit -> !ignored.containsKey(unit.id())).toList(),
                links);
    }

    /** A listing without it holds only some of the functions. */
    private boolean hasHostBridge() {
        return facts.topology().function(new PciAddress(0, 0, 0, 0)).isPresent();
    }

    /** Returns Linux's name of the unit at a base, empty text when Linux uses the name for another unit. */
    private String linuxName(Map<Long, String> shown, long base, String id) {
        ShownUnit namesake = facts.shownUnits().get(id);
        boolean elsewhere = namesake != null
                && namesake.registerBase().isPresent()
                && namesake.registerBase().getAsLong() != base;
        return shown.getOrDefault(base, elsewhere ? "" : id);
    }

    private Optional<Reason> notShown(String linuxName) {
        ShownUnit unit = facts.shownUnits().get(linuxName);
        return unit != null && unit.inUse() == Answer.YES
                ? Optional.empty()
                : Optional.of(new Reason("it is not among the units under /sys/class/iommu", "Linux intel_iommu_init"));
    }

    /** Adds the units that Linux shows but DMAR lacks. */
    private void addUnlisted() {
        facts.shownUnits().forEach((name, shown) -> {
            if (IntelNames.isUnit(name) && !byLinuxName.containsKey(name) && shown.inUse() != Answer.NO) {
                OptionalLong base = shown.registerBase();
                String at = base.isPresent() ? "@0x" + Long.toHexString(base.getAsLong()) : "";
                boolean taken = units.stream().anyMatch(unit -> unit.id().equals(name));
                warnings.add("this Linux shows " + name + (at.isEmpty() ? "" : " at " + at.substring(1))
                        + ", and DMAR has no unit there");
                addShown(taken ? name + at : name, name, base);
            }
        });
    }

    private void addShown(String id, String linuxName, OptionalLong base) {
        ShownUnit shown = facts.shownUnits().get(linuxName);
        Answer includeAll = shown == null ? Answer.UNKNOWN : shown.includeAll();
        UnitDescription unit =
                unit(id, OptionalInt.empty(), base, includeAll, List.of(), registers(id, base, linuxName));
        units.add(unit);
        byLinuxName.put(linuxName, unit);
    }

    private @Nullable UnitDescription linked(PciFunction function) {
        String link = facts.unitLinks().get(function.address());
        return link == null ? null : byLinuxName.get(link);
    }

    private List<DeviceDescription> fromLinux() {
        facts.shownUnits().forEach((name, shown) -> {
            if (IntelNames.isUnit(name)) {
                addShown(name, name, shown.registerBase());
                if (shown.inUse() == Answer.NO) {
                    notShown(name).ifPresent(why -> ignored.put(name, why));
                }
            }
        });
        warnings.add("DMAR is not among the input: scopes and reserved regions are unknown, and a function's unit is"
                + " the one that Linux linked it to, else one of all that Linux shows");
        IntelCoherency coherency = new IntelCoherency(rule, units, ignored);
        List<UnitDescription> used =
                units.stream().filter(unit -> !ignored.containsKey(unit.id())).toList();
        Map<DeviceId, UnitDescription> inferred = inferred();
        boolean whole = showsEveryUnit();
        List<DeviceDescription> devices = new ArrayList<>();
        for (PciFunction function : facts.topology().functions()) {
            PciAddress address = function.address();
            UnitDescription unit = linked(function);
            UnitDescription guess = inferred.get(address);
            boolean grouped = isGrouped(function);
            Answer isolated = coherency.interruptRemapping();
            if (unit != null) {
                devices.add(coherency.device(address, unit, null, isolated));
            } else if (guess != null && grouped) {
                devices.add(coherency.oneOf(
                        address, List.of(guess), Answer.YES, RegistrationPasses.INFERRED, null, isolated));
            } else if (whole && !used.isEmpty() && (grouped || isInFirstSegment(function, used))) {
                Reason only = used.size() > 1 ? null : grouped ? ONLY_UNIT : UNIT_OF_ALL;
                devices.add(coherency.oneOf(address, used, Answer.YES, only, null, isolated));
            } else {
                devices.add(coherency.unknown(address));
            }
        }
        return devices;
    }

    /** A unit that the log shows for a whole segment is for the first one; other segments have units of their own. */
    private static boolean isInFirstSegment(PciFunction function, List<UnitDescription> used) {
        return function.address().segment() == 0 && used.stream().anyMatch(unit -> unit.includeAll() == Answer.YES);
    }

    /**
     * Returns whether the units that Linux shows are all that there are: those of sysfs are, those of a log where none
     * of their numbers is left out, and one of them is for the whole segment as far as the log has that.
     */
    private boolean showsEveryUnit() {
        if (facts.showsUseOf(IntelNames::isUnit)) {
            return true;
        }
        boolean flagsKnown = false;
        boolean any = false;
        for (int i = 0; i < units.size(); i++) {
            if (!units.get(i).id().equals(IntelNames.unit(i))) {
                return false;
            }
            flagsKnown |= units.get(i).includeAll() != Answer.UNKNOWN;
            any |= units.get(i).includeAll() == Answer.YES;
        }
        return any || !flagsKnown;
    }

    private Map<Long, String> shownByBase() {
        Map<Long, String> names = new LinkedHashMap<>();
        facts.shownUnits().forEach((id, unit) -> unit.registerBase().ifPresent(base -> names.putIfAbsent(base, id)));
        return names;
    }

    private static UnitDescription unit(
            String id,
            OptionalInt segment,
            OptionalLong base,
            Answer includeAll,
            List<ScopeEntry> scope,
            Map<String, Long> registers) {
        Map<String, Long> fields = new LinkedHashMap<>();
        Long cap = registers.get("CAP");
        Long ecap = registers.get("ECAP");
        if (cap != null) {
            addFields(fields, "CAP", Capability.LAYOUT, cap);
        }
        if (ecap != null) {
            addFields(fields, "ECAP", ExtendedCapability.LAYOUT, ecap);
        }
        return new UnitDescription(id, segment, base, includeAll, scope, abilities(cap, ecap), registers, fields);
    }

    private static UnitAbilities abilities(@Nullable Long cap, @Nullable Long ecap) {
        Capability low = new Capability(cap == null ? 0 : cap);
        int levels = 0;
        for (int candidate = 3; cap != null && candidate <= 5; candidate++) {
            levels = low.supportsLevels(candidate) ? candidate : levels;
        }
        long sizes = cap == null ? 0 : low.pageSizes();
        int width = cap == null ? 0 : low.maximumAddressWidth();
        if (ecap == null) {
            UnitAbilities none = UnitAbilities.UNKNOWN;
            return new UnitAbilities(
                    none.blocksNoSnoop(),
                    none.coherentWalk(),
                    none.interruptRemapping(),
                    none.firstStage(),
                    none.secondStage(),
                    none.nested(),
                    none.pasid(),
                    none.dirtyTracking(),
                    sizes,
                    levels,
                    width);
        }
        ExtendedCapability high = new ExtendedCapability(ecap);
        boolean scalable = isSet(ecap, "SMTS");
        return new UnitAbilities(
                Answer.of(high.snoopControl()),
                Answer.of(high.coherentWalk()),
                Answer.of(high.interruptRemapping()),
                Answer.of(scalable && isSet(ecap, "FLTS")),
                // Legacy mode always has it, and a unit in scalable mode can be driven in legacy mode.
                Answer.YES,
                Answer.of(scalable && isSet(ecap, "NEST")),
                Answer.of(scalable && isSet(ecap, "PASID")),
                Answer.of(scalable && isSet(ecap, "SLADS")),
                sizes,
                levels,
                width);
    }

    private static boolean isSet(long ecap, String field) {
        for (BitField candidate : ExtendedCapability.LAYOUT.fields()) {
            if (candidate.name().equals(field)) {
                return candidate.isSet(ecap);
            }
        }
        throw new IllegalStateException("ECAP has no field " + field);
    }

    /** Returns the known values of CAP and ECAP: those read from the registers, else those that Linux shows. */
    private Map<String, Long> registers(String id, OptionalLong base, String linuxName) {
        Map<String, Long> values = new LinkedHashMap<>();
        for (String register : List.of("CAP", "ECAP")) {
            OptionalLong read = facts.registers().value(linuxName, base, register);
            ShownUnit unit = facts.shownUnits().get(linuxName);
            Long attribute = unit == null ? null : unit.registers().get(register);
            OptionalLong shown = attribute == null ? OptionalLong.empty() : OptionalLong.of(attribute);
            if (read.isPresent() && shown.isPresent() && read.getAsLong() != shown.getAsLong()) {
                warnings.add(String.format(
                        "%s: %s is 0x%x in one input, but Linux shows 0x%x; the first is used",
                        id, register, read.getAsLong(), shown.getAsLong()));
            }
            OptionalLong value = read.isPresent() ? read : shown;
            if (value.isEmpty()) {
                continue;
            }
            if (value.getAsLong() == -1L) {
                // Not a value: the unit did not answer.
                warnings.add(id + (base.isPresent() ? " at 0x" + Long.toHexString(base.getAsLong()) : "") + ": "
                        + register + " is all ones, taken as unknown");
            } else {
                values.put(register, value.getAsLong());
            }
        }
        return values;
    }

    private static void addFields(Map<String, Long> fields, String register, Layout layout, long value) {
        for (BitField field : layout.fields()) {
            fields.put(register + "." + field.name(), field.get(value));
        }
    }

    private static ScopeEntry scopeEntry(Dmar dmar, ScopeResolver scopes, int segment, DeviceScope scope) {
        String place = scopes.resolve(segment, scope).map(Object::toString).orElseGet(() -> path(segment, scope));
        return switch (scope.type()) {
            case DeviceScope.ENDPOINT -> new ScopeEntry(ScopeEntry.Kind.FUNCTION, "", place);
            case DeviceScope.BRIDGE -> new ScopeEntry(ScopeEntry.Kind.BRIDGE, "", place);
            case DeviceScope.IOAPIC ->
                new ScopeEntry(ScopeEntry.Kind.INTERRUPT_SOURCE, "IOAPIC " + scope.enumerationId(), place);
            case DeviceScope.HPET ->
                new ScopeEntry(ScopeEntry.Kind.INTERRUPT_SOURCE, "HPET " + scope.enumerationId(), place);
            case DeviceScope.NAMESPACE ->
                new ScopeEntry(ScopeEntry.Kind.NAMESPACE_DEVICE, namespaceDevice(dmar, scope), place);
            default -> new ScopeEntry(ScopeEntry.Kind.OTHER, "scope of unknown type " + scope.type(), place);
        };
    }

    private static String namespaceDevice(Dmar dmar, DeviceScope scope) {
        for (Andd device : dmar.all(Andd.class)) {
            if (device.deviceNumber() == scope.enumerationId()) {
                return device.name();
            }
        }
        return "namespace device " + scope.enumerationId();
    }

    /** Formats a path hop by hop, for one that leads to no function of the topology. */
    private static String path(int segment, DeviceScope scope) {
        StringBuilder text = new StringBuilder(String.format("%04x:%02x", segment, scope.startBus()));
        char separator = ':';
        for (DeviceScope.Hop hop : scope.path()) {
            text.append(separator).append(String.format("%02x.%x", hop.device(), hop.function()));
            separator = '/';
        }
        return text.toString();
    }
}
