// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.tck.support.FunctionOver;

/** A function that is another's: what a caller may have who lists the functions anew. */
final class SameFunction extends FunctionOver {
    SameFunction(PciFunction function) {
        super(function);
    }

    /** An address that is equal, and not the same object. */
    @Override
    public PciAddress address() {
        PciAddress address = super.address();
        return new PciAddress(address.segment(), address.bus(), address.device(), address.function());
    }
}
