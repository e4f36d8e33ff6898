// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.text.Normalizer;
import java.util.List;
import org.iommu4j.host.Printable;

/**
 * Comma-separated values (RFC 4180) whose cells a spreadsheet reads as text or numbers, and never as formulas.
 */
public final class Csv {
    /** The signs that begin a formula; to Unicode the minus sign is not a variant of the hyphen. */
    private static final String SIGNS = "=+-@\u2212";

    private Csv() {}

    /** Returns a row with its line feed. */
    public static String row(List<String> cells) {
        StringBuilder row = new StringBuilder();
        for (String cell : cells) {
            row.append(row.length() == 0 ? "" : ",").append(cell(cell));
        }
        return row.append('\n').toString();
    }

    /**
     * Returns a cell: printable, in quotes where it holds more than letters, digits and what names are made of.
     *
     * <p>An apostrophe makes text of a cell that begins like a formula: with a sign, also one of full width, behind
     * blanks or none, at the start or behind a semicolon, which separates cells in many countries. So it does with a
     * blank at the start, which some readers take away.
     */
    static String cell(String text) {
        String line = Printable.line(text);
        StringBuilder cell = new StringBuilder(line.length() + 4);
        boolean plain = true;
        boolean start = true;
        int blanksFrom = 0;
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            boolean blank = Character.isWhitespace(c) || Character.isSpaceChar(c);
            boolean quiet = blank && i == 0;
            if (start && (quiet || isSign(c))) {
                cell.insert(blanksFrom, '\'');
                start = false;
            }
            cell.append(c == '"' ? "\"\"" : c);
            plain &= Character.isLetterOrDigit(c) || ".:;/_- ()'".indexOf(c) >= 0;
            if (c == ';') {
                start = true;
                blanksFrom = cell.length();
            } else if (!blank) {
                start = false;
            }
        }
        return plain ? cell.toString() : '"' + cell.toString() + '"';
    }

    private static boolean isSign(char c) {
        String compatible = Normalizer.normalize(String.valueOf(c), Normalizer.Form.NFKC);
        return !compatible.isEmpty() && SIGNS.indexOf(compatible.charAt(0)) >= 0;
    }
}
