// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;

/**
 * Says in words what a guest with a device takes from the host: who goes along, what the host loses, which driver is in
 * the way, whether isolation is real, whether the device can be reset, and the ids for {@code vfio-pci}.
 *
 * <p>All of it is known from groups, drivers and ids: neither a release nor an IOMMU is asked. What is not known ends
 * with the command that shows it. Source: Linux {@code iommu_group_claim_dma_owner}, {@code vfio_dev_viable}.
 */
public final class Passthrough {
    /** How many devices of one list are named before the rest is counted. */
    private static final int SHOWN = 8;

    /** How many devices are shown of a host about which nothing single was asked. */
    private static final int DEVICES = 24;

    private final Audit audit;
    private final Map<PciAddress, AuditedDevice> devices = new HashMap<>();
    private final Map<Integer, AuditedGroup> groups = new HashMap<>();

    /** Makes one for an audit. */
    public Passthrough(Audit audit) {
        this.audit = Objects.requireNonNull(audit, "audit");
        audit.devices().forEach(device -> devices.put(device.address(), device));
        audit.groups().forEach(group -> groups.put(group.id(), group));
    }

    /** Returns all that is to be said of a device, the group first. */
    public List<Line> of(AuditedDevice device) {
        Objects.requireNonNull(device, "device");
        List<Line> lines = new ArrayList<>();
        lines.add(new Line("group", group(device)));
        loss(device).forEach(text -> lines.add(new Line("host loses", text)));
        lines.add(new Line("drivers", drivers(device)));
        isolation(device).forEach(text -> lines.add(new Line("isolation", text)));
        lines.add(new Line("reset", reset(device)));
        ids(device).forEach(text -> lines.add(new Line("ids", text)));
        return lines;
    }

    /**
     * Returns a line for each device that people give to guests: graphics, network, NVMe, USB. A group of several is
     * described once; of many devices the first {@value #DEVICES} are shown, and of functions of one group one.
     *
     * @param every whether all of them are shown
     */
    public List<Line> all(boolean every) {
        List<Line> lines = new ArrayList<>();
        Map<Integer, String> described = new HashMap<>();
        int more = 0;
        for (AuditedDevice device : audit.devices()) {
            if (DeviceKind.of(device).isEmpty() || device.isPartOfHost()) {
                continue;
            }
            if (!every && lines.size() >= DEVICES) {
                more++;
                continue;
            }
            lines.add(new Line(brief(device.address()), inOneLine(device, described)));
        }
        if (more > 0) {
            lines.add(new Line("and " + more + " more", "--verbose shows them"));
        }
        return lines;
    }

    private String inOneLine(AuditedDevice device, Map<Integer, String> described) {
        List<String> parts = new ArrayList<>();
        int id = device.group().orElse(-1);
        String earlier = described.get(id);
        if (id < 0) {
            parts.add(earlier == null ? without(Question.GROUPS, device) : "no group known, see " + earlier);
            described.putIfAbsent(id, brief(device.address()));
        } else if (earlier == null) {
            parts.add(group(device));
            parts.addAll(loss(device));
            if (members(device).size() > 1) {
                described.put(id, brief(device.address()));
            }
        } else {
            parts.add("group " + id + ", see " + earlier);
        }
        String driver = device.driver();
        if (driver != null && !driver.isEmpty()) {
            parts.add("driver " + driver);
        }
        if (device.reset().possible() != Answer.UNKNOWN) {
            parts.add("reset " + device.reset().words());
        }
        device.ids().ifPresent(ids -> parts.add("ids " + ids));
        if (device.group().isEmpty()) {
            parts.add(parts.remove(0)); // its command ends the line, so that it can be pasted
        }
        return device.kind() + ": " + String.join("; ", parts);
    }

    /** Returns who is in the group of a device: {@code group 12 has 5 more: ...}. */
    String group(AuditedDevice device) {
        List<AuditedDevice> members = members(device);
        if (device.group().isEmpty()) {
            return without(Question.GROUP, device);
        }
        String start = "group " + device.group().getAsInt() + " has ";
        List<AuditedDevice> others = others(device);
        List<AuditedDevice> bridges = members.stream()
                .filter(member -> member.isPartOfHost() && !member.address().equals(device.address()))
                .toList();
        if (others.isEmpty() && bridges.isEmpty()) {
            return start + brief(device.address()) + " alone";
        }
        String staying = bridges.isEmpty()
                ? ""
                : names(bridges, false) + (bridges.size() == 1 ? " is a bridge and stays" : " are bridges and stay");
        List<AuditedDevice> same =
                others.stream().filter(other -> isOfOneCard(device, other)).toList();
        String card = same.isEmpty()
                ? ""
                : ". " + names(same, false) + (same.size() == 1 ? " is of the same device" : " are of the same device");
        List<AuditedDevice> unsure = ofUnknownClass(device);
        String unless = unsure.isEmpty()
                ? ""
                : ". " + names(unsure, false)
                        + (unsure.size() == 1 ? " stays if it is a bridge" : ": those that are bridges stay")
                        + Headline.SETTLE + "lspci -nn"
                        + (unsure.size() == 1 ? " -s " + unsure.get(0).address() : "");
        return start + (members.size() - 1) + " more: "
                + (others.isEmpty() ? staying : names(others, true) + (staying.isEmpty() ? "" : "; " + staying)) + card
                + unless;
    }

