// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.intel.acpi.DmarParser;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.PciTopology;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.VendorContext;

/**
 * Intel VT-d, found by its DMAR table.
 *
 * <p>Source: VT-d specification, chapters 8 to 11; Linux {@code drivers/iommu/intel}.
 */
public final class IntelVendor implements IommuVendor {
    static final String NAME = "intel";

    /** Makes the vendor; it has no state. */
    public IntelVendor() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table(DmarParser.SIGNATURE).isPresent();
    }

    @Override
    public HostDescription describe(
            FirmwareTables firmware, PciTopology topology, RegisterValues registers, LinuxRelease release) {
        return IntelDescription.describe(firmware, topology, registers, release);
    }

    @Override
    public Iommu open(VendorContext context) {
        return IntelIommu.open(context);
    }
}
