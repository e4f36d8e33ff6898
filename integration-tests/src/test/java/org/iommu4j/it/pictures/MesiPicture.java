// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.pictures;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The cache protocol as a table: a column per state before, a row per event, from the rows of the protocol's own test.
 */
final class MesiPicture {
    private static final int LEFT = 20;
    private static final int FIRST = 170;
    private static final int CELL = 138;
    private static final int ROW = 26;
    private static final int TOP = 126;

    /** What a letter of an event means; a number behind it names the CPU. */
    private static final Map<Character, String> EVENTS = events();

    private MesiPicture() {}

    private static Map<Character, String> events() {
        Map<Character, String> events = new LinkedHashMap<>();
        events.put('L', "load");
        events.put('P', "prefetch");
        events.put('S', "store");
        events.put('C', "compare-and-set");
        events.put('U', "uncached load");
        events.put('V', "uncached store");
        events.put('F', "CLFLUSH");
        events.put('W', "WBINVD");
        events.put('E', "evict");
        events.put('X', "shared cache evicts");
        events.put('Q', "evict to memory");
        events.put('D', "DMA write");
        events.put('d', "no-snoop DMA write");
        events.put('R', "DMA read");
        events.put('r', "no-snoop DMA read");
        return events;
    }

    /**
     * Draws the protocol.
     *
     * @param rows a CSV file of events before, event, states after (CPUs 0, 1, 2, shared cache) and the value in memory
     */
    static String draw(Path rows) throws IOException {
        Map<String, Map<String, String>> table = new LinkedHashMap<>();
        Set<String> used = new TreeSet<>();
        for (String line : Files.readAllLines(rows)) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String[] cells = line.split(",", -1);
            String before = cells[0].trim().replace("\"\"", "");
            String event = cells[1].trim();
            used.add(event);
            table.computeIfAbsent(before, key -> new LinkedHashMap<>())
                    .put(event, cells[2].trim() + "," + cells[3].trim());
        }
        List<String> events = new ArrayList<>();
        for (char letter : EVENTS.keySet()) {
            used.stream().filter(event -> event.charAt(0) == letter).forEach(events::add);
        }
        if (events.size() != used.size()) {
            throw new IllegalStateException("events without a word: " + used + ", known: " + EVENTS.keySet());
        }
        int width = LEFT + FIRST + table.size() * CELL + LEFT;
        Svg svg = new Svg("The cache protocol: an event, and the states and memory after it", width);
        svg.text(
                LEFT,
                54,
                "note",
                "Four letters: CPU 0, 1, 2 and the shared cache. M modified, E exclusive, S shared, - invalid.");
        svg.text(
                LEFT,
                72,
                "note",
                "Stores write 5 (compare-and-set 6, uncached stores 7), devices 9. Red: a cache keeps what a device's"
                        + " write went past. Empty: the test has no row.");
        svg.text(LEFT, TOP - 10, "name", "before:");
        int x = LEFT + FIRST;
        for (Map.Entry<String, Map<String, String>> before : table.entrySet()) {
            String[] earlier = before.getKey().isEmpty()
                    ? new String[] {"nobody has it"}
                    : before.getKey().split(" ");
            for (int i = 0; i < earlier.length; i++) {
                svg.centred(
                        x + CELL / 2,
                        TOP - 10 - 17 * (earlier.length - 1 - i),
                        "note",
                        before.getKey().isEmpty() ? earlier[i] : word(earlier[i]));
            }
            for (int row = 0; row < events.size(); row++) {
                String after = before.getValue().get(events.get(row));
                int y = TOP + row * ROW;
                svg.rectangle(x, y, CELL - 4, ROW - 4, after == null ? "plain" : style(after));
                if (after != null) {
                    String[] parts = after.split(",", -1);
                    svg.centred(x + CELL / 2, y + 15, "code", parts[0].replace('I', '-') + "   memory " + parts[1]);
                }
            }
            x += CELL;
        }
        for (int row = 0; row < events.size(); row++) {
            svg.text(LEFT, TOP + row * ROW + 15, "code", word(events.get(row)));
        }
        return svg.toSvg(TOP + events.size() * ROW + 20);
    }

    private static String word(String event) {
        return EVENTS.get(event.charAt(0)) + (event.length() > 1 ? " by CPU " + event.charAt(1) : "");
    }

    private static String style(String after) {
        boolean cached = !after.startsWith("I I I I");
        if (cached && after.endsWith(",9")) {
            return "warn";
        }
        return cached ? "strong" : "box";
    }
}
