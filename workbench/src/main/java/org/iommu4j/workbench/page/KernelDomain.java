// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.workbench.scenario.DecisionStep;
import org.iommu4j.workbench.scenario.DomainOutcome;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Scenario;

/** A kernel user's own domain, which devices join one after the other. */
final class KernelDomain {
    private static final int PAGE = 4096;

    private final Scenario scenario;
    private final IommuDomain domain;
    private final List<PciAddress> attached = new ArrayList<>();
    private Enforcement enforcement = Enforcement.NOT_ASKED;

    /** Makes one for a device, which has not joined it yet. */
    KernelDomain(Scenario scenario, PciAddress first) {
        this.scenario = scenario;
        domain = scenario.newDomain(first);
    }

    /**
     * Asks the domain to block no-snoop.
     *
     * @throws NotApplicableException NO_ENFORCEMENT when it does not
     */
    void enforce() {
        Optional<CacheCoherencyEnforcement> control = domain.cacheCoherencyEnforcement();
        if (control.isEmpty()) {
            enforcement = Enforcement.ABSENT;
        } else {
            enforcement = control.get().enforce() ? Enforcement.ENFORCED : Enforcement.REFUSED;
        }
        scenario.note("the domain is asked to block no-snoop: " + enforcement);
        if (enforcement != Enforcement.ENFORCED) {
            throw new NotApplicableException(
                    NotApplicable.NO_ENFORCEMENT,
                    "the domain of " + attached + " does not block no-snoop"
                            + (control.isEmpty()
                                    ? ": under this release its driver has no such control"
                                    : ": a unit without snoop control stands against it"));
        }
    }

    void map(long iova, long physicalAddress) {
        IommuMapper.map(domain, iova, physicalAddress, PAGE, Prot.READ_WRITE | Prot.CACHE);
    }

    void attach(PciAddress device) {
        scenario.attach(device, domain);
        attached.add(device);
    }

    Enforcement enforcement() {
        return enforcement;
    }

    /** Returns what was decided, and where. */
    DecisionStep.Made step() {
        return new DecisionStep.Made(
                "enforce_cache_coherency",
                enforcement.name(),
                enforcement == Enforcement.NOT_ASKED
                        ? List.of()
                        : domain.enforcementSource().stream().toList());
    }

    DomainOutcome outcome() {
        return new DomainOutcome(List.copyOf(attached), enforcement);
    }
}
