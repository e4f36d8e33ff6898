// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.AttachResult;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.pcie.Endpoint;

/**
 * A kernel user's own domain that blocks no-snoop, and that devices join one after the other.
 *
 * <p>The user relies on it and never flushes.
 */
public final class SharedDomain {
    private static final int PAGE = 4096;
    private static final int PAGES = 2;

    private final Scenario scenario;
    private final IommuDomain domain;
    private final long buffer;
    private final List<PciAddress> attached = new ArrayList<>();
    private Enforcement enforcement = Enforcement.NOT_ASKED;

    SharedDomain(Scenario scenario, PciAddress first) {
        this.scenario = scenario;
        domain = scenario.newDomain(first);
        buffer = scenario.machine().frames().allocate(1);
        scenario.decides(
                () -> new Decision(enforcement, null, null, null, null),
                () -> List.of(new DomainOutcome(List.copyOf(attached), enforcement)));
        attach(first);
    }

    /**
     * Asks the domain to block no-snoop.
     *
     * @throws NotApplicableException NO_ENFORCEMENT when it does not
     */
    public void enforce() {
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

    /** Maps the buffer. */
    public void map() {
        IommuMapper.map(domain, Scenario.IOVA, buffer, PAGES * (long) PAGE, Prot.READ_WRITE | Prot.CACHE);
    }

    /**
     * Moves a device's group from its default domain to this one.
     *
     * @throws IommuException EINVAL when they do not fit; the group is in its default domain then
     */
    public void attach(PciAddress address) {
        AttachResult result = scenario.groupOf(address).attach(domain);
        if (!result.attached()) {
            throw new IommuException(Errno.EINVAL, address + " can't join the domain: " + result.reason());
        }
        attached.add(address);
    }

    /**
     * Exchanges a word each way with an attached device that uses no-snoop.
     *
     * @param page 0 or 1: the device's page of the buffer
     */
    public void exchange(PciAddress address, int page) {
        Endpoint endpoint = scenario.machine().endpoint(address);
        DeviceAccess.enableNoSnoop(endpoint.config(), true);
        Processor cpu = scenario.machine().processors().get(0);
        long memory = buffer + (long) page * PAGE;
        long iova = Scenario.IOVA + (long) page * PAGE;
        cpu.store(memory, 0x1111, MemoryType.WB);
        DeviceAccess.read(endpoint, iova, true);
        cpu.load(memory + 64, MemoryType.WB);
        DeviceAccess.write(endpoint, iova + 64, 0x2222, true);
        cpu.load(memory + 64, MemoryType.WB);
    }
}
