// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.host.FoldedLines.Entry;
import org.jspecify.annotations.Nullable;

/**
 * Undoes what happens to text between the terminal that showed it and the file that we read, before any reader sees it.
 *
 * <p>That is: colours and other escape sequences; markup; UTF-16, byte order marks, blanks of all kinds; quoting
 * ({@code > }); line numbers; marks and blanks that all lines of a paragraph begin with; an empty line after each line;
 * two entries on a line; lines that were folded at a width; indents that were lost. Undamaged lines stay as they are,
 * and what is not known for damage is text.
 *
 * <p>Text is looked at by paragraphs: lines without an empty one between them, {@value #MAX_PARAGRAPH} at most.
 */
final class PastedText {
    private static final int MAX_PARAGRAPH = 65_536;

    /** So many lines, each between two empty lines, were one paragraph. */
    private static final int DOUBLE_SPACED = 3;

    private static final Pattern TWO_TITLES = Pattern.compile("(?<=\\S)\\s+(?=(?:[0-9a-f]{4}:)?[0-9a-f]{2}:"
            + "[01][0-9a-f]\\.[0-7] [A-Z0-9][A-Za-z0-9 /-]{2,60}(?: \\[[0-9a-f]{4}\\])?: )");
    private static final Pattern TWO_STAMPS = Pattern.compile("(?<=\\S)\\s+(?=\\[(?: {0,5}\\d{1,6}\\.\\d{6}"
            + "|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\d{4})\\] )");
    private static final Pattern TWO_MESSAGES = Pattern.compile("(?<=[^\\s:])\\s+(?=DMAR: dmar\\d|AMD-Vi: "
            + "|pci [0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]: Adding )");
    private static final Pattern TWO_GROUPS = Pattern.compile("(?<=\\S)\\s+(?=IOMMU [Gg]roup \\d{1,6}(?::|\\s))");
    private static final Pattern TWO_DETAILS =
            Pattern.compile("(?<=[0-9a-f]{4}\\]|[^\\s:\\]])\\s+(?=Kernel driver in use: "
                    + "|Kernel modules: |IOMMU group: \\d|Capabilities: \\[|Subsystem: |Flags: |Control: I/O)");

    private final ByteArrayOutputStream mended;
    private final LineNumbers numbers = new LineNumbers();
    private List<String> paragraph = new ArrayList<>();
    private List<String> single = new ArrayList<>();
    private int emptyBefore;

    private PastedText(int size) {
        mended = new ByteArrayOutputStream(size);
    }

    /** Returns a file's text without the damage; nothing where the file is no text. */
    static byte[] ofFile(byte[] bytes) {
        return TextLines.isText(bytes) ? mended(bytes) : new byte[0];
    }

    /** Returns a text as it was printed, in UTF-8, each line with a line feed. */
    static byte[] mended(byte[] text) {
        PastedText pasted = new PastedText(text.length + 1);
        TextLines.Cursor lines = new TextLines.Cursor(text);
        while (lines.next()) {
            LineMarkup.removed(unquoted(lines.lineWithout(EscapeSequences::removed)))
                    .forEach(pasted::line);
        }
        pasted.endOfParagraph();
        pasted.endOfSingleLines();
        return pasted.mended.toByteArray();
    }

    /** Mail and forums put a mark before each line, one for each answer, with a blank behind it or none. */
    private static String unquoted(String line) {
        int text = 0;
        while (true) {
            int at = text;
            while (at < line.length() && at < text + 4 && line.charAt(at) == ' ') {
                at++;
            }
            if (line.startsWith("&gt;", at)) {
                at += 4;
            } else if (at < line.length() && (line.charAt(at) == '>' || line.charAt(at) == '\u00bb')) {
                at++;
            } else {
                return line.substring(text);
            }
            text = at < line.length() && line.charAt(at) == ' ' ? at + 1 : at;
        }
    }

    private void line(String line) {
        if (!line.isBlank()) {
            paragraph.add(line);
            if (paragraph.size() == MAX_PARAGRAPH) {
                endOfParagraph();
            }
            return;
        }
        endOfParagraph();
        emptyBefore++;
    }

