// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import java.util.Optional;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.ScopeEntry;

/**
 * Firmware's units in firmware's order, and the unit and ids of each device.
 *
 * <p>A unit is a platform device or a PCI function. Linux's driver binds to devices that it knows; a unit that is
 * another device has no driver, and no device behind it is translated.
 */
interface UnitMap {
    /** Returns what firmware's description is called in messages. */
    String source();

    /** Returns what is wrong with it that reading it does not end with, one line each. */
    List<String> warnings();

    /** Returns why it must not be used to drive hardware, empty where it may be. */
    Optional<String> defect();

    /** Returns the units, in firmware's order; no two have one name. */
    List<UnitPlace> places();

    /** Returns what firmware puts behind a unit. */
    List<ScopeEntry> scope(UnitPlace place);

    /**
     * Returns the unit and the ids of a function, empty when no unit translates for it: nothing has its segment, an
     * alias is not mapped, or two are mapped to different units.
     */
    Optional<UnitIds> behind(PciAddress function, int... aliases);

    /** Returns whether firmware names devices that are not on PCI. */
    boolean hasNamedDevices();

    /** Returns the unit and the ids of a platform device, empty when no unit translates for it. */
    Optional<UnitIds> behind(NamedDevice device);

    /** Returns the function whose requests have an id of a unit, as far as firmware tells. */
    Optional<PciAddress> requester(UnitPlace place, long deviceId);
}
