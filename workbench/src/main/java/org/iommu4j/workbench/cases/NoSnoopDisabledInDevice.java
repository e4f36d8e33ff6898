// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.GuestDevice;
import org.iommu4j.workbench.scenario.Scenario;

/** Enable No Snoop is off in Device Control: no request has no-snoop, and the decisions do not change. */
public final class NoSnoopDisabledInDevice implements Case {
    /** Makes the case. */
    public NoSnoopDisabledInDevice() {}

    @Override
    public String name() {
        return "no-snoop-disabled-in-device";
    }

    @Override
    public String about() {
        return "Enable No Snoop is off in the device, and the guest's driver never flushes";
    }

    @Override
    public void run(Scenario scenario) {
        GuestDevice device = scenario.assign(scenario.device()).device(scenario.device(), 0);
        device.enableNoSnoop(false);
        device.sendToDevice(0x1111, false);
        device.receiveFromDevice(0x2222, false);
    }
}
