// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.ReservedRegion;
import org.iommu4j.audit.Answers;
import org.iommu4j.audit.Assignment;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.AuditedGroup;
import org.iommu4j.audit.AuditedUnit;
import org.iommu4j.audit.Guest;
import org.iommu4j.audit.Headline;
import org.iommu4j.audit.Step;
import org.iommu4j.bits.Hex;
import org.iommu4j.host.Printable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ScopeEntry;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import picocli.CommandLine.Help.ColorScheme;

/** Prints an audit for people: the verdict first, then units, devices and groups as tables of at most 100 columns. */
public final class AuditText {
    /** The widest line. */
    public static final int WIDTH = 100;

    private static final int LABEL = 19;

    /** Devices named before a hint that applies to several. */
    private static final int SHOWN = 3;

    private final ColorScheme colors;
    private final boolean verbose;

    /** Makes a report in a terminal's colours; a verbose one has every field, device and reason. */
    public AuditText(ColorScheme colors, boolean verbose) {
        this.colors = colors;
        this.verbose = verbose;
    }

    /** Returns the report. */
    public String of(Audit audit) {
        StringBuilder text = new StringBuilder();
        sentence(text, "", Headline.subject(audit) + ": " + Headline.verdict(audit), Headline.shade(audit));
        for (Headline.Line line : Headline.lines(audit)) {
            sentence(text, label(line.label()), line.text(), null);
        }
        assignment(text, audit);
        units(text, audit);
        devices(text, audit);
        groups(text, audit);
        if (!audit.remarks().isEmpty()) {
            section(text, "What Linux, firmware or QEMU said");
            audit.remarks().forEach(found -> reason(text, "  - ", found.reason()));
        }
        hints(text, audit);
        if (!audit.warnings().isEmpty()) {
            section(text, "Unknown or doubtful");
            audit.warnings().forEach(warning -> sentence(text, "  - ", warning, null));
        }
        return text.toString();
    }

    /** Prints a hint that applies to several devices once. */
    private static void hints(StringBuilder text, Audit audit) {
        Map<Reason, List<PciAddress>> hints = new LinkedHashMap<>();
        audit.hints().forEach(hint -> hints.put(hint, new ArrayList<>()));
        for (AuditedDevice device : audit.devices()) {
            for (Reason hint : device.hints()) {
                hints.computeIfAbsent(hint, unused -> new ArrayList<>()).add(device.address());
            }
        }
        if (hints.isEmpty()) {
            return;
        }
        section(text, "What can be done");
        hints.forEach((hint, devices) -> {
            String who = devices.isEmpty()
                    ? ""
                    : Assignment.join(devices.subList(0, Math.min(SHOWN, devices.size())))
                            + (devices.size() > SHOWN ? " and " + (devices.size() - SHOWN) + " more" : "") + ": ";
            sentence(text, "  - ", who + hint);
        });
    }

    private static void section(StringBuilder text, String title) {
        text.append('\n').append(Printable.line(title)).append('\n');
    }

    private static String label(String label) {
        return "  " + label + " ".repeat(Math.max(1, LABEL - label.length()));
    }

    private void assignment(StringBuilder text, Audit audit) {
        Assignment asked = audit.assignment();
        if (asked == null) {
            return;
        }
        for (Map.Entry<PciAddress, List<Step>> path : asked.paths().entrySet()) {
            String title = audit.device(path.getKey()).map(AuditedDevice::title).orElse("");
            section(text, Printable.cut(path.getKey() + " " + title, WIDTH));
            for (Step step : path.getValue()) {
                sentence(
                        text,
                        "  " + step.what()
                                + " ".repeat(Math.max(1, 28 - step.what().length())) + step.answer() + "  ",
                        "[" + step.source() + "]",
                        null);
            }
        }
        if (!asked.hints().isEmpty()) {
            section(text, "For this guest");
            asked.hints().forEach(hint -> reason(text, "  - ", hint));
        }
    }

