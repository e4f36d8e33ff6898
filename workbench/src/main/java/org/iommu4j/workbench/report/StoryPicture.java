// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.iommu4j.workbench.report.Lanes.BOX;
import static org.iommu4j.workbench.report.Lanes.HEAD;
import static org.iommu4j.workbench.report.Lanes.NUMBERS;
import static org.iommu4j.workbench.report.Lanes.isBox;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.audit.Markup;
import org.iommu4j.workbench.report.WordStory.Flush;
import org.iommu4j.workbench.report.WordStory.Move;
import org.iommu4j.workbench.report.WordStory.Row;
import org.iommu4j.workbench.report.WordStory.Stay;
import org.iommu4j.workbench.report.WordStory.Way;
import org.iommu4j.workbench.report.WordStory.WrongRead;
import org.iommu4j.workbench.scenario.Outcome;

/**
 * Draws the story of one word of memory as SVG: a lane for each CPU, cache, memory and device, time from top to bottom,
 * a box for each value as long as it is there, and an arrow for each access and movement.
 *
 * <p>The picture has no script and refers to nothing outside. Nothing is told by colour alone: boxes differ by their
 * border and say in words what they are, arrows by their line, and a wrong read by its thickness and its words.
 */
public final class StoryPicture {
    /** The style of the pictures on a page; a page that has it needs it once. */
    static final String STYLE = """
            .story{display:block;font:13px system-ui,sans-serif;max-width:100%;height:auto;
            --ink:#1b1f24;--mute:#57606a;--rail:#dfe3e8;--paper:#ffffff;--bad:#b3261e;
            --only:#f0a63a;--onlyline:#8a5300;--newest:#8fd3a0;--newestline:#1e6b34;--old:#dfe3e8;--oldline:#6e7781;
            --box:#1b1f24}
            .story text{fill:var(--ink)}.story .paper{fill:var(--paper)}.story .mute{fill:var(--mute)}
            .story .lane{font-weight:600}.story .small{font-size:11px}.story .halo{paint-order:stroke;
            stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
            .story .rail{stroke:var(--rail);stroke-width:2}.story .in{fill:var(--box)}
            .story .ONLY_CACHED{fill:var(--only);stroke:var(--onlyline);stroke-width:2.5}
            .story .NEWEST{fill:var(--newest);stroke:var(--newestline);stroke-width:1}
            .story .OLD{fill:var(--old);stroke:var(--oldline);stroke-width:1;stroke-dasharray:3 3}
            .story .way{fill:none;stroke:var(--ink);stroke-width:1.5}.story .head{fill:var(--ink)}
            .story .FLUSH{stroke-dasharray:6 4}.story .SNOOPED{stroke-width:5}
            .story .core{fill:none;stroke:var(--paper);stroke-width:2}
            .story .note{fill:var(--paper);stroke:var(--mute)}
            .story .bad{stroke:var(--bad)}.story .badfill{fill:var(--bad)}.story text.badtext{fill:var(--bad);
            font-weight:600}.story .wrong{stroke:var(--bad);stroke-width:4;stroke-dasharray:none}
            .story .missed{fill:none;stroke:var(--bad);stroke-width:3}
            @media screen and (prefers-color-scheme:dark){.story{--ink:#e6e8eb;--mute:#9aa4af;--rail:#343a42;
            --paper:#15181c;--bad:#ff8a80;--only:#e09a3a;--onlyline:#ffd79a;--newest:#4f9e66;--newestline:#b5efc4;
            --old:#a7afb8;--oldline:#e6e8eb;--box:#0d1014}}
            @media print{.story{-webkit-print-color-adjust:exact;print-color-adjust:exact;break-inside:avoid;
            min-width:0!important}}
            """;

    private static final int HEADER = 34;
    private static final int ROW = 34;

    /** Pixels above the first row, in which what was there before is named. */
    private static final int TOP = 38;

    /** The lowest box that has room for a word below the value. */
    private static final int WORDS = 30;

