// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.support;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** Passes calls on to another function; a subclass changes some. */
public abstract class FunctionOver implements PciFunction {
    private final PciFunction function;

    /** Stands over a function. */
    protected FunctionOver(PciFunction function) {
        this.function = function;
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
        return function.config();
    }

    /** Passes calls on to another configuration space; a subclass changes some. */
    public abstract static class ConfigOver implements ConfigSpace {
        private final ConfigSpace config;

        /** Stands over a configuration space. */
        protected ConfigOver(ConfigSpace config) {
            this.config = config;
        }

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
            config.write(offset, bytes, value);
        }
    }
}
