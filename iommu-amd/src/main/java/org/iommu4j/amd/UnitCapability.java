// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.Optional;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.reg.Features;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;

/**
 * A unit's PCI capability, 48882 section 3.2.1.
 *
 * @param hasExtendedFeatures whether the feature registers exist
 * @param cachesNotPresent whether entries made present must be announced
 * @param deviceIotlbs whether devices may have their own IOTLBs (ATS)
 */
record UnitCapability(boolean hasExtendedFeatures, boolean cachesNotPresent, boolean deviceIotlbs) {
    /**
     * Values without the capability: the registers are read, every entry is announced and no device has an IOTLB. This
     * is slower but never wrong.
     */
    private static final UnitCapability UNKNOWN = new UnitCapability(true, true, false);

    static UnitCapability read(PciTopology topology, Ivhd block) {
        Optional<PciFunction> function = topology.function(PciAddress.of(block.segment(), block.deviceId()));
        int offset = block.capabilityOffset();
        if (function.isEmpty() || offset == 0 || offset % 4 != 0) {
            return UNKNOWN;
        }
        long header = function.get().config().read(offset, 4) & 0xffff_ffffL;
        if (Features.CAP_ID.get(header) != Features.CAPABILITY_SECURE_DEVICE) {
            return UNKNOWN;
        }
        return new UnitCapability(
                Features.EFR_SUP.isSet(header), Features.NP_CACHE.isSet(header), Features.IOTLB_SUP.isSet(header));
    }
}
