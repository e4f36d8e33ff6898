// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.tck.support.FunctionOver;

/** A function that can claim that it has not stopped its page requests. */
final class StubbornFunction extends FunctionOver {
    private static final int PRI_STATUS = 6;
    private static final int STOPPED = 1 << 8;

    private boolean busy;

    StubbornFunction(PciFunction function) {
        super(function);
    }

    void busy(boolean value) {
        busy = value;
    }

    @Override
    public ConfigSpace config() {
        ConfigSpace config = super.config();
        return new ConfigOver(config) {
            @Override
            public int read(int offset, int bytes) {
                int status = config.findExtendedCapability(EXTENDED_CAPABILITY_PRI) + PRI_STATUS;
                int value = config.read(offset, bytes);
                return busy && offset <= status && offset + bytes > status + 1
                        ? value & ~(STOPPED << (8 * (status - offset)))
                        : value;
            }
        };
    }
}
