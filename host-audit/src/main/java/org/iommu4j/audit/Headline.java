// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.iommu4j.host.Printable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitDescription;

/** Puts an audit into the few sentences that an operator must read first; the verdict leads. */
public final class Headline {
    /** What stands between a sentence that leaves something open and the command that settles it. */
    public static final String SETTLE = ". Settle it: ";

    /** The label of a line that is one command, ready to paste. */
    public static final String COMMAND = "settle it";

    private static final int SHOWN = 2;
    private static final int KINDS = 4;
    private static final int NAMED = 3;
    /** In place of a device, in a command that is about none. */
    static final PciAddress HOST_BRIDGE = new PciAddress(0, 0, 0, 0);

    private static final int TITLE = 56;
    private static final String UNKNOWN_GUESTS = "UNKNOWN whether guests are coherent: ";

    private Headline() {}

    /** Returns the host and its release; where the rules of another release apply, both releases. */
    public static String subject(Audit audit) {
        String rules = audit.hostLinux()
                .filter(own -> !own.equals(audit.linux()) && !own.stable().equals(audit.linux()))
                .map(own -> own.stable() + " by the rules of " + audit.linux())
                .orElseGet(() -> audit.linux().toString());
        return audit.host() + ", Linux " + rules;
    }

    /** Returns the releases alone: the host's, and that of the rules where it is another. */
    static String release(Audit audit) {
        return audit.hostLinux().isEmpty()
                ? "Linux unknown, by the rules of " + audit.linux()
                : subject(audit).substring(audit.host().length() + 2);
    }

    /** Returns the verdict in one sentence, without the host's name. */
    public static String verdict(Audit audit) {
        return (audit.contradictions().isEmpty() ? "" : "inputs contradict each other; the other facts give: ")
                + believed(audit)
                + (audit.falsePromises().isEmpty() ? "" : "; the driver does not keep its promise");
    }

    /** Returns the answer whose colour the verdict has: an unreliable belief has the colour of a bad answer. */
    public static Guest shade(Audit audit) {
        return audit.overall() != Guest.COHERENT || audit.isKept() ? audit.overall() : Guest.NONCOHERENT;
    }

    /** What VFIO and KVM believe. */
    private static String believed(Audit audit) {
        Assignment asked = audit.assignment();
        if (asked != null) {
            String who = "a guest with " + Assignment.join(asked.devices());
            String guest = switch (asked.guest()) {
                case COHERENT -> who + " is COHERENT";
                case NONCOHERENT -> who + " is NONCOHERENT because of " + Assignment.join(asked.noncoherent());
                case UNKNOWN ->
                    "whether " + who + " is coherent is UNKNOWN"
                            + (audit.noRule() == null ? byUnitOf(audit, asked) : ": " + audit.noRule());
            };
            return guest
                    + unasked(asked)
                    + switch (asked.assignable()) {
                        case YES -> "";
                        case NO -> ", but VFIO refuses it";
                        case UNKNOWN -> ", if VFIO accepts it";
                    }
                    + alongWith(audit, asked);
        }
        if (audit.iommuInUse() == Answer.NO) {
            return "no IOMMU is in use: nothing can be assigned"
                    + (audit.units().isEmpty() ? "" : " now. With the IOMMU on: " + guests(audit));
        }
        return guests(audit) + (judgedAll(audit) ? "" : notTaken(audit));
    }

    private static String alongWith(Audit audit, Assignment asked) {
        int along = new Passthrough(audit).alsoTaken(asked.devices());
        return along == 0
                ? ""
                : "; " + along + (along == 1 ? " more device of its group goes" : " more devices of its group go")
                        + " along";
    }

    /** Where a single device may be behind units that differ, each unit has its answer. */
    private static String byUnitOf(Audit audit, Assignment asked) {
        List<AuditedUnit> units = undecided(audit, asked);
        return units.isEmpty() ? "" : ": " + UnitAnswers.guests(units);
    }

    /** Returns the units of which one has the only device of a virtual machine, where they differ; else none. */
    private static List<AuditedUnit> undecided(Audit audit, Assignment asked) {
        if (asked.devices().size() != 1 || !audit.contradictions().isEmpty()) {
            return List.of();
        }
        List<AuditedUnit> units = audit.device(asked.devices().get(0))
                .map(device -> audit.candidates(device))
                .orElse(List.of());
        return UnitAnswers.differ(units) ? units : List.of();
    }

