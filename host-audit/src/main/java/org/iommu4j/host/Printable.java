// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/**
 * Makes text printable: characters that a terminal would obey, or a reader would not see, are written as in Java and
 * JSON, for example {@code \u001b}.
 *
 * <p>Escaped are control characters (C0, DEL, C1), format characters (among them those that turn the direction of text,
 * and those without width), line and paragraph separators, halves of surrogate pairs, and code points that Unicode
 * gives no character.
 */
public final class Printable {
    private static final String DIGITS = "0123456789abcdef";

    private Printable() {}

    /** Returns a text as one line: line feeds and tabs are escaped too. Printable text comes back as it is. */
    public static String line(String text) {
        return escaped(text, false);
    }

    /** Returns a text as one line with its tabs, which separate fields of some inputs. */
    static String tabbed(String text) {
        return escaped(text, true);
    }

    private static String escaped(String text, boolean tabs) {
        int length = text.length();
        for (int i = 0; i < length; ) {
            int codePoint = text.codePointAt(i);
            if (!stays(codePoint, tabs)) {
                return escaped(text, i, tabs);
            }
            i += Character.charCount(codePoint);
        }
        return text;
    }

    private static String escaped(String text, int from, boolean tabs) {
        StringBuilder line = new StringBuilder(text.length() + 16).append(text, 0, from);
        for (int i = from; i < text.length(); ) {
            int codePoint = text.codePointAt(i);
            if (stays(codePoint, tabs)) {
                line.appendCodePoint(codePoint);
            } else {
                line.append(escape(codePoint));
            }
            i += Character.charCount(codePoint);
        }
        return line.toString();
    }

    private static boolean stays(int codePoint, boolean tabs) {
        return isPrintable(codePoint) || (tabs && codePoint == '\t');
    }

    /** Returns a text of at most a width, 2 or more; the end of a longer one is two dots. */
    public static String cut(String text, int width) {
        return text.length() <= width ? text : text.substring(0, width - 2) + "..";
    }

    /** Returns whether a code point is shown as one character, and does nothing else. */
    public static boolean isPrintable(int codePoint) {
        if (codePoint >= ' ' && codePoint < 0x7f) {
            return true;
        }
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> false;
            default -> true;
        };
    }

    /** Returns a code point as one or two escapes of UTF-16. */
    public static String escape(int codePoint) {
        StringBuilder escape = new StringBuilder();
        for (char unit : Character.toChars(codePoint)) {
            escape.append("\\u");
            for (int shift = 12; shift >= 0; shift -= 4) {
                escape.append(DIGITS.charAt(unit >> shift & 15));
            }
        }
        return escape.toString();
    }
}
