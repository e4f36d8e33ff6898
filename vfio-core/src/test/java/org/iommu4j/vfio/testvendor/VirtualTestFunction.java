// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A virtual function on a root bus, without capabilities of its own. */
record VirtualTestFunction(PciAddress address, PciAddress physical) implements PciFunction {
    @Override
    public Optional<PciAddress> upstreamBridge() {
        return Optional.empty();
    }

    @Override
    public Optional<PciAddress> physicalFunction() {
        return Optional.of(physical);
    }

    @Override
    public ConfigSpace config() {
        return new TestFunction(address, false);
    }
}
