// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.json.JsonFactory;

/**
 * What came of each promise for one vendor, over all its subjects: written when the tests are over.
 *
 * <p>{@code VENDOR.json} and {@code VENDOR.html} go to {@code target/tck}, or to the directory that the property
 * {@code iommu4j.tck.report} names.
 */
final class ConformanceReport implements AutoCloseable {
    private static final Namespace REPORTS = Namespace.create(ConformanceReport.class);

    private static final String STYLE = """
            :root{color-scheme:light dark;--mute:#57606a;--bad:#b3261e;--line:#d7dbe0}
            body{font:15px/1.45 system-ui,sans-serif;color:#1c2128;background:#ffffff;max-width:76rem;margin:2rem auto;
            padding:0 1rem}h1{font-size:1.35rem}table{border-collapse:collapse;width:100%}
            th,td{text-align:left;padding:.3rem .5rem;vertical-align:top;border-bottom:1px solid var(--line)}
            td:last-child{overflow-wrap:anywhere}th{font-weight:600}thead th{color:var(--mute);border-bottom-width:2px}
            tbody th,td:nth-child(3){white-space:nowrap}
            .failed td,.failed th{font-weight:700;color:var(--bad)}
            @media screen and (prefers-color-scheme:dark){body{color:#e6e8eb;background:#15181c}
            :root{--mute:#9aa4af;--bad:#ff8a80;--line:#343a42}}
            @media print{:root{color-scheme:light}body{margin:0;max-width:none;padding:0;font-size:11px}
            tr{break-inside:avoid}}
            """;

    private final String vendor;
    private final Map<String, Entry> entries = new LinkedHashMap<>();

    private ConformanceReport(String vendor) {
        this.vendor = vendor;
    }

    /** What came of a test. */
    enum Outcome {
        /** The promise was kept. */
        PASSED,
        /** The ability is absent, and has its consequence. */
        ABSENT,
        /** It was broken. */
        FAILED
    }

    private static final class Entry {
        private int passed;
        private int absent;
        private final List<String> consequences = new ArrayList<>();
        private final List<String> failures = new ArrayList<>();
    }

    static ConformanceReport of(ExtensionContext context, Subject subject) {
        String vendor = subject.vendor();
        return context.getRoot()
                .getStore(REPORTS)
                .getOrComputeIfAbsent(vendor, ConformanceReport::new, ConformanceReport.class);
    }

    synchronized void add(String id, Outcome outcome, Subject subject, String test, List<Ability> absent) {
        Entry entry = entries.computeIfAbsent(id, ignored -> new Entry());
        switch (outcome) {
            case PASSED -> entry.passed++;
            case ABSENT -> {
                entry.absent++;
                for (Ability ability : absent) {
                    String consequence = ability + ": " + ability.consequence();
                    if (!entry.consequences.contains(consequence)) {
                        entry.consequences.add(consequence);
                    }
                }
            }
            case FAILED -> entry.failures.add(subject + ": " + test);
        }
    }

    /** Writes both files. */
    @Override
    public synchronized void close() {
        Path directory = Path.of(System.getProperty("iommu4j.tck.report", "target/tck"));
        try {
            Files.createDirectories(directory);
            try (Writer json = Files.newBufferedWriter(directory.resolve(vendor + ".json"))) {
                writeJson(json);
            }
            try (Writer html = Files.newBufferedWriter(directory.resolve(vendor + ".html"))) {
                writeHtml(html);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String state(Entry entry) {
        return !entry.failures.isEmpty() ? "failed" : entry.passed > 0 ? "passed" : "absent";
    }

    private void writeJson(Writer out) {
        try (JsonGenerator json =
                new JsonFactory().createGenerator(tools.jackson.core.ObjectWriteContext.empty(), out)) {
            json.writeStartObject();
            json.writeStringProperty("vendor", vendor);
            json.writeArrayPropertyStart("promises");
            for (Map.Entry<String, String> promise : Promises.all().entrySet()) {
                Entry entry = entries.get(promise.getKey());
                json.writeStartObject();
                json.writeStringProperty("id", promise.getKey());
                json.writeStringProperty("promise", promise.getValue());
                if (entry == null) {
                    json.writeStringProperty("state", "unchecked");
                    if (Promises.whyUnchecked(promise.getKey()).isPresent()) {
                        json.writeStringProperty(
                                "reason",
                                Promises.whyUnchecked(promise.getKey()).get());
                    }
                } else {
                    json.writeStringProperty("state", state(entry));
                    json.writeNumberProperty("passed", entry.passed);
                    json.writeNumberProperty("absent", entry.absent);
                    writeStrings(json, "consequences", entry.consequences);
                    writeStrings(json, "failures", entry.failures);
                }
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
    }

    private static void writeStrings(JsonGenerator json, String name, List<String> values) {
        json.writeArrayPropertyStart(name);
        values.forEach(json::writeString);
        json.writeEndArray();
    }

    private void writeHtml(Writer out) throws IOException {
        out.write("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                + "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>" + escape(vendor)
                + ": promises</title><style>\n" + STYLE + "</style></head><body><main>\n<h1>" + escape(vendor)
                + ": promises</h1>\n<p>" + escape(summary()) + "</p>\n<table><thead><tr>");
        for (String title : List.of("promise", "what it says", "outcome", "what failed, or what is absent")) {
            out.write("<th scope=\"col\">" + title + "</th>");
        }
        out.write("</tr></thead><tbody>\n");
        for (Map.Entry<String, String> promise : Promises.all().entrySet()) {
            Entry entry = entries.get(promise.getKey());
            if (entry != null) {
                out.write("<tr class=\"" + state(entry) + "\"><th scope=\"row\">" + escape(promise.getKey())
                        + "</th><td>" + escape(promise.getValue()) + "</td><td>" + state(entry) + "</td><td>"
                        + escape(String.join("; ", entry.failures.isEmpty() ? entry.consequences : entry.failures))
                        + "</td></tr>\n");
            }
        }
        out.write("</tbody></table>\n</main></body></html>\n");
    }

    /** Counts the promises by what came of them; one without an entry had no test in this run. */
    private String summary() {
        Map<String, Integer> counts = new LinkedHashMap<>();
        List.of("failed", "passed", "absent", "unchecked").forEach(state -> counts.put(state, 0));
        for (String id : Promises.all().keySet()) {
            Entry entry = entries.get(id);
            counts.merge(entry == null ? "unchecked" : state(entry), 1, Integer::sum);
        }
        return counts.entrySet().stream()
                .map(count -> count.getValue() + " " + count.getKey())
                .collect(Collectors.joining(", "));
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
