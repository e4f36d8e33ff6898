// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.vfio.iommufd.HwptState;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.jspecify.annotations.Nullable;

/** The HWPTs of an iommufd in which devices are. */
final class HwptOutcomes {
    /** No case makes so many objects. */
    private static final int LAST_ID = 64;

    private HwptOutcomes() {}

    /**
     * Returns the HWPTs, each with its devices. One that does not block no-snoop was not asked to: iommufd asks only
     * for devices whose capability says that they can.
     *
     * @param parents the parents of nested HWPTs, by the devices that are in those: a parent's promise holds there
     */
    static List<DomainOutcome> of(
            Scenario scenario, Iommufd iommufd, Collection<PciAddress> attached, Map<PciAddress, Integer> parents) {
        Map<IommuDomain, List<PciAddress>> members = new LinkedHashMap<>();
        for (PciAddress device : attached) {
            members.computeIfAbsent(scenario.groupOf(device).domain(), unused -> new ArrayList<>())
                    .add(device);
        }
        List<DomainOutcome> outcomes = new ArrayList<>();
        members.forEach((domain, devices) -> {
            Integer parent = parents.get(devices.get(0));
            HwptState hwpt = parent == null ? find(iommufd, domain) : iommufd.hwpt(parent);
            if (hwpt != null) {
                outcomes.add(new DomainOutcome(
                        List.copyOf(devices), hwpt.enforced() ? Enforcement.ENFORCED : Enforcement.NOT_ASKED));
            }
        });
        return outcomes;
    }

    /** Returns the HWPT of a domain, null where it is none's: a blocked device. */
    private static @Nullable HwptState find(Iommufd iommufd, IommuDomain domain) {
        for (int id = 1; id <= LAST_ID; id++) {
            try {
                HwptState hwpt = iommufd.hwpt(id);
                if (hwpt.domain() == domain) {
                    return hwpt;
                }
            } catch (IommuException e) {
                // The number is of another kind of object, or of none.
            }
        }
        return null;
    }
}
