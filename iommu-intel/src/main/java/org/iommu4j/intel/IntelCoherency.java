// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitDescription;
import org.jspecify.annotations.Nullable;

/** Answers for each function whether no-snoop can be blocked, with reasons. */
final class IntelCoherency {
    private static final String SC = "VT-d 11.4.3, ECAP bit 7";

    private final CoherencyRule rule;
    private final List<UnitDescription> units;
    private final Map<String, Reason> ignored;

    /**
     * Answers for a machine.
     *
     * @param units all its units
     * @param ignored why Linux ignores some of them, by id
     */
    IntelCoherency(CoherencyRule rule, List<UnitDescription> units, Map<String, Reason> ignored) {
        this.rule = rule;
        this.units = units;
        this.ignored = ignored;
    }

    /** Returns whether interrupts can be remapped: Linux remaps none when one unit can't. */
    Answer interruptRemapping() {
        Answer answer = units.isEmpty() ? Answer.UNKNOWN : Answer.YES;
        for (UnitDescription unit : units) {
            answer = and(answer, unit.abilities().interruptRemapping());
        }
        return answer;
    }

    /** Describes a function that a unit translates for. */
    DeviceDescription device(
            PciAddress address, UnitDescription unit, @Nullable List<ReservedRegion> reserved, Answer isolated) {
        Reason left = ignored.get(unit.id());
        if (left != null) {
            return untranslated(
                    address, new Reason("Linux ignores its unit " + unit.id() + ": " + left.text(), left.source()));
        }
        List<Reason> reasons = new ArrayList<>();
        Answer answer = switch (rule) {
            case PER_MACHINE -> everyUnit(reasons);
            case PER_DOMAIN, PER_DEVICE -> {
                reasons.add(snoopControl(unit));
                reasons.add(
                        rule == CoherencyRule.PER_DOMAIN
                                ? new Reason(
                                        "a domain enforces when every unit behind its devices has snoop" + " control",
                                        "Linux 5.19 domain_support_force_snooping")
                                : new Reason(
                                        "the device's capability is its own unit's snoop control",
                                        "Linux 6.2 intel_iommu_capable"));
                yield unit.abilities().blocksNoSnoop();
            }
            case ALWAYS, PER_ROOT_COMPLEX, NEVER ->
                throw new IllegalStateException("no release of Linux has this rule for VT-d: " + rule);
        };
        return new DeviceDescription(address, Answer.YES, unit.id(), answer, reasons, reserved, isolated);
    }

    /** Describes a function that no unit translates for. */
    DeviceDescription untranslated(PciAddress address) {
        return untranslated(address, new Reason("no unit of DMAR has the device in its scope", "VT-d 8.3"));
    }

    private static DeviceDescription untranslated(PciAddress address, Reason why) {
        return new DeviceDescription(address, Answer.NO, null, Answer.NO, List.of(why), List.of(), Answer.NO);
    }

    /**
     * Describes a function for which one of several units translates, or may. Which one matters only where they
     * differ.
     *
     * @param candidates these units, at least one
     * @param translated whether one of them is known to translate
     * @param why how they were found, null where nothing more is to say of it
     */
    DeviceDescription oneOf(
            PciAddress address,
            List<UnitDescription> candidates,
            Answer translated,
            @Nullable Reason why,
            @Nullable List<ReservedRegion> reserved,
            Answer isolated) {
        List<UnitDescription> used = candidates.stream()
                .filter(unit -> !ignored.containsKey(unit.id()))
                .toList();
        if (candidates.size() == 1 && translated == Answer.YES) {
            DeviceDescription one = device(address, candidates.get(0), reserved, isolated);
            return with(one, candidates, why);
        }
        Answer known = used.size() == candidates.size() ? translated : Answer.UNKNOWN;
        List<Reason> reasons = new ArrayList<>();
        Answer answer = rule == CoherencyRule.PER_MACHINE ? everyUnit(reasons) : alike(used);
        if (rule != CoherencyRule.PER_MACHINE) {
            reasons.add(alikeInWords(candidates, answer));
        }
        if (known == Answer.UNKNOWN && answer == Answer.YES) {
            // Which unit it is makes no difference, but that one has it is not known.
            answer = Answer.UNKNOWN;
            reasons.clear();
        }
        if (known == Answer.UNKNOWN) {
            reasons.add(new Reason("it is unknown whether a unit translates for it", "VT-d 8.3"));
        }
        return with(
                new DeviceDescription(
                        address,
                        known,
                        null,
                        answer,
                        reasons,
                        known == Answer.YES ? reserved : null,
                        known == Answer.YES ? isolated : Answer.UNKNOWN),
                candidates,
                why);
    }

