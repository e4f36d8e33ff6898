// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One line of a transcript: a call with its arguments, an arrow, what it returned, its errno and what it wrote, such as
 * {@code UNMAP again iova=0x200000 size=0x1000 -> -1 EINVAL size_out=0x1000}.
 *
 * @param number its number in the file, from 1
 * @param text the line, without trailing blanks
 */
public record TranscriptLine(int number, String text) {
    private static final String ARROW = " -> ";
    private static final Pattern FIELD = Pattern.compile("(?:^|\\s)([A-Za-z_]\\w*)=(\\S+)");

    /** Returns the call and its arguments, or the whole line where nothing was returned. */
    public String call() {
        int arrow = text.indexOf(ARROW);
        return (arrow < 0 ? text : text.substring(0, arrow)).strip();
    }

    /** Returns what was returned, with its errno and outputs; empty where nothing was. */
    public String answer() {
        int arrow = text.indexOf(ARROW);
        return arrow < 0 ? "" : text.substring(arrow + ARROW.length()).strip();
    }

    /** Returns the name of the error, such as {@code EINVAL}; empty where the call succeeded or the line has none. */
    public Optional<String> errno() {
        Matcher failed = Pattern.compile("^(?:-1 )?(E[A-Z0-9]+)\\b").matcher(answer());
        return failed.find() ? Optional.of(failed.group(1)) : Optional.empty();
    }

    /** Returns a field {@code name=value}, an argument or an output; the names of one line differ. */
    public Optional<String> field(String name) {
        Matcher field = FIELD.matcher(text);
        while (field.find()) {
            if (field.group(1).equals(name)) {
                return Optional.of(field.group(2));
            }
        }
        return Optional.empty();
    }

    /**
     * Returns a field's number, decimal or, after {@code 0x}, hexadecimal; unsigned 64 bits.
     *
     * @throws AssertionError where the line has no such field, or it is no number
     */
    public long number(String name) {
        String value = field(name).orElseThrow(() -> new AssertionError("no field " + name + " in: " + this));
        try {
            return value.startsWith("0x")
                    ? Long.parseUnsignedLong(value.substring(2), 16)
                    : Long.parseUnsignedLong(value);
        } catch (NumberFormatException e) {
            throw new AssertionError("field " + name + " is no number in: " + this, e);
        }
    }

    @Override
    public String toString() {
        return number + ": " + text;
    }
}
