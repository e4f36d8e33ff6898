// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.iommu4j.bits.Hex;
import org.iommu4j.workbench.output.Json;
import org.iommu4j.workbench.report.WordStory.Move;
import org.iommu4j.workbench.report.WordStory.Row;
import org.iommu4j.workbench.report.WordStory.Stay;
import org.iommu4j.workbench.report.WordStory.Way;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A run as Chrome trace events, which Perfetto opens.
 *
 * <p>A word of memory is a process; its CPUs, caches, memory and devices are threads. A value in a place is a slice,
 * as is an access, and an arrow of the picture is a flow between two slices. Notes are the first process. There is no
 * time in a run: {@value #STEP} microseconds of the file are one event.
 *
 * @see <a href="https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU">Trace Event Format</a>
 */
public final class TraceEvents {
    private static final int STEP = 10;

    /** An access is inside the slice of the value that it meets or makes. */
    private static final int ACCESS_AFTER = 1;

    private static final int ACCESS_FOR = 8;

    private static final int NOTES = 1;

    private final ArrayNode events = JsonNodeFactory.instance.arrayNode();
    private int flows;

    private TraceEvents() {}

    /** Returns the file's text: one JSON object. */
    public static String of(Outcome outcome) {
        TraceEvents trace = new TraceEvents();
        trace.notes(outcome);
        int process = NOTES;
        for (WordStory story : WordStory.of(outcome)) {
            process++;
            trace.story(story, process);
        }
        ObjectNode file = JsonNodeFactory.instance.objectNode();
        file.set("traceEvents", trace.events);
        file.putObject("otherData")
                .put("case", outcome.caseName())
                .put("machine", outcome.machine())
                .put("linux", outcome.linux().toString())
                .put("verdict", outcome.verdict().name());
        return Json.page(file);
    }

    private void notes(Outcome outcome) {
        process(NOTES, outcome.caseName() + " on " + outcome.machine() + ", Linux " + outcome.linux());
        thread(NOTES, 1, "scheduler, VMM and KVM");
        for (TimelineEntry entry : outcome.timeline()) {
            if (entry.lane() == TimelineEntry.Lane.NOTE) {
                slice(NOTES, 1, "note", entry.text(), entry.at() * STEP, STEP);
            }
        }
    }

    private void story(WordStory story, int process) {
        process(process, "line " + Hex.of(story.word()));
        Map<Place, Integer> threads = new LinkedHashMap<>();
        for (Place place : story.places()) {
            int thread = threads.size() + 1;
            threads.put(place, thread);
            thread(process, thread, place.name());
        }
        List<Row> rows = story.rows();
        for (Stay stay : story.stays()) {
            int from = stay.from() < 0 ? 0 : at(rows.get(stay.from()));
            int to = stay.to() < rows.size() ? at(rows.get(stay.to())) : at(rows.get(rows.size() - 1)) + STEP;
            slice(
                    process,
                    threads.getOrDefault(stay.place(), 0),
                    "value",
                    Values.of(stay.value()) + " (" + stay.freshness().words() + ")",
                    from,
                    to - from);
        }
        Set<Integer> wrong = new LinkedHashSet<>();
        story.wrongReads().stream().filter(read -> !read.read().ofMemory()).forEach(read -> wrong.add(read.row()));
        for (int i = 0; i < rows.size(); i++) {
            row(rows.get(i), process, threads, wrong.contains(i));
        }
    }

    private static int at(Row row) {
        return row.first() * STEP;
    }

    private void row(Row row, int process, Map<Place, Integer> threads, boolean wrong) {
        Set<Place> involved = new LinkedHashSet<>();
        for (Move move : row.moves()) {
            involved.add(move.from());
            involved.add(move.to());
        }
        String words = wrong ? row.words() + " (wrong)" : row.words();
        for (Place place : new ArrayList<>(involved)) {
            slice(process, threads.getOrDefault(place, 0), "access", words, at(row) + ACCESS_AFTER, ACCESS_FOR);
        }
        for (Move move : row.moves()) {
            if (!move.from().equals(move.to())) {
                flows++;
                String category = category(move.way());
                flow("s", process, threads.getOrDefault(move.from(), 0), category, words, at(row) + 2);
                flow("f", process, threads.getOrDefault(move.to(), 0), category, words, at(row) + 3)
                        .put("bp", "e");
            }
        }
    }

    private static String category(Way way) {
        return switch (way) {
            case PLAIN -> "move";
            case FLUSH, SNOOPED, NO_SNOOP -> way.name().toLowerCase(Locale.ROOT).replace('_', '-');
        };
    }

    // ---- events of the format ------------------------------------------------------------------------------------

    private void process(int process, String name) {
        metadata("process_name", process, 0).putObject("args").put("name", name);
        metadata("process_sort_index", process, 0).putObject("args").put("sort_index", process);
    }

    private void thread(int process, int thread, String name) {
        metadata("thread_name", process, thread).putObject("args").put("name", name);
        metadata("thread_sort_index", process, thread).putObject("args").put("sort_index", thread);
    }

    private ObjectNode metadata(String name, int process, int thread) {
        return event("M", process, thread, "__metadata", name, 0);
    }

    private void slice(int process, int thread, String category, String name, int at, int duration) {
        event("X", process, thread, category, name, at).put("dur", duration);
    }

    private ObjectNode flow(String phase, int process, int thread, String category, String name, int at) {
        return event(phase, process, thread, category, name, at).put("id", flows);
    }

    private ObjectNode event(String phase, int process, int thread, String category, String name, int at) {
        return events.addObject()
                .put("ph", phase)
                .put("pid", process)
                .put("tid", thread)
                .put("cat", category)
                .put("name", name)
                .put("ts", at);
    }
}
