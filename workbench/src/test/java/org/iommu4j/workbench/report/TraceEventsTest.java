// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.iommu4j.workbench.scenario.Outcome;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The fields that the Trace Event Format documents, and what a viewer needs to draw flows. */
class TraceEventsTest {
    private static final JsonMapper JSON = new JsonMapper();

    private record Slice(long from, long to) {}

    private static List<JsonNode> events(Outcome outcome) {
        List<JsonNode> events = new ArrayList<>();
        JSON.readTree(TraceEvents.of(outcome)).get("traceEvents").forEach(events::add);
        return events;
    }

    private static String thread(JsonNode event) {
        return event.get("pid").asInt() + "/" + event.get("tid").asInt();
    }

    private static Map<String, List<Slice>> slices(List<JsonNode> events) {
        Map<String, List<Slice>> slices = new HashMap<>();
        for (JsonNode event : events) {
            if (event.get("ph").asString().equals("X")) {
                long from = event.get("ts").asLong();
                slices.computeIfAbsent(thread(event), unused -> new ArrayList<>())
                        .add(new Slice(from, from + event.get("dur").asLong()));
            }
        }
        return slices;
    }

    @Test
    void everyEventHasTheFieldsOfItsPhase() {
        for (Outcome outcome : Library.RUNS) {
            for (JsonNode event : events(outcome)) {
                String what = Library.name(outcome) + ": " + event;
                assertThat(event.get("name").isString()).as(what).isTrue();
                assertThat(event.get("cat").isString()).as(what).isTrue();
                assertThat(event.get("pid").isInt()).as(what).isTrue();
                assertThat(event.get("tid").isInt()).as(what).isTrue();
                assertThat(event.get("ts").asLong()).as(what).isNotNegative();
                switch (event.get("ph").asString()) {
                    case "X" -> assertThat(event.get("dur").asLong()).as(what).isPositive();
                    case "s" -> assertThat(event.get("id").isInt()).as(what).isTrue();
                    case "f" -> {
                        assertThat(event.get("id").isInt()).as(what).isTrue();
                        assertThat(event.get("bp").asString()).as(what).isEqualTo("e");
                    }
                    case "M" ->
                        assertThat(event.get("args")
                                        .has(event.get("name").asString().endsWith("_name") ? "name" : "sort_index"))
                                .as(what)
                                .isTrue();
                    default -> throw new AssertionError("unknown phase in " + what);
                }
            }
        }
    }

    @Test
    void everyThreadThatIsUsedHasANameAndItsSlicesNest() {
        for (Outcome outcome : Library.RUNS) {
            List<JsonNode> events = events(outcome);
            List<String> named = events.stream()
                    .filter(event -> event.get("name").asString().equals("thread_name"))
                    .map(TraceEventsTest::thread)
                    .toList();

            slices(events).forEach((thread, slices) -> {
                assertThat(named).as(Library.name(outcome)).contains(thread);
                slices.sort(Comparator.comparingLong(Slice::from)
                        .thenComparing(Comparator.comparingLong(Slice::to).reversed()));
                List<Slice> open = new ArrayList<>();
                for (Slice slice : slices) {
                    open.removeIf(outer -> outer.to() <= slice.from());
                    assertThat(open)
                            .as("%s, thread %s, %s", Library.name(outcome), thread, slice)
                            .allMatch(outer -> slice.to() <= outer.to());
                    open.add(slice);
                }
            });
        }
    }

    /** A flow is bound to the innermost slice of its thread; an id that comes twice ends no second flow. */
    @Test
    void aFlowJoinsTwoAccessesAndItsEndsHaveTheSameIdNameAndCategory() {
        for (Outcome outcome : Library.RUNS) {
            List<JsonNode> events = events(outcome);
            Map<Integer, JsonNode> begun = new HashMap<>();
            Set<Integer> ended = new HashSet<>();
            for (JsonNode event : events) {
                String phase = event.get("ph").asString();
                if (phase.equals("s") || phase.equals("f")) {
                    JsonNode innermost = innermost(events, event);
                    String what = Library.name(outcome) + ": " + event + " in " + innermost;
                    assertThat(innermost).as(what).isNotNull();
                    assertThat(innermost.get("cat").asString()).as(what).isEqualTo("access");
                    assertThat(innermost.get("name")).as(what).isEqualTo(event.get("name"));
                }
                if (phase.equals("s")) {
                    assertThat(begun.put(event.get("id").asInt(), event)).isNull();
                } else if (phase.equals("f")) {
                    JsonNode start = begun.get(event.get("id").asInt());
                    assertThat(start).isNotNull();
                    assertThat(ended.add(event.get("id").asInt())).isTrue();
                    assertThat(start.get("name")).isEqualTo(event.get("name"));
                    assertThat(start.get("cat")).isEqualTo(event.get("cat"));
                    assertThat(start.get("ts").asLong())
                            .isLessThan(event.get("ts").asLong());
                }
            }
            assertThat(ended).as(Library.name(outcome)).isEqualTo(begun.keySet());
        }
    }

    /** Returns the slice of an event's thread that began last of those around it, null where there is none. */
    private static @Nullable JsonNode innermost(List<JsonNode> events, JsonNode event) {
        long at = event.get("ts").asLong();
        return events.stream()
                .filter(each ->
                        each.get("ph").asString().equals("X") && thread(each).equals(thread(event)))
                .filter(each -> each.get("ts").asLong() <= at
                        && at < each.get("ts").asLong() + each.get("dur").asLong())
                .max(Comparator.comparingLong(each -> each.get("ts").asLong()))
                .orElse(null);
    }

    /** Perfetto counts a displayTimeUnit as a remark about the file, and a run has no time anyway. */
    @Test
    void theFileHasNothingThatAViewerRemarksUpon() {
        JsonNode file = JSON.readTree(TraceEvents.of(Library.run("wbinvd-mask-hole", "intel-nosc")));
        assertThat(file.propertyNames()).containsExactlyInAnyOrder("traceEvents", "otherData");
    }

    @Test
    void aNoSnoopReadAndTheFlushBeforeItAreFlowsOfTheirOwnKinds() {
        assertThat(events(Library.run("wbinvd-mask-hole", "intel-nosc")))
                .filteredOn(event -> event.get("ph").asString().equals("s"))
                .extracting(event ->
                        event.get("cat").asString() + ": " + event.get("name").asString())
                .contains("no-snoop: reads 1111, no-snoop (wrong)", "flush: WBINVD", "move: stores 2222");
    }
}
