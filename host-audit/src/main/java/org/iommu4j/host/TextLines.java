// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Reads files that somebody else wrote: never more than a stated size, and no control character gets to a terminal. */
final class TextLines {
    /** Bytes of a text or a table; longer files are refused. */
    static final int MAX_BYTES = 32 << 20;

    /** Characters of a line that are looked at; the rest of a longer one is dropped. */
    static final int MAX_LINE = 8_192;

    /** Lines of a text; a text of as many is refused. */
    static final int MAX_LINES = 1_000_000;

    /** Of UTF-8. */
    private static final int MAX_BYTES_OF_CHARACTER = 4;

    /** In place of a character that is left out. */
    private static final int INVISIBLE = -1;

    private static final int FILE_TYPE = 0170000;
    private static final int PIPE = 0010000;

    private TextLines() {}

    /**
     * Reads a whole file.
     *
     * @throws InputException when it has no contents that can be read or is longer than {@value #MAX_BYTES} bytes
     */
    static byte[] bytes(Path file) {
        requireContents(file);
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_BYTES + 1);
            if (bytes.length > MAX_BYTES) {
                String message = file + ": is too big, expected at most " + (MAX_BYTES >> 20) + " MiB";
                throw isText(bytes) ? new InputException(message) : new UnknownInputException(message);
            }
            return bytes;
        } catch (IOException e) {
            throw new InputException(file + ": can't be read (" + InputException.reason(e) + ")", e);
        }
    }

    /**
     * Refuses what may keep its reader waiting: named pipes, devices, and what the kernel makes up as it is read, such
     * as {@code /proc/kmsg}, of which it does not know the size.
     *
     * @throws InputException when there is no such file, it is no regular one and no pipe of a shell, or it has no
     *     contents
     */
    static void requireContents(Path file) {
        if (Files.isRegularFile(file)) {
            try {
                if (Files.size(file) == 0) {
                    throw new UnknownInputException(file
                            + ": is empty, or made up by the kernel as it is read; expected a file with contents, "
                            + "such as a"
                            + " copy");
                }
            } catch (IOException e) {
                throw new InputException(file + ": can't be read (" + InputException.reason(e) + ")", e);
            }
        } else if (!isPipeOfShell(file)) {
            throw new InputException(file
                    + (Files.isDirectory(file)
                            ? ": is a directory, expected a file"
                            : Files.exists(file) ? ": is no regular file, expected one" : ": no such file"));
        }
    }

    /** {@code <(lspci -vvv)} of a shell, or what a pipe brings to {@code /dev/stdin}; not a terminal. */
    private static boolean isPipeOfShell(Path file) {
        if (!file.startsWith("/dev/fd") && !file.startsWith("/proc/self/fd") && !file.equals(Path.of("/dev/stdin"))) {
            return false;
        }
        try {
            return Files.getAttribute(file, "unix:mode") instanceof Integer mode && (mode & FILE_TYPE) == PIPE;
        } catch (IOException | UnsupportedOperationException e) {
            return false;
        }
    }

    /** Returns whether bytes look like text: no NUL in the first 4 KiB of characters. */
    static boolean isText(byte[] bytes) {
        byte[] text = utf8(bytes);
        for (int i = 0; i < Math.min(text.length, 4096); i++) {
            if (text[i] == 0) {
                return false;
            }
        }
        return text.length > 0;
    }

    /** Returns text in UTF-8. Windows writes UTF-16, with a byte order mark before it. */
    private static byte[] utf8(byte[] bytes) {
        boolean utf16 = bytes.length > 1
                && ((bytes[0] == (byte) 0xff && bytes[1] == (byte) 0xfe)
                        || (bytes[0] == (byte) 0xfe && bytes[1] == (byte) 0xff));
        return utf16 ? new String(bytes, StandardCharsets.UTF_16).getBytes(StandardCharsets.UTF_8) : bytes;
    }

    /** Returns a whole text without a byte order mark and surrounding white space. */
    static String text(byte[] bytes) {
        String text = new String(utf8(bytes), StandardCharsets.UTF_8);
        return (text.startsWith("\ufeff") ? text.substring(1) : text).strip();
    }

    /** Returns the lines of a text, readable; no more than {@value #MAX_LINES}. */
    static List<String> of(byte[] bytes) {
        List<String> lines = new ArrayList<>();
        Cursor cursor = new Cursor(bytes);
        while (lines.size() < MAX_LINES && cursor.next()) {
            lines.add(cursor.line());
        }
        return lines;
    }

    /**
     * Returns the lines of a text, readable.
     *
     * @throws InputException when there are {@value #MAX_LINES} or more
     */
    static List<String> of(byte[] bytes, String source) {
        List<String> lines = of(bytes);
        if (lines.size() == MAX_LINES) {
            throw new InputException(source + ": has too many lines, expected fewer than " + MAX_LINES);
        }
        return lines;
    }

    /**
     * Goes through a text line by line, wherever one may end: at a line feed, a carriage return or both; at a vertical
     * tab or a form feed; at U+0085, U+2028 or U+2029.
     *
     * <p>An empty line is between two line feeds. What other characters leave empty, such as a form feed at the start
     * of a page, is none. Source: Unicode Standard Annex 14, mandatory breaks.
     */
    static final class Cursor {
        private final byte[] text;
        private int at;
        private boolean afterLineFeed = true;
        private int from;
        private int to;

        Cursor(byte[] bytes) {
            text = utf8(bytes);
        }

        /** Goes to the next line; false when there is none. */
        boolean next() {
            while (at < text.length) {
                from = at;
                int end = at;
                int ending = 0;
                while (end < text.length) {
                    ending = ending(end);
                    if (ending > 0) {
                        break;
                    }
                    end++;
                }
                to = end;
                at = end + Math.max(1, ending);
                boolean lineFeed = ending > 0 && text[at - 1] == '\n';
                boolean emptyLine = afterLineFeed && lineFeed;
                afterLineFeed = lineFeed;
                if (to > from || emptyLine) {
                    return true;
                }
            }
            return false;
        }

        /** Returns how many bytes at a place end a line. */
        private int ending(int place) {
            byte first = text[place];
            if (first > '\r') {
                return 0;
            }
            if (first >= '\n') {
                return first == '\r' && isAt(place + 1, '\n') ? 2 : 1;
            }
            if (first == (byte) 0xc2) {
                return isAt(place + 1, 0x85) ? 2 : 0;
            }
            return first == (byte) 0xe2 && isAt(place + 1, 0x80) && (isAt(place + 2, 0xa8) || isAt(place + 2, 0xa9))
                    ? 3
                    : 0;
        }

        private boolean isAt(int place, int value) {
            return place < text.length && (text[place] & 0xff) == value;
        }

        /** Returns the words of a filter that are in the line. */
        long words(WordFilter filter) {
            return filter.in(text, from, to);
        }

        /** Returns the line, readable. */
        String line() {
            int looked = Math.min(to - from, MAX_LINE * MAX_BYTES_OF_CHARACTER);
            return readable(new String(text, from, looked, StandardCharsets.UTF_8));
        }
    }

    /** Returns a line cut to what is looked at, with all blanks as such and without invisible characters, printable. */
    private static String readable(String line) {
        for (int i = 0; i < line.length(); i++) {
            if (line.charAt(i) >= 0x7f) {
                StringBuilder plain = new StringBuilder();
                line.chars().map(TextLines::plain).filter(c -> c != INVISIBLE).forEach(c -> plain.append((char) c));
                return printable(plain.toString());
            }
        }
        return printable(line);
    }

    private static int plain(int c) {
        return switch (Character.getType(c)) {
            case Character.SPACE_SEPARATOR -> ' ';
            case Character.FORMAT -> INVISIBLE;
            default -> c;
        };
    }

    /** Returns a line cut to what is looked at, printable; tabs stay. */
    static String printable(String line) {
        return cut(Printable.tabbed(cut(line)));
    }

    private static String cut(String line) {
        return line.length() > MAX_LINE ? line.substring(0, MAX_LINE) : line;
    }
}
