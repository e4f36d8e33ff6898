// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.tck.WaiterConformance;

/** A simulated machine's waiter: its unit works while somebody waits. */
class MachineWaiterConformanceTest extends WaiterConformance {
    @Override
    protected Waiter newWaiter() {
        return SimulatedPlatform.flat().waiter();
    }

    @Override
    protected Pending newPending() {
        Machine machine = SimulatedPlatform.flat();
        RegisterWindow window = machine.registers().map(SimulatedPlatform.REGISTERS, 0x1000);
        window.write64(SimulatedPlatform.RTADDR, 0x100000);
        window.write32(SimulatedPlatform.GCMD, SimulatedPlatform.SRTP);
        return new Pending(
                machine.waiter(), () -> (window.read32(SimulatedPlatform.GSTS) & SimulatedPlatform.SRTP) != 0);
    }
}
