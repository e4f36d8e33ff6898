// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.support;

import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciFunction;

/** A function that may be looked at and not be changed: a write to its configuration space fails the test. */
public final class ReadOnlyFunction extends FunctionOver {
    /** Stands over a function. */
    public ReadOnlyFunction(PciFunction function) {
        super(function);
    }

    @Override
    public ConfigSpace config() {
        return new ConfigOver(super.config()) {
            @Override
            public void write(int offset, int bytes, int value) {
                throw new AssertionError(
                        "a write to the configuration space of " + address() + " at 0x" + Integer.toHexString(offset));
            }
        };
    }
}
