// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.host.Printable;

/**
 * Breaks sentences of a report between words, so that they fit into a width.
 *
 * <p>What is there to be pasted is never broken and never cut: a command that settles a question, and an option of
 * {@code vfio-pci}. One that is too long stands in a line of its own. Any other word that is too long is cut.
 */
public final class Prose {
    private static final int LEAST_INDENT = 4;
    private static final String OPTION = "vfio-pci.ids=";

    private final StringBuilder text;
    private final String indent;
    private final int width;
    private int column;
    private boolean begun;

    private Prose(String start, int width) {
        text = new StringBuilder(Printable.line(start));
        indent = " ".repeat(Math.max(LEAST_INDENT, Math.min(start.length(), width / 2)));
        this.width = width;
        column = text.length();
    }

    /**
     * Returns a sentence in lines, and a command that settles it as one piece.
     *
     * @param start what the first line begins with; the other lines are indented as far
     * @param width the most columns of a line, 40 or more
     */
    public static String wrap(String start, String words, int width) {
        Objects.requireNonNull(start, "start");
        String line = Printable.line(words);
        int command = line.indexOf(Headline.SETTLE);
        int end = command < 0 ? line.length() : command + Headline.SETTLE.length();
        return wrap(start, line.substring(0, end), line.substring(end), width);
    }

    /**
     * Returns words in lines, and behind them a piece that stays whole.
     *
     * @param start what the first line begins with; the other lines are indented as far
     * @param whole what is not broken, empty for nothing
     * @param width the most columns of a line, 40 or more
     */
    public static String wrap(String start, String words, String whole, int width) {
        Objects.requireNonNull(whole, "whole");
        Prose prose = new Prose(start, width);
        List<String> parts =
                new ArrayList<>(List.of(Printable.line(words).strip().split(" +", -1)));
        parts.forEach(word -> prose.add(word, word.startsWith(OPTION)));
        prose.add(Printable.line(whole), true);
        return prose.text.toString();
    }

    private void add(String word, boolean whole) {
        if (word.isEmpty()) {
            return;
        }
        if (column + (begun ? 1 : 0) + word.length() > width && (begun || column > indent.length())) {
            text.append('\n').append(indent);
            column = indent.length();
            begun = false;
        }
        String fitting = whole ? word : Printable.cut(word, width - column - (begun ? 1 : 0));
        text.append(begun ? " " : "").append(fitting);
        column += fitting.length() + (begun ? 1 : 0);
        begun = true;
    }
}
