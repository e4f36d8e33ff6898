// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.audit.Answers;
import org.iommu4j.audit.Assignment;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditPicture;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.AuditedGroup;
import org.iommu4j.audit.AuditedUnit;
import org.iommu4j.audit.Guest;
import org.iommu4j.audit.Headline;
import org.iommu4j.audit.Line;
import org.iommu4j.audit.Markup;
import org.iommu4j.audit.Passthrough;
import org.iommu4j.audit.Step;
import org.iommu4j.bits.Hex;
import org.iommu4j.host.CountedRemark;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.workbench.output.HtmlPage;

/** Prints an audit as one HTML file, without scripts, fonts or pictures from elsewhere. */
public final class AuditHtml {
    private final StringBuilder html = new StringBuilder();

    private AuditHtml() {}

    /** Returns the file's text. */
    public static String of(Audit audit) {
        return new AuditHtml().page(audit);
    }

    private String page(Audit audit) {
        html.append(HtmlPage.begin(audit.host() + " - iommu4j audit", "td>details{min-width:11rem}"));
        html.append("<main>\n<h1>")
                .append(Markup.escape(Headline.subject(audit)))
                .append("</h1>\n");
        html.append("<p class=\"verdict ")
                .append(Headline.shade(audit))
                .append("\">")
                .append(Markup.escape(Headline.verdict(audit)))
                .append("</p>\n");
        lines(Headline.lines(audit));
        assignment(audit);
        if (audit.assignment() == null) {
            heading("What goes along (graphics, network, NVMe, USB)");
            lines(new Passthrough(audit).all(true));
        }
        String picture = AuditPicture.svg(audit);
        if (!picture.isEmpty()) {
            heading("Units, bridges, functions and groups");
            html.append(picture);
        }
        units(audit);
        devices(audit);
        groups(audit);
        if (!audit.remarks().isEmpty()) {
            heading("What Linux, firmware or QEMU said");
            reasons(audit.remarks().stream().map(CountedRemark::reason).toList());
        }
        list("What can be done", Headline.hints(audit));
        list("Unknown or doubtful", Headline.warnings(audit));
        return html.append("</main>\n").append(HtmlPage.END).toString();
    }

    private void list(String title, List<String> sentences) {
        if (!sentences.isEmpty()) {
            heading(title);
            html.append("<ul>");
            sentences.forEach(
                    each -> html.append("<li>").append(Markup.escape(each)).append("</li>"));
            html.append("</ul>\n");
        }
    }

    private void lines(List<Line> lines) {
        html.append("<dl>");
        for (Line line : lines) {
            html.append("<dt>")
                    .append(Markup.escape(line.label()))
                    .append("</dt><dd>")
                    .append(Markup.escape(line.text()))
                    .append("</dd>");
        }
        html.append("</dl>\n");
    }

    private void assignment(Audit audit) {
        Assignment asked = audit.assignment();
        if (asked == null) {
            return;
        }
        Passthrough passthrough = new Passthrough(audit);
        for (Map.Entry<PciAddress, List<Step>> path : asked.paths().entrySet()) {
            Optional<AuditedDevice> device = audit.device(path.getKey());
            heading(path.getKey() + " " + device.map(AuditedDevice::title).orElse(""));
            device.ifPresent(known -> lines(passthrough.of(known)));
            html.append("<div class=\"path\">");
            String arrow = "";
            for (Step step : path.getValue()) {
                html.append(arrow)
                        .append("<div class=\"step\"><b class=\"")
                        .append(Markup.escape(step.answer()))
                        .append("\">")
                        .append(Markup.escape(step.answer()))
                        .append("</b>")
                        .append(Markup.escape(step.what()))
                        .append("<div class=\"source\">")
                        .append(Markup.escape(step.source()))
                        .append("</div></div>");
                arrow = "<span class=\"arrow\" aria-hidden=\"true\">&rarr;</span>";
            }
            html.append("</div>\n");
        }
        if (!asked.hints().isEmpty()) {
            heading("For this guest");
            reasons(asked.hints());
        }
    }

