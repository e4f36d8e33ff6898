// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.GuestDevice;
import org.iommu4j.workbench.scenario.Scenario;

/** A VMM neither asks for enforcement nor adds the group to KVM; the guest's driver makes no mistake. */
public final class GuestNoSnoopUnreported implements Case {
    /** Makes the case. */
    public GuestNoSnoopUnreported() {}

    @Override
    public String name() {
        return "guest-no-snoop-unreported";
    }

    @Override
    public String about() {
        return "the VMM neither enforces nor adds the group to KVM; the guest's driver relies on WBINVD";
    }

    @Override
    public void run(Scenario scenario) {
        GuestDevice device = scenario.assignUnreported(scenario.device());
        device.sendToDevice(0x1111, true);
        device.receiveFromDevice(0x2222, true);
    }
}
