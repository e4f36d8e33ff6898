// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.SimulatedFunction;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.tck.ConfigSpaceConformance;

/** The configuration space of a simulated function. */
class SimulatedConfigSpaceConformanceTest extends ConfigSpaceConformance {
    @Override
    protected ConfigSpace newConfigSpace() {
        return SimulatedPlatform.flat()
                .topology()
                .function(BuiltInTopology.GPU)
                .orElseThrow()
                .config();
    }

    @Override
    protected ConfigSpace newConfigSpace(byte[] bytes) {
        return new SimulatedFunction(
                        new FunctionDescription(BuiltInTopology.GPU, Optional.empty(), bytes, Optional.empty(), false))
                .config();
    }
}
