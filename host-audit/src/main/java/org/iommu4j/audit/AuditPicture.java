// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.host.Printable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.UnitAbilities;

/**
 * Draws a host as SVG to stand in an HTML file: its units, the tree of bridges and functions behind each, and groups as
 * boxes around them.
 *
 * <p>The picture has no script and refers to nothing outside. No answer is told by colour alone.
 */
public final class AuditPicture {
    private static final int WIDTH = 960;
    private static final int ROW = 24;
    private static final int HEAD = 34;
    private static final int BUS = 22;
    private static final int TREE = 104;
    private static final int INDENT = 18;
    private static final int DRIVER = 664;
    private static final int ANSWER = 762;
    private static final int MARK = 872;

    /** Deeper rows are not moved further to the right. */
    private static final int DEEPEST = 8;

    /** Pixels between an address and what is there. */
    private static final int GAP = 8;

    /** Pixels of a character in a title, on average and generously. */
    private static final int CHARACTER = 7;

    private static final int DRIVER_CHARACTERS = 12;

    private static final String STYLE = """
            .tree{display:block;font:13px system-ui,sans-serif}
            .tree{--ink:#1c2128;--mute:#57606a;--edge:#aab2bc;--fill:#f5f6f8;
            --yes:#137333;--no:#b3261e;--open:#8a5a00;--mark:#0b57d0}
            .tree text{fill:var(--ink)}.tree .m{fill:var(--mute)}.tree .s{font-size:12px}.tree .b{font-weight:600}
            .tree .a{font-family:ui-monospace,monospace;font-size:12px}
            .tree .COHERENT{fill:var(--yes)}.tree .NONCOHERENT{fill:var(--no);font-weight:600}
            .tree .UNKNOWN{fill:var(--open)}.tree .g{fill:var(--fill);stroke:var(--edge)}
            .tree .u{fill:none;stroke:var(--edge)}.tree .l{fill:none;stroke:var(--edge)}
            .tree .t{fill:none;stroke:var(--mark);stroke-width:2}.tree .k{fill:var(--mark);font-weight:600}
            @media screen and (prefers-color-scheme:dark){.tree{--ink:#e6e8eb;--mute:#9aa4af;--edge:#56606c;
            --fill:#1e2329;--yes:#57c278;--no:#ff8a80;--open:#e0b050;--mark:#8ab4f8}}
            """;

    private final Audit audit;
    private final Map<Integer, AuditedGroup> groups = new HashMap<>();
    private final Set<PciAddress> asked = new HashSet<>();
    private final Set<Integer> askedGroups = new HashSet<>();
    private final Set<Integer> begun = new HashSet<>();
    private final boolean drivers;
    private final StringBuilder body = new StringBuilder();
    private int y;

    private AuditPicture(Audit audit) {
        this.audit = audit;
        this.drivers = audit.devices().stream().anyMatch(device -> device.driver() != null);
        audit.groups().forEach(group -> groups.put(group.id(), group));
        Assignment assignment = audit.assignment();
        if (assignment != null) {
            asked.addAll(assignment.devices());
            asked.forEach(address ->
                    audit.device(address).ifPresent(device -> device.group().ifPresent(askedGroups::add)));
        }
    }

    /** Returns the picture as an {@code svg} element; empty where neither a unit nor a function is known. */
    public static String svg(Audit audit) {
        Objects.requireNonNull(audit, "audit");
        return audit.units().isEmpty() && audit.devices().isEmpty() ? "" : new AuditPicture(audit).draw();
    }

