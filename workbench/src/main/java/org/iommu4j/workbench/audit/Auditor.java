// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.PciIsolation;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.workbench.host.Fact;
import org.iommu4j.workbench.host.FunctionEvidence;
import org.iommu4j.workbench.host.HostEvidence;
import org.iommu4j.workbench.host.InputException;
import org.iommu4j.workbench.host.UnitEvidence;
import org.jspecify.annotations.Nullable;

/** Audits hosts. Thread-safe: it has no state but the vendors. */
public final class Auditor {
    private final IommuVendors vendors;

    /** Makes an auditor that knows some vendors. */
    public Auditor(IommuVendors vendors) {
        this.vendors = vendors;
    }

    /**
     * Audits a host.
     *
     * @param evidence what is known of it
     * @param asked the release to answer by; empty for the host's own where the evidence tells, else the newest
     * @param assigned the devices of a virtual machine to answer for; none for no such answer
     * @throws InputException when a vendor's table can't be read, bridges are where none can be, or an assigned device is not
     *     among the input
     * @throws IllegalArgumentException when no rules are built for the release asked for
     */
    public Audit audit(HostEvidence evidence, Optional<LinuxRelease> asked, Collection<PciAddress> assigned) {
        return new Run(evidence, asked).audit(assigned);
    }

    /** One audit. */
    private final class Run {
        private final HostEvidence evidence;
        private final LinuxRelease release;
        private final PciIsolation isolation;
        private final Set<String> warnings;
        private final List<HostDescription> hosts = new ArrayList<>();
        private final Map<PciAddress, DeviceDescription> descriptions = new TreeMap<>();
        private final Map<PciAddress, HostDescription> hostOf = new HashMap<>();
        private final SortedMap<Integer, List<PciAddress>> groups = new TreeMap<>();
        private final Map<PciAddress, List<PciAddress>> groupOf = new HashMap<>();
        private final Map<PciAddress, Integer> groupIds = new HashMap<>();

        Run(HostEvidence evidence, Optional<LinuxRelease> asked) {
            this.evidence = evidence;
            this.warnings = new LinkedHashSet<>();
            this.release = asked.orElseGet(() -> ReleaseChoice.of(evidence.linux(), warnings));
            warnings.addAll(evidence.warnings());
            this.isolation = isolation(evidence);
        }

        private static PciIsolation isolation(HostEvidence evidence) {
            try {
                return evidence.iommuInUse() == Answer.YES
                        ? PciIsolation.asSet(evidence.topology())
                        : PciIsolation.withAcsOn(evidence.topology());
            } catch (IllegalArgumentException e) {
                throw new InputException(evidence.name() + ": " + e.getMessage(), e);
            }
        }

        Audit audit(Collection<PciAddress> assigned) {
            describe();
            formGroups();
            HostDescription deciding = deciding();
            AuditRules rules = AuditRules.of(release, deciding == null ? null : deciding.virtualization());
            Viability viability = new Viability(evidence, descriptions, hostOf, groupOf, rules);
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
                    evidence.iommuInUse(),
                    units(),
                    devices,
                    auditedGroups(devices, viability),
                    null,
                    falsePromises(),
                    evidence.contradictions(),
                    rules.cost(Guest.NONCOHERENT),
                    Hints.ofHost(evidence, hosts, vendors),
                    List.copyOf(warnings));
            return assigned.isEmpty() ? audit : audit.with(Assignment.of(audit, assigned, rules, viability));
        }

        private void describe() {
            SortedMap<String, ShownUnit> shown = new TreeMap<>();
            boolean inSysfs = evidence.units().values().stream().anyMatch(UnitEvidence::inSysfs);
            for (UnitEvidence unit : evidence.units().values()) {
                Map<String, Long> registers = new TreeMap<>();
                unit.registers().forEach((register, value) -> registers.put(register, value.value()));
                Answer inUse = inSysfs ? Answer.of(unit.inSysfs()) : Answer.UNKNOWN;
                shown.put(unit.name(), new ShownUnit(unit.registerBase(), registers, inUse));
            }
            Map<PciAddress, String> links = new LinkedHashMap<>();
            for (FunctionEvidence function : evidence.functions()) {
                function.unit().ifPresent(unit -> links.put(function.address(), unit.value()));
            }
            HostFacts facts = new HostFacts(
                    evidence.firmware(),
                    evidence.topology(),
                    evidence.registers(),
                    shown,
                    links,
                    evidence.bootOptions());
            for (IommuVendor vendor : vendors.all()) {
                if (vendor.recognises(facts)) {
                    HostDescription host;
                    try {
                        host = vendor.describe(facts, release);
                    } catch (MalformedTableException e) {
                        throw new InputException(evidence.name() + ": " + e.getMessage(), e);
                    }
                    hosts.add(host);
                    warnings.addAll(host.warnings());
                    host.devices().forEach(device -> take(host, device, links));
                }
            }
            if (hosts.isEmpty()) {
                warnings.add("no firmware table and no unit of a known IOMMU vendor is among the input"
                        + (evidence.functions().isEmpty() ? "" : ": what translates for the devices is unknown"));
            }
        }

