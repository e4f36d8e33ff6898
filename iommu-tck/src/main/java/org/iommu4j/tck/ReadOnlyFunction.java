// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A function that may be looked at and not be changed. */
record ReadOnlyFunction(PciFunction function) implements PciFunction {
    @Override
    public PciAddress address() {
        return function.address();
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return function.upstreamBridge();
    }

    @Override
    public boolean placed() {
        return function.placed();
    }

    @Override
    public Optional<PciAddress> physicalFunction() {
        return function.physicalFunction();
    }

    @Override
    public boolean externalFacing() {
        return function.externalFacing();
    }

    @Override
    public ConfigSpace config() {
        ConfigSpace config = function.config();
        return new ConfigSpace() {
            @Override
            public int size() {
                return config.size();
            }

            @Override
            public int read(int offset, int bytes) {
                return config.read(offset, bytes);
            }

            @Override
            public void write(int offset, int bytes, int value) {
                throw new AssertionError(
                        "a write to the configuration space of " + address() + " at 0x" + Integer.toHexString(offset));
            }
        };
    }
}