    /** Pixels of a word below the value. */
    private static final int WORD = 13;

    /** Pixels above a row's line at which its effect begins. */
    private static final int EFFECT = 11;

    /** Pixels of a character, on average and generously. */
    private static final double CHARACTER = 7.3;

    private static final int LINE = 16;

    /** Pixels that a remark below an arrow takes. */
    private static final int REMARK = 26;

    private final WordStory story;
    private final String sentence;
    private final String id;
    private final StringBuilder body = new StringBuilder();
    private final Lanes lanes;
    private final int[] middles;
    /** What is drawn over the boxes. */
    private final List<Cover> covers = new ArrayList<>();

    private final int bottom;
    private final Set<Integer> chain = new HashSet<>();
    private final Map<Integer, WrongRead> wrong = new HashMap<>();

    /** Remarks by row: below the arrows of wrong reads, and below others. */
    private final Map<Integer, String> beside = new HashMap<>();

    private final Map<Integer, String> below = new HashMap<>();

    /** A part of the picture, in pixels. */
    private record Cover(int left, int top, int right, int bottom) {
        boolean meets(Cover other) {
            return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
        }
    }

    private StoryPicture(WordStory story, String sentence, String id) {
        this.story = story;
        this.sentence = sentence;
        this.id = id;
        chain();
        lanes = new Lanes(story, beside, below);
        middles = new int[story.rows().size()];
        int y = HEADER + TOP;
        for (int i = 0; i < middles.length; i++) {
            int height = height(i);
            middles[i] = y + (story.rows().get(i).isNote() ? height / 2 : ROW / 2 + 6);
            y += height;
        }
        bottom = y + 14;
        for (int i = 0; i < middles.length; i++) {
            cover(i);
        }
    }

    /**
     * Returns the picture of a run's first wrong word, or of its first word, as a file of its own.
     *
     * @throws IllegalArgumentException when the run has no DMA
     */
    public static String file(Outcome outcome) {
        List<WordStory> stories = WordStory.of(outcome);
        if (stories.isEmpty()) {
            throw new IllegalArgumentException(
                    "case " + outcome.caseName() + " on " + outcome.machine() + " has no DMA, expected some to draw");
        }
        return new StoryPicture(stories.get(0), Summary.of(outcome, stories), "run").draw(true);
    }

    /**
     * Returns the picture as an element of a page that has {@link #STYLE}.
     *
     * @param id an id for the page that no other picture there has
     */
    static String svg(WordStory story, String sentence, String id) {
        return new StoryPicture(story, sentence, id).draw(false);
    }

    /** What led to each wrong read. */
    private void chain() {
        for (WrongRead read : story.wrongReads()) {
            wrong.put(read.row(), read);
            chain.add(read.row());
            if (!read.read().ofMemory()) {
                beside.put(read.row(), "should be " + Values.of(read.read().expected()));
            }
            if (read.write() >= 0) {
                chain.add(read.write());
            }
            if (read.lostAt() >= 0) {
                chain.add(read.lostAt());
                below.put(read.lostAt(), lost(read));
            }
            for (Flush flush : read.flushes()) {
                chain.add(flush.row());
                below.put(flush.row(), missed(flush, read));
            }
        }
    }

    private String lost(WrongRead read) {
        if (read.loser() == null) {
            return "the newest value is lost";
        }
        return story.isDropped(read)
                ? "the newest value is dropped, and written nowhere"
                : "an older value goes over the newest";
    }

    private String missed(Flush flush, WrongRead read) {
        String left = read.holders().stream()
                .filter(place -> place.isCache() && !flush.caches().contains(place))
                .map(Place::inWords)
                .collect(Collectors.joining(", "));
        String done = (flush.byGuest() ? "KVM " : "") + Summary.flushed(flush);
        if (!left.isEmpty()) {
            return done + ": the newest value is in " + left;
        }
        return story.origin(read)
                .filter(origin -> !flush.caches().contains(origin))
                .map(origin -> done + ": an old value stays in " + origin.inWords())
                .orElse("");
    }

