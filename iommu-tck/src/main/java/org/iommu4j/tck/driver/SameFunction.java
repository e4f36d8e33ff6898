// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A function that is another's: what a caller may have who lists the functions anew. */
record SameFunction(PciFunction function) implements PciFunction {
    @Override
    public PciAddress address() {
        return new PciAddress(
                function.address().segment(),
                function.address().bus(),
                function.address().device(),
                function.address().function());
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return function.upstreamBridge();
    }

    @Override
    public ConfigSpace config() {
        return function.config();
    }

    @Override
    public boolean externalFacing() {
        return function.externalFacing();
    }
}