    private void units(Audit audit) {
        if (audit.units().isEmpty()) {
            return;
        }
        heading("Units");
        header(
                "Units",
                "unit",
                "registers",
                "can block no-snoop",
                "coherent walk",
                "interrupt remapping",
                "serves",
                "fields");
        for (AuditedUnit unit : audit.units()) {
            UnitDescription description = unit.description();
            html.append("<tr>");
            cell("a", description.id());
            cell(
                    "a",
                    description.registerBase().isPresent()
                            ? Hex.of(description.registerBase().getAsLong())
                            : "unknown");
            cell(
                    Guest.of(description.abilities().blocksNoSnoop()).name(),
                    Answers.word(description.abilities().blocksNoSnoop()));
            cell("", Answers.word(description.abilities().coherentWalk()));
            cell("", Answers.word(description.abilities().interruptRemapping()));
            cell("", unit.serves());
            html.append("<td>");
            if (!description.fields().isEmpty()) {
                html.append("<details><summary>");
                description
                        .registers()
                        .forEach((register, value) -> html.append(Markup.escape(register))
                                .append(" <code>0x")
                                .append(Long.toHexString(value))
                                .append("</code> "));
                html.append("</summary><code style=\"white-space:normal\">");
                description
                        .fields()
                        .forEach((field, value) -> html.append(Markup.escape(field))
                                .append('=')
                                .append(value > 9 ? Hex.of(value) : value.toString())
                                .append(' '));
                html.append("</code></details>");
            }
            html.append("</td></tr>\n");
        }
        html.append("</tbody></table></div>\n");
    }

    private void devices(Audit audit) {
        if (audit.devices().isEmpty()) {
            return;
        }
        heading("Devices");
        devices(
                "Devices",
                audit.devices().stream()
                        .filter(device -> !device.isPartOfHost())
                        .toList());
        List<AuditedDevice> others =
                audit.devices().stream().filter(AuditedDevice::isPartOfHost).toList();
        if (!others.isEmpty()) {
            html.append("<details><summary>")
                    .append(others.size())
                    .append(others.size() == 1 ? " bridge or IOMMU" : " bridges and IOMMUs")
                    .append(", never assigned</summary>");
            devices("Bridges and IOMMUs", others);
            html.append("</details>\n");
        }
    }

    private void devices(String label, List<AuditedDevice> devices) {
        header(label, "address", "device", "unit", "group", "NoSnoop", "guest", "assignable", "driver");
        for (AuditedDevice device : devices) {
            String driver = device.driver();
            html.append("<tr>");
            cell("a", device.address().toString());
            html.append("<td>").append(Markup.escape(device.title()));
            why(device);
            html.append("</td>");
            cell("", device.unitInWords());
            cell(
                    "",
                    device.group().isPresent() ? Integer.toString(device.group().getAsInt()) : "-");
            cell(
                    "",
                    switch (device.noSnoopEnabled()) {
                        case YES -> "on";
                        case NO -> "off";
                        case UNKNOWN -> "?";
                    });
            cell(device.matters() ? device.guest().name() : "", device.guestInWords());
            cell("", Answers.word(device.assignable()));
            cell("", driver == null ? "?" : driver.isEmpty() ? "-" : driver);
            html.append("</tr>\n");
        }
        html.append("</tbody></table></div>\n");
    }

    /** Prints the reasons below the title, because the table has no room for another column. */
    private void why(AuditedDevice device) {
        html.append("<details><summary class=\"source\">")
                .append(Markup.escape(device.why().get(0).text()))
                .append("</summary>");
        reasons(device.why());
        if (!device.hints().isEmpty()) {
            html.append("What can be done:");
            reasons(device.hints());
        }
        html.append("</details>");
    }

    private void groups(Audit audit) {
        if (audit.groups().isEmpty()) {
            return;
        }
        heading("Groups");
        header("Groups", "group", "functions", "guest", "viable now", "because");
        for (AuditedGroup group : audit.groups()) {
            html.append("<tr>");
            cell("", Integer.toString(group.id()));
            cell("", Assignment.join(group.devices()));
            cell(group.guest().name(), group.guest().name());
            cell("", Answers.word(group.viable()));
            html.append("<td>");
            reasons(group.together());
            reasons(group.blame());
            html.append("</td></tr>\n");
        }
        html.append("</tbody></table></div>\n");
    }

    private void heading(String text) {
        html.append("<h2>").append(Markup.escape(text)).append("</h2>\n");
    }

    private void header(String label, String... titles) {
        html.append(HtmlPage.scrolling(label)).append("<table><thead><tr>");
        for (String title : titles) {
            html.append("<th scope=\"col\">").append(Markup.escape(title)).append("</th>");
        }
        html.append("</tr></thead><tbody>\n");
    }

    private void cell(String style, String text) {
        html.append("<td")
                .append(style.isEmpty() ? "" : " class=\"" + style + "\"")
                .append('>');
        html.append(Markup.escape(text)).append("</td>");
    }

    private void reasons(List<Reason> reasons) {
        if (reasons.isEmpty()) {
            return;
        }
        html.append("<ul>");
        for (Reason reason : reasons) {
            html.append("<li>")
                    .append(Markup.escape(reason.text()))
                    .append(" <span class=\"source\">")
                    .append(Markup.escape(reason.source()))
                    .append("</span></li>");
        }
        html.append("</ul>");
    }
}
