// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;

/**
 * Audits a host whose IOMMU a hypervisor under Linux has: it names what is there, and answers nothing about guests.
 *
 * <p>VFIO and KVM have no part in how such a hypervisor assigns devices. Xen turns snoop control on for all units or
 * for none ({@code iommu_snoop}, xen/drivers/passthrough/vtd/iommu.c), and prints which.
 */
final class OtherHypervisor {
    private static final String ITSELF = " has the IOMMU and assigns devices itself";

    private OtherHypervisor() {}

    /** Returns whether an audit is of such a host. */
    static boolean has(Audit audit) {
        return audit.noRule() != null && audit.noRule().contains(ITSELF);
    }

    /**
     * Audits a host.
     *
     * @throws InputException when an assigned device is not among the input
     */
    static Audit audit(
            HostEvidence evidence, String hypervisor, Optional<LinuxRelease> asked, Set<PciAddress> assigned) {
        Reason why = new Reason(hypervisor + ITSELF + "; VFIO's and KVM's rules do not hold", "Linux arch/x86/xen");
        List<AuditedDevice> devices = new ArrayList<>();
        evidence.functions().forEach(function -> devices.add(device(function, why)));
        LinuxRelease release = asked.or(evidence::linux)
                .map(its -> ReleaseChoice.nearest(its.base(), LinuxRelease.known()))
                .orElse(LinuxRelease.NEWEST);
        List<String> warnings = new ArrayList<>(evidence.warnings());
        warnings.add(why.text() + ". "
                + switch (evidence.hypervisorBlocksNoSnoop()) {
                    case YES -> "Its own answer for the whole machine is Snoop Control enabled: it blocks no-snoop";
                    case NO -> "Its own answer for the whole machine is Snoop Control not enabled: no-snoop may pass";
                    case UNKNOWN ->
                        "Its own answer for the whole machine is in xl dmesg: Intel VT-d Snoop Control enabled, "
                                + "or not enabled";
                });
        Audit audit = new Audit(
                evidence.name(),
                release,
                evidence.linux(),
                null,
                why.text(),
                List.of(),
                Answer.UNKNOWN,
                Answer.UNKNOWN,
                List.of(),
                devices,
                List.of(),
                null,
                List.of(),
                evidence.contradictions(),
                "depends on " + hypervisor,
                evidence.remarks(),
                List.of(),
                warnings);
        return assigned.isEmpty() ? audit : audit.with(assignment(audit, assigned, why));
    }

    private static AuditedDevice device(FunctionEvidence function, Reason why) {
        return new DeviceDraft(function)
                .assignable(Answer.UNKNOWN, Answer.UNKNOWN, List.of(why))
                .guest(Guest.UNKNOWN, List.of(why))
                .build();
    }

    private static Assignment assignment(Audit audit, Set<PciAddress> assigned, Reason why) {
        Map<PciAddress, List<Step>> paths = new LinkedHashMap<>();
        for (PciAddress address : assigned) {
            Assignment.find(audit, address);
            paths.put(address, List.of(new Step("guest", Guest.UNKNOWN.name(), why.text())));
        }
        return new Assignment(
                List.copyOf(assigned),
                Answer.UNKNOWN,
                List.of(why),
                Answer.UNKNOWN,
                Guest.UNKNOWN,
                List.of(),
                paths,
                List.of());
    }
}
