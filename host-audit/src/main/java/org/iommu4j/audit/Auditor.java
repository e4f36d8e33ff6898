// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.CountedRemark;
import org.iommu4j.host.Fact;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.GroupEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitDescription;
import org.jspecify.annotations.Nullable;

/** Audits hosts. Thread-safe: its only state is the vendors. */
public final class Auditor {
    private static final Reason OVERRIDE = new Reason(
            "pcie_acs_override is on the command line, so groups are smaller than what the hardware isolates",
            "kernels with the ACS override patch");

    private final IommuVendors vendors;

    /** Makes an auditor that knows some vendors. */
    public Auditor(IommuVendors vendors) {
        this.vendors = Objects.requireNonNull(vendors, "vendors");
    }

    /**
     * Audits a host by the rules of its own release, or of the newest where the evidence has none.
     *
     * @throws InputException when a vendor's table can't be read, or bridges are where none can be
     */
    public Audit audit(HostEvidence evidence) {
        return audit(evidence, Optional.empty(), List.of());
    }

    /**
     * Audits a host.
     *
     * @param evidence what is known of it
     * @param asked the release whose rules apply, chosen as for a host where it is an enterprise kernel; empty for the
     *     host's own where known, else the newest
     * @param assigned the devices of a virtual machine to answer for; empty for no such answer
     * @throws InputException when a vendor's table can't be read, bridges are where none can be, or an assigned device
     *     is not among the input
     * @throws IllegalArgumentException when no rules are built for the release asked for
     */
    public Audit audit(HostEvidence evidence, Optional<LinuxRelease> asked, Collection<PciAddress> assigned) {
        Set<PciAddress> wanted = new LinkedHashSet<>(assigned);
        return evidence.hypervisor()
                .map(hypervisor -> OtherHypervisor.audit(evidence, hypervisor.value(), asked, wanted))
                .orElseGet(() -> ofLinux(evidence, asked, wanted));
    }

    private Audit ofLinux(HostEvidence evidence, Optional<LinuxRelease> asked, Set<PciAddress> wanted) {
        LinuxRelease kernel = asked.or(evidence::linux).orElse(LinuxRelease.NEWEST);
        if (!kernel.isEnterprise() || kernel.mayHold().isEmpty()) {
            return new Run(evidence, asked).audit(wanted);
        }
        List<Audit> audits = VendorKernel.ruleSets(kernel, evidence, vendors).stream()
                .map(release -> new Run(evidence, Optional.of(release)).audit(wanted))
                .toList();
        return VendorKernel.merge(kernel, audits);
    }

    /** One audit. */
    private final class Run {
        private final HostEvidence evidence;
        private final LinuxRelease release;
        private final Set<String> warnings = new LinkedHashSet<>();
        private final HostPicture picture;

        Run(HostEvidence evidence, Optional<LinuxRelease> asked) {
            this.evidence = evidence;
            this.release = asked.filter(each -> !each.isEnterprise())
                    .map(LinuxRelease::stable)
                    .orElseGet(() -> ReleaseChoice.of(asked.or(evidence::linux), warnings));
            warnings.addAll(evidence.warnings());
            this.picture = HostPicture.of(evidence, vendors, release, warnings);
        }

        Audit audit(Collection<PciAddress> assigned) {
            HostDescription deciding = picture.deciding();
            AuditRules rules = AuditRules.of(
                    release,
                    evidence.virtualization()
                            .map(Fact::value)
                            .orElse(deciding == null ? null : deciding.virtualization()));
            Viability viability = new Viability(picture, rules);
            List<AuditedDevice> devices = new ArrayList<>();
            for (FunctionEvidence function : evidence.functions()) {
                devices.add(device(function, viability));
            }
            warnAboutUnknown(devices);
            Audit audit = new Audit(
                    evidence.name(),
                    release,
                    evidence.linux(),
                    deciding == null ? null : deciding.rule(),
                    null,
                    picture.hosts().stream().map(HostDescription::vendor).toList(),
                    evidence.iommuInUse(),
                    evidence.interruptRemapping(),
                    units(),
                    devices,
                    auditedGroups(devices, viability),
                    null,
                    falsePromises(),
                    evidence.contradictions(),
                    rules.cost(Guest.NONCOHERENT),
                    evidence.remarks(),
                    Hints.ofHost(evidence, picture.hosts(), vendors),
                    List.copyOf(warnings));
            return assigned.isEmpty() ? audit : audit.with(Assignment.of(audit, assigned, rules, viability));
        }

