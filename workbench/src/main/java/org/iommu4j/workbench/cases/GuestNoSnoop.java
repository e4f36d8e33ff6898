// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.GuestDevice;
import org.iommu4j.workbench.scenario.Scenario;

/** An assigned device uses no-snoop and the guest's driver relies on WBINVD, both ways. */
public final class GuestNoSnoop implements Case {
    /** Makes the case. */
    public GuestNoSnoop() {}

    @Override
    public String name() {
        return "guest-no-snoop";
    }

    @Override
    public String about() {
        return "an assigned device uses no-snoop, and the guest's driver relies on WBINVD";
    }

    @Override
    public void run(Scenario scenario) {
        GuestDevice device = scenario.assign(scenario.device()).device(scenario.device(), 0);
        device.sendToDevice(0x1111, true);
        device.receiveFromDevice(0x2222, true);
    }
}
