// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Joins lines that mail or a terminal folded at a width.
 *
 * <p>A line goes on in the next where that begins nothing known, and either the first word there would not have fitted,
 * or the line lacks what lines of its kind end with. Terminals fold at the last column, within words; mail folds
 * between words.
 */
final class FoldedLines {
    /** Text is folded at 66 columns or more, and at few more than 132. */
    private static final int LEAST_WIDTH = 60;

    private static final int GREATEST_WIDTH = 140;
    private static final int LEAST_TERMINAL = 80;
    private static final int TAB = 8;
    private static final int MAX_TITLE = 400;

    /** A line and its kind. */
    record Entry(String text, PrintedLine kind) {
        private static final Entry NONE = new Entry("", PrintedLine.EMPTY);

        static Entry of(String text) {
            return new Entry(text, PrintedLine.of(text));
        }
    }

    private static final String UNIT = "reg_base_addr";
    private static final Pattern LAST_OF_UNIT = Pattern.compile("\\becap [0-9a-f]");
    private static final String FEATURES = "Extended features (";

    /** How a device's joining of a group ends where it is cut. */
    private static final Pattern CUT_JOIN = Pattern.compile("(?:: Adding(?: to(?: iommu(?: group)?)?)?"
            + "|iommu: Adding device(?: \\S{7,12}(?: to(?: group)?)?)?)\\z");

    /** No joining is longer. */
    private static final int MAX_JOIN = 64;

    private static final Pattern ENDS = Pattern.compile(".*\\bto (?:iommu )?group \\d{1,6}\\s*");
    private static final Pattern FLAGS = Pattern.compile("\\s*Flags: .*,(?: IOMMU(?: group)?)?\\s*");

    /** The end of a title that has the code of its class, and the ids with which such a title ends. */
    private static final Pattern CODE = Pattern.compile(".* \\[[0-9a-f]{4}\\]:(?: .*)?");

    private static final Pattern IDS = Pattern.compile(".*\\[[0-9a-f]{4}:[0-9a-f]{4}\\].*");
    private static final Pattern REST_OF_TITLE =
            Pattern.compile(".{0,120}?(?:\\[[0-9a-f]{4}:|[0-9a-f]{0,4}:)?[0-9a-f]{0,4}\\](?: \\(.{0,40})?");
    private static final Pattern WITHIN_IDS = Pattern.compile(".*\\[[0-9a-f]{0,4}(?::[0-9a-f]{0,4})?");
    private static final Pattern REST_OF_IDS = Pattern.compile("(?:[0-9a-f]{0,4}:)?[0-9a-f]{0,4}\\](?: \\(.{0,40})?");

    private static final Pattern BITS = Pattern.compile("(?:[A-Za-z0-9/<>=]{2,16}[+-]\\s*){1,20}");

    private FoldedLines() {}

    /** Returns whether a line of the kernel's drivers is cut before what matters. */
    static boolean lacksItsEnd(String line) {
        int unit = line.lastIndexOf(UNIT);
        int features = line.lastIndexOf(FEATURES);
        return (unit >= 0 && !LAST_OF_UNIT.matcher(line).find(unit))
                || (features >= 0 && line.indexOf(')', features) < 0)
                || CUT_JOIN.matcher(line.substring(Math.max(0, line.length() - MAX_JOIN)))
                        .find();
    }