    private void units(StringBuilder text, Audit audit) {
        if (audit.units().isEmpty()) {
            return;
        }
        section(text, "Units");
        Table table = new Table("unit", "registers", "no-snoop", "walk", "IR", "stages", "width", "pages", "devices");
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
                    stages(abilities),
                    abilities.addressWidth() == 0 ? "?" : abilities.addressWidth() + " bit",
                    pageSizes(abilities.pageSizes()),
                    Integer.toString(unit.devices().size()));
        }
        table.print(text);
        for (AuditedUnit unit : audit.units()) {
            scope(text, unit.description());
            if (verbose) {
                fields(text, unit.description());
            }
        }
    }

    private static void scope(StringBuilder text, UnitDescription unit) {
        StringBuilder words = new StringBuilder();
        for (ScopeEntry entry : unit.scope()) {
            words.append(words.length() == 0 ? "" : ", ").append(entry);
        }
        if (unit.includeAll() == Answer.YES) {
            words.append(words.length() == 0 ? "" : ", and ").append("every function that no other unit serves");
        }
        if (unit.segment().isPresent() && unit.segment().getAsInt() != 0) {
            words.append(String.format(" (segment %04x)", unit.segment().getAsInt()));
        }
        if (words.length() > 0) {
            sentence(text, "  " + unit.id() + " serves  ", words.toString());
        }
    }

    private static void fields(StringBuilder text, UnitDescription unit) {
        unit.registers().forEach((register, value) -> {
            StringBuilder words = new StringBuilder(Hex.of(value) + ":");
            unit.fields().forEach((field, number) -> {
                if (field.startsWith(register + ".")) {
                    words.append(' ')
                            .append(field.substring(register.length() + 1))
                            .append('=')
                            .append(number > 9 ? Hex.of(number) : number);
                }
            });
            sentence(text, "  " + unit.id() + " " + register + "  ", words.toString());
        });
    }

    private void devices(StringBuilder text, Audit audit) {
        List<AuditedDevice> shown = audit.devices().stream()
                .filter(device -> verbose || !device.isPartOfHost())
                .toList();
        if (shown.isEmpty()) {
            return;
        }
        section(text, "Devices" + (verbose ? "" : " (without bridges and IOMMUs; --verbose shows all, with reasons)"));
        boolean oneSegment = shown.stream().allMatch(device -> device.address().segment() == 0);
        Table table = new Table("address", "unit", "group", "NoSnoop", "guest", "assign", "driver", "device");
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
        List<AuditedGroup> shown = audit.groups().stream()
                .filter(group ->
                        verbose || group.devices().size() + group.named().size() > 1)
                .toList();
        if (shown.isEmpty()) {
            return;
        }
        section(text, "Groups" + (verbose ? "" : " of more than one function"));
        for (AuditedGroup group : shown) {
            sentence(
                    text,
                    "  " + group.id() + "  ",
                    group.guest() + ", viable now: " + Answers.word(group.viable()) + ": " + group.inWords());
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

    private static String stages(UnitAbilities abilities) {
        if (abilities.secondStage() == Answer.UNKNOWN) {
            return "?";
        }
        return (abilities.firstStage() == Answer.YES ? "1st, " : "")
                + (abilities.secondStage() == Answer.YES ? "2nd" : "none")
                + (abilities.levels() > 0 ? " (" + abilities.levels() + "-level)" : "")
                + (abilities.nested() == Answer.YES ? ", nested" : "");
    }

    private static String pageSizes(long sizes) {
        if (sizes == 0) {
            return "?";
        }
        if (Long.bitCount(sizes) > 4) {
            return "4K and up";
        }
        StringBuilder text = new StringBuilder();
        for (int bit = 0; bit < 64; bit++) {
            if (((sizes >>> bit) & 1) != 0) {
                String size = (1 << (bit % 10)) + (bit < 20 ? "K" : bit < 30 ? "M" : "G");
                text.append(text.length() == 0 ? "" : " ").append(size);
            }
        }
        return text.toString();
    }

    private static void reason(StringBuilder text, String start, Reason reason) {
        sentence(text, start, reason.toString());
    }

    private static void sentence(StringBuilder text, String start, String words) {
        text.append(wrap(start, words)).append('\n');
    }

    private void sentence(
            StringBuilder text, String start, String words, @org.jspecify.annotations.Nullable Guest guest) {
        String wrapped = wrap(start, words);
        text.append(guest == null ? wrapped : Table.paint(colors, guest, wrapped))
                .append('\n');
    }

    /** Breaks between words, and indents what follows as far as the start; a word that is too long is cut. */
    static String wrap(String start, String words) {
        StringBuilder text = new StringBuilder(Printable.line(start));
        String indent = " ".repeat(Math.max(4, Math.min(start.length(), WIDTH / 2)));
        int column = start.length();
        boolean first = true;
        for (String word : Printable.line(words).split(" +", -1)) {
            if (column + (first ? 0 : 1) + word.length() > WIDTH) {
                text.append('\n').append(indent);
                column = indent.length();
                first = true;
            }
            String fitting = Printable.cut(word, WIDTH - indent.length());
            text.append(first ? "" : " ").append(fitting);
            column += fitting.length() + (first ? 0 : 1);
            first = false;
        }
        return text.toString();
    }
}
