// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A conventional PCI function on a root bus: functions of one slot share a group, others do not. */
public record TestFunction(PciAddress address, boolean multiFunction) implements PciFunction, ConfigSpace {
    @Override
    public Optional<PciAddress> upstreamBridge() {
        return Optional.empty();
    }

    @Override
    public ConfigSpace config() {
        return this;
    }

    @Override
    public int size() {
        return 256;
    }

    @Override
    public int read(int offset, int bytes) {
        return offset == 0x0e && multiFunction ? 0x80 : 0;
    }

    @Override
    public void write(int offset, int bytes, int value) {
        // Nothing here can be written.
    }
}
