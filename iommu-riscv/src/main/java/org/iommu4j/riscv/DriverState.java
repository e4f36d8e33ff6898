// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.Iommu;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;
import org.iommu4j.spi.VendorContext;

/** What devices and domains of the opened driver share: its rules, units, tags and quarantine. */
final class DriverState {
    private final Iommu iommu;
    private final VendorContext context;
    private final RiscvRules rules;
    private final List<RiscvUnit> units;
    private final Tags tags = new Tags();
    private final AtomicLong quarantined = new AtomicLong();

    /** Makes the state of a driver as its users see it. */
    DriverState(Iommu iommu, VendorContext context, RiscvRules rules, List<RiscvUnit> units) {
        this.iommu = iommu;
        this.context = context;
        this.rules = rules;
        this.units = List.copyOf(units);
    }

    Iommu iommu() {
        return iommu;
    }

    RiscvRules rules() {
        return rules;
    }

    SystemMemory memory() {
        return context.memory();
    }

    /** Returns a source of frames for tables. */
    TableFrames frames() {
        return new TableFrames(context.memory(), context.frames());
    }

    /** Returns the units, in the firmware's order. */
    List<RiscvUnit> units() {
        return units;
    }

    Tags tags() {
        return tags;
    }

    /** Counts frames that are never freed. */
    void quarantine(long frames) {
        quarantined.addAndGet(frames);
    }

    long quarantined() {
        return quarantined.get();
    }
}
