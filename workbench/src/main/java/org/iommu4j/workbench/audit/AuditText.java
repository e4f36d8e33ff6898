// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.ReservedRegion;
import org.iommu4j.audit.Answers;
import org.iommu4j.audit.Assignment;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.AuditedGroup;
import org.iommu4j.audit.AuditedUnit;
import org.iommu4j.audit.Headline;
import org.iommu4j.audit.Line;
import org.iommu4j.audit.Passthrough;
import org.iommu4j.audit.Prose;
import org.iommu4j.audit.Step;
import org.iommu4j.bits.Hex;
import org.iommu4j.host.Printable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import picocli.CommandLine.Help.ColorScheme;

/** Prints an audit for people: the verdict first, then units, devices and groups as tables. Only commands are wider. */
public final class AuditText {
    private static final int LABEL = 19;

    private final ColorScheme colors;
    private final boolean verbose;
    private final int width;

    /** Makes a report in a terminal's colours and columns; a verbose one has every field, device and reason. */
    public AuditText(ColorScheme colors, boolean verbose, int width) {
        this.colors = colors;
        this.verbose = verbose;
        this.width = width;
    }

    /** Returns the report. */
    public String of(Audit audit) {
        StringBuilder text = new StringBuilder();
        String verdict = Prose.wrap("", Headline.subject(audit) + ": " + Headline.verdict(audit), width);
        text.append(Table.paint(colors, Headline.shade(audit), verdict)).append('\n');
        for (Line line : Headline.lines(audit)) {
            if (line.label().equals(Headline.COMMAND)) {
                text.append(label(line.label()))
                        .append(Printable.line(line.text()))
                        .append('\n');
            } else {
                sentence(text, label(line.label()), line.text());
            }
        }
        assignment(text, audit);
        passthrough(text, audit);
        units(text, audit);
        devices(text, audit);
        groups(text, audit);
        list(
                text,
                "What Linux, firmware or QEMU said",
                audit.remarks().stream().map(found -> found.reason().toString()).toList());
        list(text, "What can be done", Headline.hints(audit));
        list(text, "Unknown or doubtful", Headline.warnings(audit));
        return text.toString();
    }

    private void list(StringBuilder text, String title, List<String> sentences) {
        if (!sentences.isEmpty()) {
            section(text, title);
            sentences.forEach(each -> sentence(text, "  - ", each));
        }
    }

    private static void section(StringBuilder text, String title) {
        text.append('\n').append(Printable.line(title)).append('\n');
    }

    private static String label(String label) {
        return String.format("  %-" + (LABEL - 1) + "s ", label);
    }

    private void assignment(StringBuilder text, Audit audit) {
        Assignment asked = audit.assignment();
        if (asked == null) {
            return;
        }
        Passthrough passthrough = new Passthrough(audit);
        for (Map.Entry<PciAddress, List<Step>> path : asked.paths().entrySet()) {
            Optional<AuditedDevice> device = audit.device(path.getKey());
            String title = device.map(AuditedDevice::title).orElse("");
            section(text, Printable.cut(path.getKey() + " " + title, width));
            device.ifPresent(known -> {
                passthrough.of(known).forEach(line -> sentence(text, label(line.label()), line.text()));
                text.append('\n');
            });
            for (Step step : path.getValue()) {
                sentence(text, String.format("  %-27s ", step.what()), step.answer() + " [" + step.source() + "]");
            }
        }
        if (!asked.hints().isEmpty()) {
            section(text, "For this guest");
            asked.hints().forEach(hint -> reason(text, "  - ", hint));
        }
    }

    /** Prints what goes along with each device that people assign. */
    private void passthrough(StringBuilder text, Audit audit) {
        List<Line> lines = audit.assignment() == null ? new Passthrough(audit).all(verbose) : List.of();
        if (!lines.isEmpty()) {
            section(text, "What goes along (graphics, network, NVMe, USB)");
            lines.forEach(line -> sentence(text, "  " + line.label() + "  ", line.text()));
        }
    }

