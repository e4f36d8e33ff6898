// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A function on a root bus of which class and address are all that matters. */
record FakeFunction(PciAddress address, int classCode) implements PciFunction {
    FakeFunction(String address, int classCode) {
        this(PciAddress.parse(address), classCode);
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return Optional.empty();
    }

    @Override
    public ConfigSpace config() {
        return new ConfigSpace() {
            @Override
            public int size() {
                return 64;
            }

            @Override
            public int read(int offset, int bytes) {
                return offset == 8 ? classCode << 8 : 0;
            }

            @Override
            public void write(int offset, int bytes, int value) {
                throw new UnsupportedOperationException();
            }
        };
    }
}
