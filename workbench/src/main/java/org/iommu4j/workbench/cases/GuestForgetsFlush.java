// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.GuestDevice;
import org.iommu4j.workbench.scenario.Scenario;

/** The case of {@link GuestNoSnoop}, with a guest's driver that never flushes. */
public final class GuestForgetsFlush implements Case {
    /** Makes the case. */
    public GuestForgetsFlush() {}

    @Override
    public String name() {
        return "guest-forgets-flush";
    }

    @Override
    public String about() {
        return "an assigned device uses no-snoop, and the guest's driver never flushes";
    }

    @Override
    public void run(Scenario scenario) {
        GuestDevice device = scenario.assign(scenario.device()).device(scenario.device(), 0);
        device.sendToDevice(0x1111, false);
        device.receiveFromDevice(0x2222, false);
    }
}
