// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.AssignedGuest;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.GuestDevice;
import org.iommu4j.workbench.scenario.Scenario;

/** Two devices share one container, behind units that may differ in snoop control. */
public final class MixedContainer implements Case {
    /** Makes the case. */
    public MixedContainer() {}

    @Override
    public String name() {
        return "mixed-container";
    }

    @Override
    public String about() {
        return "two devices of one guest, behind units that may differ in snoop control";
    }

    @Override
    public boolean needsSecondDevice() {
        return true;
    }

    @Override
    public void run(Scenario scenario) {
        AssignedGuest guest = scenario.assign(scenario.device());
        guest.add(scenario.secondDevice());
        GuestDevice first = guest.device(scenario.device(), 0);
        GuestDevice second = guest.device(scenario.secondDevice(), 1);
        first.sendToDevice(0x1111, true);
        second.sendToDevice(0x3333, true);
        first.receiveFromDevice(0x2222, true);
        second.receiveFromDevice(0x4444, true);
    }
}
