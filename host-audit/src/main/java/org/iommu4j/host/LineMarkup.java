// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.List;
import java.util.regex.Pattern;

/**
 * The markup of forums, wikis and chats that shares a line with text: tags before and behind it, marks on both sides,
 * and line breaks in HTML. A line of markup alone stays: it parts what is around it.
 */
final class LineMarkup {
    private static final String HTML = "(?:pre|code|tt|p|div|span|samp|blockquote|font)";
    private static final String FORUM = "(?:code|quote|pre|spoiler|font|size|color|mono|bash)";
    private static final Pattern OPENING = Pattern.compile(
            "^(?:<" + HTML + "(?:\\s[^>]{0,120})?>|\\[" + FORUM + "(?:=[^\\]]{0,60})?\\])+(?=[^<\\[]|\\[\\s)",
            Pattern.CASE_INSENSITIVE);
    private static final Pattern CLOSING =
            Pattern.compile("(?<=\\S)\\s{0,8}(?:</" + HTML + ">|\\[/" + FORUM + "\\])+\\s*$", Pattern.CASE_INSENSITIVE);
    private static final Pattern BREAK =
            Pattern.compile("\\s{0,8}(?:<|&lt;)br ?/?(?:>|&gt;)", Pattern.CASE_INSENSITIVE);

    /** Marks that stand on both sides of a line, and nowhere within it. */
    private static final List<String> MARKS = List.of("```", "``", "`", "**", "__", "|");

    /** No tool prints a longer line, and what is longer is no paste of one. */
    private static final int MAX_LINE = 4096;

    private LineMarkup() {}

    /** Returns the lines that a line shows where it is rendered. */
    static List<String> removed(String line) {
        if (line.length() > MAX_LINE) {
            return List.of(line);
        }
        if (line.indexOf('<') < 0 && line.indexOf('[') < 0 && line.indexOf('&') < 0) {
            return List.of(unmarked(line));
        }
        return BREAK.splitAsStream(line).map(LineMarkup::withoutTags).toList();
    }

    private static String withoutTags(String line) {
        return unmarked(CLOSING.matcher(OPENING.matcher(line).replaceFirst("")).replaceFirst(""));
    }

    private static String unmarked(String line) {
        String text = line.strip();
        if (text.endsWith("\\") && text.length() > 1) {
            return line.substring(0, line.lastIndexOf('\\')); // a line break of Markdown
        }
        for (String mark : MARKS) {
            int size = mark.length();
            if (text.length() > 2 * size
                    && text.startsWith(mark)
                    && text.endsWith(mark)
                    && text.indexOf(mark, size) == text.length() - size) {
                String inner = text.substring(size, text.length() - size);
                return mark.equals("|") ? inner.stripTrailing().replaceFirst("^ ", "") : inner;
            }
        }
        return line;
    }
}
