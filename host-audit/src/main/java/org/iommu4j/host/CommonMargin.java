// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.List;

/** Removes the blanks and marks that all lines of a paragraph begin with: indented code, lists, comments. */
final class CommonMargin {
    /** No bracket: a kernel's time stamps are in brackets, and a tool's tags. */
    private static final String MARKS = " \t>|:#*%;!+=~-\u00b7\u2022\u2502\u2503\u258c\u00bb";

    private CommonMargin() {}

    /** Returns the lines without what they have in common; a line that is shorter than that is empty. */
    static List<String> removed(List<String> lines) {
        if (lines.size() < 2) {
            return lines;
        }
        String first = "";
        int common = -1;
        for (String line : lines) {
            int margin = margin(line);
            if (margin == line.length()) {
                continue; // marks alone, as before an empty line
            }
            if (common < 0) {
                first = line;
                common = margin;
            }
            common = Math.min(common, margin);
            for (int i = 0; i < common; i++) {
                if (line.charAt(i) != first.charAt(i)) {
                    common = i;
                }
            }
        }
        if (common <= 0) {
            return lines;
        }
        String prefix = first.substring(0, common);
        List<String> plain = new ArrayList<>(lines.size());
        for (String line : lines) {
            if (line.startsWith(prefix)) {
                plain.add(line.substring(common));
            } else {
                plain.add(prefix.startsWith(line.stripTrailing()) ? "" : line);
            }
        }
        return plain;
    }

    private static int margin(String line) {
        int at = 0;
        while (at < line.length() && MARKS.indexOf(line.charAt(at)) >= 0) {
            at++;
        }
        return at;
    }
}
