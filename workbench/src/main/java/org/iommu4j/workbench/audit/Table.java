// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.iommu4j.audit.Columns;
import org.iommu4j.audit.Guest;
import org.iommu4j.host.Printable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Help.ColorScheme;

/** Rows in aligned columns; cells that are too wide go on in further lines, and what does not fit there is cut. */
final class Table {
    private final List<String[]> rows = new ArrayList<>();
    private final int width;
    private final int lines;

    /** Makes a table of at most a width, whose rows have at most some lines. */
    Table(int width, int lines, String... headers) {
        this.width = width;
        this.lines = lines;
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
        Table table = new Table(width, lines);
        table.rows.clear();
        for (String[] row : rows) {
            table.row(kept.stream().map(column -> row[column]).toArray(String[]::new));
        }
        return table;
    }

    void print(StringBuilder text, @Nullable ColorScheme colors) {
        List<List<String>> laidOut = Columns.of(rows, width, lines);
        for (int i = 0; i < rows.size(); i++) {
            Guest guest = Stream.of(rows.get(i))
                    .flatMap(cell -> guest(cell).stream())
                    .findFirst()
                    .orElse(null);
            for (String line : laidOut.get(i)) {
                text.append(colors == null || guest == null ? line : paint(colors, guest, line))
                        .append('\n');
            }
        }
    }

    private static Optional<Guest> guest(String cell) {
        return Stream.of(Guest.values())
                .filter(guest -> guest.name().equals(cell))
                .findFirst();
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
