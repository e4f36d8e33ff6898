// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * A kernel's lines beside ours.
 *
 * @param equal how many lines of calls are the same, to the last field
 * @param titles how many titles, and lines of the program's own, are the same
 * @param outside lines that are outside of the model, by their names
 * @param differences lines that differ, each with both sides
 */
record Comparison(int equal, int titles, List<String> outside, List<String> differences) {
    /** A kind of line that is not compared, and why. */
    record Outside(String name, Predicate<TranscriptLine> lines) {}

    /** Messages of QEMU and of the host side, which are no answers. */
    private static boolean isNoise(TranscriptLine line) {
        return line.text().startsWith("qemu-system") || line.text().startsWith("[ecap read from the unit");
    }

    private static boolean isTitle(TranscriptLine line) {
        return line.answer().isEmpty()
                && (line.text().matches("(==|--|\\[|\\().*") || line.text().endsWith("-DONE"));
    }

    /** Compares line by line: each line of a transcript has one of the program, in order. */
    static Comparison of(List<TranscriptLine> transcript, List<String> ours, List<Outside> kinds) {
        List<TranscriptLine> theirs =
                transcript.stream().filter(line -> !isNoise(line)).toList();
        int equal = 0;
        int titles = 0;
        List<String> outside = new ArrayList<>();
        List<String> differences = new ArrayList<>();
        int next = 0;
        for (TranscriptLine line : theirs) {
            String kind = kinds.stream()
                    .filter(each -> each.lines().test(line))
                    .map(Outside::name)
                    .findFirst()
                    .orElse(null);
            String our = next < ours.size() ? ours.get(next).stripTrailing() : "(nothing)";
            next++;
            if (kind != null) {
                outside.add(kind);
            } else if (!our.equals(line.text())) {
                differences.add("line " + line.number() + "\n  kernel: " + line.text() + "\n  ours:   " + our);
            } else if (isTitle(line)) {
                titles++;
            } else {
                equal++;
            }
        }
        if (next < ours.size()) {
            differences.add((ours.size() - next) + " more lines of ours, from: " + ours.get(next));
        }
        return new Comparison(equal, titles, outside, differences);
    }

    @Override
    public String toString() {
        return equal + " answers equal and " + titles + " titles, " + differences.size() + " differ, " + outside.size()
                + " outside of the model"
                + (outside.isEmpty() ? "" : " " + outside.stream().distinct().toList());
    }
}
