// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.riscv.acpi.Rimt;
import org.iommu4j.riscv.acpi.RimtNode;

/**
 * Firmware's units in the order of RIMT, and the unit and ids of each device.
 *
 * <p>A unit is a platform device or a PCI function. Linux's driver binds to devices of the ids that it knows; a unit
 * with another id has no driver, and no device behind it is translated.
 *
 * <p>Source: Linux {@code drivers/acpi/riscv/rimt.c}, {@code drivers/iommu/riscv/iommu-platform.c} and {@code
 * iommu-pci.c}.
 */
final class UnitMap {
    private static final int VENDOR_AND_DEVICE = 0;
    private static final int BAR_0 = 0x10;
    private static final int BAR_1 = 0x14;
    private static final int BAR_IS_IO = 1;
    private static final int BAR_KIND = 6;
    private static final int BAR_OF_64_BITS = 4;
    private static final int BAR_FLAGS = 0xf;

    /** PCI functions that the driver binds to, device id in 31:16: QEMU's and Rivos's. */
    private static final Set<Integer> FUNCTIONS = Set.of(0x0014_1b36, 0x0008_1efd);

    private final Rimt rimt;
    private final List<Place> places = new ArrayList<>();

    /**
     * A unit.
     *
     * @param node its node in the table
     * @param name the name under {@code /sys/class/iommu}
     * @param base its registers, empty where they are not known
     * @param segment of its functions: its own where it is one, else that of the first root complex that leads to it
     * @param unused why Linux's driver does not use it, empty where it does
     */
    record Place(RimtNode.Unit node, String name, OptionalLong base, OptionalInt segment, Optional<String> unused) {}

    /**
     * The unit and the ids of a device.
     *
     * @param place the unit
     * @param ids at least one, no id twice
     */
    record Behind(Place place, List<Long> ids) {
        Behind {
            ids = List.copyOf(ids);
        }
    }

    UnitMap(Rimt rimt, PciTopology topology) {
        this.rimt = rimt;
        Set<Object> seen = new HashSet<>();
        List<String> hardwareIds = new ArrayList<>();
        for (RimtNode.Unit node : rimt.units()) {
            PciAddress address = PciAddress.of(node.segment(), node.requesterId());
            // Linux takes the first node of a device.
            if (!seen.add(node.isPciFunction() ? address : node.base())) {
                continue;
            }
            if (node.isPciFunction()) {
                places.add(function(node, address, topology.function(address)));
            } else {
                long before =
                        hardwareIds.stream().filter(node.hardwareId()::equals).count();
                hardwareIds.add(node.hardwareId());
                places.add(platformDevice(node, before));
            }
        }
    }

    private Place platformDevice(RimtNode.Unit node, long before) {
        OptionalInt segment = rimt.rootComplexes().stream()
                .filter(complex ->
                        complex.mappings().stream().anyMatch(mapping -> mapping.destination() == node.offset()))
                .mapToInt(RimtNode.RootComplex::segment)
                .findFirst();
        return new Place(
                node,
                RiscvNames.unit(String.format("%s:%02x", node.hardwareId(), before)),
                OptionalLong.of(node.base()),
                segment.isPresent() ? segment : OptionalInt.of(node.segment()),
                node.hardwareId().equals(RiscvNames.HARDWARE_ID)
                        ? Optional.empty()
                        : Optional.of("its ACPI id is '" + node.hardwareId() + "', the driver is for "
                                + RiscvNames.HARDWARE_ID));
    }

    private static Place function(RimtNode.Unit node, PciAddress address, Optional<PciFunction> function) {
        OptionalLong base = function.map(UnitMap::registers).orElse(OptionalLong.empty());
        return new Place(
                node,
                RiscvNames.unit(address.toString()),
                base,
                OptionalInt.of(node.segment()),
                function.isEmpty()
                        ? Optional.of("there is no PCI function " + address)
                        : base.isEmpty()
                                ? Optional.of("the PCI function is not one that the driver is for")
                                : Optional.empty());
    }

    /** Returns the function's registers, which are behind its first BAR; empty where it is not a unit. */
    private static OptionalLong registers(PciFunction function) {
        ConfigSpace config = function.config();
        int bar = config.read(BAR_0, 4);
        if (!FUNCTIONS.contains(config.read(VENDOR_AND_DEVICE, 4)) || (bar & BAR_IS_IO) != 0) {
            return OptionalLong.empty();
        }
        long high = (bar & BAR_KIND) == BAR_OF_64_BITS ? config.read(BAR_1, 4) : 0;
        return OptionalLong.of(high << 32 | (bar & ~BAR_FLAGS & 0xffff_ffffL));
    }

    /** Returns the units, in the table's order. */
    List<Place> places() {
        return places;
    }

    /**
     * Returns the unit and the ids of a function, empty when no unit translates for it: no root complex has its
     * segment, an alias is not mapped, or two are mapped to different units.
     */
    Optional<Behind> behind(PciAddress function, int... aliases) {
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

    /** Returns whether firmware names devices that are not on PCI. */
    boolean hasNamedDevices() {
        return rimt.hasPlatformDevices();
    }

    /** Returns the unit and the ids of a platform device, empty when no unit translates for it. */
    Optional<Behind> behind(NamedDevice device) {
        return rimt.platformDevice(device.name()).map(rimt::destinations).flatMap(this::behind);
    }

    private Optional<Behind> behind(List<Rimt.Destination> destinations) {
        if (destinations.isEmpty()) {
            return Optional.empty();
        }
        RimtNode.Unit unit = destinations.get(0).unit();
        if (!destinations.stream().allMatch(to -> to.unit().equals(unit))) {
            return Optional.empty();
        }
        List<Long> ids =
                destinations.stream().map(Rimt.Destination::deviceId).distinct().toList();
        return places.stream()
                .filter(place -> place.node().equals(unit))
                .findFirst()
                .map(place -> new Behind(place, ids));
    }

    /** Returns the function whose requests have an id of a unit, as far as the table tells. */
    Optional<PciAddress> requester(Place place, long deviceId) {
        return rimt.requester(place.node(), deviceId);
    }
}
