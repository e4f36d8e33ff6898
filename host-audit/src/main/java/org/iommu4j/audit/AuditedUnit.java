// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.Objects;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.UnitDescription;

/**
 * A translation unit of the host.
 *
 * @param vendor the vendor's name
 * @param rule which units decide about no-snoop for the devices of this vendor
 * @param description its abilities by tables and registers
 * @param enforces whether a domain of a device behind it blocks no-snoop by that rule; under PER_MACHINE the same for
 *     all units
 * @param devices the functions that it translates for, as far as the input names them
 */
public record AuditedUnit(
        String vendor, CoherencyRule rule, UnitDescription description, Answer enforces, List<PciAddress> devices) {
    /** Copies the list. */
    public AuditedUnit {
        Objects.requireNonNull(vendor, "vendor");
        Objects.requireNonNull(rule, "rule");
        Objects.requireNonNull(description, "description");
        Objects.requireNonNull(enforces, "enforces");
        devices = List.copyOf(devices);
    }
}
