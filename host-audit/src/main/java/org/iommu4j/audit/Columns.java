// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.iommu4j.host.Printable;

/**
 * Lays rows out in aligned columns.
 *
 * <p>Where a table is too wide, cells are folded between words, in the widest columns first. What does not fit into the
 * lines of a row is cut.
 */
public final class Columns {
    private static final String INDENT = "  ";
    private static final int LAST_AT_LEAST = 8;
    private static final int FOLDED_AT_LEAST = 16;

    private final List<String[]> rows;
    private final int lines;
    private final int[] widths;
    private final int[] words;

    private Columns(List<String[]> rows, int lines) {
        this.rows = rows;
        this.lines = lines;
        widths = new int[rows.get(0).length];
        words = new int[widths.length];
    }

    /**
     * Returns the lines of each row.
     *
     * @param rows cells of printable text, the headers first; all have as many
     * @param width the most columns of a line
     * @param lines the most lines of a row; a cell is folded only where that is more than 1
     */
    public static List<List<String>> of(List<String[]> rows, int width, int lines) {
        Objects.requireNonNull(rows, "rows");
        Columns columns = new Columns(rows, lines);
        columns.measure(width);
        return rows.stream().map(columns::lines).toList();
    }

    /** Narrows columns that can be folded, then any between the first and the last; the last gets what is left. */
    private void measure(int width) {
        for (String[] row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
                for (String word : lines == 1 ? new String[] {row[i]} : row[i].split(" ")) {
                    words[i] = Math.max(words[i], word.length());
                }
            }
        }
        int last = widths.length - 1;
        int most = widths[last];
        widths[last] = Math.min(lines == 1 ? LAST_AT_LEAST : FOLDED_AT_LEAST, most);
        int free = width - INDENT.length() - 2 * last - IntStream.of(widths).sum();
        for (; free < 0; free++) {
            widths[widest(last)]--;
        }
        widths[last] = Math.min(most, widths[last] + free);
    }

    private int widest(int last) {
        int widest = 1;
        for (int i = 2; i < last; i++) {
            boolean folds = widths[i] > words[i];
            boolean other = widths[widest] > words[widest];
            if (folds == other ? widths[i] >= widths[widest] : folds) {
                widest = i;
            }
        }
        return widest;
    }

    private List<String> lines(String[] row) {
        List<List<String>> cells = new ArrayList<>();
        for (int i = 0; i < row.length; i++) {
            cells.add(folded(row[i], widths[i]));
        }
        List<String> text = new ArrayList<>();
        for (int at = 0; at < cells.stream().mapToInt(List::size).max().orElse(0); at++) {
            StringBuilder line = new StringBuilder(INDENT);
            for (int i = 0; i < row.length; i++) {
                String cell = at < cells.get(i).size() ? cells.get(i).get(at) : "";
                line.append(i == 0 ? "" : "  ").append(cell).append(" ".repeat(widths[i] - cell.length()));
            }
            text.add(line.toString().stripTrailing());
        }
        return text;
    }

    private List<String> folded(String cell, int most) {
        List<String> folded = new ArrayList<>();
        String rest = cell;
        while (folded.size() < lines - 1 && rest.length() > most) {
            int end = rest.lastIndexOf(' ', most);
            if (end <= 0) {
                break;
            }
            folded.add(rest.substring(0, end));
            rest = rest.substring(end + 1);
        }
        folded.add(Printable.cut(rest, most));
        return folded;
    }
}