        private AuditedDevice device(FunctionEvidence function, Viability viability) {
            PciAddress address = function.address();
            DeviceDescription description = picture.device(address);
            Answer translated = picture.translated(address);
            // Where no unit translates, no guest gets the function, so there is no answer for one.
            Answer enforced = description == null || translated == Answer.NO
                    ? Answer.UNKNOWN
                    : description.enforceCacheCoherency();
            Viability.Finding finding = viability.of(address);
            OptionalInt group = picture.groupId(address);
            DeviceDraft draft = new DeviceDraft(function);
            List<Reason> why = new ArrayList<>();
            if (description != null) {
                why.addAll(description.reasons());
            }
            why.add(enabled(function));
            draft.noSnoopUse().map(NoSnoopUse::why).ifPresent(why::add);
            why.addAll(finding.reasons());
            List<Reason> hints = new ArrayList<>();
            HostDescription host = picture.host(address);
            if (description != null && host != null && function.bridge() != Answer.YES) {
                hints.addAll(Hints.of(function, description, host));
            }
            group.ifPresent(id -> hints.addAll(viability.hints(address, id)));
            if (!address.hasOwnRequesterId()) {
                hints.add(Hints.belowVmd(picture.vmdAbove(address)));
            }
            return draft.below(picture.vmdAbove(address))
                    .translated(translated)
                    .described(description)
                    .group(group)
                    .enforceCacheCoherency(enforced)
                    .assignable(finding.answer(), finding.withGroup(), finding.reasons())
                    .guest(Guest.of(enforced), why)
                    .hints(hints)
                    .build();
        }

        private static Reason enabled(FunctionEvidence function) {
            String source =
                    "PCIe Device Control bit 11, " + function.configSource().orElse("input");
            if (function.pciExpress() == Answer.NO) {
                return new Reason(
                        "it is conventional PCI or has no PCI Express capability: no Enable No Snoop", source);
            }
            String bit = "Enable No Snoop"
                    + function.physicalFunction()
                            .map(physical -> " of its physical function " + physical)
                            .orElse("");
            return switch (function.noSnoopEnabled()) {
                case YES -> new Reason(bit + " is on: the device may send no-snoop", source);
                case NO -> new Reason(bit + " is off: the device must not send no-snoop until the bit is set", source);
                case UNKNOWN -> new Reason(bit + " is unknown", source);
            };
        }

        private List<AuditedUnit> units() {
            List<AuditedUnit> units = new ArrayList<>();
            List<String> silent = new ArrayList<>();
            for (HostDescription host : picture.hosts()) {
                // Of units that no vendor drives, no register is asked for.
                boolean driven =
                        vendors.all().stream().anyMatch(vendor -> vendor.name().equals(host.vendor()));
                for (UnitDescription unit : host.units()) {
                    List<PciAddress> served = picture.behind(unit);
                    Answer enforces = host.rule() == CoherencyRule.PER_MACHINE
                            ? host.everyUnitBlocks()
                            : unit.abilities().blocksNoSnoop();
                    units.add(new AuditedUnit(host.vendor(), host.rule(), unit, enforces, served));
                    if (driven && unit.registers().isEmpty()) {
                        silent.add(unit.id());
                    }
                }
            }
            if (!silent.isEmpty()) {
                warnings.add(Question.REGISTERS.open(String.join(", ", silent) + " are unknown: no input states them"));
            }
            return units;
        }

