// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.List;
import java.util.Locale;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.Printable;
import org.iommu4j.workbench.scenario.GuestIommu;
import org.iommu4j.workbench.scenario.Outcome;

/** A page with steps as the text that {@link PageReader} reads. */
public final class PageText {
    private PageText() {}

    /**
     * Returns a page with what a run of it answered as its expectation, for that machine and release alone.
     *
     * @param page has steps
     * @param name the case's name, in place of the page's
     * @param about what it is about, in place of the page's words
     * @param answer the outcome of a run of the page
     */
    public static String of(Page page, String name, String about, Outcome answer) {
        StringBuilder text = new StringBuilder();
        text.append("case: ").append(name).append('\n');
        text.append("about: ").append(quoted(about)).append('\n');
        String story = page.story();
        if (story != null) {
            text.append("story: ").append(quoted(story)).append('\n');
        }
        if (!page.sources().isEmpty()) {
            text.append("sources: [")
                    .append(String.join(
                            ", ", page.sources().stream().map(PageText::quoted).toList()))
                    .append("]\n");
        }
        text.append("actors:\n");
        page.actors().forEach((actor, what) -> entry(text, actor, words(what)));
        text.append("memory:\n");
        page.memory().forEach((memory, what) -> {
            String then = what.then();
            entry(text, memory, "{of: " + what.owner() + (then == null ? "" : ", then: " + then) + "}");
        });
        text.append("steps:\n");
        for (Step step : page.steps()) {
            text.append("  - ")
                    .append(step.actor())
                    .append(": ")
                    .append(step.words())
                    .append('\n');
        }
        String release = tag(answer.linux());
        text.append("expect:\n  - {machines: [").append(answer.machine()).append("], since: ");
        text.append(release).append(", until: ").append(release);
        text.append(", verdict: ").append(answer.verdict());
        if (answer.blame() != null) {
            text.append(", blame: ").append(answer.blame());
        }
        return text.append("}\n").toString();
    }

    /** A page's releases have no patch level. */
    private static String tag(LinuxRelease release) {
        return "v" + (release.posted() ? release : new LinuxRelease(release.major(), release.minor()));
    }

    private static void entry(StringBuilder text, String key, String value) {
        text.append("  ").append(key).append(": ").append(value).append('\n');
    }

    private static String words(Actor actor) {
        if (actor instanceof Actor.Vcpu vcpu) {
            return "{vm: " + vcpu.vm() + ", cpu: " + vcpu.cpu() + "}";
        }
        if (actor instanceof Actor.Device device) {
            return "{device: " + PageReader.word(device.which())
                    + (device.vm() == null ? "" : ", vm: " + device.vm())
                    + (device.in() == null ? "" : ", in: " + device.in())
                    + ", driver: " + PageReader.word(device.driver())
                    + ", no-snoop: " + device.noSnoop() + "}";
        }
        if (actor instanceof Actor.Host host) {
            return "{host: true, cpu: " + host.cpu() + "}";
        }
        if (actor instanceof Actor.HostProcess process) {
            return "{process: " + process.owner() + ", cpu: " + process.cpu() + "}";
        }
        if (actor instanceof Actor.Domain) {
            return "{domain: true}";
        }
        if (actor instanceof Actor.Vm vm) {
            GuestIommu iommu = vm.iommu();
            return "{by: " + PageReader.word(vm.by()) + (iommu == null ? "" : ", iommu: " + PageReader.word(iommu))
                    + "}";
        }
        throw new IllegalStateException("no page declares " + actor);
    }

    /** Returns a text in quotes, as YAML and JSON have them; what does more than show a character is escaped. */
    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        text.codePoints().forEach(c -> {
            switch (c) {
                case '"', '\\' -> quoted.append('\\').appendCodePoint(c);
                case '\n' -> quoted.append("\\n");
                case '\t' -> quoted.append("\\t");
                default -> {
                    if (Printable.isPrintable(c)) {
                        quoted.appendCodePoint(c);
                    } else {
                        quoted.append(String.format(Locale.ROOT, c > 0xffff ? "\\U%08x" : "\\u%04x", c));
                    }
                }
            }
        });
        return quoted.append('"').toString();
    }

    /** Returns the lines of a remark. */
    public static String remark(List<String> lines) {
        StringBuilder text = new StringBuilder();
        lines.forEach(line -> text.append("# ").append(line).append('\n'));
        return text.toString();
    }
}
