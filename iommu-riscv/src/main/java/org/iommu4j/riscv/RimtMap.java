// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.bits.Hex;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.riscv.acpi.IdMapping;
import org.iommu4j.riscv.acpi.Rimt;
import org.iommu4j.riscv.acpi.RimtNode;
import org.iommu4j.spi.ScopeEntry;

/**
 * Units and ids as RIMT has them. Linux's driver of 6.13 to 6.17 does not read it, and uses none of its units.
 *
 * <p>Source: Linux {@code drivers/acpi/riscv/rimt.c}, {@code drivers/iommu/riscv/iommu-platform.c} and {@code
 * iommu-pci.c}.
 */
final class RimtMap implements UnitMap {
    private final Rimt rimt;
    private final Map<RimtNode.Unit, UnitPlace> places = new LinkedHashMap<>();
    private final Optional<String> unread;

    RimtMap(Rimt rimt, PciTopology topology, LinuxRelease release) {
        this.rimt = rimt;
        this.unread = RiscvRules.of(release).readsRimt()
                ? Optional.empty()
                : Optional.of("Linux's driver before 6.18 knows device trees only");
        Set<Object> seen = new HashSet<>();
        List<String> hardwareIds = new ArrayList<>();
        for (RimtNode.Unit node : rimt.units()) {
            PciAddress address = PciAddress.of(node.segment(), node.requesterId());
            // Linux takes the first node of a device.
            if (!seen.add(node.isPciFunction() ? address : node.base())) {
                continue;
            }
            if (node.isPciFunction()) {
                places.put(node, UnitPlace.of(address, topology, unread));
            } else {
                long before =
                        hardwareIds.stream().filter(node.hardwareId()::equals).count();
                hardwareIds.add(node.hardwareId());
                places.put(node, platformDevice(node, before));
            }
        }
    }

    private UnitPlace platformDevice(RimtNode.Unit node, long before) {
        OptionalInt segment = rimt.rootComplexes().stream()
                .filter(complex ->
                        complex.mappings().stream().anyMatch(mapping -> mapping.destination() == node.offset()))
                .mapToInt(RimtNode.RootComplex::segment)
                .findFirst();
        Optional<String> stranger = node.hardwareId().equals(RiscvNames.HARDWARE_ID)
                ? Optional.empty()
                : Optional.of(
                        "its ACPI id is '" + node.hardwareId() + "', the driver is for " + RiscvNames.HARDWARE_ID);
        return new UnitPlace(
                RiscvNames.unit(String.format("%s:%02x", node.hardwareId(), before)),
                Optional.empty(),
                OptionalLong.of(node.base()),
                segment.isPresent() ? segment : OptionalInt.of(node.segment()),
                node.wires(),
                true,
                unread.isPresent() ? unread : stranger);
    }

    @Override
    public String source() {
        return Rimt.SIGNATURE;
    }

    @Override
    public List<String> warnings() {
        List<String> all = new ArrayList<>(rimt.warnings());
        defect().ifPresent(all::add);
        return all;
    }

    @Override
    public Optional<String> defect() {
        return rimt.checksumValid() ? Optional.empty() : Optional.of(Rimt.SIGNATURE + ": the checksum is wrong");
    }

    @Override
    public List<UnitPlace> places() {
        return List.copyOf(places.values());
    }

    private RimtNode.Unit node(UnitPlace place) {
        return places.entrySet().stream()
                .filter(entry -> entry.getValue().equals(place))
                .findFirst()
                .orElseThrow()
                .getKey();
    }

    @Override
    public List<ScopeEntry> scope(UnitPlace place) {
        RimtNode.Unit unit = node(place);
        List<ScopeEntry> scope = new ArrayList<>();
        for (RimtNode node : rimt.nodes().values()) {
            for (IdMapping mapping : node.mappings()) {
                if (mapping.destination() != unit.offset()) {
                    continue;
                }
                if (node instanceof RimtNode.RootComplex complex) {
                    long last = Math.min(mapping.sourceBase() + Math.max(mapping.count() - 1, 0), 0xffff);
                    scope.add(new ScopeEntry(
                            ScopeEntry.Kind.FUNCTION,
                            "",
                            PciAddress.of(complex.segment(), (int) Math.min(mapping.sourceBase(), 0xffff)) + " to "
                                    + PciAddress.of(complex.segment(), (int) last)));
                } else if (node instanceof RimtNode.PlatformDevice device) {
                    scope.add(new ScopeEntry(
                            ScopeEntry.Kind.NAMESPACE_DEVICE,
                            device.path(),
                            "device id " + Hex.of(mapping.destinationBase())));
                }
            }
        }
        return scope;
    }

    @Override
    public Optional<UnitIds> behind(PciAddress function, int... aliases) {
        Optional<RimtNode.RootComplex> complex = rimt.rootComplex(function.segment());
        if (complex.isEmpty()) {
            return Optional.empty();
        }
        List<Rimt.Destination> destinations = new ArrayList<>();
        for (int i = -1; i < aliases.length; i++) {
            Optional<Rimt.Destination> to = rimt.map(complex.get(), i < 0 ? function.requesterId() : aliases[i]);
            if (to.isEmpty()) {
                return Optional.empty();
            }
            destinations.add(to.get());
        }
        return behind(destinations);
    }

    @Override
    public boolean hasNamedDevices() {
        return rimt.hasPlatformDevices();
    }

    @Override
    public Optional<UnitIds> behind(NamedDevice device) {
        return rimt.platformDevice(device.name()).map(rimt::destinations).flatMap(this::behind);
    }

    private Optional<UnitIds> behind(List<Rimt.Destination> destinations) {
        if (destinations.isEmpty()) {
            return Optional.empty();
        }
        RimtNode.Unit unit = destinations.get(0).unit();
        if (!destinations.stream().allMatch(to -> to.unit().equals(unit))) {
            return Optional.empty();
        }
        List<Long> ids =
                destinations.stream().map(Rimt.Destination::deviceId).distinct().toList();
        return Optional.ofNullable(places.get(unit)).map(place -> new UnitIds(place, ids));
    }

    @Override
    public Optional<PciAddress> requester(UnitPlace place, long deviceId) {
        return rimt.requester(node(place), deviceId);
    }
}
