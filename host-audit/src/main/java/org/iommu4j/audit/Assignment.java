// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;

/**
 * The answer for one virtual machine with some devices, all in one container.
 *
 * @param devices its devices
 * @param assignable whether VFIO accepts them all now
 * @param obstacles why VFIO refuses, or why that is unknown
 * @param dmaCcIommu the answer of VFIO_DMA_CC_IOMMU once the container has its IOMMU: whether all domains enforce
 * @param guest how KVM treats the guest's DMA
 * @param noncoherent the devices that make the guest non-coherent; others of their groups may be among them
 * @param paths for each device, the decisions that lead to the answer
 * @param hints what can be done
 */
public record Assignment(
        List<PciAddress> devices,
        Answer assignable,
        List<Reason> obstacles,
        Answer dmaCcIommu,
        Guest guest,
        List<PciAddress> noncoherent,
        Map<PciAddress, List<Step>> paths,
        List<Reason> hints) {
    /** Copies the collections. */
    public Assignment {
        Objects.requireNonNull(assignable, "assignable");
        Objects.requireNonNull(dmaCcIommu, "dmaCcIommu");
        Objects.requireNonNull(guest, "guest");
        Objects.requireNonNull(paths, "paths");
        devices = List.copyOf(devices);
        obstacles = List.copyOf(obstacles);
        noncoherent = List.copyOf(noncoherent);
        paths = new LinkedHashMap<>(paths);
        hints = List.copyOf(hints);
    }

    /**
     * Answers for a virtual machine.
     *
     * @throws InputException when the audit has no such device
     */
    static Assignment of(Audit audit, Collection<PciAddress> chosen, AuditRules rules, Viability viability) {
        Set<PciAddress> wanted = new LinkedHashSet<>(chosen);
        List<AuditedDevice> devices = new ArrayList<>();
        for (PciAddress address : wanted) {
            devices.add(find(audit, address));
        }
        Answer assignable = Answer.YES;
        Set<Reason> obstacles = new LinkedHashSet<>();
        Set<Reason> hints = new LinkedHashSet<>();
        Viability asked = viability.ofTogether(wanted);
        for (AuditedDevice device : devices) {
            Viability.Finding finding = asked.of(device.address());
            assignable = Answers.and(assignable, finding.answer());
            obstacles.addAll(finding.reasons());
            device.hints().stream().filter(hint -> !Hints.isOfGroup(hint)).forEach(hints::add);
            if (device.group().isPresent()) {
                hints.addAll(asked.hints(device.address(), device.group().getAsInt()));
            }
        }
        List<AuditedDevice> attached = attached(audit, wanted, viability);
        List<AuditedDevice> counted = counted(attached, wanted, rules);
        Answer container = enforced(audit, attached);
        Guest guest = Guest.of(enforced(audit, counted));
        withoutThoseToBlame(audit, devices, rules, viability).ifPresent(hints::add);
        Map<PciAddress, List<Step>> paths = new LinkedHashMap<>();
        for (AuditedDevice device : devices) {
            paths.put(device.address(), path(audit, device, rules, container, guest));
        }
        List<Reason> ordered = new ArrayList<>(obstacles);
        // Regions that nobody knows of functions that nobody asked for are said last.
        ordered.sort(Comparator.comparing(Viability::isOfUnknownRegions));
        return new Assignment(
                List.copyOf(wanted),
                assignable,
                ordered,
                container,
                guest,
                counted.stream()
                        .filter(device -> device.guest() == Guest.NONCOHERENT)
                        .map(AuditedDevice::address)
                        .toList(),
                paths,
                List.copyOf(hints));
    }

    /**
     * Returns a device of an audit.
     *
     * @throws InputException when the audit has no such device
     */
    static AuditedDevice find(Audit audit, PciAddress address) {
        return audit.device(address)
                .orElseThrow(() -> new InputException("--assign: the input has no PCI function " + address
                        + "; known: "
                        + audit.devices().stream()
                                .map(device -> device.address().toString())
                                .limit(8)
                                .toList()
                        + (audit.devices().size() > 8 ? " and more" : "")));
    }

    /**
     * Returns what the guest would be without the devices that make it non-coherent, where that is better.
     */
    private static Optional<Reason> withoutThoseToBlame(
            Audit audit, List<AuditedDevice> devices, AuditRules rules, Viability viability) {
        Set<PciAddress> blamed = new LinkedHashSet<>();
        Set<PciAddress> rest = new LinkedHashSet<>();
        devices.forEach(device -> (device.guest() == Guest.NONCOHERENT ? blamed : rest).add(device.address()));
        Guest without = Guest.of(enforced(audit, counted(attached(audit, rest, viability), rest, rules)));
        return blamed.isEmpty() || rest.isEmpty() || without == Guest.NONCOHERENT
                ? Optional.empty()
                : Optional.of(new Reason(
                        "without " + join(blamed) + " the virtual machine would be "
                                + without.name().toLowerCase(Locale.ROOT),
                        rules.kvmSource()));
    }

    /**
     * Returns the functions that Linux attaches to the container's domains: whole groups, bridges included.
     */
    private static List<AuditedDevice> attached(Audit audit, Set<PciAddress> wanted, Viability viability) {
        Set<PciAddress> members = new HashSet<>(wanted);
        Set<PciAddress> seen = new HashSet<>();
        for (PciAddress address : wanted) {
            List<PciAddress> group = viability.members(address);
            if (seen.add(group.get(0))) {
                members.addAll(group);
            }
        }
        return audit.devices().stream()
                .filter(device -> wanted.contains(device.address())
                        || (members.contains(device.address()) && device.translated() != Answer.NO))
                .toList();
    }

    /**
     * Returns the devices that decide for KVM: all that are attached. Where KVM asks devices, only those bound to
     * VFIO: the assigned ones, and others of their groups with a driver of VFIO.
     */
    private static List<AuditedDevice> counted(List<AuditedDevice> attached, Set<PciAddress> wanted, AuditRules rules) {
        return attached.stream()
                .filter(device -> {
                    String driver = device.driver();
                    return !rules.asksDevices()
                            || wanted.contains(device.address())
                            || (driver != null && Viability.isOfVfio(driver));
                })
                .toList();
    }

    /** Where inputs contradict each other, the answer can be NO, but never YES. */
    private static Answer enforced(Audit audit, List<AuditedDevice> devices) {
        Answer certain = audit.contradictions().isEmpty() ? Answer.YES : Answer.UNKNOWN;
        return devices.stream()
                .map(AuditedDevice::enforceCacheCoherency)
                .reduce(Answers::and)
                .map(answer -> Answers.and(certain, answer))
                .orElse(Answer.UNKNOWN);
    }

    /** Returns addresses in their order, commas between them. */
    public static String join(Collection<PciAddress> addresses) {
        return String.join(", ", addresses.stream().map(PciAddress::toString).toList());
    }

    private static List<Step> path(Audit audit, AuditedDevice device, AuditRules rules, Answer container, Guest guest) {
        List<Step> steps = new ArrayList<>();
        steps.add(new Step(
                "device may send no-snoop",
                Answers.word(device.noSnoopEnabled()),
                "PCIe Device Control bit 11, Enable No Snoop"));
        String unit = device.unit();
        String known = device.unitInWords();
        steps.add(new Step(
                "translated by",
                known.equals("-") ? "no known unit" : known,
                "Linux's iommu link, else the firmware's table"));
        Optional<AuditedUnit> found = unit == null ? Optional.empty() : audit.unit(unit);
        List<AuditedUnit> units = found.map(List::of).orElseGet(() -> audit.candidates(device));
        steps.add(new Step("unit can block no-snoop", blocks(units), "the unit's capability registers"));
        steps.add(new Step(
                "domain enforces coherency",
                Answers.word(device.enforceCacheCoherency()),
                units.stream().findFirst().map(its -> Audit.inWords(its.rule())).orElseGet(audit::ruleInWords)));
        steps.add(new Step(
                "VFIO_DMA_CC_IOMMU",
                UnitAnswers.vfio(container),
                "1 when all domains of the container enforce; always 0 before VFIO_SET_IOMMU"));
        steps.add(new Step(
                "KVM non-coherent DMA",
                guest == Guest.UNKNOWN ? "unknown" : guest == Guest.NONCOHERENT ? "yes" : "no",
                rules.kvmSource()));
        steps.add(new Step("guest", guest.name(), rules.cost(guest)));
        return steps;
    }

    /** Returns whether units can block no-snoop, each by itself where they differ. */
    private static String blocks(List<AuditedUnit> units) {
        List<String> answers = units.stream()
                .map(unit -> Answers.word(unit.description().abilities().blocksNoSnoop()))
                .distinct()
                .toList();
        return answers.size() < 2
                ? String.join("", answers.isEmpty() ? List.of("unknown") : answers)
                : String.join(
                        ", ",
                        units.stream()
                                .map(unit -> unit.description().id() + " "
                                        + Answers.word(
                                                unit.description().abilities().blocksNoSnoop()))
                                .toList());
    }
}
