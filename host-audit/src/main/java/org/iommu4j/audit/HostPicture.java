// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.PciIsolation;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.host.ForeignUnits;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.InputException;
import org.iommu4j.host.UnitEvidence;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ShownGroups;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitDescription;
import org.jspecify.annotations.Nullable;

/** Holds a host as the vendors describe it: for each function its translation unit and its group. */
final class HostPicture {
    /**
     * A function and the vendor's description that holds for it.
     *
     * @param device what is known of the function
     * @param host the description that it is part of
     */
    private record Described(DeviceDescription device, HostDescription host) {}

    /**
     * A group.
     *
     * @param id its number
     * @param members its functions, sorted
     */
    record Group(int id, List<PciAddress> members) {}

    private final HostEvidence evidence;
    private final PciTopology topology;
    private final PciIsolation isolation;
    private final Map<PciAddress, PciAddress> vmds;
    private final List<HostDescription> hosts = new ArrayList<>();
    private final List<String> notBuilt = new ArrayList<>();
    private final SortedMap<PciAddress, Described> devices = new TreeMap<>();
    private final SortedMap<Integer, Group> groups = new TreeMap<>();
    private final Map<PciAddress, Group> groupOf = new HashMap<>();

    /** Whether one vendor alone has units there, so that its unit translates for every device in a group. */
    private boolean groupsTellUnits;

    private HostPicture(HostEvidence evidence, PciTopology topology) {
        this.evidence = evidence;
        this.topology = topology;
        this.isolation = isolation(evidence, topology);
        this.vmds = Vmds.of(evidence);
    }

    /**
     * Asks the vendors.
     *
     * @param warnings receives what the vendors warn of, and what is not known
     * @throws InputException when a vendor's table can't be read, or bridges are where none can be
     */
    static HostPicture of(
            HostEvidence evidence, IommuVendors vendors, LinuxRelease release, Collection<String> warnings) {
        HostPicture picture = new HostPicture(evidence, evidence.topology());
        picture.describe(vendors, release, warnings);
        picture.formGroups(warnings);
        return picture;
    }

    /** Returns what the vendors say of a host's units under a release, without its devices. */
    static List<HostDescription> ofUnits(HostEvidence evidence, IommuVendors vendors, LinuxRelease release) {
        HostPicture picture = new HostPicture(evidence, List::of);
        picture.describe(vendors, release, new ArrayList<>());
        return picture.hosts();
    }

    private static PciIsolation isolation(HostEvidence evidence, PciTopology topology) {
        try {
            return evidence.iommuInUse() == Answer.YES
                    ? PciIsolation.asSet(topology)
                    : PciIsolation.withAcsOn(topology);
        } catch (IllegalArgumentException e) {
            throw new InputException(evidence.name() + ": " + e.getMessage(), e);
        }
    }

    /** Returns what is known of the host, on which the picture rests. */
    HostEvidence evidence() {
        return evidence;
    }

    /** Returns how functions are isolated from each other. */
    PciIsolation isolation() {
        return isolation;
    }

    /** Returns the vendors' descriptions of the host. */
    List<HostDescription> hosts() {
        return hosts;
    }

    /** Returns the groups by number. */
    Collection<Group> groups() {
        return groups.values();
    }

    /** Returns the description of a function, null when no vendor has one. */
    @Nullable
    DeviceDescription device(PciAddress address) {
        Described described = devices.get(address);
        return described == null ? null : described.device();
    }

    /** Returns the description of the host that holds for a function, null when no vendor has one. */
    @Nullable
    HostDescription host(PciAddress address) {
        Described described = devices.get(address);
        return described == null ? null : described.host();
    }

    /** Returns whether a unit translates for a function. */
    Answer translated(PciAddress address) {
        DeviceDescription device = device(address);
        return device == null ? Answer.UNKNOWN : device.translated();
    }

    /** Returns whether the group of a function is known. */
    boolean isGrouped(PciAddress address) {
        return groupOf.containsKey(address);
    }

    /** Returns the number of the group of a function. */
    OptionalInt groupId(PciAddress address) {
        Group group = groupOf.get(address);
        return group == null ? OptionalInt.empty() : OptionalInt.of(group.id());
    }

    /** Returns the functions that Linux attaches with a function: its group, or itself where that is not known. */
    List<PciAddress> members(PciAddress address) {
        Group group = groupOf.get(address);
        return group == null ? List.of(address) : group.members();
    }

    /** Returns the functions that a unit translates for, sorted. */
    List<PciAddress> behind(UnitDescription unit) {
        return devices.entrySet().stream()
                .filter(each -> unit.id().equals(each.getValue().device().unit()))
                .map(Map.Entry::getKey)
                .toList();
    }