    private String draw() {
        text(28, 14, "m s", "group");
        text(TREE, 14, "m s", "function");
        if (drivers) {
            text(DRIVER, 14, "m s", "driver");
        }
        text(ANSWER, 14, "m s", "a guest with it is");
        y = 24;
        Map<String, List<AuditedDevice>> sections = new LinkedHashMap<>();
        audit.units().forEach(unit -> sections.put(unit.description().id(), new ArrayList<>()));
        for (AuditedDevice device : audit.devices()) {
            sections.computeIfAbsent(section(device), unused -> new ArrayList<>())
                    .add(device);
        }
        sections.forEach(this::section);
        return "<svg class=\"tree\" role=\"img\" viewBox=\"0 0 " + WIDTH + " " + y
                + "\" width=\"" + WIDTH + "\" style=\"max-width:100%;height:auto\""
                + " aria-labelledby=\"tree-title tree-desc\">\n<title id=\"tree-title\">"
                + Markup.escape("Units, bridges, functions and groups of " + audit.host())
                + "</title>\n<desc id=\"tree-desc\">" + Markup.escape(summary()) + "</desc>\n<style>\n" + STYLE
                + "</style>\n" + body + "</svg>\n";
    }

    private String summary() {
        return number(audit.units().size(), "unit") + ", "
                + number(audit.devices().size(), "function") + " and "
                + number(audit.groups().size(), "group")
                + ". The tables below have the same in words."
                + (asked.isEmpty()
                        ? ""
                        : " Assigned: "
                                + asked.stream()
                                        .sorted()
                                        .map(PciAddress::toString)
                                        .collect(Collectors.joining(", ")) + ".");
    }

    private static String number(int count, String what) {
        return count + " " + what + (count == 1 ? "" : "s");
    }

    private static String section(AuditedDevice device) {
        if (device.unit() != null || !device.candidates().isEmpty()) {
            return device.unitInWords();
        }
        return device.translated() == Answer.NO ? "no IOMMU translates for these" : "unit unknown";
    }

    private void section(String name, List<AuditedDevice> behind) {
        int top = y;
        heading(name, behind.size());
        List<TreeRow> rows = TreeRows.of(behind, groups, asked);
        int[] middles = new int[rows.size()];
        boolean buses =
                rows.stream().map(TreeRow::bus).filter(bus -> !bus.isEmpty()).count() > 1;
        for (int i = 0; i < rows.size(); ) {
            int end = i + 1;
            OptionalInt group = rows.get(i).group();
            while (end < rows.size()
                    && group.isPresent()
                    && rows.get(end).group().equals(group)
                    && (!buses || rows.get(end).bus().isEmpty())) {
                end++;
            }
            if (buses && !rows.get(i).bus().isEmpty()) {
                text(TREE, y + 15, "m s", "bus " + rows.get(i).bus());
                y += BUS;
            }
            box(rows, i, end, middles);
            i = end;
        }
        if (!rows.isEmpty()) {
            y += 6;
            body.append(rect("u", 8, top, WIDTH - 16, y - top));
        }
        y += rows.isEmpty() ? 0 : 12;
    }

    private void heading(String name, int functions) {
        body.append(rect("g", 8, y, WIDTH - 16, HEAD - 6));
        StringBuilder words = new StringBuilder("<tspan class=\"b\">" + Markup.escape(name) + "</tspan>");
        audit.unit(name).ifPresent(unit -> {
            UnitAbilities abilities = unit.description().abilities();
            words.append("<tspan dx=\"10\" class=\"")
                    .append(Guest.of(abilities.blocksNoSnoop()))
                    .append("\">")
                    .append(
                            switch (abilities.blocksNoSnoop()) {
                                case YES -> "can block no-snoop";
                                case NO -> "can&#39;t block no-snoop";
                                case UNKNOWN -> "unknown whether it can block no-snoop";
                            })
                    .append("</tspan>");
            if (abilities.coherentWalk() == Answer.NO) {
                words.append("<tspan class=\"m\">, walks its tables without snooping</tspan>");
            }
        });
        body.append("<text x=\"20\" y=\"")
                .append(y + 19)
                .append("\">")
                .append(words)
                .append("</text>\n");
        String count = functions == 0 ? "no known function" : number(functions, "function");
        body.append("<text class=\"m s\" text-anchor=\"end\" x=\"")
                .append(WIDTH - 20)
                .append("\" y=\"")
                .append(y + 19)
                .append("\">")
                .append(count)
                .append("</text>\n");
        y += HEAD;
    }