    /** Since 6.2 KVM asks the devices that VFIO has, and a domain has all of their groups. */
    private static String unasked(Assignment asked) {
        if (asked.guest() != Guest.COHERENT || asked.dmaCcIommu() == Answer.YES) {
            return "";
        }
        return asked.dmaCcIommu() == Answer.NO
                ? ", although its domain does not block no-snoop"
                : ", although it is unknown whether its domain blocks no-snoop";
    }

    private static boolean judgedAll(Audit audit) {
        return audit.candidates().size() == matters(audit);
    }

    private static long matters(Audit audit) {
        return audit.devices().stream().filter(AuditedDevice::matters).count();
    }

    private static String notTaken(Audit audit) {
        int taken = audit.candidates().size();
        return taken == 0 ? ", but VFIO refuses all of them" : "; VFIO refuses " + (matters(audit) - taken) + " more";
    }

    private static String guests(Audit audit) {
        List<AuditedDevice> devices = audit.judged();
        if (devices.isEmpty()) {
            if (audit.noRule() != null) {
                return UNKNOWN_GUESTS + audit.noRule();
            }
            return audit.units().isEmpty() ? "its IOMMU is unknown" : unitsVerdict(audit);
        }
        List<AuditedDevice> bad = with(devices, Guest.NONCOHERENT);
        List<AuditedDevice> unknown = with(devices, Guest.UNKNOWN);
        if (bad.isEmpty() && unknown.isEmpty()) {
            return "every device leaves its guest COHERENT";
        }
        if (unknown.size() == devices.size()) {
            if (audit.noRule() == null && onUnitsAlone(audit)) {
                return "whether a guest is coherent depends on its device's unit: " + UnitAnswers.guests(audit.units())
                        + "; which unit a device has is UNKNOWN";
            }
            return UNKNOWN_GUESTS
                    + (audit.noRule() != null
                            ? audit.noRule()
                            : audit.units().isEmpty()
                                    ? "the input has no IOMMU unit"
                                    : "the registers of the units, or the units of the devices, are unknown");
        }
        List<String> parts = new ArrayList<>();
        if (!bad.isEmpty()) {
            parts.add(bad.size() + " of " + devices.size() + " devices "
                    + (bad.size() == 1 ? "makes its" : "make their") + " guest NONCOHERENT");
        }
        if (!unknown.isEmpty()) {
            parts.add(unknown.size() + " UNKNOWN");
        }
        int good = devices.size() - bad.size() - unknown.size();
        if (good > 0) {
            parts.add((bad.isEmpty() && unknown.isEmpty() ? "" : "the other ") + good
                    + (good == 1 ? " leaves" : " leave") + " it COHERENT");
        }
        return String.join(", ", parts);
    }

    /** Returns whether the answer for every judged device is that of one of the units, which differ. */
    private static boolean onUnitsAlone(Audit audit) {
        return UnitAnswers.differ(audit.units())
                && audit.judged().stream()
                        .allMatch(device -> device.candidates().size() > 1 && device.guest() == Guest.UNKNOWN);
    }

    private static String unitsVerdict(Audit audit) {
        Answer alike = UnitAnswers.alike(audit.units());
        String count =
                audit.units().size() == 1 ? "its unit" : "its " + audit.units().size() + " units";
        if (alike == Answer.YES) {
            return count + " can block no-snoop: guests are COHERENT; the devices are UNKNOWN";
        }
        if (alike == Answer.NO) {
            List<String> bad = audit.units().stream()
                    .map(AuditedUnit::description)
                    .filter(unit -> unit.abilities().blocksNoSnoop() == Answer.NO)
                    .map(UnitDescription::id)
                    .toList();
            return (bad.size() == audit.units().size() || bad.isEmpty()
                            ? count + " can't block no-snoop"
                            : UnitDescription.range(bad) + " can't block no-snoop, which decides for all")
                    + ": guests are NONCOHERENT; the devices are UNKNOWN";
        }
        if (!UnitAnswers.differ(audit.units())) {
            return audit.units().size() + (audit.units().size() == 1 ? " unit" : " units")
                    + " in its table; their devices, and whether they block no-snoop, are UNKNOWN";
        }
        return "whether a guest is coherent depends on its device's unit: " + UnitAnswers.guests(audit.units())
                + "; devices are UNKNOWN";
    }