    /** Returns the lines of a paragraph, with those that were folded as one. */
    static List<Entry> joined(List<Entry> lines) {
        int width = 0;
        boolean any = false;
        for (Entry line : lines) {
            width = Math.max(width, columns(line.text().stripTrailing()));
            any |= line.kind() == PrintedLine.TEXT
                    || line.kind() == PrintedLine.HEADING
                    || line.kind() == PrintedLine.TITLE;
        }
        if (!any) {
            return lines;
        }
        boolean folded = width >= LEAST_WIDTH && width <= GREATEST_WIDTH;
        boolean withinWords = width >= LEAST_TERMINAL && folded && width % 10 == 0 && !foldsBetweenWords(lines, width);
        List<Entry> joined = new ArrayList<>(lines.size());
        Entry before = Entry.NONE;
        int columns = 0;
        for (Entry line : lines) {
            if (goesOn(before, line, folded && !fits(columns, line.text(), width))) {
                boolean word = withinWords && columns == width && line.text().charAt(0) != ' ';
                String rest = line.text().strip();
                before = new Entry(
                        before.text().stripTrailing() + (word || isCutWithinIds(before.text(), rest) ? "" : " ") + rest,
                        before.kind());
                joined.set(joined.size() - 1, before);
            } else {
                joined.add(line);
                before = line;
            }
            columns = columns(line.text().stripTrailing());
        }
        return joined;
    }

    private static boolean foldsBetweenWords(List<Entry> lines, int width) {
        Entry before = Entry.NONE;
        int columns = 0;
        for (Entry line : lines) {
            boolean goesOn = goesOn(before, line, !fits(columns, line.text(), width));
            if (goesOn && columns < width - 1) {
                return true;
            }
            before = goesOn ? before : line;
            columns = columns(line.text().stripTrailing());
        }
        return false;
    }

    private static boolean goesOn(Entry before, Entry next, boolean wouldNotFit) {
        boolean text = next.kind() == PrintedLine.TEXT;
        if (isRestOfTitle(before, next)) {
            return true;
        }
        if (!canBeFolded(before.kind()) || (!text && next.kind() != PrintedLine.HEADING)) {
            return false;
        }
        String cut = before.text();
        if (before.kind() == PrintedLine.DETAIL && FLAGS.matcher(cut).matches()) {
            return true;
        }
        String rest = next.text();
        boolean ofLspci = before.kind() == PrintedLine.TITLE || before.kind() == PrintedLine.DETAIL;
        boolean detail = ofLspci && (rest.startsWith("  ") || rest.startsWith("\t"));
        if (!text || detail || ENDS.matcher(cut).matches()) {
            return false;
        }
        return wouldNotFit
                || lacksItsEnd(cut)
                || (before.kind() == PrintedLine.DETAIL && BITS.matcher(rest).matches());
    }

    /** Returns whether a title lacks its ids, and they are what a line that begins nothing else ends with. */
    private static boolean isRestOfTitle(Entry before, Entry next) {
        boolean title = before.kind() == PrintedLine.TITLE || before.kind() == PrintedLine.HEADING;
        boolean rest = next.kind() == PrintedLine.TEXT || next.kind() == PrintedLine.OTHER_BEGINNING;
        if (!title
                || !rest
                || before.text().length() > MAX_TITLE
                || next.text().length() > MAX_TITLE
                || LspciTitle.hasAddress(next.text())) {
            return false;
        }
        return CODE.matcher(before.text()).matches()
                && !IDS.matcher(before.text()).matches()
                && REST_OF_TITLE.matcher(next.text().strip()).matches();
    }

    private static boolean isCutWithinIds(String title, String rest) {
        return title.length() <= MAX_TITLE
                && CODE.matcher(title).matches()
                && WITHIN_IDS.matcher(title).matches()
                && REST_OF_IDS.matcher(rest).matches();
    }

    private static boolean canBeFolded(PrintedLine kind) {
        return switch (kind) {
            case STAMPED, TITLE, DETAIL, HEADING, OTHER_BEGINNING -> true;
            default -> false;
        };
    }

    /** Returns whether the first word of a line would have fitted into the line before. */
    private static boolean fits(int columnsBefore, String line, int width) {
        String words = line.stripLeading();
        int end = 0;
        while (end < words.length() && !Character.isWhitespace(words.charAt(end))) {
            end++;
        }
        return columnsBefore + 1 + end <= width;
    }

    private static int columns(String line) {
        int columns = 0;
        for (int i = 0; i < line.length(); i++) {
            columns = line.charAt(i) == '\t' ? (columns / TAB + 1) * TAB : columns + 1;
        }
        return columns;
    }
}