    /**
     * Returns the description whose rule is named: of several vendors the first whose units translate, else the first.
     */
    @Nullable
    HostDescription deciding() {
        for (Described each : devices.values()) {
            if (each.device().translated() == Answer.YES) {
                return each.host();
            }
        }
        return hosts.isEmpty() ? null : hosts.get(0);
    }

    private void describe(IommuVendors vendors, LinuxRelease release, Collection<String> warnings) {
        Map<DeviceId, String> links = new LinkedHashMap<>();
        for (FunctionEvidence function : evidence.functions()) {
            function.unit().ifPresent(unit -> links.put(function.address(), unit.value()));
        }
        SortedMap<String, ShownUnit> shown = shownUnits();
        List<IommuVendor> known = known(vendors, release);
        List<IommuVendor> foreigners = ForeignUnits.beside(known);
        groupsTellUnits = Stream.concat(known.stream(), foreigners.stream())
                        .filter(vendor -> vendor.recognises(facts(shown, links)))
                        .count()
                == 1;
        for (IommuVendor vendor : known) {
            describe(vendor, facts(shown, links), release, warnings);
        }
        // What a vendor on the path describes is not foreign.
        hosts.forEach(host -> host.units().forEach(unit -> shown.remove(unit.id())));
        if (notBuilt.isEmpty()) {
            for (IommuVendor foreign : foreigners) {
                describe(foreign, facts(shown, links), release, warnings);
            }
        } else {
            // A unit or a function that nobody claims may be one of those vendors'.
            devices.entrySet()
                    .removeIf(
                            each -> each.getValue().device().translated() == Answer.NO && !isUngrouped(each.getKey()));
            warnings.add("no driver of " + String.join(", ", notBuilt) + " is built for Linux " + release
                    + ": its units, and functions that no other vendor's unit has, are unknown");
        }
        vmds.forEach((below, vmd) -> {
            Described above = devices.get(vmd);
            if (above != null) {
                devices.put(below, new Described(behind(below, above.device()), above.host()));
            }
        });
        if (hosts.isEmpty() && notBuilt.isEmpty()) {
            warnings.add(Question.UNITS.open(" of a known IOMMU vendor"
                    + (evidence.functions().isEmpty() ? "" : ": the units of the devices are unknown")));
        }
    }

    /** Returns the vendors on the path, but for those whose units are foreign in a release that they don't support. */
    private static List<IommuVendor> known(IommuVendors vendors, LinuxRelease release) {
        return vendors.all().stream()
                .filter(vendor -> vendor.supports(release)
                        || ForeignUnits.all().stream()
                                .noneMatch(foreign -> foreign.name().equals(vendor.name())))
                .toList();
    }

    /** The unit sees the VMD's requests, and treats those of all functions below it alike. */
    private DeviceDescription behind(PciAddress address, DeviceDescription vmd) {
        List<Reason> reasons = new ArrayList<>(List.of(belowVmd(address)));
        reasons.addAll(vmd.reasons());
        return new DeviceDescription(
                address,
                vmd.translated(),
                vmd.unit(),
                vmd.enforceCacheCoherency(),
                reasons,
                vmd.reservedRegions(),
                vmd.isolatedInterrupts());
    }

    /** Returns the VMD that a function is below; empty where it is unknown which is. */
    Optional<PciAddress> vmdAbove(PciAddress address) {
        return Optional.ofNullable(vmds.get(address));
    }

    /** Returns why a function below a VMD is no requester. */
    Reason belowVmd(PciAddress address) {
        return new Reason(
                "it is below "
                        + vmdAbove(address).map(vmd -> "the VMD " + vmd).orElse("a VMD")
                        + " and has no requester id of its own: its requests carry the VMD's",
                "Linux vmd.c, pci_real_dma_dev");
    }

    private void describe(IommuVendor vendor, HostFacts facts, LinuxRelease release, Collection<String> warnings) {
        if (!vendor.recognises(facts)) {
            return;
        }
        if (!vendor.supports(release)) {
            notBuilt.add(vendor.name());
            return;
        }
        HostDescription host;
        try {
            host = vendor.describe(facts, release);
        } catch (MalformedTableException e) {
            throw new InputException(evidence.name() + ": " + e.getMessage(), e);
        }
        hosts.add(host);
        warnings.addAll(host.warnings());
        List<NamedDevice> leftOut = new ArrayList<>();
        for (DeviceDescription device : host.devices()) {
            if (device.id() instanceof PciAddress address) {
                take(host, address, device, facts.unitLinks().get(address));
            } else if (device.id() instanceof NamedDevice named && device.translated() != Answer.NO) {
                leftOut.add(named);
            }
        }
        if (!leftOut.isEmpty()) {
            warnings.add("the audit has no answers for devices that are not on PCI, of which vendor " + host.vendor()
                    + " has " + leftOut.size() + ": " + firstOf(leftOut));
        }
    }