    private int height(int row) {
        Row shown = story.rows().get(row);
        if (shown.isNote()) {
            return lines(shown.words()).size() * LINE + 18;
        }
        return remark(row).isEmpty() ? ROW : ROW + REMARK;
    }

    private List<String> lines(String text) {
        List<String> lines = new ArrayList<>();
        StringBuilder line = new StringBuilder();
        for (String word : text.split(" ", -1)) {
            if (!line.isEmpty() && (line.length() + 1 + word.length()) * CHARACTER > lanes.width() - NUMBERS - 24) {
                lines.add(line.toString());
                line.setLength(0);
            }
            line.append(line.isEmpty() ? "" : " ").append(word);
        }
        lines.add(line.toString());
        return lines;
    }

    private String draw(boolean file) {
        add("<rect class=\"paper\" width=\"%d\" height=\"%d\"/>", lanes.width(), bottom);
        story.places().stream().sorted().forEach(place -> {
            int x = x(place);
            text(x, 18, "lane", "middle", Lanes.heading(place));
            add("<path class=\"rail\" d=\"M%d %dV%d\"/>", x, HEADER - 6, bottom - 8);
        });
        story.stays().forEach(this::box);
        rail();
        for (int i = 0; i < story.rows().size(); i++) {
            row(i);
        }
        int width = lanes.width();
        String style = file ? "<style>\n" + STYLE + "</style>\n" : "";
        return "<svg class=\"story\"" + (file ? " xmlns=\"http://www.w3.org/2000/svg\"" : "")
                + " role=\"img\" viewBox=\"0 0 " + width + " " + bottom + "\" width=\"" + width + "\" height=\""
                + bottom + "\" style=\"min-width:" + width * 2 / 3 + "px\" aria-labelledby=\"" + id + "-title " + id
                + "-desc\">\n<title id=\"" + id + "-title\">"
                + Markup.escape(sentence) + "</title>\n<desc id=\"" + id + "-desc\">" + Markup.escape(description())
                + "</desc>\n" + style + body + "</svg>\n";
    }

    private String description() {
        return story.rows().stream()
                .filter(row -> !row.isNote())
                .map(row -> numbers(row) + ": " + subject(row) + row.words() + ".")
                .collect(Collectors.joining(" "));
    }

    /** Returns who does what a row says. */
    static String subject(Row row) {
        return row.moves().stream()
                .findFirst()
                .map(move -> agent(row, move).name() + " ")
                .orElse("");
    }

    private static Place agent(Row row, Move move) {
        return switch (row.kind()) {
            case LOAD, DMA_READ, FILL -> move.to();
            default -> move.from();
        };
    }

    static String numbers(Row row) {
        return row.first() == row.last() ? Integer.toString(row.first()) : row.first() + "-" + row.last();
    }

    // ---- boxes ---------------------------------------------------------------------------------------------------

    private void box(Stay stay) {
        int top = stay.from() < 0 ? HEADER : middles[stay.from()] - EFFECT;
        int end = stay.to() >= middles.length ? bottom - 12 : middles[stay.to()] - EFFECT - 3;
        int x = x(stay.place());
        int height = Math.max(end - top, 6);
        String value = shorten(Values.of(stay.value()));
        int half = Math.max(BOX, (int) (value.length() * 8.2) + 12) / 2;
        add(
                "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\"/>",
                stay.freshness(), x - half, top, 2 * half, height);
        boolean missed = story.wrongReads().stream()
                .anyMatch(read ->
                        read.holders().contains(stay.place()) && stay.from() <= read.row() && stay.to() > read.row());
        if (missed) {
            add(
                    "<rect class=\"missed\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\"/>",
                    x - half - 5, top - 4, 2 * half + 10, height + 8);
        }
        if (height < 16) {
            return;
        }
        String[] words = stay.freshness().words().split(", ", -1);
        int count = height < WORDS ? 0 : Math.min(words.length, 1 + (height - WORDS) / WORD);
        for (int below = count; below >= 0; below--) {
            Cover needed = new Cover(x - half, top + 2, x + half, top + 19 + WORD * below);
            int down = uncovered(needed, top + height);
            if (down >= 0) {
                words(x, top + down, value, words, below);
                return;
            }
        }
        words(x, top, value, words, count);
    }