    /** Returns the lines below the verdict, most important first. */
    public static List<Line> lines(Audit audit) {
        List<Line> lines = new ArrayList<>();
        audit.contradictions().stream().limit(SHOWN).forEach(line -> lines.add(new Line("contradiction", line)));
        audit.falsePromises().forEach(reason -> lines.add(new Line("false promise", reason.text())));
        Assignment asked = audit.assignment();
        if (asked != null) {
            groups(audit, asked, lines);
            asked.obstacles().stream()
                    .limit(SHOWN)
                    .forEach(reason -> lines.add(
                            asked.assignable() == Answer.NO
                                    ? new Line("refused", reason.text())
                                    : new Line(
                                            "undecided",
                                            Question.settled(
                                                    reason.text(),
                                                    asked.devices().get(0)))));
            List<AuditedUnit> undecided = undecided(audit, asked);
            doubt(audit).ifPresent(doubt -> lines.add(new Line("isolation", "not real: " + doubt)));
            lines.add(new Line(
                    "VFIO_DMA_CC_IOMMU", undecided.isEmpty() ? vfio(asked.dmaCcIommu()) : UnitAnswers.vfio(undecided)));
            if (asked.guest() == Guest.NONCOHERENT) {
                lines.add(new Line("cost", audit.cost()));
            } else {
                costByUnit(audit, undecided, lines);
            }
        } else {
            doubt(audit).ifPresent(doubt -> lines.add(new Line("isolation", "not real: " + doubt)));
            byUnit(audit, lines);
            boolean byUnits = audit.devices().isEmpty() || onUnitsAlone(audit);
            if (byUnits && UnitAnswers.differ(audit.units())) {
                lines.add(new Line("VFIO_DMA_CC_IOMMU", UnitAnswers.vfio(audit.units())));
            } else if (byUnits && UnitAnswers.alike(audit.units()) != Answer.UNKNOWN) {
                lines.add(new Line("VFIO_DMA_CC_IOMMU", vfio(UnitAnswers.alike(audit.units()))));
            }
            if (audit.iommuInUse() == Answer.NO) {
                audit.hints().stream().limit(1).forEach(hint -> lines.add(new Line("do", hint.text())));
            }
            if (byUnits) {
                costByUnit(audit, audit.units(), lines);
            } else if (!addresses(audit, Guest.NONCOHERENT).isEmpty()) {
                lines.add(new Line("cost", costOfDevices(audit)));
            }
        }
        settling(audit).ifPresent(command -> lines.add(new Line(COMMAND, command)));
        lines.add(new Line("units", units(audit)));
        lines.add(new Line("rule", "Linux " + audit.linux() + level(audit) + ", " + audit.ruleInWords()));
        return lines;
    }

    /** Returns the command that shows most of what the verdict leaves open. */
    static Optional<String> settling(Audit audit) {
        if (audit.overall() != Guest.UNKNOWN
                || audit.iommuInUse() == Answer.NO
                || !audit.contradictions().isEmpty()
                || (audit.assignment() == null
                        && audit.candidates().isEmpty()
                        && !audit.devices().isEmpty())) {
            return Optional.empty();
        }
        if (audit.units().isEmpty()) {
            return Optional.of(
                    (OtherHypervisor.has(audit) ? Question.HYPERVISOR : Question.UNITS).command(HOST_BRIDGE));
        }
        boolean silent = audit.units().stream()
                .anyMatch(unit -> unit.description().registers().isEmpty());
        Question open = silent
                ? Question.REGISTERS
                : audit.assignment() == null ? Question.UNITS_OF_DEVICES : Question.TRANSLATED;
        PciAddress device = audit.assignment() == null
                ? HOST_BRIDGE
                : audit.assignment().devices().get(0);
        return Optional.of(open.command(device));
    }

    /** Returns why the groups do not isolate; the override of ACS is for all of them. */
    static Optional<String> doubt(Audit audit) {
        return audit.groups().stream()
                .map(AuditedGroup::doubt)
                .filter(Objects::nonNull)
                .map(Reason::text)
                .findFirst();
    }

