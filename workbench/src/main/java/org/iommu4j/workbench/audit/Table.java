// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.audit.Guest;
import org.iommu4j.host.Printable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Help.ColorScheme;

/** Rows in aligned columns; the last column is cut where it would be too wide. */
final class Table {
    private static final String INDENT = "  ";
    private static final int LAST_AT_LEAST = 8;

    private final List<String[]> rows = new ArrayList<>();

    Table(String... headers) {
        rows.add(headers);
    }

    void row(String... cells) {
        rows.add(Stream.of(cells).map(Printable::line).toArray(String[]::new));
    }

    /** Returns the table without the empty columns between the first and the last. */
    Table withoutSilentColumns() {
        String[] headers = rows.get(0);
        List<Integer> kept = new ArrayList<>();
        for (int i = 0; i < headers.length; i++) {
            int column = i;
            if (i == 0
                    || i == headers.length - 1
                    || !rows.stream().skip(1).allMatch(row -> row[column].equals("-") || row[column].equals("?"))) {
                kept.add(i);
            }
        }
        Table table = new Table();
        table.rows.clear();
        for (String[] row : rows) {
            table.row(kept.stream().map(column -> row[column]).toArray(String[]::new));
        }
        return table;
    }

    void print(StringBuilder text) {
        print(text, null);
    }

    void print(StringBuilder text, @Nullable ColorScheme colors) {
        int columns = rows.get(0).length;
        int[] widths = new int[columns];
        for (String[] row : rows) {
            for (int i = 0; i < columns; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        int used = INDENT.length() + 2 * (columns - 1);
        for (int i = 0; i < columns - 1; i++) {
            used += widths[i];
        }
        // If the table is too wide, the widest columns before the last are narrowed.
        int last = Math.min(LAST_AT_LEAST, widths[columns - 1]);
        while (used + last > AuditText.WIDTH) {
            int widest = 0;
            for (int i = 1; i < columns - 1; i++) {
                widest = widths[i] >= widths[widest] ? i : widest;
            }
            widths[widest]--;
            used--;
        }
        widths[columns - 1] = Math.min(widths[columns - 1], AuditText.WIDTH - used);
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder(INDENT);
            Guest guest = null;
            for (int i = 0; i < columns; i++) {
                String cell = Printable.cut(row[i], widths[i]);
                line.append(i == 0 ? "" : "  ").append(cell).append(" ".repeat(widths[i] - cell.length()));
                guest = guest == null ? guest(cell) : guest;
            }
            String plain = line.toString().stripTrailing();
            text.append(colors == null || guest == null ? plain : paint(colors, guest, plain))
                    .append('\n');
        }
    }

    private static @Nullable Guest guest(String cell) {
        for (Guest guest : Guest.values()) {
            if (guest.name().equals(cell)) {
                return guest;
            }
        }
        return null;
    }

    /** Returns the text in an answer's colour; text that is not for a terminal comes back as it is. */
    static String paint(ColorScheme colors, Guest guest, String text) {
        if (!colors.ansi().enabled()) {
            return text;
        }
        String code = switch (guest) {
            case COHERENT -> "32";
            case NONCOHERENT -> "31";
            case UNKNOWN -> "33";
        };
        return "\u001b[" + code + "m" + text + "\u001b[0m";
    }
}
