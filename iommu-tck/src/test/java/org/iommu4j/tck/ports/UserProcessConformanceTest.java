// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.tck.ProcessMemoryConformance;

/** A simulated machine's user process. */
class UserProcessConformanceTest extends ProcessMemoryConformance {
    @Override
    protected ProcessMemory newProcess(long memlockPages, boolean capIpcLock) {
        UserProcess process = SimulatedPlatform.flat().newProcess(memlockPages, capIpcLock);
        process.allocate(WRITABLE, PAGES, true);
        process.allocate(READ_ONLY, PAGES, false);
        return process;
    }
}
