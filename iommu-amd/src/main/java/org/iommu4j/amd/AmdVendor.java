// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.PciTopology;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.VendorContext;

/** The AMD-Vi driver as the service loader finds it: claims machines whose firmware has an IVRS. */
public final class AmdVendor implements IommuVendor {
    /** Makes the vendor; it has no state. */
    public AmdVendor() {}

    @Override
    public String name() {
        return "amd";
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table("IVRS").isPresent();
    }

    @Override
    public HostDescription describe(
            FirmwareTables firmware, PciTopology topology, RegisterValues registers, LinuxRelease release) {
        throw new IllegalArgumentException("no description of an IVRS yet");
    }

    @Override
    public Iommu open(VendorContext context) {
        throw new IllegalArgumentException("no driver for an IVRS yet");
    }
}