    /** A function has no group where Linux uses no IOMMU, or another hypervisor does; else the group is unknown. */
    private String without(Question question, AuditedDevice device) {
        if (audit.iommuInUse() == Answer.NO) {
            return "no group, for no IOMMU is in use";
        }
        return OtherHypervisor.has(audit)
                ? "no group: " + audit.noRule()
                : question.after(
                        question == Question.GROUPS ? "groups are unknown" : "its group is unknown", device.address());
    }

    /** Returns the functions of its group of which no input tells the class, so that each may be a bridge. */
    List<AuditedDevice> ofUnknownClass(AuditedDevice device) {
        return strangers(device).stream()
                .filter(other -> other.bridge() == Answer.UNKNOWN
                        && other.classCode().isEmpty()
                        && other.className().isEmpty())
                .toList();
    }

    /** Returns what the host has no longer while the guest runs; empty where that is the device alone. */
    List<String> loss(AuditedDevice device) {
        List<String> parts = new ArrayList<>();
        List<AuditedDevice> others = others(device);
        if (!others.isEmpty()) {
            parts.add("VFIO takes " + brief(device.address()) + " only when each of the "
                    + (others.size() == 1 ? "two" : others.size() + 1)
                    + " is without a driver or with vfio-pci: the host loses them all while the guest runs");
        }
        parts.addAll(virtualFunctions(device));
        return parts;
    }

    /**
     * Returns which virtual functions go with the drivers of the physical ones in the group of a device: a driver that
     * lets a function go disables SR-IOV. Source: Linux {@code Documentation/PCI/pci-iov-howto.rst}.
     */
    List<String> virtualFunctions(AuditedDevice device) {
        List<String> parts = new ArrayList<>();
        for (AuditedDevice physical : with(device)) {
            List<AuditedDevice> virtual = audit.devices().stream()
                    .filter(other -> other.physicalFunction()
                            .filter(physical.address()::equals)
                            .isPresent())
                    .toList();
            if (!virtual.isEmpty() && (physical.driver() == null || isHeldByHost(physical))) {
                parts.add("SR-IOV: " + names(virtual, false) + (virtual.size() == 1 ? " goes" : " go")
                        + " when the driver of " + brief(physical.address()) + " does");
            }
        }
        return parts;
    }

    /** Returns how many devices go along that nobody asked for. */
    int alsoTaken(Collection<PciAddress> asked) {
        Set<PciAddress> taken = new HashSet<>();
        for (PciAddress address : asked) {
            AuditedDevice device = devices.get(address);
            if (device != null) {
                others(device).forEach(other -> taken.add(other.address()));
            }
        }
        taken.removeAll(asked);
        return taken.size();
    }

    private String drivers(AuditedDevice device) {
        List<String> bound = new ArrayList<>();
        List<AuditedDevice> unknown = new ArrayList<>();
        for (AuditedDevice member : with(device)) {
            if (member.driver() == null) {
                unknown.add(member);
            } else if (isHeldByHost(member)) {
                bound.add(brief(member.address()) + " has " + member.driver());
            }
        }
        List<String> parts = new ArrayList<>();
        if (!bound.isEmpty()) {
            parts.add(few(bound) + ": in the way until unbound, or bound to vfio-pci at boot");
        }
        if (!unknown.isEmpty()) {
            parts.add(
                    unknown.size() == 1
                            ? Question.DRIVER.after(
                                    "of " + names(unknown, false) + " unknown",
                                    unknown.get(0).address())
                            : "of " + names(unknown, false) + " unknown. Settle it: lspci -nnk");
        }
        return parts.isEmpty() ? "none of the host is in the way" : String.join("; ", parts);
    }

    private List<String> isolation(AuditedDevice device) {
        AuditedGroup group =
                device.group().isPresent() ? groups.get(device.group().getAsInt()) : null;
        if (group == null) {
            return List.of();
        }
        Reason doubt = group.doubt();
        List<String> parts = new ArrayList<>();
        if (doubt != null) {
            parts.add("not real: " + doubt.text());
        }
        if (!strangers(device).isEmpty()) {
            String why = group.together().isEmpty()
                    ? ""
                    : " (" + group.together().get(0).text() + ")";
            parts.add("none within the group" + why + ". Another slot, or ACS in the firmware's setup, may part it;"
                    + " pcie_acs_override makes smaller groups but does not isolate");
        } else if (doubt == null) {
            parts.add("Linux found the group isolated from the others");
        }
        return List.of(String.join(". ", parts));
    }

