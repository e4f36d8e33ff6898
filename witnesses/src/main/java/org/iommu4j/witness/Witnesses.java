// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.witness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.opentest4j.TestAbortedException;

/**
 * The report of the witnesses that the tests of one build had, and of those they lacked and why.
 *
 * <p>All test JVMs of a build write into one file, named by the system property {@value #LOG}. Each line carries the
 * build's name from {@value #BUILD}, so that lines of other builds are ignored. Without these properties nothing is
 * recorded.
 */
public final class Witnesses {
    /** Name of the system property that holds the file. */
    public static final String LOG = "iommu4j.witness.log";

    /** Name of the system property that identifies the build. */
    public static final String BUILD = "iommu4j.witness.build";

    private static final String USED = "used";
    private static final String SKIPPED = "skipped";

    private Witnesses() {}

    /**
     * Records that a test was compared with a witness.
     *
     * @param witness its name, for example {@code QEMU 7.2}
     */
    public static void used(String witness) {
        append(USED, witness, "");
    }

    /**
     * Records that a test could not use a witness that is present, and ends that test as skipped.
     *
     * @param reason the reason, such as what the witness lacks
     * @return never; so that callers can write {@code throw}
     */
    public static TestAbortedException unfit(String witness, String reason) {
        append(SKIPPED, witness, reason);
        throw new TestAbortedException(witness + ": " + reason);
    }

    /**
     * Records that a witness is absent, and ends the calling test: as skipped, or as failed where it is required.
     *
     * @param reason why it is absent and how to get it
     * @param required name of the system property that, when {@code true}, requires it
     * @return never; so that callers can write {@code throw}
     * @throws AssertionError where it is required
     */
    public static TestAbortedException missing(String witness, String reason, String required) {
        append(SKIPPED, witness, reason);
        if (Boolean.getBoolean(required)) {
            throw new AssertionError(witness + " is missing: " + reason + "; -D" + required + "=true requires it");
        }
        throw new TestAbortedException(witness + " is missing: " + reason);
    }

    private static void append(String state, String witness, String reason) {
        String file = System.getProperty(LOG);
        if (file != null) {
            append(Path.of(file), build(), String.join("\t", state, oneLine(witness), oneLine(reason)));
        }
    }

    private static String build() {
        return System.getProperty(BUILD, "");
    }

    private static String oneLine(String text) {
        return text.strip().replaceAll("\\s+", " ");
    }

    /** Adds a line; the first line of a build replaces all lines of an earlier build. */
    private static synchronized void append(Path file, String build, String line) {
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            try (FileChannel channel = FileChannel.open(
                    file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                channel.lock(); // until it is closed
                byte[] mark = (build + "\t").getBytes(StandardCharsets.UTF_8);
                ByteBuffer first = ByteBuffer.allocate(mark.length);
                channel.read(first, 0);
                if (!first.flip().equals(ByteBuffer.wrap(mark))) {
                    channel.truncate(0);
                }
                channel.position(channel.size());
                ByteBuffer bytes = ByteBuffer.wrap((build + "\t" + line + "\n").getBytes(StandardCharsets.UTF_8));
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException("can't write " + file, e);
        }
    }

    /**
     * Returns the report of this build, one line per witness: QEMUs first, then shared data in the order of its
     * constants.
     */
    static List<String> account() {
        Map<String, Entry> entries = new TreeMap<>();
        for (String[] row : rows()) {
            if (row[0].equals(build())) {
                entries.computeIfAbsent(row[2], name -> new Entry()).add(row[1], row[3]);
            }
        }
        Map<String, @Nullable Entry> shared = new LinkedHashMap<>();
        for (SharedData witness : SharedData.values()) {
            shared.put(witness.place(), entries.remove(witness.place()));
        }
        int width = 0;
        for (String name : entries.keySet()) {
            width = Math.max(width, name.length());
        }
        for (String name : shared.keySet()) {
            width = Math.max(width, name.length());
        }
        String format = "%-" + width + "s  %s";
        List<String> lines = new ArrayList<>();
        entries.forEach((name, entry) -> lines.add(String.format(format, name, entry)));
        shared.forEach((name, entry) ->
                lines.add(String.format(format, name, entry == null ? "not asked for" : entry.toString())));
        return lines;
    }

    private static List<String[]> rows() {
        String file = System.getProperty(LOG);
        if (file == null || !Files.exists(Path.of(file))) {
            return List.of();
        }
        try {
            return Files.readAllLines(Path.of(file)).stream()
                    .map(line -> line.split("\t", -1))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException("can't read " + file, e);
        }
    }

    /** The state of one witness in this build. */
    private static final class Entry {
        private final Map<String, Integer> reasons = new TreeMap<>();
        private int used;

        void add(String state, String reason) {
            if (state.equals(USED)) {
                used++;
            } else {
                reasons.merge(reason, 1, Integer::sum);
            }
        }

        @Override
        public String toString() {
            List<String> parts = new ArrayList<>();
            if (used > 0) {
                parts.add("used " + times(used));
            }
            reasons.forEach((reason, count) -> parts.add("skipped " + times(count) + ": " + reason));
            return String.join("; ", parts);
        }

        private static String times(int count) {
            return count == 1 ? "once" : count + " times";
        }
    }
}
