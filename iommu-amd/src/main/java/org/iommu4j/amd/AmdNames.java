// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.Collections;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.LinuxStatements;

/** The names of the vendor and of its units, as Linux prints them. */
final class AmdNames {
    /** The name of the vendor. */
    static final String VENDOR = "amd";

    /** The prefix of each unit's name. */
    static final String UNIT_PREFIX = "ivhd";

    /** PCI vendor ids of AMD, of ATI, and of Hygon, which builds AMD's processors. */
    private static final Set<Integer> PCI_VENDORS = Set.of(0x1022, 0x1002, 0x1d94);

    private AmdNames() {}

    /** Returns whether a name that Linux shows is that of a unit. */
    static boolean isUnit(String name) {
        return HostFacts.isNamed(name, UNIT_PREFIX);
    }

    /** Returns the PCI functions that are units: those that the driver's lines name, and AMD's of the class. */
    static SortedSet<PciAddress> functions(LinuxStatements stated) {
        SortedSet<PciAddress> functions = new TreeSet<>();
        functions.addAll(stated.drivers().getOrDefault(VENDOR, Collections.emptySortedSet()));
        stated.iommuFunctions().forEach((function, vendor) -> {
            if (PCI_VENDORS.contains(vendor)) {
                functions.add(function);
            }
        });
        return functions;
    }

    /** Returns the name of the n-th unit of the IVRS, counted from 0. */
    static String unit(int index) {
        return UNIT_PREFIX + index;
    }
}