    private static String reset(AuditedDevice device) {
        return device.reset().possible() == Answer.UNKNOWN
                ? Question.RESET.after(device.reset().words(), device.address())
                : device.reset().words();
    }

    /** Returns the option of {@code vfio-pci} for a card, and which other devices of the host it would take too. */
    private List<String> ids(AuditedDevice device) {
        if (device.ids().isEmpty()) {
            return List.of(Question.IDS.after("unknown", device.address()));
        }
        List<AuditedDevice> alike = alike(device);
        return List.of(option(device) + (alike.isEmpty() ? "" : ", which also takes " + names(alike, false)));
    }

    /** Returns a card: a device and its other functions of the same group. */
    List<AuditedDevice> card(AuditedDevice device) {
        List<AuditedDevice> card = new ArrayList<>(List.of(device));
        others(device).stream().filter(other -> isOfOneCard(device, other)).forEach(card::add);
        return card;
    }

    private Set<String> idsOfCard(AuditedDevice device) {
        return card(device).stream()
                .flatMap(each -> each.ids().stream())
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    private String option(AuditedDevice device) {
        return "vfio-pci.ids=" + String.join(",", idsOfCard(device));
    }

    private List<AuditedDevice> alike(AuditedDevice device) {
        Set<String> ids = idsOfCard(device);
        List<AuditedDevice> card = card(device);
        return audit.devices().stream()
                .filter(other -> other.ids().filter(ids::contains).isPresent() && !card.contains(other))
                .toList();
    }

    /** Returns how vfio-pci gets a card, and nothing else of the host. */
    String binding(AuditedDevice device) {
        List<AuditedDevice> alike = alike(device);
        if (device.ids().isPresent() && alike.isEmpty()) {
            return option(device);
        }
        return "driverctl set-override " + device.address() + " vfio-pci"
                + (device.ids().isEmpty()
                        ? ""
                        : "; its ids take "
                                + (alike.size() == 1 ? brief(alike.get(0).address()) : alike.size() + " others")
                                + " too");
    }

    /** Returns the other devices of its group that go along and are of other cards. */
    List<AuditedDevice> strangers(AuditedDevice device) {
        return others(device).stream()
                .filter(other -> !isOfOneCard(device, other))
                .toList();
    }

    /** Returns whether the groups are smaller than what the hardware isolates. */
    boolean isOverridden(AuditedDevice device) {
        AuditedGroup group =
                device.group().isPresent() ? groups.get(device.group().getAsInt()) : null;
        return group != null && group.doubt() != null;
    }

    /** Returns whether a driver of the host is bound that VFIO does not share a group with. */
    static boolean isHeldByHost(AuditedDevice device) {
        String driver = device.driver();
        return driver != null && !driver.isEmpty() && !Viability.leavesDmaAlone(driver);
    }

    private List<AuditedDevice> with(AuditedDevice device) {
        List<AuditedDevice> all = new ArrayList<>(List.of(device));
        all.addAll(others(device));
        return all;
    }

    /** Returns the other devices of its group that go along: bridges stay. */
    List<AuditedDevice> others(AuditedDevice device) {
        return members(device).stream()
                .filter(member -> !member.isPartOfHost() && !member.address().equals(device.address()))
                .toList();
    }

    private List<AuditedDevice> members(AuditedDevice device) {
        AuditedGroup group =
                device.group().isPresent() ? groups.get(device.group().getAsInt()) : null;
        return group == null
                ? List.of(device)
                : group.devices().stream()
                        .map(devices::get)
                        .filter(Objects::nonNull)
                        .toList();
    }

    private static boolean isOfOneCard(AuditedDevice device, AuditedDevice other) {
        PciAddress one = device.address();
        PciAddress two = other.address();
        return one.segment() == two.segment() && one.bus() == two.bus() && one.device() == two.device();
    }

    private static String names(List<AuditedDevice> devices, boolean kinds) {
        return few(devices.stream()
                .map(device -> brief(device.address()) + (kinds ? " " + device.kind() : ""))
                .toList());
    }

    private static String few(List<String> words) {
        return words.stream().limit(SHOWN).collect(Collectors.joining(", "))
                + (words.size() > SHOWN ? " and " + (words.size() - SHOWN) + " more" : "");
    }

    /** Returns an address as {@code lspci} prints it: the first segment is left out. */
    static String brief(PciAddress address) {
        String full = address.toString();
        return address.segment() == 0 ? full.substring("0000:".length()) : full;
    }
}
