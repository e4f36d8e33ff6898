// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.napot;

import java.util.List;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.VendorContext;

/** Finds the unit by its table, and opens the driver. */
final class NapotVendor implements IommuVendor {
    static final String SIGNATURE = "NAPT";

    @Override
    public String name() {
        return "napot";
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table(SIGNATURE).isPresent();
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        return new HostDescription(name(), CoherencyRule.NEVER, List.of(), List.of(), List.of(), List.of());
    }

    @Override
    public Iommu open(VendorContext context) {
        return new NapotDriver(context);
    }
}
