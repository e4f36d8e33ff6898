// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.DecisionSource;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.vfio.VfioFile;
import org.jspecify.annotations.Nullable;

/** By a careless user's own domain, which its first device makes. */
final class BareAssignment implements Assignment {
    private static final int PAGE = 4096;

    private final Scenario scenario;
    private final ProcessMemory vmm;

    /** Pages to map: IOVA, then virtual address. */
    private final List<long[]> pages = new ArrayList<>();

    private final List<PciAddress> attached = new ArrayList<>();
    private @Nullable IommuDomain domain;

    BareAssignment(Scenario scenario, ProcessMemory vmm) {
        this.scenario = scenario;
        this.vmm = vmm;
    }

    @Override
    public void map(long iova, long virtualAddress, long bytes) {
        for (long offset = 0; offset < bytes; offset += PAGE) {
            long[] page = {iova + offset, virtualAddress + offset};
            pages.add(page);
            if (domain != null) {
                mapPage(domain, page);
            }
        }
    }

    private void mapPage(IommuDomain target, long[] page) {
        long[] frame = new long[1];
        vmm.pin(page[1], 1, true, frame);
        IommuMapper.map(target, page[0], frame[0], PAGE, Prot.READ_WRITE | Prot.CACHE);
    }

    @Override
    public void attach(PciAddress device) {
        scenario.groupOf(device).claimDmaOwner(scenario);
        IommuDomain current = domain;
        if (current == null) {
            IommuDomain made = scenario.newDomain(device);
            scenario.attach(device, made);
            pages.forEach(page -> mapPage(made, page));
            domain = made;
        } else {
            scenario.attach(device, current);
        }
        attached.add(device);
    }

    @Override
    public void detach(PciAddress device) {
        IommuDomain current = domain;
        if (current == null || !attached.remove(device)) {
            throw new IllegalArgumentException(device + " is not attached");
        }
        scenario.groupOf(device).detach(current);
        scenario.groupOf(device).releaseDmaOwner();
    }

    @Override
    public void open(PciAddress device) {
        // There is no file.
    }

    @Override
    public void close(PciAddress device) {
        // There is no file.
    }

    @Override
    public Optional<VfioFile> file(PciAddress device) {
        return Optional.empty();
    }

    @Override
    public ConfigSpace config(PciAddress device) {
        return scenario.machine().endpoint(device).config();
    }

    @Override
    public @Nullable Boolean dmaCc() {
        return null;
    }

    @Override
    public Optional<DecisionSource> dmaCcSource() {
        return Optional.empty();
    }

    @Override
    public Optional<DecisionSource> askedBy() {
        return Optional.empty();
    }

    @Override
    public List<DomainOutcome> domains() {
        return attached.isEmpty()
                ? List.of()
                : List.of(new DomainOutcome(List.copyOf(attached), Enforcement.NOT_ASKED));
    }

    @Override
    public void end() {
        List.copyOf(attached).forEach(this::detach);
    }
}
