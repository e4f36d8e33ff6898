// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.HostDriver;
import org.iommu4j.workbench.scenario.Scenario;

/**
 * A kernel driver on the DMA API uses no-snoop and flushes as i915 does: CLFLUSH for ranges, WBINVD everywhere for all.
 */
public final class HostNoSnoop implements Case {
    /** Makes the case. */
    public HostNoSnoop() {}

    @Override
    public String name() {
        return "host-no-snoop";
    }

    @Override
    public String about() {
        return "a kernel driver on the DMA API uses no-snoop and flushes as i915 does";
    }

    @Override
    public void run(Scenario scenario) {
        HostDriver driver = scenario.bindHostDriver(scenario.device());
        driver.sendFlushingLines(0x1111);
        driver.receiveFlushingLines(0x2222);
        driver.sendFlushingAll(0x3333);
        driver.receiveFlushingAll(0x4444);
    }
}
