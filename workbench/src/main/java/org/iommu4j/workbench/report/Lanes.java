// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.iommu4j.workbench.report.WordStory.Move;
import org.iommu4j.workbench.report.WordStory.Row;

/**
 * Where the lanes of a story's picture are, and the words beside its arrows, in pixels from the left.
 *
 * <p>Two lanes are as far apart as their headings and the words between them need. Where that would be more than
 * {@value #WIDEST}, the words go over the next lane.
 */
final class Lanes {
    /** Width of a box. */
    static final int BOX = 84;

    /** Length of an arrow's head. */
    static final int HEAD = 9;

    /** Width of the column of numbers. */
    static final int NUMBERS = 76;

    /** Where remarks begin. */
    static final int REMARKS = NUMBERS + 6;

    /** Space of a sign beside its words. */
    static final int SIGN = 18;

    /** Pixels of a bold character, on average and generously. */
    static final double BOLD = 8.1;

    private static final int FIRST = NUMBERS + 72;
    private static final int NARROWEST = BOX + 40;
    private static final int WIDEST = 184;

    /** A picture is at least so wide, for its notes. */
    private static final int LEAST = 780;

    private final Map<Place, Integer> lanes = new HashMap<>();
    private final int width;

    /**
     * Chooses the places of lanes.
     *
     * @param beside the remarks below the arrows of wrong reads, by row
     * @param below the remarks below other arrows, by row
     */
    Lanes(WordStory story, Map<Integer, String> beside, Map<Integer, String> below) {
        List<Place> places = new ArrayList<>(story.places());
        int[] gaps = new int[places.size()];
        for (int i = 1; i < gaps.length; i++) {
            int headings = length(heading(places.get(i - 1))) + length(heading(places.get(i)));
            gaps[i] = Math.max(NARROWEST, headings / 2 + 12);
        }
        List<Row> rows = story.rows();
        for (int i = 0; i < rows.size(); i++) {
            if (!rows.get(i).isNote()) {
                widen(gaps, places, rows.get(i), beside.getOrDefault(i, ""));
            }
        }
        int x = FIRST;
        int right = FIRST;
        for (int i = 0; i < gaps.length; i++) {
            x += gaps[i];
            lanes.put(places.get(i), x);
            right = x + Math.max(BOX, length(heading(places.get(i)))) / 2 + 10;
        }
        for (Row row : rows) {
            right = row.isNote() ? right : Math.max(right, labelStart(row) + length(row.words()) + 10);
        }
        for (String remark : below.values()) {
            right = Math.max(right, REMARKS + length(remark) + SIGN + 4);
        }
        width = Math.max(LEAST, right);
    }

    /** Makes room for what stands beside the beginning of a row's arrow. */
    private static void widen(int[] gaps, List<Place> places, Row row, String remark) {
        Move move = row.moves().get(0);
        int from = places.indexOf(move.from());
        int to = places.indexOf(move.to());
        int next = to < from || (to == from && move.from().kind() == Place.Kind.DEVICE) ? from - 1 : from + 1;
        if (next < 0 || next >= gaps.length) {
            return;
        }
        int words = gap(move.from()) + length(row.words()) + 4 + (next == to ? HEAD : 0);
        int below = remark.isEmpty() ? 0 : BOX / 2 + 6 + length(remark) + SIGN;
        int beyond = isBox(places.get(next)) ? BOX / 2 : 2;
        int gap = Math.max(from, next);
        gaps[gap] = Math.max(gaps[gap], Math.min(WIDEST, Math.max(words, below) + beyond));
    }

    /** Returns the picture's width. */
    int width() {
        return width;
    }

    /** Returns the middle of a place's lane. */
    int x(Place place) {
        return Objects.requireNonNull(lanes.get(place), place.name());
    }

    /** Returns what stands above a lane. */
    static String heading(Place place) {
        return place.kind() == Place.Kind.DEVICE ? "device " + place.name() : place.name();
    }

    /** Returns whether values are in a place, as boxes on its lane. */
    static boolean isBox(Place place) {
        return place.isCache() || place.kind() == Place.Kind.BUFFER || place.kind() == Place.Kind.MEMORY;
    }

    /** Returns the width of words, bold or not. */
    static int length(String words) {
        return (int) (words.length() * BOLD);
    }

    /** Returns where a row's words begin: at the beginning of its arrow, beside the box from which that goes. */
    int labelStart(Row row) {
        Move first = row.moves().get(0);
        int from = x(first.from());
        int to = x(first.to());
        if (from > to) {
            int start = from - gap(first.from()) - length(row.words());
            return isBox(first.to()) ? Math.max(start, to + BOX / 2 + HEAD + 4) : Math.max(start, to + 10);
        }
        boolean refused = from == to && first.from().kind() == Place.Kind.DEVICE;
        return refused ? Math.max(REMARKS, from - 50 - length(row.words())) : from + gap(first.from());
    }

    /** Returns where a remark begins that is below a wrong read's arrow, and not on the box from which it read. */
    int besideRead(Row row, String remark) {
        Move first = row.moves().get(0);
        int from = x(first.from());
        return from < x(first.to()) ? from + BOX / 2 + 6 : from - BOX / 2 - 6 - length(remark) - SIGN;
    }

    private static int gap(Place from) {
        return isBox(from) ? BOX / 2 + 8 : 10;
    }
}