    /** Returns the warnings, each that leaves something open with the command that settles it. */
    public static List<String> warnings(Audit audit) {
        return audit.warnings().stream()
                .map(warning -> Question.settled(warning, null))
                .toList();
    }

    /** Returns the commands that settle what warnings, and the obstacles of a virtual machine, leave open. */
    public static Map<String, String> questions(Audit audit) {
        Map<String, String> commands = new LinkedHashMap<>();
        audit.warnings()
                .forEach(warning -> Question.settling(warning, null).ifPresent(its -> commands.put(warning, its)));
        Assignment asked = audit.assignment();
        if (asked != null && asked.assignable() == Answer.UNKNOWN) {
            asked.obstacles()
                    .forEach(reason -> Question.settling(
                                    reason.text(), asked.devices().get(0))
                            .ifPresent(its -> commands.put(reason.text(), its)));
        }
        return commands;
    }

    /** Adds the groups of which the host loses more than was asked for. */
    private static void groups(Audit audit, Assignment asked, List<Line> lines) {
        Passthrough passthrough = new Passthrough(audit);
        Set<OptionalInt> told = new HashSet<>();
        for (PciAddress address : asked.devices()) {
            AuditedDevice device = audit.device(address).orElseThrow();
            List<String> loss = passthrough.loss(device);
            if (told.size() < SHOWN && !loss.isEmpty() && told.add(device.group())) {
                lines.add(new Line("group", passthrough.group(device) + ". " + String.join(". ", loss)));
            }
        }
    }

    private static void costByUnit(Audit audit, List<AuditedUnit> units, List<Line> lines) {
        String paying = UnitAnswers.with(units, Answer.NO);
        if (!paying.isEmpty()) {
            lines.add(
                    new Line("cost", (UnitAnswers.differ(units) ? "behind " + paying + " only: " : "") + audit.cost()));
        }
    }

    /** Where some devices pay and others do not, the cost is that of the units of those that do. */
    private static String costOfDevices(Audit audit) {
        List<String> paying = with(audit.judged(), Guest.NONCOHERENT).stream()
                .map(AuditedDevice::unit)
                .filter(Objects::nonNull)
                .distinct()
                .toList();
        boolean some =
                !paying.isEmpty() && !with(audit.judged(), Guest.COHERENT).isEmpty();
        return (some ? "behind " + UnitDescription.range(paying) + " only: " : "") + audit.cost();
    }

    /** A name with a build number has no patch level, so that what was back-ported to its series is not counted. */
    private static String level(Audit audit) {
        return audit.hostLinux()
                .filter(own -> own.patch() == 0
                        && !own.suffix().isEmpty()
                        && own.base().equals(audit.linux()))
                .map(own -> " (base release; the patch level is unknown)")
                .orElse("");
    }

    private static String vfio(Answer answer) {
        return UnitAnswers.vfio(answer)
                + (answer == Answer.YES ? " once the container has its IOMMU (always 0 before VFIO_SET_IOMMU)" : "");
    }

    /** Adds the devices that make a guest non-coherent, grouped by the unit that can't block no-snoop. */
    private static void byUnit(Audit audit, List<Line> lines) {
        Map<String, List<AuditedDevice>> blamed = new LinkedHashMap<>();
        for (AuditedDevice device : with(audit.judged(), Guest.NONCOHERENT)) {
            String unit = device.unit();
            blamed.computeIfAbsent(unit == null ? "" : unit, unused -> new ArrayList<>())
                    .add(device);
        }
        int shown = 0;
        for (Map.Entry<String, List<AuditedDevice>> entry : blamed.entrySet()) {
            if (shown++ == SHOWN) {
                break;
            }
            List<AuditedDevice> devices = entry.getValue();
            AuditedDevice first = devices.get(0);
            lines.add(new Line(
                    "not coherent",
                    first.address() + " " + Printable.cut(first.shortTitle(), TITLE)
                            + (devices.size() > 1 ? " and " + (devices.size() - 1) + " more" : "") + ": "
                            + first.why().get(0).text()));
        }
    }