        /**
         * Of several vendors' answers the most certain counts, of equal ones the first: that a unit translates, before all the one
         * that Linux names, then that one may, then that none does. That Linux has no group for it takes precedence over all.
         */
        private void take(HostDescription host, DeviceDescription device, Map<PciAddress, String> links) {
            PciAddress address = device.address();
            DeviceDescription known = device;
            if (isUngrouped(address) && device.translated() != Answer.NO) {
                known = new DeviceDescription(
                        address,
                        Answer.NO,
                        null,
                        Answer.NO,
                        List.of(new Reason("it is in no group in this Linux", "Linux iommu_probe_device")),
                        List.of(),
                        Answer.NO);
            } else if (!links.containsKey(address) && !placeIsEnough(host, address)) {
                known = new DeviceDescription(
                        address,
                        Answer.UNKNOWN,
                        null,
                        Answer.UNKNOWN,
                        List.of(new Reason(
                                "the bridge above it is not known, so that scopes of bridges can't be followed",
                                "input without bus numbers")),
                        null,
                        Answer.UNKNOWN);
            }
            DeviceDescription earlier = descriptions.get(address);
            HostDescription other = hostOf.get(address);
            String link = links.get(address);
            if (earlier == null || other == null || certainty(known, host, link) > certainty(earlier, other, link)) {
                descriptions.put(address, known);
                hostOf.put(address, host);
            }
        }

        private static int certainty(DeviceDescription device, HostDescription host, @Nullable String link) {
            return switch (device.translated()) {
                case NO -> 0;
                case UNKNOWN -> 1;
                case YES -> host.units().stream().anyMatch(unit -> unit.id().equals(link)) ? 3 : 2;
            };
        }

        private boolean isUngrouped(PciAddress address) {
            return evidence.function(address)
                    .filter(function -> function.grouped() == Answer.NO)
                    .isPresent();
        }

        /** Scopes name paths through bridges; a function whose place is not known may be at the end of any. */
        private boolean placeIsEnough(HostDescription host, PciAddress address) {
            return host.units().size() < 2
                    || evidence.function(address).map(FunctionEvidence::placed).orElse(false);
        }

        /** Of several vendors the one whose units translate, else the first: its rule is named, its processors run guests. */
        private @Nullable HostDescription deciding() {
            for (DeviceDescription device : descriptions.values()) {
                if (device.translated() == Answer.YES) {
                    return hostOf.get(device.address());
                }
            }
            return hosts.isEmpty() ? null : hosts.get(0);
        }

        private void formGroups() {
            if (!evidence.groups().isEmpty()) {
                evidence.groups().forEach((id, group) -> putGroup(id, List.copyOf(group.members())));
                return;
            }
            if (evidence.functions().isEmpty() || evidence.iommuInUse() == Answer.NO) {
                return;
            }
            if (!evidence.topologyKnown()) {
                warnings.add("groups are unknown: no input lists them, and configuration space is not known in full");
                return;
            }
            List<List<PciAddress>> formed = isolation.groups(address -> translated(address) == Answer.YES);
            for (int i = 0; i < formed.size(); i++) {
                putGroup(i, formed.get(i));
            }
            if (!formed.isEmpty()) {
                warnings.add("no input lists groups: they are worked out from configuration space"
                        + (evidence.iommuInUse() == Answer.YES ? "" : " with ACS turned on, as Linux does,")
                        + " and numbered by us");
            }
        }

        private void putGroup(int id, List<PciAddress> members) {
            List<PciAddress> sorted = List.copyOf(new TreeSet<>(members));
            groups.put(id, sorted);
            for (PciAddress member : sorted) {
                groupOf.put(member, sorted);
                groupIds.put(member, id);
            }
        }

        private Answer translated(PciAddress address) {
            DeviceDescription description = descriptions.get(address);
            return description == null ? Answer.UNKNOWN : description.translated();
        }

