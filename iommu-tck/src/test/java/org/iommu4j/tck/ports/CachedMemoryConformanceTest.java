// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.tck.SystemMemoryConformance;

/** Two CPUs' views of a simulated machine's memory, each through its caches; the machine belongs to one thread. */
class CachedMemoryConformanceTest extends SystemMemoryConformance {
    private Machine machine;

    @Override
    protected SystemMemory newMemory(long bytes) {
        machine = SimulatedPlatform.withMemory(bytes);
        return machine.memory(0);
    }

    @Override
    protected SystemMemory ofAnotherCpu(SystemMemory memory) {
        return machine.memory(1);
    }

    @Override
    protected long unsnooped(SystemMemory memory, long physicalAddress) {
        return machine.peekDram(physicalAddress);
    }

    @Override
    protected boolean isShared() {
        return false;
    }
}
