// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDomain;

/** State of the opened driver for devices and domains: its rules, units, quarantine and list of domains. */
final class DriverState {
    private final Iommu iommu;
    private final IntelRules rules;
    private final List<IntelUnit> units;
    private final boolean everyUnitSnoops;
    private final Consumer<IommuDomain> closedDomains;
    private final AtomicLong quarantinedFrames = new AtomicLong();

    /**
     * Makes the state of a driver whose units are known.
     *
     * @param iommu the driver as its users see it
     * @param units the units in use, by {@link IntelUnit#index}
     * @param closedDomains receives each domain that was closed
     */
    DriverState(Iommu iommu, IntelRules rules, List<IntelUnit> units, Consumer<IommuDomain> closedDomains) {
        this.iommu = iommu;
        this.rules = rules;
        this.units = List.copyOf(units);
        this.everyUnitSnoops =
                units.stream().allMatch(unit -> unit.isScalable() || unit.ecap().snoopControl());
        this.closedDomains = closedDomains;
    }

    Iommu iommu() {
        return iommu;
    }

    IntelRules rules() {
        return rules;
    }

    /** Returns all units that the driver uses. */
    List<IntelUnit> units() {
        return units;
    }

    /** Returns whether every unit of the machine has snoop control or is in scalable mode. */
    boolean everyUnitSnoops() {
        return everyUnitSnoops;
    }

    /** Quarantines frames that a unit may still be walking; they are never freed. */
    void quarantine(long count) {
        quarantinedFrames.addAndGet(count);
    }

    /** Returns how many frames are quarantined. */
    long quarantinedFrames() {
        return quarantinedFrames.get();
    }

    /** Removes a closed domain from the driver's list. */
    void forget(IommuDomain domain) {
        closedDomains.accept(domain);
    }
}