        private AuditedDevice device(FunctionEvidence function, Viability viability) {
            PciAddress address = function.address();
            DeviceDescription description = descriptions.get(address);
            Answer translated = translated(address);
            // Where no unit translates, no guest gets the function, and there is nothing to say about one.
            Answer enforced = description == null || translated == Answer.NO
                    ? Answer.UNKNOWN
                    : description.enforceCacheCoherency();
            Viability.Finding finding = viability.of(address);
            Integer group = groupIds.get(address);
            String driver = function.driver().map(Fact::value).orElse(null);
            Optional<NoSnoopUse> use = driver == null ? Optional.empty() : NoSnoopUse.of(driver);
            List<Reason> why = new ArrayList<>();
            if (description != null) {
                why.addAll(description.reasons());
            }
            why.add(enabled(function));
            use.map(NoSnoopUse::why).ifPresent(why::add);
            why.addAll(finding.reasons());
            List<Reason> hints = new ArrayList<>();
            HostDescription host = hostOf.get(address);
            if (description != null && host != null && function.bridge() != Answer.YES) {
                hints.addAll(Hints.of(function, description, host));
            }
            if (group != null) {
                hints.addAll(viability.hints(address, group));
            }
            return new AuditedDevice(
                    address,
                    function.bridge(),
                    translated,
                    description == null ? null : description.unit(),
                    group == null ? OptionalInt.empty() : OptionalInt.of(group),
                    function.classCode(),
                    function.className(),
                    function.name(),
                    driver,
                    function.noSnoopEnabled(),
                    use,
                    enforced,
                    description == null ? null : description.reservedRegions(),
                    finding.answer(),
                    finding.withGroup(),
                    finding.reasons(),
                    Guest.of(enforced),
                    why,
                    hints);
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
                case NO -> new Reason(bit + " is off: the device may send none, until it is set", source);
                case UNKNOWN -> new Reason(bit + " is not known", source);
            };
        }

        private List<AuditedUnit> units() {
            List<AuditedUnit> units = new ArrayList<>();
            List<String> silent = new ArrayList<>();
            for (HostDescription host : hosts) {
                for (UnitDescription unit : host.units()) {
                    List<PciAddress> served = new TreeSet<>(descriptions.values().stream()
                                    .filter(device -> unit.id().equals(device.unit()))
                                    .map(DeviceDescription::address)
                                    .toList())
                            .stream().toList();
                    units.add(new AuditedUnit(host.vendor(), host.rule(), unit, served));
                    if (unit.registers().isEmpty()) {
                        silent.add(unit.id());
                    }
                }
            }
            if (!silent.isEmpty()) {
                warnings.add("registers of " + String.join(", ", silent) + " are unknown: no input tells what "
                        + (silent.size() == 1 ? "it" : "they") + " can do");
            }
            return units;
        }

        private List<AuditedGroup> auditedGroups(List<AuditedDevice> devices, Viability viability) {
            Map<PciAddress, AuditedDevice> byAddress = new HashMap<>();
            devices.forEach(device -> byAddress.put(device.address(), device));
            List<AuditedGroup> audited = new ArrayList<>();
            groups.forEach((id, members) -> {
                Guest guest = null;
                List<PciAddress> noncoherent = new ArrayList<>();
                for (PciAddress member : members) {
                    AuditedDevice device = byAddress.get(member);
                    // Bridges are never given to VFIO, so that it does not ask about them.
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
                Viability.Finding finding = viability.ofGroup(members);
                audited.add(new AuditedGroup(
                        id,
                        members,
                        GroupReasons.of(members, evidence, isolation),
                        finding.answer(),
                        finding.reasons(),
                        guest,
                        noncoherent));
            });
            return audited;
        }

        private Guest bridgesOnly(List<PciAddress> members, Map<PciAddress, AuditedDevice> devices) {
            Guest guest = Guest.COHERENT;
            for (PciAddress member : members) {
                AuditedDevice device = devices.get(member);
                guest = guest.and(device == null ? Guest.UNKNOWN : device.guest());
            }
            return guest;
        }

        private List<Reason> falsePromises() {
            List<Reason> promises = new ArrayList<>();
            for (HostDescription host : hosts) {
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
                warnings.add("no PCI function is among the input: devices and groups are unknown");
                return;
            }
            long unknown = devices.stream()
                    .filter(device -> device.matters() && device.guest() == Guest.UNKNOWN)
                    .count();
            if (unknown > 0) {
                warnings.add(unknown + " of " + devices.size() + " functions: what the guest becomes is unknown");
            }
            List<PciAddress> bits = devices.stream()
                    .filter(device -> device.noSnoopEnabled() == Answer.UNKNOWN
                            && evidence.function(device.address())
                                    .map(function -> function.pciExpress() != Answer.NO)
                                    .orElse(true))
                    .map(AuditedDevice::address)
                    .toList();
            if (!bits.isEmpty()) {
                warnings.add("Enable No Snoop is unknown of " + bits.size() + " functions: "
                        + Assignment.join(bits.subList(0, Math.min(3, bits.size())))
                        + (bits.size() > 3 ? " and others" : ""));
            }
            if (evidence.interruptRemapping() == Answer.UNKNOWN) {
                warnings.add("whether Linux remaps interrupts is unknown: no input tells");
            }
            if (evidence.iommuInUse() == Answer.UNKNOWN) {
                warnings.add("whether Linux uses the IOMMU is unknown: answers hold if it does");
            }
        }
    }
}
