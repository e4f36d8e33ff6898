// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A function on a root bus, with a configuration space of the test's. */
public record ConfiguredFunction(PciAddress address, ConfigSpace config) implements PciFunction {
    @Override
    public Optional<PciAddress> upstreamBridge() {
        return Optional.empty();
    }
}
