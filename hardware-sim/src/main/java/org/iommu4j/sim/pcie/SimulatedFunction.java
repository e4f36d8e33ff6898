// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Optional;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.PciFunction;
import org.iommu4j.sim.spi.FunctionDescription;

/** A function or bridge of a machine: where it is, and its configuration space. */
public final class SimulatedFunction implements PciFunction {
    private final FunctionDescription description;
    private final FunctionConfig config;

    /** Makes a function at power-on. */
    public SimulatedFunction(FunctionDescription description) {
        this.description = description;
        this.config = new FunctionConfig(description);
    }

    @Override
    public PciAddress address() {
        return description.address();
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return description.upstreamBridge();
    }

    @Override
    public FunctionConfig config() {
        return config;
    }

    @Override
    public boolean externalFacing() {
        return description.externalFacing();
    }

    /** Returns the name of the translation unit that its requests pass, empty when they pass none. */
    public Optional<String> unit() {
        return description.unit();
    }

    @Override
    public String toString() {
        return description.address().toString();
    }
}
