// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Scenario;
import org.iommu4j.workbench.scenario.SharedDomain;

/** A second device joins a mapped domain that blocks no-snoop: its no-snoop is blocked too. */
public final class CapableLateAttach implements Case {
    /** Makes the case. */
    public CapableLateAttach() {}

    @Override
    public String name() {
        return "capable-late-attach";
    }

    @Override
    public String about() {
        return "a device joins a domain that already enforces: its no-snoop is blocked too";
    }

    @Override
    public boolean needsSecondDevice() {
        return true;
    }

    @Override
    public void run(Scenario scenario) {
        SharedDomain domain = scenario.shareDomain(scenario.device());
        domain.enforce();
        domain.map();
        domain.attach(scenario.secondDevice());
        domain.exchange(scenario.secondDevice(), 1);
        domain.exchange(scenario.device(), 0);
    }
}