    private void endOfParagraph() {
        if (paragraph.isEmpty()) {
            return;
        }
        boolean one = paragraph.size() == 1;
        if (!one || emptyBefore != 1 || single.size() == MAX_PARAGRAPH) {
            endOfSingleLines();
        }
        if (one) {
            if (single.isEmpty()) {
                empty(emptyBefore);
            }
            single.add(paragraph.get(0));
        } else {
            empty(emptyBefore);
            write(paragraph);
        }
        emptyBefore = 0;
        paragraph = new ArrayList<>();
    }

    private void endOfSingleLines() {
        if (single.size() >= DOUBLE_SPACED) {
            write(single);
        } else {
            for (int i = 0; i < single.size(); i++) {
                empty(i == 0 ? 0 : 1);
                write(List.of(single.get(i)));
            }
        }
        single = new ArrayList<>();
    }

    private void empty(int lines) {
        for (int i = 0; i < lines; i++) {
            mended.write('\n');
        }
    }

    private void write(List<String> lines) {
        List<Entry> entries = new ArrayList<>(lines.size());
        CommonMargin.removed(numbers.removed(lines)).forEach(line -> split(Entry.of(line), entries));
        boolean belowHeading = false;
        for (Entry entry : FoldedLines.joined(entries)) {
            PrintedLine kind = entry.kind();
            belowHeading = kind == PrintedLine.HEADING
                    || (belowHeading && kind != PrintedLine.EMPTY && kind != PrintedLine.TEXT);
            String line = belowHeading ? entry.text() : indented(entry);
            byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
            mended.write(bytes, 0, bytes.length);
            mended.write('\n');
        }
    }

    /** Entries of one kind that share a line; of lspci also details behind a title or another detail. */
    private static void split(Entry line, List<Entry> entries) {
        String text = line.text();
        switch (line.kind()) {
            case TITLE, DETAIL -> {
                String indent =
                        text.substring(0, text.length() - text.stripLeading().length());
                split(text, TWO_TITLES.matcher(text), indent, entries);
            }
            case STAMPED -> split(text, TWO_STAMPS.matcher(text), "", entries);
            case OTHER_BEGINNING -> split(text, TWO_MESSAGES.matcher(text), "", entries);
            case HEADING -> {
                List<Entry> headings = new ArrayList<>(1);
                split(text, TWO_GROUPS.matcher(text), "", headings);
                for (Entry heading : headings) {
                    Matcher members = TWO_TITLES.matcher(heading.text());
                    // The first is the heading's own.
                    split(heading.text(), members.find() ? members : null, "\t", entries);
                }
            }
            default -> entries.add(line);
        }
    }

    private static void split(String line, @Nullable Matcher next, String indent, List<Entry> entries) {
        int from = 0;
        String before = "";
        while (next != null && next.find()) {
            splitDetails(Entry.of(before + line.substring(from, next.start())), entries);
            from = next.end();
            before = indent;
        }
        splitDetails(Entry.of(before + line.substring(from)), entries);
    }

    private static void splitDetails(Entry line, List<Entry> entries) {
        Matcher next = line.kind() == PrintedLine.TITLE || line.kind() == PrintedLine.DETAIL
                ? TWO_DETAILS.matcher(line.text())
                : null;
        int from = 0;
        while (next != null && next.find()) {
            entries.add(Entry.of(line.text().substring(from, next.start())));
            from = next.end();
        }
        entries.add(from == 0 ? line : Entry.of(line.text().substring(from)));
    }

    /** Titles and hex begin a line of lspci, and details are indented; below a heading all lines stay as they are. */
    private static String indented(Entry line) {
        return switch (line.kind()) {
            case TITLE, HEX -> line.text().stripLeading();
            case DETAIL -> Character.isWhitespace(line.text().charAt(0)) ? line.text() : "\t" + line.text();
            default -> line.text();
        };
    }
}