    private void units(StringBuilder text, Audit audit) {
        if (audit.units().isEmpty()) {
            return;
        }
        section(text, "Units");
        Table table = new Table(
                width, 3, "unit", "registers", "no-snoop", "walk", "IR", "stages", "width", "pages", "devices");
        for (AuditedUnit unit : audit.units()) {
            UnitDescription description = unit.description();
            UnitAbilities abilities = description.abilities();
            table.row(
                    description.id(),
                    description.registerBase().isPresent()
                            ? Hex.of(description.registerBase().getAsLong())
                            : "?",
                    switch (abilities.blocksNoSnoop()) {
                        case YES -> "blocks";
                        case NO -> "CAN'T BLOCK";
                        case UNKNOWN -> "?";
                    },
                    switch (abilities.coherentWalk()) {
                        case YES -> "coherent";
                        case NO -> "not coherent";
                        case UNKNOWN -> "?";
                    },
                    mark(abilities.interruptRemapping()),
                    unit.stagesInWords(),
                    abilities.addressWidth() == 0 ? "?" : abilities.addressWidth() + " bit",
                    unit.pageSizesInWords(),
                    Integer.toString(unit.devices().size()));
        }
        table.print(text, null);
        for (AuditedUnit unit : audit.units()) {
            if (!unit.serves().isEmpty()) {
                sentence(text, "  " + unit.description().id() + " serves  ", unit.serves());
            }
            if (verbose) {
                unit.registers().forEach(line -> sentence(text, "  " + line.label() + "  ", line.text()));
            }
        }
    }

    private void devices(StringBuilder text, Audit audit) {
        List<AuditedDevice> shown = audit.devices().stream()
                .filter(device -> verbose || !device.isOfChipset())
                .toList();
        String folded = verbose ? "" : Headline.chipset(audit);
        if (shown.isEmpty() && folded.isEmpty()) {
            return;
        }
        section(text, "Devices" + (verbose ? "" : " (--verbose shows all, with reasons)"));
        if (shown.isEmpty()) {
            sentence(text, "  ", folded);
            return;
        }
        boolean oneSegment = shown.stream().allMatch(device -> device.address().segment() == 0);
        Table table = new Table(width, 2, "address", "unit", "group", "NoSnoop", "guest", "assign", "driver", "device");
        for (AuditedDevice device : shown) {
            String driver = device.driver();
            String address = device.address().toString();
            table.row(
                    oneSegment ? address.substring("0000:".length()) : address,
                    device.unitInWords(),
                    device.group().isPresent() ? Integer.toString(device.group().getAsInt()) : "-",
                    switch (device.noSnoopEnabled()) {
                        case YES -> "on";
                        case NO -> "off";
                        case UNKNOWN -> "?";
                    },
                    device.guestInWords(),
                    mark(device.assignable()),
                    driver == null ? "?" : driver.isEmpty() ? "-" : driver,
                    device.shortTitle());
        }
        table.withoutSilentColumns().print(text, colors);
        if (!folded.isEmpty()) {
            sentence(text, "  ", folded);
        }
        if (verbose) {
            for (AuditedDevice device : shown) {
                text.append("  ").append(device.address()).append('\n');
                device.why().forEach(why -> reason(text, "    ", why));
                List<ReservedRegion> regions = device.reservedRegions();
                if (regions != null) {
                    for (ReservedRegion region : regions) {
                        text.append(String.format(
                                "    reserved 0x%x to 0x%x %s%n", region.start(), region.end(), region.type()));
                    }
                }
            }
        }
    }

    private void groups(StringBuilder text, Audit audit) {
        Set<PciAddress> chipset = audit.devices().stream()
                .filter(AuditedDevice::isOfChipset)
                .map(AuditedDevice::address)
                .collect(Collectors.toSet());
        List<AuditedGroup> shown = audit.groups().stream()
                .filter(group -> verbose
                        || (group.devices().size() + group.named().size() > 1
                                && !(group.named().isEmpty() && chipset.containsAll(group.devices()))))
                .toList();
        if (shown.isEmpty()) {
            return;
        }
        section(text, "Groups" + (verbose ? "" : " of more than one function"));
        for (AuditedGroup group : shown) {
            sentence(
                    text,
                    "  " + group.id() + "  ",
                    group.inWords() + ": " + group.guest() + "; " + group.viableInWords());
            if (!group.noncoherent().isEmpty()) {
                sentence(text, "     ", "not coherent because of " + Assignment.join(group.noncoherent()));
            }
            group.together().forEach(why -> reason(text, "     ", why));
            if (group.viable() == Answer.NO) {
                group.blame().stream().limit(3).forEach(why -> reason(text, "     ", why));
            }
        }
    }

    private static String mark(Answer answer) {
        return answer == Answer.UNKNOWN ? "?" : Answers.word(answer);
    }

    private void reason(StringBuilder text, String start, Reason reason) {
        sentence(text, start, reason.toString());
    }

    private void sentence(StringBuilder text, String start, String words) {
        text.append(Prose.wrap(start, words, width)).append('\n');
    }
}
