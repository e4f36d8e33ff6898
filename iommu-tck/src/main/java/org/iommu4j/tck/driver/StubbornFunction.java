// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A function that can claim that it has not stopped its page requests. */
final class StubbornFunction implements PciFunction {
    private static final int PRI_STATUS = 6;
    private static final int STOPPED = 1 << 8;

    private final PciFunction function;
    private boolean busy;

    StubbornFunction(PciFunction function) {
        this.function = function;
    }

    void busy(boolean value) {
        busy = value;
    }

    @Override
    public PciAddress address() {
        return function.address();
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return function.upstreamBridge();
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
                int status = config.findExtendedCapability(EXTENDED_CAPABILITY_PRI) + PRI_STATUS;
                int value = config.read(offset, bytes);
                return busy && offset <= status && offset + bytes > status + 1
                        ? value & ~(STOPPED << (8 * (status - offset)))
                        : value;
            }

            @Override
            public void write(int offset, int bytes, int value) {
                config.write(offset, bytes, value);
            }
        };
    }
}
