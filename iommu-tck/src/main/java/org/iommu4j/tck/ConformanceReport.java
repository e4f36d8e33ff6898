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
        out.write("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" + escape(vendor)
                + ": promises kept</title>\n<style>body{font:14px sans-serif;max-width:70em;margin:1em auto}"
                + "td{padding:.2em .6em;vertical-align:top;border-top:1px solid #ccc}.failed{font-weight:bold;"
                + "color:#b00}</style>\n<h1>" + escape(vendor) + "</h1>\n<table>\n");
        for (Map.Entry<String, String> promise : Promises.all().entrySet()) {
            Entry entry = entries.get(promise.getKey());
            if (entry == null) {
                continue;
            }
            out.write("<tr class=\"" + state(entry) + "\"><td>" + escape(promise.getKey()) + "<td>"
                    + escape(promise.getValue()) + "<td>" + state(entry) + "<td>"
                    + escape(String.join("; ", entry.failures.isEmpty() ? entry.consequences : entry.failures)) + "\n");
        }
        out.write("</table>\n");
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
