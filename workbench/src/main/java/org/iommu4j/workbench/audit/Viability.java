// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.ReservedRegion;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.Reason;
import org.iommu4j.workbench.host.Fact;
import org.iommu4j.workbench.host.FunctionEvidence;
import org.iommu4j.workbench.host.HostEvidence;
import org.jspecify.annotations.Nullable;

/** Whether VFIO takes a device, and what stands against it. */
final class Viability {
    private static final Reason CORE_LOCK =
            new Reason("its group can't be taken from the kernel, EINVAL", "Linux iommu_group require_direct (6.6)");

    /** What was found about a device or a group. */
    record Finding(Answer answer, List<Reason> reasons) {}

    private final HostEvidence evidence;
    private final Map<PciAddress, DeviceDescription> descriptions;
    private final Map<PciAddress, HostDescription> hostOf;
    private final Map<PciAddress, List<PciAddress>> groupOf;
    private final AuditRules rules;

    Viability(
            HostEvidence evidence,
            Map<PciAddress, DeviceDescription> descriptions,
            Map<PciAddress, HostDescription> hostOf,
            Map<PciAddress, List<PciAddress>> groupOf,
            AuditRules rules) {
        this.evidence = evidence;
        this.descriptions = descriptions;
        this.hostOf = hostOf;
        this.groupOf = groupOf;
        this.rules = rules;
    }

    /** Answers for a device that is given to a virtual machine together with others. */
    Finding of(PciAddress address, Set<PciAddress> together) {
        Verdict verdict = new Verdict();
        FunctionEvidence function = evidence.function(address).orElseThrow();
        if (function.bridge() == Answer.YES) {
            verdict.no("it is a bridge", "Linux vfio_pci_core_register_device: ordinary header only");
        }
        if (function.classCode().isPresent() && function.classCode().getAsInt() == PciClasses.IOMMU) {
            verdict.no("it is an IOMMU", "its class " + String.format("%04x", PciClasses.IOMMU));
            return verdict.finding();
        }
        if (evidence.iommuInUse() == Answer.NO) {
            verdict.no(
                    "no IOMMU is in use on this host",
                    evidence.iommuInUseSource().orElse("input"));
            return verdict.finding();
        }
        DeviceDescription description = descriptions.get(address);
        if (description == null || description.translated() == Answer.UNKNOWN) {
            verdict.unknown("whether an IOMMU translates for it is not known", "no firmware table, no link");
        } else if (description.translated() == Answer.NO) {
            verdict.no(
                    "no IOMMU translates for it", description.reasons().get(0).source());
            return verdict.finding();
        }
        directRegions(address, verdict);
        interrupts(description, verdict);
        drivers(address, together, verdict);
        return verdict.finding();
    }

    /** Answers for a group as drivers are bound now. */
    Finding ofGroup(List<PciAddress> members) {
        Verdict verdict = new Verdict();
        members.forEach(member -> boundTo(member, verdict));
        return verdict.finding();
    }

    private void directRegions(PciAddress address, Verdict verdict) {
        for (PciAddress member : groupOf.getOrDefault(address, List.of(address))) {
            Reason lock = directLock(member);
            if (lock == null) {
                continue;
            }
            DeviceDescription description = descriptions.get(member);
            List<ReservedRegion> regions = description == null ? null : description.reservedRegions();
            if (regions == null) {
                regions = linuxRegions(member);
            }
            if (regions == null) {
                verdict.unknown(
                        "reserved regions of " + member + " are not known", "no firmware table, no group listing");
                continue;
            }
            for (ReservedRegion region : regions) {
                if (region.type() == ReservedRegion.Type.DIRECT) {
                    verdict.no(
                            String.format(
                                    "%s needs memory 0x%x to 0x%x mapped one to one (DIRECT reserved region): %s",
                                    member, region.start(), region.end(), lock.text()),
                            lock.source());
                }
            }
        }
    }

    /** Returns who would keep a device that has DIRECT regions from user space, null where nobody does. */
    private @Nullable Reason directLock(PciAddress address) {
        if (rules.keepsDirectDevices()) {
            return CORE_LOCK;
        }
        HostDescription host = hostOf.get(address);
        return host == null ? null : host.directLock();
    }

    /** What the host's own Linux lists for the group. */
    private @Nullable List<ReservedRegion> linuxRegions(PciAddress address) {
        return evidence.function(address)
                .flatMap(FunctionEvidence::group)
                .map(group -> evidence.groups().get(group.value()))
                .flatMap(group -> group.reservedRegions())
                .map(Fact::value)
                .orElse(null);
    }

    private void interrupts(@Nullable DeviceDescription description, Verdict verdict) {
        Answer hardware = description == null ? Answer.UNKNOWN : description.isolatedInterrupts();
        Answer linux = evidence.interruptRemapping();
        if (evidence.unsafeInterruptsAllowed()) {
            return;
        }
        if (linux == Answer.NO || (linux == Answer.UNKNOWN && hardware == Answer.NO)) {
            verdict.no("interrupts are not remapped", "Linux vfio_iommu_type1_attach_group, EPERM");
        } else if (linux == Answer.UNKNOWN) {
            verdict.unknown("whether Linux remaps interrupts is not known", "no kernel log among the input");
        }
    }

    private void drivers(PciAddress address, Set<PciAddress> together, Verdict verdict) {
        List<PciAddress> members = groupOf.get(address);
        if (members == null) {
            verdict.unknown("its group is not known", "no group listing, no full configuration space");
            return;
        }
        for (PciAddress member : members) {
            if (!member.equals(address) && !together.contains(member)) {
                boundTo(member, verdict);
            }
        }
    }

    private void boundTo(PciAddress member, Verdict verdict) {
        FunctionEvidence function = evidence.function(member).orElse(null);
        if (function == null || function.bridge() == Answer.YES) {
            return;
        }
        Optional<String> driver = function.driver().map(Fact::value);
        if (driver.isEmpty()) {
            verdict.unknown("the driver of " + member + " is not known", "no driver link, no lspci -k");
        } else if (!driver.get().isEmpty() && !leavesDmaAlone(driver.get())) {
            verdict.no(
                    member + " of the same group is bound to " + driver.get(), "Linux iommu_device_use_default_domain");
        }
    }

    /** Drivers that say {@code driver_managed_dma}: a group with them can still be claimed. */
    static boolean leavesDmaAlone(String driver) {
        String name = driver.replace('-', '_');
        return name.contains("vfio") || name.equals("pci_stub") || name.equals("pcieport");
    }

    private static final class Verdict {
        private Answer answer = Answer.YES;
        private final List<Reason> against = new ArrayList<>();
        private final List<Reason> open = new ArrayList<>();

        void no(String text, String source) {
            answer = Answer.NO;
            add(against, new Reason(text, source));
        }

        void unknown(String text, String source) {
            answer = Answers.and(answer, Answer.UNKNOWN);
            add(open, new Reason(text, source));
        }

        private static void add(List<Reason> to, Reason reason) {
            if (!to.contains(reason)) {
                to.add(reason);
            }
        }

        Finding finding() {
            return new Finding(answer, answer == Answer.NO ? against : open);
        }
    }
}
