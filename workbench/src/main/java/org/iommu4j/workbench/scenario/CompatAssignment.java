// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.DecisionSource;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.Iommufd;

/** By an iommufd that serves as a VFIO container; a device is attached when it is opened. */
final class CompatAssignment extends GroupAssignment {
    private final Iommufd iommufd;
    private final List<PciAddress> open = new ArrayList<>();

    CompatAssignment(Scenario scenario, ProcessMemory vmm) {
        super(scenario);
        iommufd = scenario.openIommufd(vmm, AssignedBy.COMPAT);
    }

    @Override
    Object container() {
        return iommufd;
    }

    @Override
    void setIommu() {
        iommufd.vfioContainer().setIommu(VfioExtension.TYPE1V2_IOMMU);
    }

    @Override
    void mapNow(long iova, long virtualAddress, long bytes) {
        iommufd.vfioContainer().map(iova, virtualAddress, bytes, CompatContainer.MAP_READ | CompatContainer.MAP_WRITE);
    }

    @Override
    public void open(PciAddress device) {
        super.open(device);
        open.add(device);
    }

    @Override
    public void close(PciAddress device) {
        super.close(device);
        open.remove(device);
    }

    @Override
    public Boolean dmaCc() {
        return iommufd.vfioContainer().checkExtension(VfioExtension.DMA_CC_IOMMU) == 1;
    }

    @Override
    public Optional<DecisionSource> dmaCcSource() {
        return Optional.of(iommufd.vfioContainer().coherencySource());
    }

    @Override
    public Optional<DecisionSource> askedBy() {
        return Optional.of(iommufd.enforcementSource());
    }

    @Override
    public List<DomainOutcome> domains() {
        return HwptOutcomes.of(scenario, iommufd, open, Map.of());
    }

    @Override
    public void end() {
        super.end();
        iommufd.close();
    }
}
