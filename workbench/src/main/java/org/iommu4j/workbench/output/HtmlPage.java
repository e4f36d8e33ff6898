// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import org.iommu4j.audit.Markup;

/** The parts that every HTML page of the command has: no script, font or picture from elsewhere, light and dark. */
public final class HtmlPage {
    private static final String STYLE = """
            :root{color-scheme:light dark;--good:#137333;--bad:#b3261e;--open:#8a5a00;--line:#d7dbe0;--soft:#f5f6f8;
            --page:#ffffff;--mute:#57606a;--link:#0b57d0}
            body{font:15px/1.45 system-ui,sans-serif;color:#1c2128;background:var(--page);
            margin:2rem auto;max-width:76rem;padding:0 1.5rem}a{color:var(--link)}
            :focus-visible{outline:3px solid var(--link);outline-offset:2px}
            h1{font-size:1.35rem;margin:0 0 .3rem}h2,h3{font-size:1.05rem;margin:2rem 0 .5rem}
            .verdict{border-left:6px solid;padding:.7rem 1rem;background:var(--soft);margin:0 0 1rem;font-weight:600}
            .COHERENT{color:var(--good)}.NONCOHERENT{color:var(--bad)}.UNKNOWN{color:var(--open)}
            dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0}
            dt{color:var(--mute)}dd{margin:0}
            table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;vertical-align:top}
            th{color:var(--mute);font-weight:600;border-bottom:2px solid var(--line)}
            td{border-bottom:1px solid var(--line)}
            code,.a{font-family:ui-monospace,monospace;font-size:.92em;white-space:nowrap}
            details{margin:0}summary{cursor:pointer}ul{margin:.3rem 0;padding-left:1.2rem}
            .path{display:flex;flex-wrap:wrap;gap:.4rem;align-items:stretch}.step{border:1px solid var(--line);
            border-radius:6px;padding:.4rem .7rem;background:var(--soft);max-width:15rem}.step b{display:block}
            .arrow{align-self:center;color:var(--mute)}.source{color:var(--mute);font-size:.85em}
            .numbered td:first-child{white-space:nowrap}.scroll{overflow-x:auto}
            @media screen and (max-width:60rem){body{margin:1rem auto;padding:0 1rem}table{font-size:.9em}
            th,td{padding:.3rem .4rem}}
            @media screen and (prefers-color-scheme:dark){body{color:#e6e8eb}
            :root{--good:#57c278;--bad:#ff8a80;--open:#e0b050;--line:#343a42;--soft:#1e2329;
            --page:#15181c;--mute:#9aa4af;--link:#8ab4f8}}
            @media print{:root{color-scheme:light}.scroll{overflow:visible}
            body{margin:0;max-width:none;padding:0;font-size:12px}h1,h2,h3{break-after:avoid}
            tr,li,dt,dd,.step,.verdict{break-inside:avoid}dt,tbody tr:first-child{break-after:avoid}
            td,th{overflow-wrap:break-word}}
            """;

    /** What ends a page. */
    public static final String END = "</body></html>\n";

    private HtmlPage() {}

    /**
     * Returns what begins a page, up to the start of its body.
     *
     * @param title its title, of any text
     * @param style rules beside those of every page
     */
    public static String begin(String title, String style) {
        return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                + "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>"
                + Markup.escape(title) + "</title><style>\n" + STYLE + style + "</style></head><body>\n";
    }

    /**
     * Returns what begins a part that scrolls sideways by itself, by keys too; {@code </div>} ends it.
     *
     * @param label what a screen reader calls it, of any text
     */
    public static String scrolling(String label) {
        return "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" + Markup.escape(label) + "\">";
    }

    /**
     * Returns an element that holds text.
     *
     * @param name the element's
     * @param style its classes, empty for none
     * @param text any text, which is escaped
     */
    public static String element(String name, String style, String text) {
        return "<" + name + (style.isEmpty() ? "" : " class=\"" + style + "\"") + ">" + Markup.escape(text) + "</"
                + name + ">";
    }
}
