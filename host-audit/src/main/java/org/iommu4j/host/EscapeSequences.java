// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.regex.Pattern;

/**
 * The characters by which programs colour and move what a terminal shows, and what is left of them in copied text.
 *
 * <p>Source: ECMA-48 5.3 to 5.6 and 8.3, ECMA-35 13.
 */
final class EscapeSequences {
    private static final char ESCAPE = 0x1b;
    private static final char BELL = 0x07;
    private static final char BACKSPACE = 0x08;
    private static final char SHIFT_OUT = 0x0e;
    private static final char SHIFT_IN = 0x0f;
    private static final char CSI = 0x9b;

    /** The escape character as other programs show it. */
    private static final Pattern SHOWN = Pattern.compile(
            "(?:\\^\\[|\\\\(?:e|x1[bB]|033|u001[bB])|[\\u241b\\u2190\\ufffd])\\[[0-9;:?]{0,24}[A-Za-z]");

    private static final String SHOWN_FIRST = "^\\\u241b\u2190\ufffd";

    /** A colour whose escape character was lost; nothing that tools print in brackets is a number and one letter m. */
    private static final Pattern BARE = Pattern.compile("\\??\\[\\d{1,3}(?:;\\d{1,3}){0,7}m");

    /** The other sequences around such a colour. */
    private static final Pattern BARE_RESET = Pattern.compile("\\??\\[0?[mK](?!\\])");

    private EscapeSequences() {}

    /** Returns a line without them. */
    static String removed(String line) {
        String plain = line;
        for (int i = 0; i < line.length(); i++) {
            if (isControl(line.charAt(i))) {
                plain = obeyed(line);
                break;
            }
        }
        return plain.indexOf('[') < 0 ? plain : remainsRemoved(plain);
    }

    private static boolean isControl(char c) {
        return c == ESCAPE || c == CSI || c == BACKSPACE || c == BELL || c == SHIFT_OUT || c == SHIFT_IN;
    }

    private static String obeyed(String line) {
        StringBuilder plain = new StringBuilder(line.length());
        int at = 0;
        while (at < line.length()) {
            char c = line.charAt(at);
            at++;
            if (c == ESCAPE) {
                at = afterEscape(line, at);
            } else if (c == CSI) {
                at = afterControlSequence(line, at);
            } else if (c == BACKSPACE) {
                // A printer strikes over: what is printed last counts.
                plain.setLength(Math.max(0, plain.length() - 1));
            } else if (!isControl(c)) {
                plain.append(c);
            }
        }
        return plain.toString();
    }

    private static int afterEscape(String line, int at) {
        if (at == line.length()) {
            return at;
        }
        char kind = line.charAt(at);
        return switch (kind) {
            case '[' -> afterControlSequence(line, at + 1);
            case ']', 'P', 'X', '^', '_' -> afterString(line, at + 1);
            default -> {
                int end = skip(line, at, 0x20, 0x2f);
                yield end < line.length() && line.charAt(end) >= 0x30 && line.charAt(end) <= 0x7e ? end + 1 : end;
            }
        };
    }

    /** Parameters, intermediate bytes, and one final byte; where that is missing, what follows is text. */
    private static int afterControlSequence(String line, int at) {
        int end = skip(line, skip(line, at, 0x30, 0x3f), 0x20, 0x2f);
        return end < line.length() && line.charAt(end) >= 0x40 && line.charAt(end) <= 0x7e ? end + 1 : end;
    }

    /** A title or a link: up to a bell or a string terminator; without one it is cut, and the line is text. */
    private static int afterString(String line, int at) {
        for (int end = at; end < line.length(); end++) {
            if (line.charAt(end) == BELL) {
                return end + 1;
            }
            if (line.charAt(end) == ESCAPE) {
                return end + 1 < line.length() && line.charAt(end + 1) == '\\' ? end + 2 : end;
            }
        }
        return at;
    }

    private static int skip(String line, int from, int lowest, int highest) {
        int at = from;
        while (at < line.length() && line.charAt(at) >= lowest && line.charAt(at) <= highest) {
            at++;
        }
        return at;
    }

    private static String remainsRemoved(String line) {
        String plain = mayShow(line) ? SHOWN.matcher(line).replaceAll("") : line;
        String uncoloured = BARE.matcher(plain).replaceAll("");
        return uncoloured.length() == plain.length()
                ? plain
                : BARE_RESET.matcher(uncoloured).replaceAll("");
    }

    /** Most lines have none of the characters that a shown sequence begins with, and a look at them is fast. */
    private static boolean mayShow(String line) {
        return SHOWN_FIRST.chars().anyMatch(c -> line.indexOf(c) >= 0);
    }
}