    private void words(int x, int top, String value, String[] below, int count) {
        text(x, top + 15, "in lane", "middle", value);
        for (int i = 0; i < count; i++) {
            text(x, top + 28 + WORD * i, "in small", "middle", below[i]);
        }
    }

    /** Returns how far down words of a box have to go to be under nothing, -1 where there is no room for them. */
    private int uncovered(Cover words, int end) {
        for (int down = 0; words.bottom() + down <= end; down++) {
            Cover moved = new Cover(words.left(), words.top() + down, words.right(), words.bottom() + down);
            if (covers.stream().noneMatch(moved::meets)) {
                return down;
            }
        }
        return -1;
    }

    /** Remembers what a row draws: its words, its arrows and its signs. */
    private void cover(int number) {
        Row row = story.rows().get(number);
        int y = middles[number];
        if (row.isNote()) {
            List<String> lines = lines(row.words());
            int top = y - (lines.size() * LINE + 8) / 2;
            int right = Lanes.REMARKS + signWidth(lines, CHARACTER);
            covers.add(new Cover(Lanes.REMARKS, top, right, top + signHeight(lines)));
            return;
        }
        int start = lanes.labelStart(row);
        covers.add(new Cover(start, y - 19, start + Lanes.length(row.words()), y));
        for (Move move : row.moves()) {
            int left = Math.min(x(move.from()), x(move.to())) + BOX / 2;
            covers.add(new Cover(left, y - 4, Math.max(x(move.from()), x(move.to())) - BOX / 2, y + 4));
        }
        String remark = remark(number);
        if (!remark.isEmpty()) {
            List<String> lines = List.of(remark);
            int left = remarkStart(number);
            covers.add(new Cover(left, y + 7, left + signWidth(lines, Lanes.BOLD), y + 7 + signHeight(lines)));
        }
    }

    /** The end of a long value is what tells it from others. */
    private static String shorten(String value) {
        return value.length() <= 12 ? value : "..." + value.substring(value.length() - 9);
    }

    // ---- rows ----------------------------------------------------------------------------------------------------

    /** The chain that led to a wrong read, as a line along the numbers. */
    private void rail() {
        if (chain.isEmpty()) {
            return;
        }
        int from = chain.stream().min(Comparator.naturalOrder()).orElseThrow();
        int to = chain.stream().max(Comparator.naturalOrder()).orElseThrow();
        add("<path class=\"way bad\" d=\"M%d %dV%d\"/>", NUMBERS - 8, middles[from], middles[to]);
        chain.forEach(row -> add("<circle class=\"badfill\" cx=\"%d\" cy=\"%d\" r=\"4\"/>", NUMBERS - 8, middles[row]));
    }

    private void row(int number) {
        Row row = story.rows().get(number);
        int y = middles[number];
        text(NUMBERS - 18, y + 4, chain.contains(number) ? "badtext" : "mute", "end", numbers(row));
        if (row.isNote()) {
            note(row, y);
            return;
        }
        WrongRead read = wrong.get(number);
        boolean bad = read != null && !read.read().ofMemory();
        for (int i = row.moves().size() - 1; i >= 0; i--) {
            arrow(row.moves().get(i), y, bad && i == 0); // only what the reader itself does is the wrong read
        }
        text(
                lanes.labelStart(row),
                y - (bad ? 9 : 5),
                (bad || chain.contains(number) ? "badtext" : "ink") + " halo",
                "start",
                row.words());
        String remark = remark(number);
        if (!remark.isEmpty()) {
            sign("note bad", "badtext", remarkStart(number), y + 7, List.of(remark));
        }
    }

