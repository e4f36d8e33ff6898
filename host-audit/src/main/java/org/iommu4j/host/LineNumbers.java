// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Finds and removes the numbers that {@code cat -n}, {@code nl}, {@code grep -n}, {@code less -N} and editors put
 * before lines.
 *
 * <p>A number by itself may be an address or an offset. It counts as a line's number where the lines around go on
 * counting: by one, or in any steps where all lines of a paragraph have a colon or a dash behind it, as grep prints.
 */
final class LineNumbers {
    private static final int SURE = 3;
    private static final Pattern NUMBER =
            Pattern.compile("\\s{0,12}[#L]?(\\d{1,7})(?:([:-])|([.|)\\u2502\\u2192])(?=\\s|$)|(?=\\s|$))");
    private static final Pattern OFFSET = Pattern.compile(" ?(?:0x)?[0-9A-Fa-f]{2}(?:\\s.*)?");

    private int last = -1;

    /** A number, and where the line goes on behind it. */
    private record Numbered(int number, String mark, int end) {
        private boolean isBefore(@Nullable Numbered next) {
            return next != null && next.number == number + 1 && next.mark.equals(mark);
        }

        private boolean isOfGrep() {
            return mark.equals(":") || mark.equals("-");
        }
    }

    /** Returns the lines of a paragraph without their numbers. */
    List<String> removed(List<String> lines) {
        List<@Nullable Numbered> numbers = new ArrayList<>(lines.size());
        boolean any = false;
        for (String line : lines) {
            Numbered number = of(line);
            numbers.add(number);
            any |= number != null;
        }
        if (!any) {
            return lines;
        }
        boolean grep = isOfGrep(numbers);
        List<String> plain = new ArrayList<>(lines.size());
        int at = 0;
        while (at < lines.size()) {
            Numbered first = numbers.get(at);
            int end = at + 1;
            while (first != null && end < lines.size() && isNext(numbers.get(end - 1), numbers.get(end))) {
                end++;
            }
            boolean counted = first != null
                    && (grep || first.number == last + 1 || end - at >= SURE || (end - at == lines.size() && end > 1));
            for (; at < end; at++) {
                Numbered number = numbers.get(at);
                boolean removed = counted && number != null;
                plain.add(removed ? lines.get(at).substring(number.end) : lines.get(at));
                last = removed ? number.number : last;
            }
        }
        return plain;
    }

    private static boolean isNext(@Nullable Numbered number, @Nullable Numbered next) {
        return number != null && number.isBefore(next);
    }

    private static boolean isOfGrep(List<@Nullable Numbered> numbers) {
        int before = -1;
        for (Numbered number : numbers) {
            if (number == null || !number.isOfGrep() || number.number <= before) {
                return false;
            }
            before = number.number;
        }
        return numbers.size() > 1;
    }

    private static @Nullable Numbered of(String line) {
        if (line.isEmpty() || (line.charAt(0) > '9' && line.charAt(0) != 'L')) {
            return null;
        }
        Matcher number = NUMBER.matcher(line);
        if (!number.lookingAt()
                || LspciTitle.ADDRESS.matcher(line.stripLeading()).lookingAt()) {
            return null;
        }
        String mark = number.group(2) != null ? number.group(2) : number.group(3) != null ? number.group(3) : "";
        if (mark.equals(":") && OFFSET.matcher(line.substring(number.end())).matches()) {
            return null;
        }
        return new Numbered(Integer.parseInt(number.group(1)), mark, number.end());
    }
}