    private static DeviceDescription with(
            DeviceDescription device, List<UnitDescription> candidates, @Nullable Reason why) {
        List<Reason> reasons = new ArrayList<>(device.reasons());
        if (why != null) {
            reasons.add(why);
        }
        return new DeviceDescription(
                device.id(),
                device.translated(),
                device.unit(),
                device.translated() == Answer.NO
                        ? List.of()
                        : candidates.stream().map(UnitDescription::id).toList(),
                device.enforceCacheCoherency(),
                reasons,
                device.reservedRegions(),
                device.isolatedInterrupts());
    }

    /** Returns what all of some units answer, UNKNOWN where they differ. */
    private static Answer alike(List<UnitDescription> candidates) {
        List<Answer> answers = candidates.stream()
                .map(unit -> unit.abilities().blocksNoSnoop())
                .distinct()
                .toList();
        return answers.size() == 1 ? answers.get(0) : Answer.UNKNOWN;
    }

    private static Reason alikeInWords(List<UnitDescription> candidates, Answer answer) {
        List<String> ids = candidates.stream().map(UnitDescription::id).toList();
        String one = "it is translated by one of " + UnitDescription.range(ids) + ", ";
        return switch (answer) {
            case YES -> new Reason(one + "all of them can block no-snoop (ECAP.SC = 1)", SC);
            case NO -> new Reason(one + "none of them can block no-snoop (ECAP.SC = 0)", SC);
            case UNKNOWN -> new Reason(one + "which one is unknown", "VT-d 8.3");
        };
    }

    /** Describes a function whose unit is unknown; one unit may still decide for all. */
    DeviceDescription unknown(PciAddress address) {
        List<Reason> reasons = new ArrayList<>();
        boolean decided = rule == CoherencyRule.PER_MACHINE && everyUnit(reasons) == Answer.NO;
        if (!decided) {
            reasons.clear();
        }
        reasons.add(new Reason("the unit that translates for the device is not known", "VT-d 8.3"));
        return new DeviceDescription(
                address, Answer.UNKNOWN, null, decided ? Answer.NO : Answer.UNKNOWN, reasons, null, Answer.UNKNOWN);
    }

    /** Returns whether all units together block no-snoop, where the rule asks that; else UNKNOWN. */
    Answer everyUnitBlocks() {
        return rule == CoherencyRule.PER_MACHINE ? everyUnit(new ArrayList<>()) : Answer.UNKNOWN;
    }

    /**
     * Units that Linux ignores are left out. Before 5.19 Linux also took a unit as able when the driver ran it in
     * scalable mode; the command line and the kernel's configuration decide that.
     */
    private Answer everyUnit(List<Reason> reasons) {
        List<UnitDescription> used =
                units.stream().filter(unit -> !ignored.containsKey(unit.id())).toList();
        Answer all = used.isEmpty() ? Answer.UNKNOWN : Answer.YES;
        for (UnitDescription unit : used) {
            Answer able = unit.abilities().blocksNoSnoop();
            boolean mayBeScalable = able == Answer.NO && unit.fields().getOrDefault("ECAP.SMTS", 0L) != 0;
            if (able != Answer.YES) {
                reasons.add(
                        mayBeScalable
                                ? new Reason(
                                        unit.id() + " has no snoop control and is able only in scalable mode,"
                                                + " which the input does not show",
                                        "Linux 5.18 domain_update_iommu_snooping")
                                : snoopControl(unit));
            }
            all = and(all, mayBeScalable ? Answer.UNKNOWN : able);
        }
        reasons.add(new Reason(
                "one unit without snoop control decides for every device of the machine",
                "Linux 5.18 domain_update_iommu_snooping"));
        return all;
    }

    private static Reason snoopControl(UnitDescription unit) {
        return switch (unit.abilities().blocksNoSnoop()) {
            case YES -> new Reason(unit.id() + " has snoop control (ECAP.SC = 1): it can block no-snoop", SC);
            case NO -> new Reason(unit.id() + " has no snoop control (ECAP.SC = 0): it can't block no-snoop", SC);
            case UNKNOWN -> new Reason("ECAP of " + unit.id() + " is not known", SC);
        };
    }

    private static Answer and(Answer a, Answer b) {
        if (a == Answer.NO || b == Answer.NO) {
            return Answer.NO;
        }
        return a == Answer.UNKNOWN || b == Answer.UNKNOWN ? Answer.UNKNOWN : Answer.YES;
    }
}
