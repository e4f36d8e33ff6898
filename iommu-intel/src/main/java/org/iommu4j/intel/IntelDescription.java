// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.intel.acpi.DeviceScope;
import org.iommu4j.intel.acpi.Dmar;
import org.iommu4j.intel.acpi.DmarParser;
import org.iommu4j.intel.acpi.RemappingStructure.Andd;
import org.iommu4j.intel.acpi.RemappingStructure.Drhd;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.ExtendedCapability;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.PciFunction;
import org.iommu4j.platform.PciTopology;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.UnitDescription;

/** Says what tables and register values tell, without opening anything. */
final class IntelDescription {
    private final Dmar dmar;
    private final PciTopology topology;
    private final RegisterValues registers;
    private final ScopeResolver scopes;
    private final List<Drhd> table;
    private final List<UnitDescription> units = new ArrayList<>();
    private final List<String> warnings;

    private IntelDescription(Dmar dmar, PciTopology topology, RegisterValues registers) {
        this.dmar = dmar;
        this.topology = topology;
        this.registers = registers;
        this.scopes = new ScopeResolver(topology);
        this.table = dmar.all(Drhd.class);
        this.warnings = new ArrayList<>(dmar.warnings());
    }

    static HostDescription describe(
            FirmwareTables firmware, PciTopology topology, RegisterValues registers, LinuxRelease release) {
        // Asked for its refusal: no answer is given by rules that are not built.
        IntelRules.of(release);
        byte[] bytes = firmware.table(DmarParser.SIGNATURE)
                .orElseThrow(() -> new IllegalArgumentException("firmware has no DMAR table"));
        return new IntelDescription(DmarParser.parse(bytes), topology, registers).describe();
    }

    private HostDescription describe() {
        if (table.isEmpty()) {
            warnings.add("DMAR: no remapping unit");
        }
        for (int i = 0; i < table.size(); i++) {
            units.add(describeUnit(i, table.get(i)));
        }
        ReservedRegions reserved = new ReservedRegions(dmar, scopes);
        List<DeviceDescription> devices = new ArrayList<>();
        for (PciFunction function : topology.functions()) {
            int unit = scopes.unitOf(table, function);
            devices.add(new DeviceDescription(
                    function.address(),
                    unit < 0 ? null : units.get(unit).id(),
                    unit < 0 ? Answer.NO : units.get(unit).blocksNoSnoop(),
                    unit < 0 ? List.of() : reserved.of(function)));
        }
        return new HostDescription(IntelVendor.NAME, units, devices, warnings);
    }

    private UnitDescription describeUnit(int index, Drhd unit) {
        OptionalLong cap = known(index, unit, "CAP");
        OptionalLong ecap = known(index, unit, "ECAP");
        Map<String, Long> fields = new LinkedHashMap<>();
        cap.ifPresent(value -> addFields(fields, "CAP", Capability.LAYOUT, value));
        ecap.ifPresent(value -> addFields(fields, "ECAP", ExtendedCapability.LAYOUT, value));
        Answer snoop = Answer.UNKNOWN;
        Answer coherent = Answer.UNKNOWN;
        Answer remapping = Answer.UNKNOWN;
        if (ecap.isPresent()) {
            ExtendedCapability decoded = new ExtendedCapability(ecap.getAsLong());
            snoop = Answer.of(decoded.snoopControl());
            coherent = Answer.of(decoded.coherentWalk());
            remapping = Answer.of(decoded.interruptRemapping());
        }
        List<String> named = new ArrayList<>();
        for (DeviceScope scope : unit.scopes()) {
            named.add(describeScope(unit.segment(), scope));
        }
        return new UnitDescription(
                IntelIommu.nameOf(index),
                unit.segment(),
                unit.registerBase(),
                unit.includeAll(),
                named,
                snoop,
                coherent,
                remapping,
                fields);
    }

    /** Returns a register's value, none when it is all ones: that is no value but a unit that did not answer. */
    private OptionalLong known(int index, Drhd unit, String register) {
        OptionalLong value = registers.value(unit.registerBase(), register);
        if (value.isPresent() && value.getAsLong() == -1L) {
            warnings.add(IntelIommu.nameOf(index) + " at 0x" + Long.toHexString(unit.registerBase()) + ": " + register
                    + " is all ones, taken as unknown");
            return OptionalLong.empty();
        }
        return value;
    }

    private static void addFields(Map<String, Long> fields, String register, Layout layout, long value) {
        for (BitField field : layout.fields()) {
            fields.put(register + "." + field.name(), field.get(value));
        }
    }

    private String describeScope(int segment, DeviceScope scope) {
        String path = scopes.resolve(segment, scope).map(Object::toString).orElseGet(() -> path(segment, scope));
        return switch (scope.type()) {
            case DeviceScope.ENDPOINT -> path;
            case DeviceScope.BRIDGE -> path + " and below";
            case DeviceScope.IOAPIC -> "IOAPIC " + scope.enumerationId() + " at " + path;
            case DeviceScope.HPET -> "HPET " + scope.enumerationId() + " at " + path;
            case DeviceScope.NAMESPACE -> namespaceDevice(scope) + " at " + path;
            default -> "scope of unknown type " + scope.type() + " at " + path;
        };
    }

    private String namespaceDevice(DeviceScope scope) {
        for (Andd device : dmar.all(Andd.class)) {
            if (device.deviceNumber() == scope.enumerationId()) {
                return device.name();
            }
        }
        return "namespace device " + scope.enumerationId();
    }

    /** Says a path hop by hop, for one that leads to no function of the topology. */
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
