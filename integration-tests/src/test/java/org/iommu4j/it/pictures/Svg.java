// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.pictures;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A picture of boxes, arrows and text as SVG, readable on light and dark pages and on paper.
 *
 * <p>Coordinates are in pixels from the upper left corner. The same calls give the same bytes.
 */
final class Svg {
    /** Width of a character of the picture's font, about; text is broken by it. */
    private static final double CHARACTER_WIDTH = 6.6;

    private static final int LINE_HEIGHT = 17;

    private static final String STYLE = """
            <style>
              svg { background: #ffffff; font: 12px system-ui, sans-serif; }
              text { fill: #1b1f24; }
              .name { font-weight: 600; font-size: 13px; }
              .title { font-weight: 600; font-size: 15px; }
              .note { fill: #57606a; }
              .code { font-family: ui-monospace, monospace; font-size: 11.5px; }
              .box { fill: #f3f6fa; stroke: #6e7f94; }
              .strong { fill: #e1ecfb; stroke: #2f6db5; }
              .warn { fill: #fdebe7; stroke: #c0452c; }
              .plain { fill: none; stroke: #c4ccd6; }
              .line { fill: none; stroke: #57606a; stroke-width: 1.3; }
              .dashed { stroke-dasharray: 5 4; }
              .head { fill: #57606a; }
              @media (prefers-color-scheme: dark) {
                svg { background: #0f1318; }
                text { fill: #e6edf3; }
                .note { fill: #9aa7b4; }
                .box { fill: #1a212b; stroke: #7b8ea6; }
                .strong { fill: #15294a; stroke: #6ea8f0; }
                .warn { fill: #40201a; stroke: #f0836b; }
                .plain { stroke: #39424e; }
                .line { stroke: #9aa7b4; }
                .head { fill: #9aa7b4; }
              }
            </style>
            """;

    private final String title;
    private final int width;
    private final StringBuilder body = new StringBuilder();

    Svg(String title, int width) {
        this.title = title;
        this.width = width;
    }

    /** Breaks text into lines that fit a width in pixels. */
    static List<String> lines(String text, int width) {
        List<String> lines = new ArrayList<>();
        StringBuilder line = new StringBuilder();
        for (String word : text.split(" ", -1)) {
            if (!line.isEmpty() && (line.length() + 1 + word.length()) * CHARACTER_WIDTH > width) {
                lines.add(line.toString());
                line.setLength(0);
            }
            line.append(line.isEmpty() ? "" : " ").append(word);
        }
        lines.add(line.toString());
        return lines;
    }

    /** Returns how high a box with a name and a note is. */
    static int heightOfBox(String note, int width) {
        return 30 + LINE_HEIGHT * (note.isEmpty() ? 0 : lines(note, width - 20).size());
    }

    /** Draws a box with a name and, below it, a note of as many lines as it takes; returns its height. */
    int box(int x, int y, int width, int height, String style, String name, String note) {
        rectangle(x, y, width, height, style);
        text(x + 10, y + 20, "name", name);
        int at = y + 20;
        for (String line : note.isEmpty() ? List.<String>of() : lines(note, width - 20)) {
            at += LINE_HEIGHT;
            text(x + 10, at, "note", line);
        }
        return height;
    }

    void rectangle(int x, int y, int width, int height, String style) {
        add("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\" class=\"%s\"/>", x, y, width, height, style);
    }

    void text(int x, int y, String style, String text) {
        add("<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>", x, y, style, escape(text));
    }

    void centred(int x, int y, String style, String text) {
        add("<text x=\"%d\" y=\"%d\" class=\"%s\" text-anchor=\"middle\">%s</text>", x, y, style, escape(text));
    }

    /** Draws an arrow from one point to another. */
    void arrow(int fromX, int fromY, int toX, int toY, boolean dashed) {
        add(
                "<path d=\"M%d %d L%d %d\" class=\"line%s\" marker-end=\"url(#head)\"/>",
                fromX, fromY, toX, toY, dashed ? " dashed" : "");
    }

    /** Returns the picture. */
    String toSvg(int height) {
        return String.format(Locale.ROOT, """
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %1$d %2$d" width="%1$d" height="%2$d" role="img" \
                aria-labelledby="title">
                <title id="title">%3$s</title>
                %4$s<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" \
                orient="auto"><path d="M0 0 L8 4 L0 8 z" class="head"/></marker></defs>
                <text x="20" y="30" class="title">%3$s</text>
                %5$s</svg>
                """, width, height, escape(title), STYLE, body);
    }

    private void add(String format, Object... values) {
        body.append(String.format(Locale.ROOT, format, values)).append('\n');
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }
}
