// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.spi.ScopeEntry;

/**
 * Firmware's units in firmware's order, and the unit and ids of each device.
 *
 * <p>A unit is a platform device or a PCI function. Linux's driver binds to devices that it knows; a unit that is
 * another device has no driver, and no device behind it is translated.
 */
interface UnitMap {
    /**
     * A unit.
     *
     * @param name the name under {@code /sys/class/iommu}
     * @param function the PCI function that it is, empty where it is a platform device
     * @param base its registers, empty where they are not known
     * @param segment of its functions: its own where it is one, else that of the first root complex that leads to it
     * @param wires how many interrupt wires it has
     * @param messages whether there is a controller that its messages can be sent to
     * @param unused why Linux's driver does not use it, empty where it does
     */
    record Place(
            String name,
            Optional<PciAddress> function,
            OptionalLong base,
            OptionalInt segment,
            int wires,
            boolean messages,
            Optional<String> unused) {
        /** Makes the place of a unit that is a PCI function; its registers are behind the first BAR. */
        static Place of(PciAddress address, PciTopology topology, Optional<String> unused) {
            Optional<PciFunction> function = topology.function(address);
            OptionalLong base = function.map(FunctionRegisters::of).orElse(OptionalLong.empty());
            Optional<String> why = function.isEmpty()
                    ? Optional.of("there is no PCI function " + address)
                    : base.isEmpty()
                            ? Optional.of("the PCI function is not one that the driver is for")
                            : Optional.empty();
            return new Place(
                    RiscvNames.unit(address.toString()),
                    Optional.of(address),
                    base,
                    OptionalInt.of(address.segment()),
                    0,
                    true,
                    unused.isPresent() ? unused : why);
        }
    }

    /**
     * The unit and the ids of a device.
     *
     * @param place the unit
     * @param ids at least one, no id twice
     */
    record Behind(Place place, List<Long> ids) {
        /** Copies the list. */
        public Behind {
            ids = List.copyOf(ids);
        }
    }

    /** Returns what firmware's description is called in messages. */
    String source();

    /** Returns what is wrong with it that reading it does not end with, one line each. */
    List<String> warnings();

    /** Returns why it must not be used to drive hardware, empty where it may be. */
    Optional<String> defect();

    /** Returns the units, in firmware's order; no two have one name. */
    List<Place> places();

    /** Returns what firmware puts behind a unit. */
    List<ScopeEntry> scope(Place place);

    /**
     * Returns the unit and the ids of a function, empty when no unit translates for it: nothing has its segment, an
     * alias is not mapped, or two are mapped to different units.
     */
    Optional<Behind> behind(PciAddress function, int... aliases);

    /** Returns whether firmware names devices that are not on PCI. */
    boolean hasNamedDevices();

    /** Returns the unit and the ids of a platform device, empty when no unit translates for it. */
    Optional<Behind> behind(NamedDevice device);

    /** Returns the function whose requests have an id of a unit, as far as firmware tells. */
    Optional<PciAddress> requester(Place place, long deviceId);
}