    private static String firstOf(List<NamedDevice> devices) {
        String first = devices.stream().limit(3).map(NamedDevice::name).collect(Collectors.joining(", "));
        return first + (devices.size() > 3 ? " and others" : "");
    }

    private SortedMap<String, ShownUnit> shownUnits() {
        SortedMap<String, ShownUnit> shown = new TreeMap<>();
        boolean inSysfs = evidence.units().values().stream().anyMatch(UnitEvidence::inSysfs);
        for (UnitEvidence unit : evidence.units().values()) {
            Map<String, Long> registers = new TreeMap<>();
            unit.registers().forEach((register, value) -> registers.put(register, value.value()));
            Answer inUse = inSysfs ? Answer.of(unit.inSysfs()) : Answer.UNKNOWN;
            shown.put(unit.name(), new ShownUnit(unit.registerBase(), registers, inUse, unit.includeAll()));
        }
        return shown;
    }

    private HostFacts facts(SortedMap<String, ShownUnit> shown, Map<DeviceId, String> links) {
        return new HostFacts(
                evidence.firmware(),
                topology,
                evidence.registers(),
                shown,
                links,
                groupsTellUnits ? shownGroups() : ShownGroups.NONE,
                evidence.bootOptions(),
                evidence.stated());
    }

    private ShownGroups shownGroups() {
        Set<DeviceId> grouped = evidence.functions().stream()
                .filter(function -> function.grouped() == Answer.YES)
                .map(FunctionEvidence::address)
                .collect(Collectors.toCollection(TreeSet::new));
        return new ShownGroups(
                grouped, List.copyOf(evidence.groupOrder()), List.copyOf(evidence.scanOrder()), evidence.linux());
    }

    /**
     * Of several vendors' answers the most certain holds, of equal ones the first: that a unit translates, before all
     * the one that Linux names, then that one may, then that none does. That Linux has no group for it takes precedence
     * over all.
     */
    private void take(HostDescription host, PciAddress address, DeviceDescription device, @Nullable String link) {
        Described found = new Described(believed(host, address, device, link), host);
        Described earlier = devices.get(address);
        if (earlier == null || certainty(found, link) > certainty(earlier, link)) {
            devices.put(address, found);
        }
    }

    private DeviceDescription believed(
            HostDescription host, PciAddress address, DeviceDescription device, @Nullable String link) {
        if (isUngrouped(address) && device.translated() != Answer.NO) {
            return new DeviceDescription(
                    address,
                    Answer.NO,
                    null,
                    Answer.NO,
                    List.of(new Reason("the host's Linux has no group for it", "Linux iommu_probe_device")),
                    List.of(),
                    Answer.NO);
        }
        boolean byScope = device.unit() != null || device.translated() == Answer.NO;
        if (link == null && byScope && device.candidates().isEmpty() && !placeIsEnough(host, address)) {
            return new DeviceDescription(
                    address,
                    Answer.UNKNOWN,
                    null,
                    Answer.UNKNOWN,
                    List.of(new Reason(
                            "the bridge above it is unknown, so scopes of bridges can't be followed",
                            "input without bus numbers")),
                    null,
                    Answer.UNKNOWN);
        }
        return device;
    }

    private static int certainty(Described described, @Nullable String link) {
        return switch (described.device().translated()) {
            case NO -> 0;
            case UNKNOWN -> 1;
            case YES ->
                described.host().units().stream().anyMatch(unit -> unit.id().equals(link)) ? 3 : 2;
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

    private void formGroups(Collection<String> warnings) {
        if (!evidence.groups().isEmpty()) {
            evidence.groups().forEach((id, group) -> putGroup(id, group.members()));
            return;
        }
        if (evidence.functions().isEmpty() || evidence.iommuInUse() == Answer.NO) {
            return;
        }
        if (!evidence.topologyKnown()) {
            warnings.add(Question.GROUPS.open(": no input lists them, and configuration space is not fully known"));
            return;
        }
        List<List<PciAddress>> formed = isolation.groups(address -> translated(address) == Answer.YES);
        for (int i = 0; i < formed.size(); i++) {
            Set<PciAddress> members = new TreeSet<>(formed.get(i));
            vmds.forEach((below, vmd) -> {
                if (members.contains(vmd)) {
                    members.add(below);
                }
            });
            putGroup(i, members);
        }
        if (!formed.isEmpty()) {
            warnings.add("no input lists groups: iommu4j derives them from configuration space"
                    + (evidence.iommuInUse() == Answer.YES ? "" : " with ACS turned on, as Linux does,")
                    + " and numbers them itself");
        }
    }

    private void putGroup(int id, Collection<PciAddress> members) {
        Set<PciAddress> sorted = new TreeSet<>(members);
        Group group = new Group(id, List.copyOf(sorted));
        groups.put(id, group);
        sorted.forEach(member -> groupOf.put(member, group));
    }
}