    private String remark(int row) {
        return beside.getOrDefault(row, below.getOrDefault(row, ""));
    }

    private int remarkStart(int row) {
        String remark = beside.get(row);
        return remark == null ? Lanes.REMARKS : lanes.besideRead(story.rows().get(row), remark);
    }

    private void note(Row row, int y) {
        List<String> lines = lines(row.words());
        sign("note", "mute", Lanes.REMARKS, y - (lines.size() * LINE + 8) / 2, lines);
    }

    /** Draws lines of text in a box, from its upper left corner. */
    private void sign(String box, String style, int x, int y, List<String> lines) {
        add(
                "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>",
                box, x, y, signWidth(lines, style.equals("badtext") ? Lanes.BOLD : CHARACTER), signHeight(lines));
        int at = y + LINE;
        for (String line : lines) {
            text(x + 9, at, style, "start", line);
            at += LINE;
        }
    }

    private static int signWidth(List<String> lines, double character) {
        int longest = lines.stream().mapToInt(String::length).max().orElse(0);
        return (int) (longest * character) + Lanes.SIGN;
    }

    private static int signHeight(List<String> lines) {
        return lines.size() * LINE + 7;
    }

    private void arrow(Move move, int y, boolean bad) {
        int from = x(move.from());
        int to = x(move.to());
        String end = bad ? " wrong" : "";
        if (from == to) {
            stub(move, y);
            return;
        }
        int sign = from < to ? 1 : -1;
        int start = from + sign * (isBox(move.from()) ? BOX / 2 : 6);
        int stop = to - sign * (isBox(move.to()) ? BOX / 2 : 5);
        if (!isBox(move.from())) {
            add("<circle class=\"%s\" cx=\"%d\" cy=\"%d\" r=\"4\"/>", bad ? "badfill" : "head", from, y);
        }
        int shaft = stop - sign * HEAD;
        add("<path class=\"way %s%s\" d=\"M%d %dH%d\"/>", move.way(), end, start, y, shaft);
        if (move.way() == Way.SNOOPED && !bad) {
            add("<path class=\"core\" d=\"M%d %dH%d\"/>", start, y, shaft);
        }
        int half = bad ? 8 : 5;
        add(
                "<path class=\"%s\" d=\"M%d %dL%d %dL%d %dz\"/>",
                bad ? "badfill" : "head",
                stop,
                y,
                shaft - (bad ? sign * 5 : 0),
                y - half,
                shaft - (bad ? sign * 5 : 0),
                y + half);
        if (bad && !isBox(move.to())) {
            add("<circle class=\"badfill\" cx=\"%d\" cy=\"%d\" r=\"5\"/>", to, y);
        }
    }

    /** What goes nowhere: a flush of nothing, a line that is dropped, a request that is refused. */
    private void stub(Move move, int y) {
        int x = x(move.from());
        if (isBox(move.from())) {
            add("<path class=\"way\" d=\"M%d %dh%d\"/>", x - BOX / 2, y, BOX);
            return;
        }
        int sign = move.from().kind() == Place.Kind.DEVICE ? -1 : 1;
        add("<circle class=\"head\" cx=\"%d\" cy=\"%d\" r=\"4\"/>", x, y);
        add("<path class=\"way %s\" d=\"M%d %dh%d\"/>", move.way(), x + sign * 6, y, sign * 34);
        add("<path class=\"way\" d=\"M%d %dv12\"/>", x + sign * 42, y - 6);
    }

    private int x(Place place) {
        return lanes.x(place);
    }

    private void text(int x, int y, String style, String anchor, String words) {
        add(
                "<text x=\"%d\" y=\"%d\" class=\"%s\"%s>%s</text>",
                x, y, style, anchor.equals("start") ? "" : " text-anchor=\"" + anchor + "\"", Markup.escape(words));
    }

    private void add(String format, Object... values) {
        body.append(String.format(Locale.ROOT, format, values)).append('\n');
    }
}
