// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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

    private TextLines() {}

    /**
     * Reads a whole file.
     *
     * @throws InputException when it can't be read or is longer than {@value #MAX_BYTES} bytes
     */
    static byte[] bytes(Path file) {
        if (!Files.isRegularFile(file) && !isPipe(file)) {
            throw new InputException(file + (Files.exists(file) ? ": is no regular file" : ": no such file"));
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_BYTES + 1);
            if (bytes.length > MAX_BYTES) {
                throw new InputException(file + ": is too big, expected at most " + (MAX_BYTES >> 20) + " MiB");
            }
            return bytes;
        } catch (IOException e) {
            throw new InputException(file + ": can't be read (" + CaptureFiles.reason(e) + ")", e);
        }
    }

    /** {@code <(lspci -vvv)} of a shell. */
    private static boolean isPipe(Path file) {
        return file.startsWith("/dev/fd") || file.startsWith("/proc/self/fd");
    }

    /** Returns whether bytes look like text: no NUL in the first 4 KiB. */
    static boolean isText(byte[] bytes) {
        for (int i = 0; i < Math.min(bytes.length, 4096); i++) {
            if (bytes[i] == 0) {
                return false;
            }
        }
        return bytes.length > 0;
    }

    /** Returns the lines of a text, printable; no more than {@value #MAX_LINES}. */
    static List<String> of(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8)
                .lines()
                .limit(MAX_LINES)
                .map(TextLines::printable)
                .toList();
    }

    /**
     * Returns the lines of a text, printable.
     *
     * @throws InputException when there are more than {@value #MAX_LINES}
     */
    static List<String> of(byte[] bytes, String source) {
        List<String> lines = of(bytes);
        if (lines.size() == MAX_LINES) {
            throw new InputException(source + ": has too many lines, expected fewer than " + MAX_LINES);
        }
        return lines;
    }

    /** Returns where the line that begins at a place ends: at a line feed, a carriage return, or with the text. */
    static int end(byte[] text, int from) {
        int to = from;
        while (to < text.length && text[to] != '\n' && text[to] != '\r') {
            to++;
        }
        return to;
    }

    /** Returns a line of a text, printable. */
    static String line(byte[] text, int from, int to) {
        int looked = Math.min(to - from, MAX_LINE * MAX_BYTES_OF_CHARACTER);
        return printable(new String(text, from, looked, StandardCharsets.UTF_8));
    }

    /** Returns a line cut to what is looked at, with control characters other than tabs as '?'. */
    static String printable(String line) {
        String cut = line.length() > MAX_LINE ? line.substring(0, MAX_LINE) : line;
        for (int i = 0; i < cut.length(); i++) {
            if (isControl(cut.charAt(i))) {
                StringBuilder clean = new StringBuilder(cut);
                for (int k = i; k < clean.length(); k++) {
                    if (isControl(clean.charAt(k))) {
                        clean.setCharAt(k, '?');
                    }
                }
                return clean.toString();
            }
        }
        return cut;
    }

    private static boolean isControl(char c) {
        return c != '\t' && (Character.isISOControl(c) || Character.getType(c) == Character.FORMAT);
    }
}
