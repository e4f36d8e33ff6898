// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.DecisionSource;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.type1.DomainState;

/** By a VFIO container with an IOMMU of type 1. */
final class Type1Assignment extends GroupAssignment {
    private final VfioContainer container;

    Type1Assignment(Scenario scenario, ProcessMemory vmm) {
        super(scenario);
        container = scenario.vfio().openContainer(vmm);
    }

    @Override
    Object container() {
        return container;
    }

    @Override
    void setIommu() {
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
    }

    @Override
    void mapNow(long iova, long virtualAddress, long bytes) {
        container.map(iova, virtualAddress, bytes, VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
    }

    @Override
    public Boolean dmaCc() {
        return container.checkExtension(VfioExtension.DMA_CC_IOMMU) == 1;
    }

    @Override
    public Optional<DecisionSource> dmaCcSource() {
        return Optional.of(container.coherencySource());
    }

    @Override
    public Optional<DecisionSource> askedBy() {
        return Optional.of(container.enforcementSource());
    }

    @Override
    public List<DomainOutcome> domains() {
        List<DomainOutcome> outcomes = new ArrayList<>();
        for (DomainState state : container.domains()) {
            outcomes.add(new DomainOutcome(
                    state.devices(), Enforcement.valueOf(state.enforcement().name())));
        }
        return outcomes;
    }

    @Override
    public void end() {
        super.end();
        container.close();
    }
}
