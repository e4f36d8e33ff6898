// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongSupplier;
import org.iommu4j.IommuException;

/** What a program prints here, line by line, and how that compares with what it printed in a guest. */
final class Replay {
    /**
     * A line.
     *
     * @param text what is printed here
     * @param outside what it is about that has no model; empty where all of it must be the guest's
     */
    private record Line(String text, String outside) {}

    private final List<Line> lines = new ArrayList<>();

    /** Prints a line, as C's printf does. */
    void print(String format, Object... arguments) {
        lines.add(new Line(String.format(Locale.ROOT, format, arguments).stripTrailing(), ""));
    }

    /** Prints a line of which only what was called is compared: its answer is about something that has no model. */
    void printOutside(String what, String text) {
        lines.add(new Line(text, what));
    }

    /** A result of a call, as the program prints it. */
    record Answer(long value, String errno) {
        boolean succeeded() {
            return errno.equals("0");
        }
    }

    /** Calls, and returns what was returned: -1 and the errno's name where it was refused. */
    static Answer call(LongSupplier call) {
        try {
            return new Answer(call.getAsLong(), "0");
        } catch (IommuException refusal) {
            return new Answer(-1, refusal.errno().name());
        }
    }

    /** Calls what returns nothing. */
    static Answer call(Runnable call) {
        return call(() -> {
            call.run();
            return 0;
        });
    }

    /** Returns a number as C prints it with {@code %#llx}. */
    static String hex(long number) {
        return number == 0 ? "0" : "0x" + Long.toHexString(number);
    }

    /**
     * How a replay compares with its transcript.
     *
     * @param compared how many lines were compared
     * @param outside how many were not, by what they are about
     * @param different the lines that differ, with what is printed here
     */
    record Comparison(int compared, Map<String, Integer> outside, List<String> different) {
        @Override
        public String toString() {
            return compared + " lines compared, " + different.size() + " different, not compared " + outside;
        }
    }

    /** Compares with all lines of a transcript but the emulator's messages. */
    Comparison compare(Transcript transcript) {
        Map<String, Integer> outside = new TreeMap<>();
        List<String> different = new ArrayList<>();
        int compared = 0;
        int next = 0;
        for (TranscriptLine line : transcript.lines()) {
            if (line.text().startsWith("qemu-system")) {
                outside.merge("the emulator's messages", 1, Integer::sum);
                continue;
            }
            if (next == lines.size()) {
                different.add(line + " | nothing is printed here");
                break;
            }
            Line here = lines.get(next++);
            if (here.outside.isEmpty()) {
                compared++;
                if (!here.text.equals(line.text())) {
                    different.add(line + " | " + here.text);
                }
            } else {
                outside.merge(here.outside, 1, Integer::sum);
                if (!line.text().strip().startsWith(here.text)) {
                    different.add(line + " | " + here.text);
                }
            }
        }
        for (; next < lines.size(); next++) {
            different.add("only here: " + lines.get(next).text);
        }
        return new Comparison(compared, outside, different);
    }
}
