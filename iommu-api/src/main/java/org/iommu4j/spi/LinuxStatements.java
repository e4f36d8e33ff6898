// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;

/**
 * What a host's Linux states of its IOMMU beyond units, links and groups: in its log, and by PCI classes.
 *
 * @param drivers the vendors whose driver printed that it has units there, by name; each with the PCI functions that
 *     its lines call units
 * @param iommuFunctions the PCI functions of class 0806h, each with its PCI vendor id, 0xffff where that is not known
 * @param identityMaps the regions that Linux printed to map one to one for a device, as its firmware asks
 * @param regionsRelaxed whether Linux printed that such regions keep no device from user space, which only a patched
 *     kernel does
 */
public record LinuxStatements(
        Map<String, SortedSet<PciAddress>> drivers,
        SortedMap<PciAddress, Integer> iommuFunctions,
        Map<DeviceId, List<ReservedRegion>> identityMaps,
        boolean regionsRelaxed) {
    /** No statement. */
    public static final LinuxStatements NONE =
            new LinuxStatements(Map.of(), Collections.emptySortedMap(), Map.of(), false);

    /** Copies the collections. */
    public LinuxStatements {
        Map<String, SortedSet<PciAddress>> named = new LinkedHashMap<>();
        drivers.forEach((name, units) -> named.put(name, Collections.unmodifiableSortedSet(new TreeSet<>(units))));
        drivers = Collections.unmodifiableMap(named);
        iommuFunctions = Collections.unmodifiableSortedMap(new TreeMap<>(iommuFunctions));
        Map<DeviceId, List<ReservedRegion>> regions = new LinkedHashMap<>();
        identityMaps.forEach((device, its) -> regions.put(device, List.copyOf(its)));
        identityMaps = Collections.unmodifiableMap(regions);
    }
}