    /**
     * Returns the chipset's functions in one line: how many there are, of which kinds, and their answers; empty where
     * there are none. Bridges are never assigned.
     */
    public static String chipset(Audit audit) {
        List<AuditedDevice> folded =
                audit.devices().stream().filter(AuditedDevice::isOfChipset).toList();
        if (folded.isEmpty()) {
            return "";
        }
        Map<String, Integer> answers = new TreeMap<>();
        folded.stream()
                .filter(AuditedDevice::matters)
                .forEach(device -> answers.merge(device.guest().name(), 1, Integer::sum));
        List<String> kinds =
                folded.stream().map(AuditedDevice::kind).distinct().limit(KINDS).toList();
        String words = answers.entrySet().stream()
                .map(answer -> answer.getValue() + " " + answer.getKey())
                .collect(Collectors.joining(", "));
        return "and " + folded.size() + " of the chipset (" + String.join(", ", kinds)
                + (folded.stream().map(AuditedDevice::kind).distinct().count() > KINDS ? " and others" : "") + ")"
                + (words.isEmpty() ? ", never assigned" : ": " + words);
    }

    /** Returns what can be done, a hint that applies to several devices once, with the first of them. */
    public static List<String> hints(Audit audit) {
        Map<Reason, List<PciAddress>> hints = new LinkedHashMap<>();
        audit.hints().forEach(hint -> hints.put(hint, new ArrayList<>()));
        for (AuditedDevice device : audit.devices()) {
            for (Reason hint : device.hints()) {
                hints.computeIfAbsent(hint, unused -> new ArrayList<>()).add(device.address());
            }
        }
        List<String> lines = new ArrayList<>();
        hints.forEach((hint, devices) -> lines.add((devices.isEmpty()
                        ? ""
                        : Assignment.join(devices.subList(0, Math.min(NAMED, devices.size())))
                                + (devices.size() > NAMED ? " and " + (devices.size() - NAMED) + " more" : "")
                                + ": ")
                + hint));
        return lines;
    }

    /** Returns the units, grouped by answer: {@code dmar1 can block no-snoop; dmar0 can't block no-snoop}. */
    public static String units(Audit audit) {
        if (audit.units().isEmpty()) {
            return "none known" + (audit.vendors().isEmpty() ? "" : " of " + String.join(", ", audit.vendors()));
        }
        Map<Answer, List<String>> byAnswer = new LinkedHashMap<>();
        for (AuditedUnit unit : audit.units()) {
            UnitDescription description = unit.description();
            byAnswer.computeIfAbsent(description.abilities().blocksNoSnoop(), unused -> new ArrayList<>())
                    .add(description.id());
        }
        List<String> parts = new ArrayList<>();
        byAnswer.forEach((answer, ids) -> parts.add(UnitDescription.range(ids)
                + switch (answer) {
                    case YES -> " can block no-snoop";
                    case NO -> " can't block no-snoop";
                    case UNKNOWN -> ": unknown whether no-snoop can be blocked";
                }));
        List<String> bypassing = audit.units().stream()
                .map(AuditedUnit::description)
                .filter(unit -> unit.abilities().coherentWalk() == Answer.NO)
                .map(UnitDescription::id)
                .toList();
        if (!bypassing.isEmpty()) {
            parts.add(UnitDescription.range(bypassing) + (bypassing.size() == 1 ? " walks its" : " walk their")
                    + " tables without snooping (affects the host only)");
        }
        return String.join("; ", parts);
    }

    /** Returns what guests would be if VFIO took the devices that it refuses. */
    static String wouldBe(Audit audit) {
        Guest guest = audit.judged().stream().map(AuditedDevice::guest).reduce(Guest.COHERENT, Guest::and);
        return switch (guest) {
            case COHERENT -> "guests would be coherent";
            case NONCOHERENT -> "guests would not all be coherent";
            case UNKNOWN -> "whether guests would be coherent is unknown";
        };
    }

    private static List<AuditedDevice> with(List<AuditedDevice> devices, Guest guest) {
        return devices.stream().filter(device -> device.guest() == guest).toList();
    }

    /** Returns the addresses of the judged devices that have an answer. */
    public static List<PciAddress> addresses(Audit audit, Guest guest) {
        Objects.requireNonNull(audit, "audit");
        Objects.requireNonNull(guest, "guest");
        return with(audit.judged(), guest).stream().map(AuditedDevice::address).toList();
    }
}
