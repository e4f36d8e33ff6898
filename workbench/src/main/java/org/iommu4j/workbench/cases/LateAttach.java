// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.cases;

import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Scenario;
import org.iommu4j.workbench.scenario.SharedDomain;

/** A second device, whose unit may lack snoop control, joins a domain that was asked to block no-snoop. */
public final class LateAttach implements Case {
    /** Makes the case. */
    public LateAttach() {}

    @Override
    public String name() {
        return "late-attach";
    }

    @Override
    public String about() {
        return "a device joins a domain that already enforces; a device that can't is refused";
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
        domain.exchange(scenario.device(), 0);
        domain.exchange(scenario.secondDevice(), 1);
    }
}
