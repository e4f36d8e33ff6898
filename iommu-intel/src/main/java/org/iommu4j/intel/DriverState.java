// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDomain;

/** What devices and domains need of the opened driver: its rules, its units, its quarantine and its list of domains. */
final class DriverState {
    private final Iommu iommu;
    private final IntelRules rules;
    private final List<IntelUnit> units;
    private final boolean everyUnitSnoops;
    private final Consumer<IommuDomain> closedDomains;
    private final AtomicLong quarantinedFrames = new AtomicLong();

    /**
     * Makes the state of a driver that has its units.
     *
     * @param iommu the driver as its users know it
     * @param units those that are used, by {@link IntelUnit#index}
     * @param closedDomains takes each domain that was closed
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

    /** Keeps frames for good that a unit may still be walking. */
    void quarantine(long count) {
        quarantinedFrames.addAndGet(count);
    }

    /** Returns how many frames are kept for good. */
    long quarantinedFrames() {
        return quarantinedFrames.get();
    }

    /** Has the driver forget a domain that was closed. */
    void forget(IommuDomain domain) {
        closedDomains.accept(domain);
    }
}