    /** Draws rows that are of one group, or one row that is not, in a box. */
    private void box(List<TreeRow> rows, int from, int end, int[] middles) {
        body.append(rect(end - from > 1 ? "g" : "u", 20, y, WIDTH - 40, (end - from) * ROW));
        text(28, y + 16, "m s", label(rows.get(from)));
        for (int i = from; i < end; i++) {
            TreeRow row = rows.get(i);
            middles[i] = y + ROW / 2;
            int x = TREE + Math.min(row.depth(), DEEPEST) * INDENT;
            if (row.parent() >= 0) {
                int line = x - INDENT + 5;
                body.append("<path class=\"l\" d=\"M")
                        .append(line)
                        .append(' ')
                        .append(middles[row.parent()] + 8)
                        .append('V')
                        .append(middles[i])
                        .append('H')
                        .append(x - 3)
                        .append("\"/>\n");
            }
            row(row, x);
            y += ROW;
        }
        y += 4;
    }

    private String label(TreeRow row) {
        if (row.group().isPresent()) {
            int id = row.group().getAsInt();
            return begun.add(id) ? "group " + id : "group " + id + ", too";
        }
        long count = row.groups();
        boolean ungrouped = row.devices().stream().allMatch(device -> device.translated() == Answer.NO);
        return count > 0 ? count + " groups" : ungrouped ? "no group" : "group ?";
    }

    private void row(TreeRow row, int x) {
        AuditedDevice first = row.devices().get(0);
        boolean mine = asked.contains(first.address());
        body.append("<g class=\"row\"><title>").append(names(row)).append("</title>");
        if (mine) {
            body.append(rect("t", 22, y + 2, WIDTH - 44, ROW - 4));
        }
        String address = row.isFold() ? "" : Passthrough.brief(first.address());
        String words = row.isFold() ? row.text() : first.shortTitle();
        int room = (DRIVER - x - 12 - address.length() * 8) / CHARACTER;
        body.append("<text x=\"").append(x).append("\" y=\"").append(y + 16).append("\">");
        if (!row.isFold()) {
            body.append("<tspan class=\"a\">").append(Markup.escape(address)).append("</tspan>");
        }
        body.append("<tspan dx=\"")
                .append(row.isFold() ? 0 : GAP)
                .append("\" class=\"")
                .append(mine ? "b" : first.isOfChipset() ? "m" : "w")
                .append("\">")
                .append(Markup.escape(Printable.cut(words, room)))
                .append("</tspan></text>");
        if (!row.isFold() || !first.isOfChipset()) {
            String driver = drivers ? first.driver() : "";
            text(
                    DRIVER,
                    y + 16,
                    "a m",
                    !drivers
                            ? ""
                            : driver == null ? "?" : driver.isEmpty() ? "-" : Printable.cut(driver, DRIVER_CHARACTERS));
            if (!first.isPartOfHost()) {
                text(ANSWER, y + 16, "s " + (first.matters() ? first.guest() : "m"), first.guestInWords());
            }
        }
        if (mine) {
            text(MARK, y + 16, "s k", "assigned");
        } else if (!first.isPartOfHost()
                && row.group().isPresent()
                && askedGroups.contains(row.group().getAsInt())) {
            text(MARK, y + 16, "s", "goes along");
        }
        body.append("</g>\n");
    }

    /** Returns the functions of a row with their groups, one a line, which a browser shows over the row. */
    private static String names(TreeRow row) {
        return row.devices().stream()
                .map(device -> Markup.escape(device.address()
                        + (device.group().isPresent()
                                ? ", group " + device.group().getAsInt()
                                : "")
                        + ": " + device.title()))
                .collect(Collectors.joining("\n"));
    }

    private void text(int x, int baseline, String style, String words) {
        body.append("<text class=\"")
                .append(style)
                .append("\" x=\"")
                .append(x)
                .append("\" y=\"")
                .append(baseline)
                .append("\">")
                .append(Markup.escape(words))
                .append("</text>\n");
    }

    private static String rect(String style, int x, int top, int width, int height) {
        return "<rect class=\"" + style + "\" x=\"" + x + "\" y=\"" + top + "\" width=\"" + width + "\" height=\""
                + height + "\" rx=\"5\"/>\n";
    }
}