        private List<AuditedGroup> auditedGroups(List<AuditedDevice> devices, Viability viability) {
            Map<PciAddress, AuditedDevice> byAddress = new HashMap<>();
            devices.forEach(device -> byAddress.put(device.address(), device));
            @Nullable Reason doubt = doubt();
            List<AuditedGroup> audited = new ArrayList<>();
            for (HostPicture.Group group : picture.groups()) {
                List<PciAddress> members = group.members();
                Guest guest = null;
                List<PciAddress> noncoherent = new ArrayList<>();
                for (PciAddress member : members) {
                    AuditedDevice device = byAddress.get(member);
                    // Bridges are never bound to VFIO, so their driver does not matter.
                    if (device == null || device.bridge() == Answer.YES) {
                        continue;
                    }
                    guest = guest == null ? device.guest() : guest.and(device.guest());
                    if (device.guest() == Guest.NONCOHERENT) {
                        noncoherent.add(member);
                    }
                }
                if (guest == null) {
                    guest = bridgesOnly(members, byAddress);
                }
                Viability.Finding finding = viability.ofGroup(group.id(), members);
                audited.add(new AuditedGroup(
                        group.id(),
                        members,
                        named(group.id()),
                        GroupReasons.of(members, evidence, picture.isolation()),
                        doubt,
                        finding.answer(),
                        finding.reasons(),
                        guest,
                        noncoherent));
            }
            return audited;
        }

        /** Returns why groups may be smaller than what the hardware isolates, null where nothing shows that. */
        private @Nullable Reason doubt() {
            Optional<Reason> printed = evidence.remarks().stream()
                    .map(CountedRemark::remark)
                    .filter(remark -> remark.kind() == KernelRemark.Kind.NO_ISOLATION)
                    .map(remark -> new Reason(remark.text(), remark.meaning().source()))
                    .findFirst();
            // A kernel without the patch says that it does not know the parameter, which then does nothing.
            boolean unknown = evidence.kernelLines().stream()
                    .anyMatch(line -> line.value().equals("this kernel does not know pcie_acs_override"));
            return evidence.bootOptions().isGiven("pcie_acs_override") && !unknown ? OVERRIDE : printed.orElse(null);
        }

        private List<String> named(int group) {
            GroupEvidence known = evidence.groups().get(group);
            return known == null ? List.of() : List.copyOf(known.named());
        }

        private Guest bridgesOnly(List<PciAddress> members, Map<PciAddress, AuditedDevice> devices) {
            Guest guest = members.isEmpty() ? Guest.UNKNOWN : Guest.COHERENT;
            for (PciAddress member : members) {
                AuditedDevice device = devices.get(member);
                guest = guest.and(device == null ? Guest.UNKNOWN : device.guest());
            }
            return guest;
        }

        private List<Reason> falsePromises() {
            List<Reason> promises = new ArrayList<>();
            for (HostDescription host : picture.hosts()) {
                for (KernelParameter parameter : host.parameters()) {
                    if (parameter.effect() == KernelParameter.Effect.FALSE_PROMISE
                            && evidence.bootOptions().has(parameter.parameter(), parameter.value())) {
                        promises.add(new Reason(
                                parameter + ": " + parameter.why().text(),
                                parameter.why().source()));
                    }
                }
            }
            return promises;
        }

        private void warnAboutUnknown(List<AuditedDevice> devices) {
            if (devices.isEmpty()) {
                warnings.add(Question.FUNCTIONS.open(": devices and groups are unknown"));
                return;
            }
            long unknown = devices.stream()
                    .filter(device -> device.matters() && device.guest() == Guest.UNKNOWN)
                    .count();
            if (unknown > 0) {
                warnings.add(Question.UNITS_OF_DEVICES.open(
                        unknown + " of " + devices.size() + " functions whether a guest is coherent"));
            }
            List<PciAddress> bits = devices.stream()
                    .filter(device -> device.noSnoopEnabled() == Answer.UNKNOWN
                            && evidence.function(device.address())
                                    .map(function -> function.pciExpress() != Answer.NO)
                                    .orElse(true))
                    .map(AuditedDevice::address)
                    .toList();
            if (!bits.isEmpty()) {
                warnings.add(Question.NO_SNOOP.open(" for " + bits.size()
                        + (bits.size() == 1 ? " function: " : " functions: ")
                        + Assignment.join(bits.subList(0, Math.min(3, bits.size())))
                        + (bits.size() > 3 ? " and others" : "")));
            }
            if (evidence.interruptRemapping() == Answer.UNKNOWN) {
                warnings.add(Question.INTERRUPTS.open(": no input states it"));
            }
            if (evidence.iommuInUse() == Answer.UNKNOWN) {
                warnings.add(Question.IN_USE.open(": the answers assume that it does"));
            }
        }
    }
}
